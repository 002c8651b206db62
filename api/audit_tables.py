"""Users, tokens and webhooks as they stand against what the journal says of them. Pure: rows come as they are
kept, by column.

Only what an entry tells is compared; before retention takes such entries away, it writes one that says how things
stand by them. Of passwords, secrets and identities at a provider, entries hold MACs: see `api.access.vouched`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from api.access import vouched
from api.audit_chain import ACTION, ACTOR, AT, SEQ, SUBJECT_ID, VERSION, Findings, Raw, body_of
from api.audit_values import json_value, mapping, shown
from api.journal import STANDING, utc_text_us
from api.keys import SiteKeys

Row = Mapping[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that has rows and entries of its own."""

    subject: str
    what: str
    """In messages."""
    told: Callable[[Sequence[Raw]], Facts]
    """What entries, in order, say of one."""
    held: Callable[[Row], Facts]
    """The same of its row."""
    vouched: Callable[[SiteKeys, Row], str] | None = None
    """The MAC over what lets it in."""
    let_in_by: str = ""
    """What that is, in messages."""


def check_kind(
    kind: Kind,
    rows: Mapping[Any, Row],
    entries: Iterable[Raw],
    findings: Findings,
    *,
    whole: bool,
    keys: SiteKeys | None = None,
) -> int:
    """`entries`: grouped by what they are about, each in order. `whole`: no entry was removed by retention. Without
    `keys`, what lets users and tokens in is not checked. Returns of how many rows no entry tells any more."""
    held = dict(rows)
    for name, group in groupby(entries, lambda entry: entry[SUBJECT_ID]):
        told, row = list(group), held.pop(name, None)
        subject = f"{kind.what} {shown(name)}"
        newest = told[-1][SEQ]
        if row is None:
            findings.add(
                f"{kind.subject}_missing", f"{subject} was taken away: entry {newest} still speaks of it",
                newest, subject,
            )  # fmt: skip
            continue
        have, wants = kind.held(row), kind.told(told)
        mac = wants.pop(vouched.FIELD, None)
        wrong = [
            f"{field} is {shown(have.get(field))} instead of {shown(want)}"
            for field, want in wants.items()
            if have.get(field) != want
        ]
        if mac is not None and keys is not None and kind.vouched is not None and kind.vouched(keys, row) != mac:
            wrong.append(f"{kind.let_in_by} is not what was set")
        if wrong:
            findings.add(f"{kind.subject}_changed", f"{subject}: {'; '.join(wrong)}", newest, subject)
    for name in held if whole else ():
        subject = f"{kind.what} {shown(name)}"
        findings.add("inserted", f"{subject}: no entry of the journal says that it was made", None, subject)
    return 0 if whole else len(held)


def _user_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {}
    for entry in entries:
        action, body = entry[ACTION], body_of(entry)
        if action == STANDING:
            facts = _standing(body)
            continue
        facts["version"] = entry[VERSION]
        if action == "created":
            facts |= body | {"disabled": False, "password_changed_at": None, "created_at": entry[AT]}
        elif action in ("changed", "disabled", "enabled"):
            facts |= mapping(body.get("before")) | mapping(body.get("after"))
        elif action in ("password_reset", "password_changed"):
            facts["password_changed_at"] = entry[AT]
        if vouched.FIELD in body:
            facts[vouched.FIELD] = body[vouched.FIELD]
    return facts


def _user_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("role", "display_name", "version", "password_changed_at", "created_at")}
    return held | {"cameras": json_value(row["cameras"]), "disabled": bool(row["disabled"])}


def _token_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {"revoked_at": None}
    for entry in entries:
        body = body_of(entry)
        if entry[ACTION] == STANDING:
            facts = _standing(body)
        elif entry[ACTION] == "created":
            facts |= body | {"expires_at": _moment(body.get("expires_at")), "created_at": entry[AT]}
        elif entry[ACTION] == "revoked":
            facts["revoked_at"] = entry[AT]
    return facts


def _token_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("owner", "name", "expires_at", "revoked_at", "created_at")}
    return held | {name: json_value(row[name]) for name in ("permissions", "cameras")}


_OF_WEBHOOK = ("name", "topics", "cameras", "url_sha256", "enabled", "secret_generation")


def _webhook_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {}
    for entry in entries:
        action, body = entry[ACTION], body_of(entry)
        if action == STANDING:
            facts = _standing(body)
            continue
        if entry[VERSION] is not None:
            facts["version"] = entry[VERSION]
        if action == "created":
            facts |= {"enabled": True, "secret_generation": 1, "removed": False}
            facts |= {"created_at": entry[AT], "created_by": entry[ACTOR]}
        if action in ("created", "changed"):
            facts |= {name: body[name] for name in _OF_WEBHOOK if name in body}
        elif action == "removed":
            facts |= {"enabled": False, "removed": True}
    return facts


def _webhook_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("name", "version", "secret_generation", "created_at", "created_by")}
    return held | {
        "topics": json_value(row["topics"]), "cameras": json_value(row["cameras"]), "enabled": bool(row["enabled"]),
        "removed": row["removed_at"] is not None,
        "url_sha256": hashlib.sha256(str(row["url"]).encode(errors="replace")).hexdigest(),
    }  # fmt: skip


def _user_vouched(keys: SiteKeys, row: Row) -> str:
    names = ("name", "password_hash", "must_change_password", "oidc_issuer", "oidc_subject")
    return vouched.of_user(keys, *(row[name] for name in names))


def _token_vouched(keys: SiteKeys, row: Row) -> str:
    return vouched.of_token(keys, row["token_id"], row["secret_hash"])


USERS = Kind("user", "user", _user_told, _user_held, _user_vouched, "its password or its identity at a provider")
TOKENS = Kind("token", "token", _token_told, _token_held, _token_vouched, "its secret")
WEBHOOKS = Kind("webhook", "webhook", _webhook_told, _webhook_held)


def check_sessions(rows: Iterable[Row], logins: Sequence[Raw], keys: SiteKeys, now: str, findings: Findings) -> None:
    """Whether somebody logged in to each session that goes on. `rows`: each with the `name` of its user; `logins`: the
    entries of as long as a session lasts; `now`: as moments are kept."""
    known = {body_of(entry).get(vouched.FIELD) for entry in logins}
    # Log-ins were once told without a MAC.
    before = {(entry[SUBJECT_ID], entry[AT]) for entry in logins if vouched.FIELD not in body_of(entry)}
    for row in rows:
        if str(row["expires_at"]) <= now or (row["name"], row["created_at"]) in before:
            continue
        if vouched.of_session(keys, row["name"], row["token_hash"]) not in known:
            subject = f"session of {shown(row['name'])}"
            message = f"{subject}, begun at {shown(row['created_at'])}: nobody logged in to it"
            findings.add("inserted", message, None, subject)


def _standing(body: Facts) -> Facts:
    """What retention said of it, by the entries that there were."""
    return dict(mapping(body.get("facts")))


def _moment(value: Any) -> Any:
    try:
        return utc_text_us(datetime.fromisoformat(value).astimezone(UTC))
    except (TypeError, ValueError, OverflowError):
        return value
