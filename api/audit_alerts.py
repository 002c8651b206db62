"""Alerts as they stand against what the journal says of them. Pure: rows come as they are kept, by column.

What the journal says is played again from the entry that raised (or adopted) the alert to its newest one; what comes
out must be what the tables hold: facts, events, evidence, and what guards did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from api.audit_chain import ACTION, ACTOR, AT, KIND, NOTE, REASON, SEQ, VERSION, Findings, Raw, body_of
from api.audit_values import json_value, mapping, shown, user_of
from api.journal import canonical
from api.lifecycle import ACTIONS, VERDICT_OF
from api.records import NO_CAMERA
from api.storage.facets import folded

FACTS = ("alert_id", "camera", "rule", "kind", "zone", "line")
CLIP = ("clip", "clip_original", "clip_from_s", "clip_to_s", "clip_shortfall_s")
UNTOLD = object()
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
        self.events: dict[str, list[tuple[Any, Any]]] = {}
        """Their digests and runs (None: untold) by id; ids count per run, and an alert may have events of several."""
        self._events_of(body, None if adopt[ACTION] == "adopted" else body.get("event_run", body.get("run")))
        self.snapshot: Any = told.get("snapshot")
        self.clips: Any = [] if told.get("clip") is None else None
        camera = told.get("camera")
        self.media: Any = "pending" if camera else "missing"
        self.media_note: Any = None if camera else NO_CAMERA
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
            self._evidence(mapping(body.get("evidence")))
            self.media, self.media_note = body.get("media"), body.get("media_note", UNTOLD)
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
            self._events_of(body, body.get("event_run"))
        elif action == "evidence":
            self._evidence(body)
        elif action == "evidence_missing":
            self.media, self.media_note = "missing", body.get("why")
        elif action in ("merged", "unmerged"):
            state["incident_id"] = body.get("incident_id") if action == "merged" else None
        elif action in HANDLING:
            self._handled(entry, action, body)

    def _events_of(self, body: Row, run: Any) -> None:
        for event_id, digest in mapping(body.get("events_sha256")).items():
            self.events.setdefault(event_id, []).append((digest, run))

    def _evidence(self, body: Row) -> None:
        self.snapshot, self.clips = body.get("snapshot"), body.get("clips")
        if self.clips:
            self.media, self.media_note = "ready", None
        elif self.media != "missing":
            self.media = "pending"  # A snapshot alone leaves open whether a clip will come.

    def _handled(self, entry: Raw, action: str, body: Row) -> None:
        state, at = self.state, entry[AT]
        name = str(entry[ACTOR])
        by = user_of(name) if entry[KIND] == "token" else name
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
        self.spans: dict[Any, list[float]] = {}
        """By facet: the longest that an alert began before its `sort_at` and went on after it, in seconds."""

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
            *self._span(row),
            *_events(replay, events),
            *_facts(row, replay, events),
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

    def _span(self, row: Row) -> Iterable[str]:
        # Lists of a time look that far around it.
        try:
            middle = datetime.fromisoformat(row["sort_at"])
            began, ended = (datetime.fromisoformat(row[name] or row["sort_at"]) for name in ("started_at", "ended_at"))
            before_s, after_s = (middle - began).total_seconds(), (ended - middle).total_seconds()
        except (TypeError, ValueError):
            yield "one of its moments is none"
            return
        longest = self.spans.setdefault(row["facet_seq"], [0.0, 0.0])
        longest[0], longest[1] = max(longest[0], before_s), max(longest[1], after_s)


def _state(row: Row, replay: Replay) -> Iterable[tuple[str, Any, Any]]:
    for name, want in replay.state.items():
        if name == "incident_id":
            continue
        have = row[name]
        if name == "drill":
            have, want = bool(have), bool(want)
        elif name.endswith("_by") and isinstance(have, str):
            have = user_of(have)
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
    raised_s = mapping(opening.get("media_time_s")).get("raised")
    if _rounded(row["first_raised_s"]) != _rounded(raised_s):
        yield f"first_raised_s is {shown(row['first_raised_s'])} instead of {shown(raised_s)}"
    if _ms(row["first_raised_at"]) != opening.get("raised_at"):
        yield f"first_raised_at is {shown(row['first_raised_at'])} instead of {shown(opening.get('raised_at'))}"


def _events(replay: Replay, events: Sequence[Row]) -> Iterable[str]:
    left = {event_id: list(told) for event_id, told in replay.events.items()}
    for event in events:
        event_id, body = event["event_id"], json_value(event["body"])
        told = left.get(str(event_id))
        if told is None:
            yield f"event {shown(event_id)} was never raised"
        elif not told:
            yield f"event {shown(event_id)} is there more than once"
        else:
            digest = _digest(body)
            mine = next((one for one in told if one[0] == digest), None)
            told.remove(mine or told[0])
            if mine is None or mapping(body).get("id") != event_id:
                yield f"event {shown(event_id)} was changed"
            else:
                yield from _event(event, body, mine[1])
    for event_id, told in left.items():
        if told:
            yield f"event {shown(event_id)} is missing"


def _event(event: Row, body: Row, run: Any) -> Iterable[str]:
    subject = f"event {shown(event['event_id'])}"
    if _ms(event["raised_at"]) != body.get("raised_at"):
        yield f"{subject} is said to have been raised at {shown(event['raised_at'])}"
    raised_s = mapping(body.get("media_time_s")).get("raised")
    if _rounded(event["raised_s"]) != _rounded(raised_s):
        yield f"{subject} is said to have been raised at {shown(event['raised_s'])} s of its run"
    if run is not None and event["run"] != run:
        yield f"{subject} is said to be of run {shown(event['run'])}"


def _evidence_of(row: Row, replay: Replay, clips: Sequence[Row]) -> Iterable[str]:
    if row["snapshot"] != replay.snapshot:
        yield f"snapshot is {shown(row['snapshot'])} instead of {shown(replay.snapshot)}"
    if replay.clips is not None:
        held = [
            (clip["path"], clip["original"], *(_rounded(clip[name]) for name in ("from_s", "to_s", "shortfall_s")))
            for clip in clips
        ]
        told = [
            tuple(clip.get(name) for name in CLIP)
            for clip in map(mapping, replay.clips if isinstance(replay.clips, list) else [])
        ]
        if held != told:
            yield f"its clips are {shown([clip[0] for clip in held])} instead of {shown([clip[0] for clip in told])}"
    if row["media"] != replay.media and (replay.media, row["media"]) != ("pending", "missing"):
        yield f"media is {shown(row['media'])} instead of {shown(replay.media)}"
    if replay.media_note is not UNTOLD and row["media_note"] != replay.media_note:
        yield f"media_note is {shown(row['media_note'])} instead of {shown(replay.media_note)}"


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


def _ms(text: Any) -> Any:
    """A moment with microseconds as texts of the API have it, with milliseconds."""
    return f"{text[:23]}Z" if isinstance(text, str) and len(text) == 27 else text


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float | int) else value
