"""Webhooks, their messages and the attempts to deliver them, as they are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, not_, or_, select, true, update
from sqlalchemy.orm import Session, contains_eager

from api.storage.tables import IncidentRow
from api.storage.tables_journal import JournalRow
from api.storage.tables_messages import DeliveryRow, OutboxRow, WebhookRow

STATES = ("pending", "delivered", "dead", "dropped")
PRUNED_AT_ONCE = 500
"""Old rows that one transaction takes away, so that nobody waits long for it."""


def enabled(session: Session) -> Sequence[WebhookRow]:
    """All webhooks that messages are written for."""
    wanted = select(WebhookRow).where(WebhookRow.enabled, WebhookRow.removed_at.is_(None))
    return session.scalars(wanted.order_by(WebhookRow.seq)).all()


def listed(session: Session, after: int = 0) -> Sequence[WebhookRow]:
    """All webhooks that were not removed, behind this `seq`."""
    wanted = select(WebhookRow).where(WebhookRow.removed_at.is_(None), WebhookRow.seq > after)
    return session.scalars(wanted.order_by(WebhookRow.seq)).all()


def find(session: Session, webhook_id: str) -> WebhookRow | None:
    wanted = select(WebhookRow).where(WebhookRow.webhook_id == webhook_id, WebhookRow.removed_at.is_(None))
    return session.scalar(wanted)


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(WebhookRow).where(WebhookRow.removed_at.is_(None))) or 0


def incident(session: Session, incident_id: str) -> IncidentRow | None:
    return session.scalar(select(IncidentRow).where(IncidentRow.incident_id == incident_id))


def _pending(webhook_seq: int) -> tuple[ColumnElement[bool], ...]:
    return OutboxRow.webhook_seq == webhook_seq, OutboxRow.state == "pending"


def due(session: Session, webhook_seq: int, now: datetime, limit: int) -> Sequence[OutboxRow]:
    """The oldest messages that may be sent now, in order."""
    ready = or_(OutboxRow.next_at.is_(None), OutboxRow.next_at <= now)
    return session.scalars(
        select(OutboxRow).where(*_pending(webhook_seq), ready).order_by(OutboxRow.seq).limit(limit)
    ).all()


def next_due(session: Session, webhook_seq: int) -> datetime | None:
    """When the first of the messages that wait for their retry may be sent."""
    return session.scalar(select(func.min(OutboxRow.next_at)).where(*_pending(webhook_seq)))


def bury_overdue(session: Session, now: datetime, why: str, webhook_seq: int | None = None) -> int:
    """Gives up the messages whose time is over, of one webhook or of all that are disabled; returns how many."""
    of_whom: ColumnElement[bool]
    if webhook_seq is None:
        of_whom = OutboxRow.webhook_seq.in_(select(WebhookRow.seq).where(~WebhookRow.enabled))
    else:
        of_whom = OutboxRow.webhook_seq == webhook_seq
    done = session.execute(
        update(OutboxRow)
        .where(of_whom, OutboxRow.state == "pending", OutboxRow.give_up_at <= now)
        .values(state="dead", next_at=None, last_error=func.coalesce(OutboxRow.last_error, why))
    )
    return _rows(done)


def hurry(session: Session, webhook_seq: int) -> None:
    """Makes everything that waits for its retry due now."""
    session.execute(update(OutboxRow).where(*_pending(webhook_seq)).values(next_at=None))


EVERY: ColumnElement[bool] = true()


def shown(cameras: Collection[str] | None, hidden: Collection[str], always: str) -> ColumnElement[bool]:
    """Which messages a caller may see: of these cameras (None: all), none of these subjects, those of the topic
    `always` in any case. What a webhook was told before it was narrowed stays among its messages."""
    rules = [not_(OutboxRow.topic.startswith(f"{subject}.", autoescape=True)) for subject in sorted(hidden)]
    if cameras is not None:
        of_them = select(JournalRow.seq).where(
            JournalRow.seq == OutboxRow.journal_seq, JournalRow.camera.in_(sorted(cameras))
        )
        rules.append(of_them.exists())
    return or_(OutboxRow.topic == always, and_(EVERY, *rules))


def drop_pending(session: Session, webhook_seq: int, why: str, which: ColumnElement[bool] = EVERY) -> int:
    """What is not to be sent any more; returns how many."""
    return _rows(
        session.execute(
            update(OutboxRow)
            .where(*_pending(webhook_seq), which)
            .values(state="dropped", next_at=None, last_error=why)
            .execution_options(synchronize_session=False)
        )
    )


def message(
    session: Session, webhook_seq: int, message_id: str, which: ColumnElement[bool] = EVERY
) -> OutboxRow | None:
    wanted = select(OutboxRow).where(OutboxRow.webhook_seq == webhook_seq, OutboxRow.message_id == message_id, which)
    return session.scalar(wanted)


def messages(
    session: Session, webhook_seq: int, state: str | None, before: int | None, limit: int, which: ColumnElement[bool]
) -> Sequence[OutboxRow]:
    """Newest first."""
    found: list[OutboxRow] = []
    # State by state, as the index has them.
    for one in STATES if state is None else (state,):
        wanted = select(OutboxRow).where(OutboxRow.webhook_seq == webhook_seq, OutboxRow.state == one, which)
        if before is not None:
            wanted = wanted.where(OutboxRow.seq < before)
        found += session.scalars(wanted.order_by(OutboxRow.seq.desc()).limit(limit))
    return sorted(found, key=lambda row: row.seq, reverse=True)[:limit]


def deliveries(
    session: Session, webhook_seq: int, before: int | None, limit: int, which: ColumnElement[bool]
) -> Sequence[DeliveryRow]:
    """Attempts with their messages, newest first."""
    wanted = select(DeliveryRow).join(DeliveryRow.message).options(contains_eager(DeliveryRow.message))
    wanted = wanted.where(DeliveryRow.webhook_seq == webhook_seq, which)
    if before is not None:
        wanted = wanted.where(DeliveryRow.seq < before)
    return session.scalars(wanted.order_by(DeliveryRow.seq.desc()).limit(limit)).all()


def revive(
    session: Session, webhook_seq: int, give_up_at: datetime, message_id: str | None, which: ColumnElement[bool]
) -> int:
    """Makes dead messages pending again (or the one named, also where it was delivered); returns how many."""
    wanted = update(OutboxRow).where(OutboxRow.webhook_seq == webhook_seq, which)
    if message_id is None:
        wanted = wanted.where(OutboxRow.state == "dead")
    else:
        wanted = wanted.where(OutboxRow.message_id == message_id, OutboxRow.state != "pending")
    fresh = {"state": "pending", "next_at": None, "give_up_at": give_up_at, "attempts": 0}
    return _rows(session.execute(wanted.values(**fresh).execution_options(synchronize_session=False)))


def waiting(session: Session) -> dict[str, dict[str, int]]:
    """How many messages of each webhook are pending or dead, by its id."""
    asked = (
        select(WebhookRow.webhook_id, OutboxRow.state, func.count())
        .join(OutboxRow, OutboxRow.webhook_seq == WebhookRow.seq)
        .where(OutboxRow.state.in_(("pending", "dead")), WebhookRow.removed_at.is_(None))
        .group_by(WebhookRow.webhook_id, OutboxRow.state)
    )
    found: dict[str, dict[str, int]] = {}
    for webhook_id, state, number in session.execute(asked):
        found.setdefault(webhook_id, {})[state] = number
    return found


def prune(session: Session, before: datetime) -> bool:
    """Takes away some messages that were made before then and are done with, and their attempts. Returns whether there
    may be more."""
    oldest = select(OutboxRow.seq, OutboxRow.state, OutboxRow.created_at).order_by(OutboxRow.seq).limit(PRUNED_AT_ONCE)
    seqs = [seq for seq, state, at in session.execute(oldest) if state != "pending" and at < before]
    if seqs:
        session.execute(delete(DeliveryRow).where(DeliveryRow.outbox_seq.in_(seqs)))
        session.execute(delete(OutboxRow).where(OutboxRow.seq.in_(seqs)))
    return len(seqs) == PRUNED_AT_ONCE


def rows_of(session: Session, outbox_seq: int) -> tuple[OutboxRow, WebhookRow] | None:
    row = session.get(OutboxRow, outbox_seq)
    return None if row is None else (row, row.webhook)


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount
