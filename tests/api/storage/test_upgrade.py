"""Databases of every earlier schema open with all that they hold, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, select, text

from api.audit import Trust, audit_database
from api.keys import KEY_FILE, SiteKeys
from api.records import Filters
from api.services import open_services
from api.storage.base import Base
from api.storage.database import migrate, open_database
from api.storage.tables_journal import JournalTurnRow
from tests.api.databases import KIND, fresh

RELEASED = ("0001",)
"""Schemas that a published Gatewatch wrote; each has a dump of a database that it made."""


def revisions() -> list[str]:
    with as_file(files("api.storage").joinpath("migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        return [step.revision for step in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without any tables."""
    if KIND == "sqlite":
        yield str(tmp_path / "old.db")
    else:
        with fresh(request.getfixturevalue("postgres"), migrated=False) as url:
            yield url


def bare(where: str) -> Engine:
    url = make_url(where if "://" in where else f"sqlite:///{where}")
    if url.get_backend_name() == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"options": "-c TimeZone=UTC"})
    return create_engine(url)


def made_by(where: str, revision: str) -> None:
    """Puts what an earlier Gatewatch wrote into an empty database."""
    dump = Path(__file__).with_name(f"schema_{revision}.sql").read_text(encoding="utf-8")
    if "://" not in where:
        with closing(sqlite3.connect(where)) as database:
            database.executescript(dump)
        return
    engine = bare(where)
    with engine.begin() as connection:
        migrate(connection, where, revision)
        for line in dump.splitlines():
            if line.startswith("INSERT INTO") and "alembic_version" not in line:
                connection.exec_driver_sql(line.replace("%", "%%"))
        for table in inspect(connection).get_table_names():
            if table != "alembic_version":
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'seq'), (SELECT max(seq) + 1 FROM {table}))")
                )
    engine.dispose()


@pytest.mark.parametrize("revision", RELEASED)
def test_what_a_released_gatewatch_wrote_is_all_there(empty: str, media: Path, revision: str) -> None:
    made_by(empty, revision)
    with open_services(empty, media_dir=media) as services:
        records = {record.alert.alert_id: record for record in services.desk.list().records}
        assert len(records) == 5
        lawn = records["alert.north-gate.lawn-loitering.000001"]
        assert lawn.alert.event_ids == ("north-gate.lawn-loitering.000001", "north-gate.lawn-loitering.000002")
        assert [clip.path for clip in lawn.alert.clips] == ["c/1.mp4", "c/2.mp4"]
        assert (lawn.alert.snapshot, lawn.media, lawn.alert.version) == ("s/1.jpg", "ready", 2)
        road = services.desk.get("alert.north-gate.road.000001")
        assert (road.alert.state, road.alert.reason, road.alert.note) == ("false_alarm", "other", "Ａ cat on the kerb")
        assert [change.action for change in road.changes or ()][:2] == ["acknowledge", "false_alarm"]
        for sought in ("保安", "a CAT", "kerb"):
            found = services.listing.page(Filters(text=sought)).records
            assert [record.alert.alert_id for record in found] == [road.alert.alert_id]
        east = services.listing.counts(Filters(cameras=["东门"]))
        assert (east.by_state, east.by_severity) == ({"resolved": 1, "new": 1}, {"high": 1, "critical": 1})
        since = Filters(since=datetime.fromisoformat("2026-03-01T14:00:20Z"), kinds=["loitering"], states=["new"])
        assert services.listing.page(since).records[-1].alert.alert_id == lawn.alert.alert_id
        assert services.desk.act(lawn.alert.alert_id, "claim").alert.version == 3
    report = audit_database(empty, Trust(SiteKeys.load_or_create(media / KEY_FILE)))
    assert report.intact, report.to_json()


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_every_step_on_the_way_upgrades_and_builds_what_the_code_maps(empty: str, revision: str) -> None:
    made_by(empty, "0001")
    engine = bare(empty)
    with engine.begin() as connection:
        migrate(connection, empty, revision)
    engine.dispose()
    engine = open_database(empty)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT count(*) FROM alert")).scalar_one() == 5
        assert connection.execute(text("SELECT sum(number) FROM alert_count")).scalar_one() == 5
        referring = {
            (table, tuple(key["constrained_columns"]), key["referred_table"])
            for table in inspect(connection).get_table_names()
            for key in inspect(connection).get_foreign_keys(table)
        }
    engine.dispose()
    assert referring == {
        (table.name, tuple(column.name for column in key.columns), key.referred_table.name)
        for table in Base.metadata.tables.values()
        for key in table.foreign_key_constraints
    }


def test_where_the_clock_was_set_back_is_found_in_a_journal_from_before(empty: str) -> None:
    made_by(empty, "0001")
    engine = bare(empty)
    row = (
        "INSERT INTO journal (seq, at, actor_kind, actor, subject, subject_id, action, body, prev_hash, hash) "
        "VALUES (:seq, :at, 'system', 'gatewatch', 'journal', '1', 'begun', '{}', '', '')"
    )
    with engine.begin() as connection:
        migrate(connection, empty, "0004")
        for seq, minute in ((11, 5), (12, 7), (13, 3), (14, 3), (15, 9)):
            connection.execute(text(row), {"seq": seq, "at": f"2026-03-01 12:0{minute}:00.000000"})
    engine.dispose()
    engine = open_database(empty)
    with engine.begin() as connection:
        connection.execute(text(row), {"seq": 16, "at": "2026-03-01 12:08:59.000000"})
        turns = connection.execute(select(JournalTurnRow).order_by(JournalTurnRow.seq)).all()
        found = [(turn.seq, turn.at.minute, turn.previous_at.minute) for turn in turns]
    engine.dispose()
    assert found == [(13, 3, 7), (16, 8, 9)]


def test_a_step_that_fails_leaves_the_database_as_it_was(empty: str) -> None:
    made_by(empty, "0001")
    engine = bare(empty)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE user_account (in_the_way INTEGER)"))
    engine.dispose()
    with pytest.raises(Exception, match="user_account"):
        open_database(empty)
    engine = bare(empty)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0001"
        assert "journal" not in inspect(connection).get_table_names()
    engine.dispose()
