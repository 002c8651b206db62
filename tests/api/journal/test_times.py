"""Entries of a time, found by number, also where the clock was set back in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from api.journal import SYSTEM, Entry
from api.services import Services, open_services
from api.storage import journal
from api.storage.journal import EntryFilters
from api.storage.journal_times import pieces_of
from api.storage.ledger import entries_after
from api.storage.retention import remove_entries
from tests.api.journal.lives import audit_of, raw, sql

START = datetime(2026, 3, 1, tzinfo=UTC)
ENTRIES = 400


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(database: str, media: Path, clock: Clock) -> Iterator[Services]:
    with open_services(database, media_dir=media, now=clock) as opened:
        yield opened


def write(services: Services, clock: Clock, moments: list[datetime]) -> list[Entry]:
    """One entry at each moment; all that there are."""
    for moment in moments:
        clock.now = moment
        with services.ledger.writing() as one:
            one.journal(SYSTEM, "external", "panel", "received", {})
    with services.ledger.reading() as session:
        return entries_after(session, 0, 10_000)


def asked(session: Session, since: datetime | None, until: datetime | None, limit: int = 10_000) -> list[int]:
    """Page by page."""
    seqs, before = list[int](), None
    while True:
        page = journal.page(session, EntryFilters(since=since, until=until), before, limit)
        seqs += [entry.seq for entry in page]
        if len(page) < limit:
            return seqs
        before = seqs[-1]


@contextmanager
def heard(session: Session) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, sql: str, values: Any, ___: Any, ____: Any) -> None:
        statements.append((sql, values))

    event.listen(session.connection(), "before_cursor_execute", hear)
    yield statements
    event.remove(session.connection(), "before_cursor_execute", hear)


def test_every_time_gives_its_entries_whatever_the_clock_did(services: Services, clock: Clock) -> None:
    chance = random.Random(4)
    moments, now = list[datetime](), START
    for _ in range(150):
        step = chance.choice((0, 1, 1, 5)) if chance.random() < 0.93 else chance.choice((-2000, -300, -3, 4000))
        now += timedelta(seconds=step)
        moments.append(now)
    entries = write(services, clock, moments)
    edges = sorted({entry.at for entry in entries})
    edges = [edges[0] - timedelta(days=1), *edges, edges[-1] + timedelta(days=1)]
    cut_in_two = 0
    with services.ledger.reading() as session:
        for _ in range(60):
            since, until = (chance.choice((None, chance.choice(edges))) for _ in range(2))
            want = [e.seq for e in entries if (since is None or e.at >= since) and (until is None or e.at < until)]
            assert asked(session, since, until, chance.choice((20, 1000))) == want[::-1], (since, until)
            pieces = pieces_of(session, since, until)
            assert [seq for piece in pieces for seq in piece] == want
            cut_in_two += len(pieces) > 1
    assert cut_in_two > 10


def test_the_audit_knows_where_the_clock_was_set_back(
    services: Services, clock: Clock, database: str, media: Path
) -> None:
    entries = write(services, clock, [START + timedelta(minutes=m) for m in (1, 2, 0, 1)])
    assert audit_of(database, media).intact
    with raw(database) as connection:
        sql(connection, "DELETE FROM journal_turn")
    report = audit_of(database, media)
    assert [(found.what, found.seq) for found in report.findings] == [("turn_changed", entries[-2].seq)]


def test_what_retention_took_away_is_left_out(services: Services, clock: Clock) -> None:
    back = [START + timedelta(minutes=m) for m in (1, 2, 3, 0, 1, 2)]
    entries = write(services, clock, back)
    turned = next(b.seq for a, b in pairwise(entries) if b.at < a.at)
    with services.ledger.writing() as one:
        remove_entries(one.session, turned)
    with services.ledger.reading() as session:
        want = [entry.seq for entry in entries if entry.seq > turned]
        assert asked(session, None, None) == want[::-1]
        assert asked(session, START + timedelta(minutes=2), None) == want[-1:]
        assert pieces_of(session, None, START) == []


def test_an_old_time_is_looked_up_and_not_read_through(services: Services, clock: Clock) -> None:
    write(services, clock, [START + timedelta(minutes=n) for n in range(ENTRIES)])
    since, until = START + timedelta(minutes=20), START + timedelta(minutes=30)
    with services.ledger.reading() as session:
        with heard(session) as statements:
            assert len(asked(session, since, until)) == 10
        assert len(statements) < 30  # Halving 400 twice, and the page.
        if services.ledger.dialect != "sqlite":
            return  # PostgreSQL reads a table of this size in one go, whatever it could do.
        for sql, values in statements:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
            # Only the first and the last entry are asked for without a number.
            assert "WHERE" not in sql or not [row[3] for row in plan if row[3].startswith("SCAN journal ")], sql
