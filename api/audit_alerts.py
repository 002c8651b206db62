"""Alerts as they stand against what the journal says of them. Pure: rows come as they are kept, by column.

What the journal says is played again from the entry that raised (or adopted) the alert to its newest one; what comes
out must be what the tables hold: facts, events, evidence, and what guards did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.audit_chain import ACTION, ACTOR, AT, KIND, NOTE, REASON, SEQ, VERSION, Findings, Raw, body_of
from api.audit_values import json_value, mapping, shown
from api.journal import canonical
from api.lifecycle import ACTIONS, VERDICT_OF
from api.storage.facets import folded

FACTS = ("alert_id", "camera", "rule", "kind", "zone", "line")
HANDLING = frozenset(ACTIONS)
Row = Mapping[str, Any]


class Replay:
    """One alert as its entries tell it."""

    def __init__(self, adopt: Raw) -> None:
        """`adopt`: the entry that raised or adopted it."""
        body = body_of(adopt)
        told = mapping(body.get("alert"))
        self.first = told
        self.latest = told
        self.digests: dict[str, Any] = dict(mapping(body.get("events_sha256")))
        self.snapshot: Any = told.get("snapshot")
        self.clips: Any = [] if told.get("clip") is None else None
        self.media: Any = "pending"
        self.changes: Any = []
        self.notes: list[Any] = [adopt[NOTE]]
        state = {
            "state": told.get("state"), "version": adopt[VERSION], "run": body.get("run"), "drill": body.get("drill"),
            "assignee": None, "seen_at": None, "seen_by": None, "acknowledged_at": None, "acknowledged_by": None,
            "closed_at": None, "closed_by": None, "reopened": 0, "reason": None, "note": None,
            "received_at": adopt[AT], "incident_id": None,
        }  # fmt: skip
        if adopt[ACTION] == "adopted":
            state |= {
                name: body.get(name)
                for name in ("received_at", "seen_at", "acknowledged_at", "closed_at", "reason", "note")
            }
            self.changes = body.get("changes")
            before = self.changes if isinstance(self.changes, list) else []
            self.notes = [mapping(change).get("note") for change in before]
            self.media = body.get("media")
            self._evidence(mapping(body.get("evidence")))
        self.state: dict[str, Any] = state
        self.newest = adopt[SEQ]

    def take(self, entry: Raw) -> None:
        action, body, state = entry[ACTION], body_of(entry), self.state
        self.newest = entry[SEQ]
        self.notes.append(entry[NOTE])
        if action not in ("evidence", "evidence_missing"):
            state["version"] = entry[VERSION]
        if action == "joined":
            self.latest = mapping(body.get("alert"))
            self.digests |= mapping(body.get("events_sha256"))
        elif action == "evidence":
            self._evidence(body)
        elif action == "evidence_missing":
            self.media = "missing"
        elif action in ("merged", "unmerged"):
            state["incident_id"] = body.get("incident_id") if action == "merged" else None
        elif action in HANDLING:
            self._handled(entry, action, body)

    def _evidence(self, body: Row) -> None:
        self.snapshot, self.clips = body.get("snapshot"), body.get("clips")
        # A snapshot alone leaves open whether a clip will come.
        self.media = "ready" if self.clips else self.media

    def _handled(self, entry: Raw, action: str, body: Row) -> None:
        state, at = self.state, entry[AT]
        name = str(entry[ACTOR])
        by = _user(name) if entry[KIND] == "token" else name
        if state["seen_at"] is None:
            state |= {"seen_at": at, "seen_by": by}
        if action in ("seen", "note"):
            return
        state |= {"state": body.get("to"), "assignee": body.get("assignee")}
        if action == "reopen":
            cleared = dict.fromkeys(("closed_at", "closed_by", "reason", "note"))
            state |= {**cleared, "reopened": state["reopened"] + 1}
            return
        if state["acknowledged_at"] is None:
            state |= {"acknowledged_at": at, "acknowledged_by": by}
        if action in VERDICT_OF:
            state |= {"closed_at": at, "closed_by": by, "reason": entry[REASON], "note": entry[NOTE]}


class AlertAudit:
    """Compares alerts with their entries, one after the other."""

    def __init__(
        self, findings: Findings, *, last_seq: int, incidents: Mapping[int, str], facets: Mapping[int, Any]
    ) -> None:
        """`incidents`: ids by the number of their row; `facets`: (camera, rule, kind, zone, line, label) by theirs."""
        self._findings = findings
        self._last_seq = last_seq
        self._incidents = incidents
        self._facets = facets
        self.count = 0

    def check(
        self,
        row: Row,
        entries: Sequence[Raw],
        events: Sequence[Row],
        clips: Sequence[Row],
        changes: Sequence[Row],
        notes: Sequence[Row] = (),
    ) -> None:
        self.count += 1
        subject = f"alert {row['alert_id']}"
        pointed = row["journal_seq"]
        if isinstance(pointed, int) and pointed > self._last_seq:
            self._findings.add(
                "beyond",
                f"{subject} points to entry {pointed}, but the journal ends at entry {self._last_seq}",
                pointed, subject,
            )  # fmt: skip
        starts = [at for at, entry in enumerate(entries) if entry[ACTION] in ("raised", "adopted")]
        if not starts:
            self._findings.add("inserted", f"{subject}: no entry of the journal says that it was raised", None, subject)
            return
        # An alert of a recording may have been removed after its time, and taken over once more.
        replay = Replay(entries[starts[-1]])
        for entry in entries[starts[-1] + 1 :]:
            replay.take(entry)
        wrong = [
            *(f"{name} is {shown(have)} instead of {shown(want)}" for name, have, want in _state(row, replay)
              if have != want),
            *_pointer(row, replay),
            *self._incident(row, replay),
            *self._facet(row),
            *_facts(row, replay, events),
            *_events(replay, events),
            *_evidence_of(row, replay, clips),
            *_changes(replay, changes),
            *_notes(row, replay, notes),
        ]  # fmt: skip
        if wrong:
            more = f" (and {len(wrong) - 4} more)" if len(wrong) > 4 else ""
            said = "; ".join(wrong[:4])
            self._findings.add("alert_changed", f"{subject}: {said}{more}", replay.newest, subject)

    def _incident(self, row: Row, replay: Replay) -> Iterable[str]:
        have = None if row["incident_seq"] is None else self._incidents.get(row["incident_seq"], "unknown")
        want = replay.state["incident_id"]
        if have != want:
            yield f"it belongs to incident {shown(have)} instead of {shown(want)}"

    def _facet(self, row: Row) -> Iterable[str]:
        # Lists find an alert by its facet: a wrong one hides it.
        want = (row["camera"], row["rule"], row["kind"], row["zone"] or "", row["line"] or "", row["label"])
        have = self._facets.get(row["facet_seq"])
        if have != want:
            yield f"lists find it as {shown(have)}"


def _state(row: Row, replay: Replay) -> Iterable[tuple[str, Any, Any]]:
    for name, want in replay.state.items():
        if name == "incident_id":
            continue
        have = row[name]
        if name == "drill":
            have, want = bool(have), bool(want)
        elif name.endswith("_by") and isinstance(have, str):
            have = _user(have)
        yield name, have, want


def _pointer(row: Row, replay: Replay) -> Iterable[str]:
    if row["journal_seq"] != replay.newest:
        yield f"its newest entry is {replay.newest}, and the alert points to entry {shown(row['journal_seq'])}"


def _facts(row: Row, replay: Replay, events: Sequence[Row]) -> Iterable[str]:
    first = replay.first
    for name in FACTS:
        want = first.get(name)
        have = row[name] or None if name == "camera" else row[name]
        if have != want:
            yield f"{name} is {shown(have)} instead of {shown(want)}"
    latest = replay.latest
    spans = mapping(latest.get("media_time_s"))
    told = {
        "severity": latest.get("severity"), "started_at": latest.get("started_at"), "ended_at": latest.get("ended_at"),
        "start_s": spans.get("start"), "end_s": spans.get("end"),
    }  # fmt: skip
    held = {
        "severity": row["severity"], "started_at": _ms(row["started_at"]), "ended_at": _ms(row["ended_at"]),
        "start_s": _rounded(row["start_s"]), "end_s": _rounded(row["end_s"]),
    }  # fmt: skip
    for name, want in told.items():
        if held[name] != want:
            yield f"{name} is {shown(held[name])} instead of {shown(want)}"
    if row["sort_at"] != (row["first_raised_at"] or row["received_at"]):
        yield f"sort_at is {shown(row['sort_at'])}"
    if not events:
        return
    opening = mapping(json_value(events[0]["body"]))
    for name, have in (("label", row["label"]), ("measured", json_value(row["measured"]))):
        if have != opening.get(name):
            yield f"{name} is {shown(have)} instead of {shown(opening.get(name))}"
    if _ms(row["first_raised_at"]) != opening.get("raised_at"):
        yield f"first_raised_at is {shown(row['first_raised_at'])} instead of {shown(opening.get('raised_at'))}"


def _events(replay: Replay, events: Sequence[Row]) -> Iterable[str]:
    held = [event["event_id"] for event in events]
    for event in events:
        body = json_value(event["body"])
        want = replay.digests.get(str(event["event_id"]))
        if want is None:
            yield f"event {shown(event['event_id'])} was never raised"
        elif _digest(body) != want or mapping(body).get("id") != event["event_id"]:
            yield f"event {shown(event['event_id'])} was changed"
        elif _ms(event["raised_at"]) != body.get("raised_at"):
            yield f"event {shown(event['event_id'])} is said to have been raised at {shown(event['raised_at'])}"
    if len(set(held)) != len(held):
        yield "one of its events is there more than once"
    for event_id in replay.digests:
        if event_id not in held:
            yield f"event {shown(event_id)} is missing"


def _evidence_of(row: Row, replay: Replay, clips: Sequence[Row]) -> Iterable[str]:
    if row["snapshot"] != replay.snapshot:
        yield f"snapshot is {shown(row['snapshot'])} instead of {shown(replay.snapshot)}"
    if replay.clips is not None:
        held = [(clip["path"], clip["original"], _rounded(clip["from_s"]), _rounded(clip["to_s"])) for clip in clips]
        told = [
            (clip.get("clip"), clip.get("clip_original"), clip.get("clip_from_s"), clip.get("clip_to_s"))
            for clip in map(mapping, replay.clips if isinstance(replay.clips, list) else [])
        ]
        if held != told:
            yield f"its clips are {shown([clip[0] for clip in held])} instead of {shown([clip[0] for clip in told])}"
    if replay.media == "ready" and row["media"] != "ready":
        yield f"media is {shown(row['media'])} instead of ready"


def _changes(replay: Replay, changes: Sequence[Row]) -> Iterable[str]:
    names = ("version", "action", "at", "actor", "reason", "note")
    if [{name: change[name] for name in names} for change in changes] != replay.changes:
        yield "what was done with it before there was a journal is not what was adopted"


def _notes(row: Row, replay: Replay, notes: Sequence[Row]) -> Iterable[str]:
    # The search reads these and not the journal: what is changed here is not found any more.
    want = [folded(note) for note in replay.notes if isinstance(note, str) and note]
    if [note["folded"] for note in notes] != want or any(note["sort_at"] != row["sort_at"] for note in notes):
        yield "the search finds it by other notes than those that were written"


def _digest(body: Any) -> str | None:
    try:
        return hashlib.sha256(canonical(body).encode()).hexdigest()
    except (TypeError, ValueError):
        return None


def _user(name: str) -> str:
    """A token acts for its user; names of users have no slash."""
    return name.partition("/")[0]


def _ms(text: Any) -> Any:
    """A moment with microseconds as texts of the API have it, with milliseconds."""
    return f"{text[:23]}Z" if isinstance(text, str) and len(text) == 27 else text


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float | int) else value
