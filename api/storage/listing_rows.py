"""Alerts of a page as records, read in four statements whatever their number, without objects of the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import BindParameter, bindparam, select
from sqlalchemy.orm import Session

from api.alerts import Alert, Clip
from api.records import Record
from api.storage.tables import AlertRow, ClipRow, EventRow, IncidentRow

_ALERT = (
    "alert_id", "camera", "rule", "kind", "severity", "zone", "line", "state", "start_s", "end_s", "first_raised_s",
    "started_at", "ended_at", "first_raised_at", "run", "drill", "version", "seen_at", "seen_by", "acknowledged_at",
    "acknowledged_by", "assignee", "closed_at", "closed_by", "reopened", "reason", "note", "snapshot",
)  # fmt: skip
_BESIDE = ("label", "measured", "received_at", "media", "media_note")
_SEQS: BindParameter[int] = bindparam("seqs", expanding=True)
_alert, _event, _clip, _incident = (row.__table__ for row in (AlertRow, EventRow, ClipRow, IncidentRow))
_ALERTS = select(
    _alert.c.seq, _alert.c.incident_seq, *(_alert.c[name] for name in _ALERT), *(_alert.c[name] for name in _BESIDE)
).where(_alert.c.seq.in_(_SEQS))
_EVENTS = (
    select(_event.c.alert_seq, _event.c.event_id)
    .where(_event.c.alert_seq.in_(_SEQS))
    .order_by(_event.c.alert_seq, _event.c.seq)
)
_CLIPS = (
    select(_clip.c.alert_seq, _clip.c.path, _clip.c.from_s, _clip.c.to_s, _clip.c.original, _clip.c.shortfall_s)
    .where(_clip.c.alert_seq.in_(_SEQS))
    .order_by(_clip.c.alert_seq, _clip.c.part)
)
_INCIDENTS = select(_incident.c.seq, _incident.c.incident_id).where(_incident.c.seq.in_(_SEQS))
_END = 2 + len(_ALERT)


def records_of(session: Session, seqs: Sequence[int]) -> list[Record]:
    """In the order of `seqs`, without their events' bodies and changes."""
    if not seqs:
        return []
    chosen = {"seqs": list(seqs)}
    events: dict[int, list[str]] = defaultdict(list)
    for seq, event_id in session.execute(_EVENTS, chosen):
        events[seq].append(event_id)
    clips: dict[int, list[Clip]] = defaultdict(list)
    for seq, *clip in session.execute(_CLIPS, chosen):
        clips[seq].append(Clip(*clip))
    rows = {row[0]: row for row in session.execute(_ALERTS, chosen)}
    grouped = {row[1] for row in rows.values()} - {None}
    incidents = {seq: of for seq, of in session.execute(_INCIDENTS, {"seqs": list(grouped)})} if grouped else {}
    records = []
    for seq in seqs:
        row = rows[seq]
        alert = Alert(
            **dict(zip(_ALERT, row[2:_END], strict=True)), event_ids=tuple(events[seq]), clips=tuple(clips[seq])
        )
        beside = dict(zip(_BESIDE, row[_END:], strict=True))
        records.append(Record(alert, **beside, incident_id=incidents.get(row[1])))
    return records
