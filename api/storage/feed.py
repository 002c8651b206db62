"""What the live stream reads: entries with the alerts that they are about, and where the journal begins."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from api.journal import STANDING, Entry, Subject
from api.records import Record
from api.storage import store
from api.storage.ledger import entries_after, head_of
from api.storage.tables import AlertRow
from api.storage.tables_journal import CheckpointRow


def batch_after(
    session: Session, seq: int, limit: int, subjects: Sequence[Subject]
) -> tuple[list[Entry], dict[str, Record], int]:
    """Up to `limit` entries that follow `seq`, the alerts they are about, and how far the journal was read."""
    # The head is read first: whatever is written meanwhile lies behind it and comes with the next batch.
    head = head_of(session)[0]
    found = entries_after(session, seq, limit, subjects=subjects, until=head)
    # That something stands as it did is no news.
    entries = [entry for entry in found if entry.action != STANDING]
    about = {entry.subject_id for entry in entries if entry.subject == "alert"}
    return entries, _alerts(session, about), found[-1].seq if len(found) == limit else head


def removed_up_to(session: Session) -> int:
    """The last entry that retention took away; 0 where all are there."""
    return session.scalar(select(func.max(CheckpointRow.up_to_seq))) or 0


def _alerts(session: Session, alert_ids: Collection[str]) -> dict[str, Record]:
    if not alert_ids:
        return {}
    wanted = select(AlertRow).where(AlertRow.alert_id.in_(alert_ids))
    rows = session.scalars(wanted.options(selectinload(AlertRow.events), selectinload(AlertRow.clips)))
    return {row.alert_id: store.record_of(session, row) for row in rows}


__all__ = ["batch_after", "head_of", "removed_up_to"]
