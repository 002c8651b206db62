"""Which numbers the journal's entries of a time have, without reading them.

Entries are numbered as they are written, and so dated in that order, unless the clock is set back. Each entry at which
that shows is a row of `journal_turn`; between two of them the first entry of a time is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.storage.tables_journal import JournalRow, JournalTurnRow


def pieces_of(session: Session, since: datetime | None, until: datetime | None) -> list[range]:
    """The numbers of all entries from `since` on and before `until`, in order; one range unless the clock was set
    back. Entries that retention took away are left out."""
    found: list[range] = []
    for run, earliest, latest in _runs(session):
        if (since is not None and latest < since) or (until is not None and earliest >= until):
            continue
        start = run.start if since is None or earliest >= since else _first_from(session, run, since)
        stop = run.stop if until is None or latest < until else _first_from(session, run, until)
        if found and found[-1].stop == start:
            found[-1] = range(found[-1].start, stop)
        elif start < stop:
            found.append(range(start, stop))
    return found


def _runs(session: Session) -> Iterator[tuple[range, datetime, datetime]]:
    """Entries in which the clock was not set back, with the moments of the first and the last."""
    order = select(JournalRow.seq, JournalRow.at).limit(1)
    first = session.execute(order.order_by(JournalRow.seq)).one_or_none()
    last = session.execute(order.order_by(JournalRow.seq.desc())).one_or_none()
    if first is None or last is None:
        return
    start, earliest = first
    turns = select(JournalTurnRow.seq, JournalTurnRow.at, JournalTurnRow.previous_at)
    for seq, at, previous_at in session.execute(turns.where(JournalTurnRow.seq > start).order_by(JournalTurnRow.seq)):
        yield range(start, seq), earliest, previous_at
        start, earliest = seq, at
    yield range(start, last.seq + 1), earliest, last.at


def _first_from(session: Session, run: range, moment: datetime) -> int:
    """The number of the first entry of a run that is dated `moment` or later."""

    def at(seq: int) -> datetime:
        # Where somebody took the entry away, the one before it tells: the audit names it, a list goes on.
        near = select(JournalRow.at).where(JournalRow.seq <= seq).order_by(JournalRow.seq.desc()).limit(1)
        return session.execute(near).scalar_one()

    return run.start + bisect_left(run, moment, key=at)
