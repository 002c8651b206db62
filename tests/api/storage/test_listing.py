"""The list of alerts against a plain reading of what the filters mean, on both databases."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from api.alerts import OPEN_STATES, SEVERITIES, STATES, Alert
from api.keys import SiteKeys
from api.reasons import DEFAULT_REASONS
from api.records import Counts, Filters, Sort
from api.storage import listing, listing_search
from api.storage.database import open_database
from benchmarks.desk_copy import copy_to_postgresql
from benchmarks.desk_seed import END, GUARDS, Seeder
from tests.api.databases import KIND, fresh

ALERTS = 1500
SORTS: tuple[Sort, ...] = ("newest", "oldest", "severity", "waiting")
TEXTS = (
    "cat",
    "树影",
    "东门",
    "CAR",
    "tree",
    "误报",
    "动物",
    "barrier",
    "nothing like it",
    "intrusion",
    "ｃａｔ",
    "%",
    "_",
)


def reasons_with(sought: str) -> list[str]:
    return [r.code for r in DEFAULT_REASONS if any(sought in t.casefold() for t in (r.code, *r.label.values()))]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeded")
    Seeder(SiteKeys.load_or_create(folder / "key"), ALERTS, seed=3).fill(folder / "desk.db")
    return folder / "desk.db"


@pytest.fixture(scope="module")
def engine(seeded: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if KIND == "sqlite":
        engine = open_database(seeded)
        yield engine
        engine.dispose()
        return
    with fresh(request.getfixturevalue("postgres")) as url:
        copy_to_postgresql(seeded, url)
        engine = open_database(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def rows(engine: Engine) -> list[dict[str, Any]]:
    """Everything, read plainly."""
    with Session(engine) as session:
        everything = listing.page(session, Filters(), limit=ALERTS + 1).records
        notes: dict[str, list[str]] = {}
        for alert_id, note in session.execute(
            text("SELECT subject_id, note FROM journal WHERE subject = 'alert' AND note IS NOT NULL")
        ):
            notes.setdefault(alert_id, []).append(note)
        seqs = {name: seq for name, seq in session.execute(text("SELECT alert_id, seq FROM alert"))}
    assert len(everything) == ALERTS == len(seqs)
    found = []
    for record in everything:
        alert = record.alert
        found.append({
            "id": alert.alert_id, "seq": seqs[alert.alert_id], "alert": alert, "label": record.label,
            "incident": record.incident_id, "notes": notes.get(alert.alert_id, []),
        })  # fmt: skip
    return found


def fold(value: str) -> str:
    return unicodedata.normalize("NFKC", value).casefold()


def meant(row: Mapping[str, Any], filters: Filters) -> bool:
    alert = row["alert"]
    for given, value in (
        (filters.states, alert.state), (filters.severities, alert.severity), (filters.cameras, alert.camera),
        (filters.rules, alert.rule), (filters.kinds, alert.kind), (filters.zones, alert.zone),
        (filters.lines, alert.line), (filters.labels, row["label"]), (filters.reasons, alert.reason),
        (filters.assignees, alert.assignee), (filters.incidents, row["incident"]),
    ):  # fmt: skip
        if given is not None and value not in given:
            return False
    if filters.drill is not None and alert.drill != filters.drill:
        return False
    if filters.since is not None and not (alert.ended_at and alert.ended_at >= filters.since):
        return False
    if filters.until is not None and not (alert.started_at and alert.started_at < filters.until):
        return False
    if filters.text is None:
        return True
    sought = fold(filters.text)
    names = (alert.camera, alert.rule, alert.kind, alert.zone or "", alert.line or "", row["label"], *row["notes"])
    return any(sought in fold(name) for name in names) or alert.reason in reasons_with(sought)


def expected(rows: list[dict[str, Any]], filters: Filters, sort: Sort) -> list[str]:
    if sort == "waiting":
        states = [state for state in OPEN_STATES if filters.states is None or state in filters.states]
        filters = replace(filters, states=states)
    found = [row for row in rows if meant(row, filters)]

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return (row["alert"].first_raised_at, row["seq"])

    if sort == "severity":
        found.sort(key=lambda row: (SEVERITIES.index(row["alert"].severity), *place(row)), reverse=True)
    else:
        found.sort(key=place, reverse=sort == "newest")
    return [row["id"] for row in found]


def some_filters(rows: list[dict[str, Any]], chance: random.Random) -> Filters:
    like = chance.choice(rows)["alert"]

    def some(values: Any, own: Any = None) -> list[Any]:
        chosen = chance.sample(list(values), chance.randint(1, 2))
        return [own] if own is not None and chance.random() < 0.6 else chosen

    incidents = sorted({row["incident"] for row in rows if row["incident"]})
    since = END - timedelta(days=chance.uniform(0, 365))
    makers = {
        "states": lambda: some(STATES, like.state), "severities": lambda: some(SEVERITIES, like.severity),
        "cameras": lambda: some({row["alert"].camera for row in rows}, like.camera),
        "rules": lambda: some({row["alert"].rule for row in rows}, like.rule),
        "kinds": lambda: some({row["alert"].kind for row in rows}, like.kind),
        "zones": lambda: some(["lawn", "entrance", "none"]), "lines": lambda: some(["kerb", "barrier"]),
        "labels": lambda: some(["person", "car", "truck"]), "reasons": lambda: some(["animal", "test", "?"]),
        "assignees": lambda: some(GUARDS), "incidents": lambda: some([*incidents, "INC-0", "INC-1"]),
        "drill": lambda: chance.random() < 0.5, "since": lambda: since,
        "until": lambda: since + timedelta(days=chance.uniform(0, 60)), "text": lambda: chance.choice(TEXTS),
    }  # fmt: skip
    names = chance.sample(sorted(makers), chance.choice((0, 1, 1, 2, 2, 3)))
    return Filters(**{name: makers[name]() for name in names})


@pytest.mark.parametrize("few", [2000, 5])
def test_every_filter_and_order_gives_what_it_means(
    engine: Engine, rows: list[dict[str, Any]], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With little walked and little sorted every way of searching is taken on a small database too.
    monkeypatch.setattr(listing_search, "FEW", few)
    monkeypatch.setattr(listing_search, "WALKED", 500 if few > 5 else 3)
    chance = random.Random(few)
    matched = 0
    with Session(engine) as session:
        for _ in range(250):
            filters, sort = some_filters(rows, chance), chance.choice(SORTS)
            limit = chance.choice((1, 3, 20, 100))
            want = expected(rows, filters, sort)
            matched += bool(want)
            got: list[str] = []
            after = None
            for _ in range(4):
                page = listing.page(session, filters, sort, after, limit, reasons_with=reasons_with)
                got += [record.alert.alert_id for record in page.records]
                after = page.next
                if after is None:
                    break
            assert (got, after is None) == (want[: 4 * limit], len(want) <= 4 * limit), (filters, sort, limit)
            total = listing.total(session, filters, sort, 100, reasons_with=reasons_with)
            assert total.number == (len(want) if total.is_exact else 100)
            assert total.is_exact or len(want) > 100
    assert matched > 100


def test_counts_are_those_of_the_list(engine: Engine, rows: list[dict[str, Any]]) -> None:
    filters = Filters(kinds=["intrusion", "tailgating"], states=["resolved", "new"])
    with Session(engine) as session:
        counts = listing.counts(session, filters, 10)
        assert listing.counts(session, Filters(cameras=["nowhere"]), 10).total == 0
    assert counts.is_exact
    found = [row["alert"] for row in rows if meant(row, filters)]
    told_are(counts, found)


def test_any_filter_is_counted_and_said_to_be_inexact_beyond_the_cap(
    engine: Engine, rows: list[dict[str, Any]]
) -> None:
    chance, capped = random.Random(8), 0
    with Session(engine) as session:
        for _ in range(150):
            filters, cap = some_filters(rows, chance), chance.choice((10, ALERTS))
            counts = listing.counts(session, filters, cap, reasons_with=reasons_with)
            want = [row["alert"] for row in rows if meant(row, filters)]
            if not counts.is_exact:
                assert len(want) > cap
                newest = expected(rows, filters, "newest")[:cap]
                want = [row["alert"] for row in rows if row["id"] in newest]
                capped += 1
            told_are(counts, want)
    assert capped > 10


def told_are(counts: Counts, found: list[Alert]) -> None:
    assert counts.total == len(found)
    for told, name in ((counts.by_state, "state"), (counts.by_severity, "severity"), (counts.by_camera, "camera")):
        values = [getattr(alert, name) for alert in found]
        assert told == {value: values.count(value) for value in set(values)}


def test_moments_at_the_edge_of_the_calendar_are_no_trouble(engine: Engine) -> None:
    edges = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    with Session(engine) as session:
        whole = Filters(since=edges[0], until=edges[1])
        assert listing.total(session, whole, "newest", 2 * ALERTS).number == ALERTS
        assert listing.page(session, Filters(since=edges[1])).records == ()
