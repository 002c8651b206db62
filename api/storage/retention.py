"""What retention takes away: alerts whose time is over, the journal before the first entry that is still needed, and
what has expired."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, selectinload

from api.reasons import VERDICTS
from api.storage.tables import AlertRow, ChangeRow, ClipRow, EventRow, IncidentRow
from api.storage.tables_access import SessionRow
from api.storage.tables_journal import CheckpointRow, JournalRow, JournalTurnRow, SignedHeadRow
from api.storage.tables_messages import DeliveryRow, ExternalEventRow, IdempotencyRow, OutboxRow


def _over(before: datetime) -> ColumnElement[bool]:
    """Closed before then, and in no incident that is open or was closed since."""
    closed = func.coalesce(AlertRow.closed_at, AlertRow.received_at) < before
    incident = exists().where(
        IncidentRow.seq == AlertRow.incident_seq,
        or_(IncidentRow.state != "closed", IncidentRow.closed_at.is_(None), IncidentRow.closed_at >= before),
    )
    return and_(AlertRow.state.in_(VERDICTS), closed, ~incident)


def alerts_over(session: Session, before: datetime, limit: int) -> Sequence[AlertRow]:
    wanted = select(AlertRow).where(_over(before)).order_by(AlertRow.seq).limit(limit)
    return session.scalars(wanted.options(selectinload(AlertRow.clips))).all()


def count_over(session: Session, before: datetime) -> int:
    return session.scalar(select(func.count()).select_from(AlertRow).where(_over(before))) or 0


def remove_alerts(session: Session, seqs: Collection[int]) -> None:
    for table in (EventRow, ClipRow, ChangeRow):
        session.execute(delete(table).where(table.alert_seq.in_(seqs)))
    session.execute(delete(AlertRow).where(AlertRow.seq.in_(seqs)))


def incidents_over(session: Session, before: datetime) -> Sequence[IncidentRow]:
    """Closed before then, without an alert that is left."""
    has_alerts = exists().where(AlertRow.incident_seq == IncidentRow.seq)
    wanted = select(IncidentRow).where(IncidentRow.state == "closed", IncidentRow.closed_at < before, ~has_alerts)
    return session.scalars(wanted.order_by(IncidentRow.seq)).all()


def paths_in_use(session: Session, paths: Sequence[str], besides: Collection[int] = ()) -> set[str]:
    """Those of these files that some alert speaks of that is not one of `besides`."""
    found: set[str] = set()
    others = AlertRow.seq.not_in(besides)
    clips = ClipRow.alert_seq.not_in(besides)
    for column, theirs in ((AlertRow.snapshot, others), (ClipRow.path, clips), (ClipRow.original, clips)):
        found |= {path for path in session.scalars(select(column).where(column.in_(paths), theirs)) if path}
    return found


def has_alert(session: Session, alert_id: str) -> bool:
    return session.scalar(select(AlertRow.seq).where(AlertRow.alert_id == alert_id)) is not None


@dataclass(frozen=True, slots=True)
class Holder:
    """The first entry of the journal that is still needed."""

    seq: int
    subject: str | None
    """What holds it, such as `alert alert.north-gate.lawn.000001`; None: it is not old enough."""


def first_needed(session: Session, before: datetime) -> Holder | None:
    """Of the alerts and incidents that there are, or of what was written since `before`; None: nothing is."""
    alert = and_(JournalRow.subject == "alert", exists().where(AlertRow.alert_id == JournalRow.subject_id))
    incident = and_(JournalRow.subject == "incident", exists().where(IncidentRow.incident_id == JournalRow.subject_id))
    found = []
    for condition, held in ((alert, True), (incident, True), (JournalRow.at >= before, False)):
        wanted = select(JournalRow.seq, JournalRow.subject, JournalRow.subject_id).where(condition)
        row = session.execute(wanted.order_by(JournalRow.seq).limit(1)).one_or_none()
        if row is not None:
            found.append(Holder(row.seq, f"{row.subject} {row.subject_id}" if held else None))
    return min(found, key=lambda holder: holder.seq, default=None)


def first_seq(session: Session) -> int:
    return session.scalar(select(func.min(JournalRow.seq))) or 1


def alerts_told_of(session: Session, until: int) -> int:
    """How many alerts the entries up to this one raised or adopted."""
    wanted = select(func.count()).select_from(JournalRow).where(JournalRow.seq <= until, JournalRow.subject == "alert")
    return session.scalar(wanted.where(JournalRow.action.in_(("raised", "adopted")))) or 0


def remove_entries(session: Session, until: int) -> int:
    """And the heads that were signed among them, and where the clock was set back."""
    session.execute(delete(JournalTurnRow).where(JournalTurnRow.seq <= until))
    session.execute(delete(SignedHeadRow).where(SignedHeadRow.seq < until))
    return _count(session.execute(delete(JournalRow).where(JournalRow.seq <= until)))


def add_checkpoint(session: Session, **values: Any) -> None:
    session.add(CheckpointRow(**values))


def clear_expired(
    session: Session, now: datetime, *, delivered_before: datetime, external_before: datetime, answers_before: datetime
) -> dict[str, int]:
    """Messages that were delivered, events from outside, answers to repeated requests, sessions; how many of each."""
    delivered = and_(OutboxRow.state == "delivered", OutboxRow.delivered_at < delivered_before)
    session.execute(delete(DeliveryRow).where(DeliveryRow.outbox_seq.in_(select(OutboxRow.seq).where(delivered))))
    return {
        "messages": _count(session.execute(delete(OutboxRow).where(delivered))),
        "external_events": _count(
            session.execute(delete(ExternalEventRow).where(ExternalEventRow.received_at < external_before))
        ),
        "answers": _count(session.execute(delete(IdempotencyRow).where(IdempotencyRow.at < answers_before))),
        "sessions": _count(session.execute(delete(SessionRow).where(SessionRow.expires_at < now))),
    }


def _count(result: Any) -> int:
    return int(result.rowcount)
