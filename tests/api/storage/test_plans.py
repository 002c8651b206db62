"""The statements of the list find their alerts by an index, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from api.keys import SiteKeys
from api.storage.database import open_database
from benchmarks.desk_copy import copy_to_postgresql
from benchmarks.desk_plans import LISTS, plans
from benchmarks.desk_seed import Seeder
from tests.api.databases import KIND, fresh

ALERTS = 6000
LARGE = ("alert", "event", "clip", "journal")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("planned")
    Seeder(SiteKeys.load_or_create(folder / "key"), ALERTS).fill(folder / "desk.db")
    if KIND == "sqlite":
        engine = open_database(folder / "desk.db")
        yield engine
        engine.dispose()
        return
    with fresh(request.getfixturevalue("postgres")) as url:
        copy_to_postgresql(folder / "desk.db", url)
        engine = open_database(url)
        yield engine
        engine.dispose()


def read_whole(sql: str, plan: str) -> list[str]:
    """The large tables that a plan reads from end to end."""
    if KIND == "postgresql":
        return [table for table in LARGE if re.search(rf"Seq Scan on {table}\b", plan)]
    # Going along an index is what the order of the list is for; its LIMIT ends it.
    tables = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+)(?: AS)? (\w+)", sql)}
    made = {*re.findall(r"(?:CO-ROUTINE|MATERIALIZE) (\w+)", plan)}
    scanned = re.findall(r"SCAN (\w+)(?! VIRTUAL| USING)(?:\n|$)", plan)
    return [name for name in scanned if name not in made and tables.get(name) in LARGE]


def test_no_list_reads_a_large_table_from_end_to_end(engine: Engine) -> None:
    found = plans(engine)
    assert set(found) == set(LISTS)
    whole = [(name, sql, plan) for name, asked in found.items() for sql, plan in asked if read_whole(sql, plan)]
    assert not whole, "\n\n".join(f"{name}\n{sql}\n{plan}" for name, sql, plan in whole[:2])
    together = "\n".join(plan for asked in found.values() for _, plan in asked)
    for index in ("ix_alert_order", "ix_alert_cell"):
        assert index in together


def test_a_page_takes_a_handful_of_statements(engine: Engine) -> None:
    most = {name: len(asked) for name, asked in plans(engine).items()}
    assert most["newest"] == most["newest, deep"] == 4
    assert max(most.values()) <= 16, most
