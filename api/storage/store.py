"""Reads and writes alerts. The only SQL of the product lies in this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from api.alerts import Alert, Clip, State
from api.journal import Subject
from api.lifecycle import Response, response_since
from api.records import Change, MediaState, Record
from api.storage.facets import facet_of
from api.storage.tables import AlertCountRow, AlertRow, ClipRow, EventRow
from api.storage.tables_access import UserRow
from api.storage.tables_journal import JournalRow

_FACTS = (
    "alert_id", "run", "camera", "rule", "kind", "zone", "line", "first_raised_s", "first_raised_at", "drill",
)  # fmt: skip
"""What an alert is from its first event on; never written again."""
_GROWN = ("version", "severity", "start_s", "end_s", "started_at", "ended_at")
"""What a further event may change."""
_HANDLED = (
    "version", "state", "seen_at", "seen_by", "acknowledged_at", "acknowledged_by", "assignee", "closed_at",
    "closed_by", "reopened", "reason", "note",
)  # fmt: skip
"""What guards may change."""
_COPIED = (*_FACTS, *dict.fromkeys((*_GROWN, *_HANDLED)), "snapshot")
"""Fields that `Alert` and `AlertRow` share by name."""
# Put together once: composing a statement costs several times what the database needs for it.
_BY_ID = select(AlertRow).where(AlertRow.alert_id == bindparam("alert_id"))
_WITH_EVENT = (
    select(AlertRow).join(EventRow).where(EventRow.run == bindparam("run"), EventRow.event_id == bindparam("event_id"))
)
_LATEST_OF_RULE = (
    select(AlertRow)
    .where(AlertRow.camera == bindparam("camera"), AlertRow.rule == bindparam("rule"))
    .order_by(AlertRow.seq.desc())
    .limit(1)
)


def alert_of(row: AlertRow, *, alone: bool = False) -> Alert:
    """`alone`: without its events and clips, which are read for it otherwise."""
    own = {name: getattr(row, name) for name in _COPIED}
    if alone:
        return Alert(**own, event_ids=())
    return Alert(
        **own,
        event_ids=tuple(event.event_id for event in row.events),
        clips=tuple(Clip(clip.path, clip.from_s, clip.to_s, clip.original, clip.shortfall_s) for clip in row.clips),
    )


def record_of(session: Session, row: AlertRow, *, whole: bool = False) -> Record:
    return Record(
        alert=alert_of(row),
        label=row.label,
        measured=row.measured,
        received_at=row.received_at,
        media=cast(MediaState, row.media),
        media_note=row.media_note,
        events=tuple(event.body for event in row.events) if whole else None,
        changes=_changes(session, row) if whole else None,
        incident_id=None if row.incident is None else row.incident.incident_id,
    )


def _changes(session: Session, row: AlertRow) -> tuple[Change, ...]:
    """What happened to the alert: first as it was kept before there was a journal, then by the journal."""
    earlier = [Change(0, c.version, c.action, c.at, "user", c.actor, c.reason, c.note, {}) for c in row.changes]
    return (*earlier, *history(session, "alert", row.alert_id))


def history(session: Session, subject: Subject, subject_id: str) -> list[Change]:
    """What the journal says about one thing, oldest first."""
    wanted = select(JournalRow).where(JournalRow.subject == subject, JournalRow.subject_id == subject_id)
    return [
        Change(e.seq, e.version or 0, e.action, e.at, e.actor_kind, e.actor, e.reason, e.note, json.loads(e.body))
        for e in session.scalars(wanted.order_by(JournalRow.seq))
    ]


def active_users(session: Session, name: str | None = None) -> list[UserRow]:
    """Those who can log in now, by name; with a name, this one alone."""
    wanted = select(UserRow).where(UserRow.disabled.is_(False))
    if name is not None:
        wanted = wanted.where(UserRow.name == name)
    return list(session.scalars(wanted.order_by(UserRow.name)))


def find(session: Session, alert_id: str) -> AlertRow | None:
    return session.scalar(_BY_ID, {"alert_id": alert_id})


def alert_with_event(session: Session, run: str, event_id: str) -> AlertRow | None:
    """The alert that has this event already."""
    return session.scalar(_WITH_EVENT, {"run": run, "event_id": event_id})


def latest_of_rule(session: Session, camera: str, rule: str) -> AlertRow | None:
    return session.scalar(_LATEST_OF_RULE, {"camera": camera, "rule": rule})


def add(session: Session, alert: Alert, first_event: Mapping[str, Any], received_at: datetime) -> AlertRow:
    """A row for a new alert, without its events; the database has it with the next flush."""
    row = AlertRow(
        **{name: getattr(alert, name) for name in _COPIED},
        label=first_event["label"],
        facet_seq=facet_of(session, alert, first_event["label"]),
        measured=first_event["measured"],
        received_at=received_at,
        sort_at=alert.first_raised_at or received_at,
        media="pending",
        media_note=None,
        events=[],  # Said, so that nobody asks the database for what cannot be there yet.
        clips=[],
    )
    session.add(row)
    return row


def grown(row: AlertRow, alert: Alert) -> None:
    """Writes what a further event changed; the event is added by itself."""
    _write(row, alert, _GROWN)


def handled(row: AlertRow, alert: Alert) -> None:
    """Writes what somebody did with the alert; its facts stay as they are."""
    _write(row, alert, _HANDLED)


def _write(row: AlertRow, alert: Alert, names: tuple[str, ...]) -> None:
    for name in names:
        setattr(row, name, getattr(alert, name))


def add_event(row: AlertRow, run: str, body: Mapping[str, Any], raised_s: float, raised_at: datetime | None) -> None:
    row.events.append(EventRow(run=run, event_id=body["id"], raised_s=raised_s, raised_at=raised_at, body=dict(body)))


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


def counts(session: Session) -> dict[State, int]:
    """How many alerts are in each state."""
    rows = session.execute(select(AlertCountRow.state, func.sum(AlertCountRow.number)).group_by(AlertCountRow.state))
    return {cast(State, state): int(number) for state, number in rows if number}


def responses(
    session: Session, since: datetime, until: datetime, *, drill: bool, limit: int
) -> Iterator[tuple[str, str, Response]]:
    """Camera, rule and response times of up to `limit` alerts that were raised in this period, in no order."""
    wanted = select(
        AlertRow.camera, AlertRow.rule, AlertRow.run, AlertRow.first_raised_at, AlertRow.received_at, AlertRow.seen_at,
        AlertRow.acknowledged_at, AlertRow.closed_at,
    ).where(AlertRow.sort_at >= since, AlertRow.sort_at < until, AlertRow.drill.is_(drill))  # fmt: skip
    for camera, rule, run, first_raised_at, received_at, *moments in session.execute(
        wanted.limit(limit).execution_options(yield_per=2000)
    ):
        yield camera, rule, response_since(first_raised_at if run and first_raised_at else received_at, *moments)
