"""The audit: everything in the database that the journal vouches for, against the journal; the journal against its
seals, its signed heads and its checkpoints. What is not as it was written is found and named.

See docs/journal.md for what can be found, with which keys, and what cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from api.access.sessions import ABSOLUTE
from api.audit_alerts import AlertAudit
from api.audit_arming import check_arming
from api.audit_chain import Chain, Finding, Findings, KeptHead
from api.audit_checkpoints import check_noted, newest_checkpoint
from api.audit_incidents import check_incidents
from api.audit_tables import TOKENS, USERS, WEBHOOKS, check_kind, check_sessions
from api.audit_values import shown
from api.errors import DeskError, InvalidError
from api.heads import SignedHead
from api.journal import GENESIS, tip_text, utc_text_us
from api.keys import SiteKeys
from api.storage import audit as rows
from api.storage.reading import UndecodableError, revision_of, snapshot

ALERTS = 1000
"""Alerts that are compared at a time."""
FIRST_WITH_JOURNAL = "0002"
WITH_ALL_TABLES = "0004"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the auditor holds outside the database."""

    keys: SiteKeys | None = None
    """The site's key: also checks the seal of the journal's end."""
    public_key: str | None = None
    """Base64, from a way that the auditor trusts; checks signatures, also where a key file lies beside the database."""
    heads: Sequence[KeptHead] = ()

    @property
    def verifier(self) -> str | None:
        return self.public_key or (None if self.keys is None else self.keys.public_key)


@dataclass
class Report:
    """What the audit saw and found."""

    findings: list[Finding]
    count: int
    """Of all findings, also of those that are not listed."""
    entries: int = 0
    alerts: int = 0
    first: int = 0
    last: int = 0
    last_hash: str = GENESIS
    heads: int = 0
    """Of the database."""
    kept_heads: int = 0
    """Of those kept outside it, those that were compared: older ones speak of entries that retention took away."""
    checkpoint: int | None = None
    unchecked: list[str] = field(default_factory=list)
    """What could not be checked, and why."""

    @property
    def intact(self) -> bool:
        return self.count == 0

    def to_json(self) -> dict[str, Any]:
        return {
            "intact": self.intact,
            "findings": [finding.to_json() for finding in self.findings],
            "findings_count": self.count,
            "entries": self.entries,
            "alerts": self.alerts,
            "first_seq": self.first,
            "last_seq": self.last,
            "last_hash": self.last_hash,
            "signed_heads": self.heads,
            "kept_heads": self.kept_heads,
            "checkpoint_up_to_seq": self.checkpoint,
            "unchecked": self.unchecked,
        }


def audit_database(where: Path | str, trust: Trust) -> Report:
    """Reads everything, as it is at one moment. Raises DeskError where the database cannot be read."""
    try:
        return _audit_database(where, trust, lenient=False)
    except UndecodableError:
        return _audit_database(where, trust, lenient=True)


def _audit_database(where: Path | str, trust: Trust, *, lenient: bool) -> Report:
    with snapshot(where, lenient=lenient) as connection:
        revision = revision_of(connection)
        if revision is None:
            raise DeskError("The database: expected one of Gatewatch, found none of its tables.")
        if revision < FIRST_WITH_JOURNAL:
            raise DeskError(
                f"The database has no journal yet: expected schema {FIRST_WITH_JOURNAL} or newer, found {revision}; "
                "start `gatewatch run` on it once."
            )
        return audit_within(connection, trust)


def audit_within(connection: Connection, trust: Trust) -> Report:
    """The same, within a transaction that is open already."""
    findings = Findings()
    if trust.keys is not None and trust.keys.public_key != trust.verifier:
        findings.add("key_replaced", f"the key file is not that of the public key: it is {trust.keys.key_id}")
    chain = Chain(findings, trust.verifier)
    in_database = list(_heads(connection, findings))
    checkpoint = newest_checkpoint(connection, trust.verifier, findings)
    if checkpoint is not None:
        chain.begin(checkpoint.up_to_seq, checkpoint.hash)
    chain.expect([*in_database, *trust.heads])
    for raw in rows.journal_rows(connection):
        chain.take(raw)
    chain.finish()
    check_noted(connection, chain, findings)
    _turns(connection, chain, findings)
    _tip(connection, chain, trust, findings)
    alerts = AlertAudit(
        findings, last_seq=chain.seq, incidents=rows.incident_ids(connection), facets=rows.facets(connection)
    )
    _alerts(connection, alerts, findings)
    _spans(connection, alerts, findings)
    check_incidents(rows.incident_rows(connection), rows.entries_of_incidents(connection), findings)
    _counts(connection, findings)
    for what, name in rows.doubled(connection, people=_has_all_tables(connection)):
        findings.add("doubled", f"{what} {shown(name)} is there more than once", None, f"{what} {shown(name)}")
    untold = _tables(connection, trust, findings, whole=checkpoint is None or checkpoint.states_what_stands)
    return Report(
        findings.listed, len(findings), chain.count, alerts.count, chain.first, chain.seq, chain.hash,
        len(in_database), sum(kept.head.seq >= chain.first - 1 for kept in trust.heads),
        None if checkpoint is None else checkpoint.up_to_seq, _unchecked(trust) + untold,
    )  # fmt: skip


def _unchecked(trust: Trust) -> list[str]:
    found = []
    if trust.keys is None:
        found.append(
            "the seal of the journal's end, passwords, secrets of tokens and sessions: this needs the site's key file"
        )
    if trust.verifier is None:
        found.append("the signatures of heads and checkpoints: this needs the key file or --public-key")
    return found


def _heads(connection: Connection, findings: Findings) -> Iterator[KeptHead]:
    last = 0
    for row in rows.signed_heads(connection):  # Gatewatch takes the last row for the newest head.
        try:
            head = SignedHead.from_json({**row, "public_key": ""})
        except InvalidError:
            findings.add("head_forged", f"row {row['id']} of the signed heads holds none", None)
            continue
        if head.seq < last:
            findings.add("head_changed", f"the row of the head signed at entry {head.seq} was moved", head.seq)
        last = head.seq
        yield KeptHead(head, "the database", in_database=True, why=row["why"])


def _turns(connection: Connection, chain: Chain, findings: Findings) -> None:
    """Lists of entries by time go by these rows: a wrong one would hide entries from them."""
    kept, real = rows.turns(connection), chain.turns
    if kept is None:
        return
    # What the first entry that is left followed, retention has taken away.
    for seq in sorted(seq for seq in {*kept, *real} if seq > chain.first and kept.get(seq) != real.get(seq)):
        findings.add(
            "turn_changed",
            f"entry {seq}: whether the clock was set back there is kept otherwise than the entries say, so lists of a "
            "time may leave entries out",
            seq,
            "journal",
        )


def _tip(connection: Connection, chain: Chain, trust: Trust, findings: Findings) -> None:
    found = rows.tips(connection)
    if len(found) != 1:
        if found:
            findings.add("tip_forged", f"the journal has {len(found)} tips instead of one", chain.seq)
        elif chain.count:
            findings.add("tip_missing", "the journal's tip, which says where it ends, is missing", chain.seq)
        return
    if found[0]["id"] != 1:
        findings.add("tip_forged", f"the journal's tip has the id {shown(found[0]['id'])} instead of 1", chain.seq)
    seq, hash_, mac = found[0]["seq"], found[0]["hash"], found[0]["mac"]
    if not isinstance(seq, int) or not isinstance(hash_, str) or not isinstance(mac, str):
        findings.add("tip_forged", "the journal's tip is none", chain.seq)
        return
    if trust.keys is not None and not trust.keys.sealed(tip_text(seq, hash_), _ascii(mac)):
        findings.add("tip_forged", f"the journal's tip at entry {seq} was replaced: its seal does not hold", seq)
    if seq > chain.seq:
        gone = f"entry {seq} is" if seq == chain.seq + 1 else f"entries {chain.seq + 1} to {seq} are"
        findings.add("cut_off", f"the journal was cut off: {gone} missing at its end", chain.seq + 1)
    elif seq < chain.seq:
        more = f"entry {chain.seq} was" if seq == chain.seq - 1 else f"entries {seq + 1} to {chain.seq} were"
        findings.add("inserted", f"{more} put in behind the journal's tip, which is at entry {seq}", seq + 1)
    elif hash_ != chain.hash:
        good = chain.last_good_head
        since = f"after entry {good.head.seq}, the last signed head that holds" if good else "at an unknown place"
        findings.add(
            "rehashed", f"entry {seq} is not the one that the journal's tip names: its end was rewritten {since}", seq
        )


def _ascii(text: str) -> str:
    return text if text.isascii() else ""


def _alerts(connection: Connection, audit: AlertAudit, findings: Findings) -> None:
    after = 0
    while piece := rows.alert_rows(connection, after, ALERTS):
        first, last = piece[0]["seq"], piece[-1]["seq"]
        entries = rows.entries_of_alerts(connection, [row["alert_id"] for row in piece])
        events = _grouped(rows.event_rows(connection, first, last), "alert_seq")
        clips = _grouped(rows.clip_rows(connection, first, last), "alert_seq")
        changes = _grouped(rows.change_rows(connection, first, last), "alert_seq")
        notes = _grouped(rows.note_rows(connection, first, last), "alert_seq")
        for row in piece:
            seq = row["seq"]
            mine = entries.get(row["alert_id"], ())
            about = (events.get(seq, ()), clips.get(seq, ()), changes.get(seq, ()), notes.get(seq, ()))
            audit.check(row, mine, *about)
        after = last
    for alert_id, seq in rows.alerts_without_rows(connection):
        subject = f"alert {alert_id}"
        findings.add("alert_missing", f"{subject} was taken away: entry {seq} still speaks of it", seq, subject)


def _tables(connection: Connection, trust: Trust, findings: Findings, *, whole: bool) -> list[str]:
    """Users, tokens, sessions, webhooks and arming; returns what could not be checked."""
    untold: list[str] = []
    if not _has_all_tables(connection):
        return untold
    # With another key than the one that is trusted everything would seem changed; that it is another is found already.
    keys = trust.keys if trust.keys is not None and trust.keys.public_key == trust.verifier else None
    for kind, found in (
        (USERS, rows.user_rows(connection)),
        (TOKENS, rows.token_rows(connection)),
        (WEBHOOKS, rows.webhook_rows(connection)),
    ):
        entries = rows.entries_about(connection, kind.subject)
        number = check_kind(kind, found, entries, findings, whole=whole, keys=keys)
        if number:
            untold.append(f"{number} {kind.what}s: the entries about them were removed by retention")
    if keys is not None:
        now = datetime.now(UTC)
        logins = list(rows.logins_since(connection, now - 2 * ABSOLUTE))
        check_sessions(rows.session_rows(connection), logins, keys, utc_text_us(now), findings)
    about_arming = list(rows.entries_about(connection, "arming", grouped=False))
    if not check_arming(*rows.arming_rows(connection), about_arming, findings, whole=whole):
        untold.append("all of arming: the entries about it were removed by retention")
    return untold


def _spans(connection: Connection, audit: AlertAudit, findings: Findings) -> None:
    """Lists of a time leave alerts out where a facet says that none of its alerts is as long as one of them is."""
    kept = rows.facet_spans(connection)
    for facet, needed in sorted(audit.spans.items(), key=str):
        for what, have, want in zip(("before", "after"), kept.get(facet, (None, None)), needed, strict=True):
            if not isinstance(have, int | float) or not have >= want - 0.001:
                findings.add(
                    "span_changed",
                    f"lists of a time look {shown(have)} s {what} it for alerts of facet {facet}: {want:.3f} s are "
                    "needed to find them all",
                )


def _has_all_tables(connection: Connection) -> bool:
    return (revision_of(connection) or "") >= WITH_ALL_TABLES


def _grouped(found: Iterable[Any], key: str) -> dict[int, list[Any]]:
    # Rows come in the order in which they were added, and what joined several alerts alternates between them.
    groups: dict[int, list[Any]] = {}
    for row in found:
        groups.setdefault(row[key], []).append(row)
    return groups


def _counts(connection: Connection, findings: Findings) -> None:
    kept, real = rows.alert_counts(connection)
    for key in sorted({*kept, *real}, key=str):
        have, want = kept.get(key, 0), real.get(key, 0)
        if have != want:
            facet, state, severity = key
            findings.add(
                "count", f"{have} alerts of facet {facet} are counted as {state}, {severity}: there are {want}"
            )
