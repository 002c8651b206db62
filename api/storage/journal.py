"""What is asked of the journal's tables beside writing entries (which is the ledger's)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from api.journal import Entry
from api.storage.journal_times import pieces_of
from api.storage.ledger import entry_of
from api.storage.tables import AlertRow
from api.storage.tables_journal import CheckpointRow, JournalRow, SignedHeadRow

LOOKED_AT_FIRST = 2000
"""Entries in which a page is looked for before all that are of its time are."""


@dataclass(frozen=True, slots=True)
class EntryFilters:
    """What a list of entries is narrowed to; None: everything."""

    subjects: Sequence[str] | None = None
    subject_id: str | None = None
    actor: str | None = None
    actions: Sequence[str] | None = None
    cameras: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(session: Session, filters: EntryFilters, before: int | None, limit: int) -> list[Entry]:
    """Up to `limit` entries, newest first, below the number `before`."""
    found: list[JournalRow] = []
    for piece in reversed(pieces_of(session, filters.since, filters.until)):
        piece = piece if before is None else range(piece.start, min(piece.stop, before))
        if piece:
            found += _within(session, filters, piece, limit - len(found))
        if len(found) == limit:
            break
    return [entry_of(row) for row in found]


def _within(session: Session, filters: EntryFilters, piece: range, limit: int) -> Sequence[JournalRow]:
    # What most entries are (of alerts, say) is sooner found by looking at the newest than by an index, which would
    # have to sort all of them; what few are, by the index.
    numbered = JournalRow.seq.between(piece.start, piece.stop - 1)
    newest = select(JournalRow.seq).where(numbered).order_by(JournalRow.seq.desc()).limit(LOOKED_AT_FIRST).subquery()
    wanted = _narrowed(filters).where(numbered).order_by(JournalRow.seq.desc()).limit(limit)
    found = session.scalars(wanted.join(newest, newest.c.seq == JournalRow.seq)).all()
    if len(found) == limit or len(piece) <= LOOKED_AT_FIRST:
        return found
    return session.scalars(wanted).all()


def _narrowed(filters: EntryFilters) -> Select[JournalRow]:
    """By all but moments."""
    wanted = select(JournalRow)
    for column, values in (
        (JournalRow.subject, filters.subjects),
        (JournalRow.action, filters.actions),
        (JournalRow.camera, filters.cameras),
    ):
        if values is not None:
            wanted = wanted.where(column.in_(values))
    if filters.subject_id is not None:
        wanted = wanted.where(JournalRow.subject_id == filters.subject_id)
    if filters.actor is not None:
        wanted = wanted.where(JournalRow.actor == filters.actor)
    return wanted


def all_entries(session: Session, *, after: int = 0, until: int | None = None) -> Iterator[JournalRow]:
    """Rows in order, without holding them all."""
    wanted = select(JournalRow).where(JournalRow.seq > after)
    if until is not None:
        wanted = wanted.where(JournalRow.seq <= until)
    for row in session.scalars(wanted.order_by(JournalRow.seq).execution_options(yield_per=1000)):
        yield row
        session.expunge(row)


def newest_action(session: Session) -> str | None:
    """Of the last entry there is."""
    return session.scalar(select(JournalRow.action).order_by(JournalRow.seq.desc()).limit(1))


def add_head(
    session: Session, seq: int, hash_: str, at: datetime, why: str, key_id: str, signature: str
) -> SignedHeadRow:
    row = SignedHeadRow(seq=seq, hash=hash_, at=at, why=why, key_id=key_id, signature=signature)
    session.add(row)
    return row


def newest_head_at(session: Session) -> datetime | None:
    """When a head was last signed."""
    return session.scalar(select(SignedHeadRow.at).order_by(SignedHeadRow.id.desc()).limit(1))


def newest_checkpoint(session: Session) -> CheckpointRow | None:
    return session.scalar(select(CheckpointRow).order_by(CheckpointRow.up_to_seq.desc()).limit(1))


def alerts_without_journal(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AlertRow)) or 0
