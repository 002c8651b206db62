"""What only a database server does: it is reached by an address with a password, goes away, and serves others too."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from api.errors import DeskError, UnavailableError
from api.services import Services, open_services
from api.storage.database import open_database
from benchmarks.postgres import PostgresServer
from gatewatch.cli import run
from tests.api.databases import KIND
from tests.api.databases import run as run_sql
from tests.api.scenes import make_event

only_postgresql = pytest.mark.skipif(KIND != "postgresql", reason="only with GATEWATCH_TEST_DATABASE=postgresql")
SITE = """\
site: {name: Test, timezone: UTC}
cameras:
  gate: {source: "rtsp://127.0.0.1:9/none"}
"""


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://guard:s3cret@127.0.0.1:1/desk", "127.0.0.1:1/desk: cannot be used as the database"),
        ("postgres://guard:s3cret@127.0.0.1:1/desk", "127.0.0.1:1/desk: cannot be used as the database"),
        ("mysql://guard:s3cret@127.0.0.1/desk", "expected an SQLite file or a postgresql:// address"),
        ("postgresql://guard:s3cret@[::1/desk", "expected an SQLite file or a postgresql:// address"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(address: str, sentence: str) -> None:
    with pytest.raises(DeskError) as refused:
        open_database(address)
    assert sentence in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_second_run_on_the_same_database_is_refused(
    services: Services,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.ledger.run_alone()
    (tmp_path / "site.yaml").write_text(SITE)
    monkeypatch.setenv("GATEWATCH_DATABASE", database)
    code = run(["run", str(tmp_path / "site.yaml"), "--data", str(tmp_path / "other"), "--port", "0"])
    said = capsys.readouterr().err.strip()
    assert (code, said.splitlines()) == (1, [said])
    assert "nother gatewatch run writes to this database: only one may." in said
    services.ledger.close()
    with open_services(database, media_dir=tmp_path / "media") as after:
        after.ledger.run_alone()


@only_postgresql
def test_events_wait_for_a_server_that_restarts(services: Services, postgres: PostgresServer) -> None:
    services.ledger.run_alone()
    desk = services.desk
    desk.take(make_event(1, 10.0))
    postgres.stop()
    try:
        for attempt in (lambda: desk.take(make_event(2, 100.0)), desk.list, desk.counts):
            with pytest.raises(UnavailableError, match=r"The database cannot be used now: [^\n]+$"):
                attempt()
    finally:
        postgres.start()
    # The same event, as the live desk gives it again until it is stored.
    desk.take(make_event(2, 100.0))
    assert len(desk.list().records) == 2
    other = open_services(postgres.url(_name(services)), media_dir=desk.media_dir)
    with other as second, pytest.raises(DeskError, match="only one may"):
        second.ledger.run_alone()


@only_postgresql
def test_a_run_that_lost_its_database_to_another_does_not_write(services: Services, postgres: PostgresServer) -> None:
    services.ledger.run_alone()
    postgres.stop()
    postgres.start()
    with open_services(postgres.url(_name(services)), media_dir=services.desk.media_dir) as other:
        other.ledger.run_alone()
        with pytest.raises(UnavailableError, match="only one may"):
            services.desk.take(make_event(1, 10.0))
        assert other.desk.list().records == ()
    services.desk.take(make_event(1, 10.0))


@only_postgresql
def test_a_statement_ends_after_its_time(services: Services) -> None:
    with services.ledger.reading() as session:
        assert session.execute(text("SHOW statement_timeout")).scalar_one() == "30s"

    def sleep() -> None:
        with services.ledger.reading() as session:
            session.execute(text("SET LOCAL statement_timeout = '20ms'"))
            session.execute(text("SELECT pg_sleep(10)"))

    with pytest.raises(UnavailableError, match="statement timeout"):
        sleep()


@only_postgresql
def test_readers_see_one_moment_and_change_nothing(services: Services) -> None:
    with services.ledger.reading() as session:
        counted = "SELECT count(*) FROM alert"
        before = session.execute(text(counted)).scalar_one()
        services.desk.take(make_event(1, 10.0))
        assert session.execute(text(counted)).scalar_one() == before == 0
        with pytest.raises(Exception, match="read-only"):
            session.execute(text("DELETE FROM alert"))


@only_postgresql
def test_a_database_of_another_encoding_is_refused(postgres: PostgresServer) -> None:
    run_sql(postgres, "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(DeskError, match="expected a database with the encoding UTF8, found SQL_ASCII"):
        open_database(postgres.url("ascii"))


def _name(services: Services) -> str:
    with services.ledger.reading() as session:
        return str(session.execute(text("SELECT current_database()")).scalar_one())
