"""Reads and writes alerts. The only SQL of the product lies in this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session, selectinload

from api.alerts import Action, Alert, Clip, State
from api.records import Change, Filters, ListPage, MediaState, Position, Record
from api.storage.tables import AlertRow, ChangeRow, ClipRow, EventRow

_COPIED = (
    "alert_id", "run", "camera", "rule", "kind", "severity", "zone", "line", "state", "version", "start_s", "end_s",
    "first_raised_s", "started_at", "ended_at", "first_raised_at", "acknowledged_at", "closed_at", "reason", "note",
    "snapshot",
)  # fmt: skip
"""Fields that `Alert` and `AlertRow` share by name."""


def alert_of(row: AlertRow) -> Alert:
    return Alert(
        **{name: getattr(row, name) for name in _COPIED},
        event_ids=tuple(event.event_id for event in row.events),
        clips=tuple(Clip(clip.path, clip.from_s, clip.to_s, clip.original, clip.shortfall_s) for clip in row.clips),
    )


def record_of(row: AlertRow, *, whole: bool = False) -> Record:
    return Record(
        alert=alert_of(row),
        label=row.label,
        measured=row.measured,
        received_at=row.received_at,
        media=cast(MediaState, row.media),
        media_note=row.media_note,
        events=tuple(event.body for event in row.events) if whole else None,
        changes=tuple(_change_of(change) for change in row.changes) if whole else None,
    )


def _change_of(row: ChangeRow) -> Change:
    return Change(row.version, cast(Action, row.action), row.at, row.actor, row.reason, row.note)


def find(session: Session, alert_id: str) -> AlertRow | None:
    return session.scalar(select(AlertRow).where(AlertRow.alert_id == alert_id))


def alert_with_event(session: Session, run: str, event_id: str) -> AlertRow | None:
    """The alert that has this event already."""
    wanted = select(AlertRow).join(EventRow).where(EventRow.run == run, EventRow.event_id == event_id)
    return session.scalar(wanted)


def latest_of_rule(session: Session, camera: str, rule: str) -> AlertRow | None:
    wanted = select(AlertRow).where(AlertRow.camera == camera, AlertRow.rule == rule)
    return session.scalar(wanted.order_by(AlertRow.seq.desc()).limit(1))


def add(session: Session, alert: Alert, first_event: Mapping[str, Any], received_at: datetime) -> AlertRow:
    """A row for a new alert, without its events."""
    row = AlertRow(
        **{name: getattr(alert, name) for name in _COPIED},
        label=first_event["label"],
        measured=first_event["measured"],
        received_at=received_at,
        sort_at=alert.first_raised_at or received_at,
        media="pending",
        media_note=None,
    )
    session.add(row)
    session.flush()
    return row


def update(row: AlertRow, alert: Alert) -> None:
    """Writes what changed of the alert itself; events, clips and changes are added by themselves."""
    for name in _COPIED:
        setattr(row, name, getattr(alert, name))


def add_event(
    session: Session, row: AlertRow, run: str, body: Mapping[str, Any], raised_s: float, raised_at: datetime | None
) -> None:
    event = EventRow(run=run, event_id=body["id"], raised_s=raised_s, raised_at=raised_at, body=dict(body))
    row.events.append(event)
    session.flush()


def add_change(row: AlertRow, change: Change) -> None:
    row.changes.append(
        ChangeRow(
            version=change.version,
            action=change.action,
            at=change.at,
            actor=change.actor,
            reason=change.reason,
            note=change.note,
        )
    )


def replace_clips(session: Session, row: AlertRow, clips: Sequence[Clip]) -> None:
    row.clips.clear()
    session.flush()  # The old parts' numbers are free before the new ones take them.
    row.clips.extend(
        ClipRow(
            part=number,
            path=clip.path,
            original=clip.original,
            from_s=clip.from_s,
            to_s=clip.to_s,
            shortfall_s=clip.shortfall_s,
        )
        for number, clip in enumerate(clips, start=1)
    )


def page(session: Session, filters: Filters, after: Position | None, limit: int) -> ListPage:
    """Up to `limit` alerts, newest first, after this position."""
    wanted = _filtered(select(AlertRow), filters)
    if after is not None:
        wanted = wanted.where(tuple_(AlertRow.sort_at, AlertRow.seq) < (after.sort_at, after.seq))
    wanted = wanted.order_by(AlertRow.sort_at.desc(), AlertRow.seq.desc()).limit(limit + 1)
    loaded = wanted.options(selectinload(AlertRow.events).load_only(EventRow.event_id), selectinload(AlertRow.clips))
    rows = session.scalars(loaded).all()
    more = len(rows) > limit
    rows = rows[:limit]
    position = Position(rows[-1].sort_at, rows[-1].seq) if more else None
    return ListPage(tuple(record_of(row) for row in rows), position)


def counts(session: Session) -> dict[State, int]:
    """How many alerts are in each state."""
    rows = session.execute(select(AlertRow.state, func.count()).group_by(AlertRow.state))
    return {cast(State, state): number for state, number in rows}


def _filtered(wanted: Select[AlertRow], filters: Filters) -> Select[AlertRow]:
    for column, values in (
        (AlertRow.state, filters.states),
        (AlertRow.severity, filters.severities),
        (AlertRow.camera, filters.cameras),
        (AlertRow.rule, filters.rules),
        (AlertRow.kind, filters.kinds),
    ):
        if values is not None:
            wanted = wanted.where(column.in_(values))
    if filters.since is not None:
        wanted = wanted.where(AlertRow.ended_at >= filters.since)
    if filters.until is not None:
        wanted = wanted.where(AlertRow.started_at < filters.until)
    return wanted
