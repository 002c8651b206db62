"""Backups: out of one database, back into another, whole or not at all."""

from __future__ import annotations

import json
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from api.alerts import Clip
from api.backup import back_up
from api.errors import DeskError
from api.heads import HEADS_FILE
from api.keys import KEY_FILE, SiteKeys
from api.restore import restore
from api.services import Services
from benchmarks.postgres import PostgresServer
from tests.api.databases import fresh
from tests.api.journal.lives import GUARD, audit_of, live, raw, reopened, sql
from tests.api.kit import token_for
from tests.api.scenes import make_event

Db = str


@pytest.fixture
def empty_postgres(postgres: PostgresServer) -> Iterator[Db]:
    with fresh(postgres, migrated=False) as url:
        yield url


def fill(services: Services, media: Path) -> None:
    live(services)
    token_for(services, "guard", ["north-gate"])
    services.webhooks  # noqa: B018 - its tables are part of every backup, filled or not
    for path in ("snapshots/1.jpg", "clips/1.mp4"):
        (media / path).parent.mkdir(exist_ok=True)
        (media / path).write_bytes(path.encode())
    unusual = services.desk.take(make_event(6, 20000.0, camera="大门", label="人")).alert_id
    services.desk.attach_media(unusual, clips=[Clip("clips/gone.mp4", 0.0)])
    services.incidents.create("入侵", [unusual], actor=GUARD)


def everything(where: Db) -> dict[str, list[Any]]:
    """Every row of every table, as this version's tables map them."""
    import api.storage.tables_access
    import api.storage.tables_journal
    import api.storage.tables_messages  # noqa: F401 - each adds its tables
    from api.storage.base import Base

    with raw(where) as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize("way", ["same", "other", "other and back"])
def test_a_backup_comes_back_row_by_row(
    database: Db, media: Path, tmp_path: Path, way: str, request: pytest.FixtureRequest
) -> None:
    with reopened(database, media) as services:
        fill(services, media)
    before = everything(database)
    done = back_up(database, tmp_path / "b.tar.gz", data=media)
    assert (done.media, done.media_missing) == (2, 1)
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600

    other = request.getfixturevalue("empty_postgres") if "://" not in database else str(tmp_path / "other" / "x.db")
    same = str(tmp_path / "new" / "x.db") if "://" not in database else request.getfixturevalue("empty_postgres")
    target = same if way == "same" else other
    if way == "other and back":
        first = restore(tmp_path / "b.tar.gz", other, data=tmp_path / "between")
        back_up(other, tmp_path / "c.tar", data=tmp_path / "between")
        target = str(tmp_path / "back" / "x.db")
        restored = restore(tmp_path / "c.tar", target, data=tmp_path / "new-data")
        assert first.report.intact
    else:
        restored = restore(tmp_path / "b.tar.gz", target, data=tmp_path / "new-data")
    assert restored.report.intact, restored.report.findings
    after = everything(target)
    for name, rows in before.items():
        if name in ("journal", "signed_head"):  # It goes on with what it says about being restored.
            assert set(rows) <= set(after[name])
        elif name != "journal_tip":
            assert after[name] == rows, name
    assert (tmp_path / "new-data" / "clips/1.mp4").read_bytes() == b"clips/1.mp4"
    with reopened(target, tmp_path / "new-data") as services:  # It goes on: numbers and counts follow.
        services.desk.take(make_event(7, 90000.0))
        assert sum(services.desk.counts().values()) == 6
    assert audit_of(target, tmp_path / "new-data").intact


def test_it_is_of_one_moment_while_others_write(database: Db, media: Path, tmp_path: Path) -> None:
    with reopened(database, media) as services:
        live(services)
        ends = threading.Event()

        def work() -> None:
            number = 100
            while not ends.is_set():
                number += 1
                alert = services.desk.take(make_event(number, 1000.0 * number))
                services.desk.act(alert.alert_id, "acknowledge", actor=GUARD)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for number in range(3):
                back_up(database, tmp_path / f"{number}.tar", data=media)
        finally:
            ends.set()
            thread.join()
    for number in range(3):
        restored = restore(tmp_path / f"{number}.tar", tmp_path / f"{number}.db", data=tmp_path / f"data{number}")
        assert restored.report.intact, restored.report.findings


def test_a_backup_of_an_older_schema_is_brought_up_to_date(database: Db, media: Path, tmp_path: Path) -> None:
    old = make_old(database)
    back_up(old, tmp_path / "old.tar", data=media, key=False)
    SiteKeys.load_or_create(tmp_path / "data" / KEY_FILE)
    target = tmp_path / "x.db"
    restored = restore(tmp_path / "old.tar", target, data=tmp_path / "data")
    assert (restored.schema, restored.report.alerts) == ("0001", 2)
    assert restored.report.intact, restored.report.findings


def make_old(database: Db) -> Db:
    """A database of the first release, with two alerts and what was done with one of them."""
    from api.storage.database import migrate
    from api.storage.dump import engine_for

    engine, shown = engine_for(database)
    with engine.begin() as connection:
        if "://" in database:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        migrate(connection, shown, "0001")
        for seq, state in ((1, "false_alarm"), (2, "new")):
            event = make_event(seq, 1000.0 * seq)
            values = {
                "seq": seq, "id": f"alert.{event.event_id}", "run": "", "camera": event.camera, "rule": event.rule,
                "state": state, "version": 3 if seq == 1 else 1, "s": event.start_s, "e": event.raised_s,
                "body": json.dumps(event.to_json()), "event_id": event.event_id, "media": "missing",
                "reason": "animal" if seq == 1 else None, "note": "a fox" if seq == 1 else None,
                "sa": "2026-03-01 14:00:00.000000" if "://" not in database else "2026-03-01 14:00:00+00",
                "closed": "2026-03-01 15:00:00.250000" if seq == 1 else None,
                "started": f"{event.started_at:%Y-%m-%d %H:%M:%S.%f}" + ("+00" if "://" in database else ""),
                "raised": f"{event.raised_at:%Y-%m-%d %H:%M:%S.%f}" + ("+00" if "://" in database else ""),
            }  # fmt: skip
            if values["closed"] and "://" in database:
                values["closed"] += "+00"
            sql(
                connection,
                "INSERT INTO alert (seq, alert_id, run, camera, rule, kind, severity, zone, label, measured, state, "
                "version, start_s, end_s, first_raised_s, started_at, ended_at, first_raised_at, received_at, sort_at, "
                "acknowledged_at, closed_at, reason, note, media) VALUES (:seq, :id, :run, :camera, :rule, "
                "'loitering', 'high', 'lawn', 'person', :measured, :state, :version, :s, :e, :e, :started, :raised, "
                ":raised, :sa, :raised, :closed, :closed, :reason, :note, :media)",
                measured=json.dumps(event.to_json()["measured"]), **values,
            )  # fmt: skip
            sql(
                connection,
                "INSERT INTO event (seq, run, event_id, alert_seq, raised_s, raised_at, body) "
                "VALUES (:seq, '', :event_id, :seq, :e, :raised, :body)",
                **values,
            )
            if seq == 1:
                for number, action in enumerate(("acknowledge", "false_alarm"), 1):
                    sql(
                        connection,
                        "INSERT INTO alert_change (seq, alert_seq, version, action, at, reason, note) "
                        "VALUES (:n, 1, :v, :action, :closed, :reason, :note)",
                        n=number, v=number + 1, action=action, **values,
                    )  # fmt: skip
    engine.dispose()
    return database


# Upgraded databases


def test_alerts_from_before_the_journal_are_taken_into_it(database: Db, media: Path) -> None:
    make_old(database)
    with reopened(database, media) as services:
        record = services.desk.get("alert.north-gate.lawn-loitering.000001")
        assert record.alert.state == "false_alarm"
        services.desk.act(record.alert.alert_id, "reopen", note="look again", actor=GUARD)
    report = audit_of(database, media)
    assert report.intact, report.findings
    with reopened(database, media):
        pass
    assert audit_of(database, media).last == report.last  # Once.


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alert_change SET note = 'a cat' WHERE seq = 2",
        "DELETE FROM alert_change WHERE seq = 1",
        "UPDATE alert SET state = 'resolved' WHERE seq = 1",
        "UPDATE alert SET closed_at = NULL WHERE seq = 1",
        "UPDATE event SET body = '{}' WHERE seq = 1",
    ],
)
def test_the_audit_covers_them(database: Db, media: Path, statement: str) -> None:
    make_old(database)
    with reopened(database, media):
        pass
    with raw(database) as connection:
        sql(connection, statement)
    assert [finding.seq for finding in audit_of(database, media).findings if finding.what == "alert_changed"]


# Refused, and nothing is left


def made(database: Db, media: Path, out: Path) -> Path:
    with reopened(database, media) as services:
        fill(services, media)
    back_up(database, out, data=media)
    return out


def rewritten(source: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with tarfile.open(source) as tar:
        parts = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    change(parts)
    with tarfile.open(source, "w") as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return source


def a_changed_row(parts: dict[str, bytes]) -> None:
    parts["tables/alert.ndjson"] = parts["tables/alert.ndjson"].replace(b"high", b"low!")


def a_missing_part(parts: dict[str, bytes]) -> None:
    del parts["tables/event.ndjson"]


def one_more_part(parts: dict[str, bytes]) -> None:
    parts["../../evil"] = b"x"


def a_way_out(parts: dict[str, bytes]) -> None:
    content = parts.pop("media/clips/1.mp4")
    parts["media/../../evil"] = content
    listed = parts["media.ndjson"].replace(b"clips/1.mp4", b"../../evil")
    parts["media.ndjson"] = listed
    _resign(parts, "media.ndjson")


def a_way_out_that_the_manifest_names(parts: dict[str, bytes]) -> None:
    parts["../../../../evil"] = b"x"
    manifest = json.loads(parts["manifest.json"])
    manifest["parts"]["../../../../evil"] = {}
    parts["manifest.json"] = json.dumps(manifest).encode()
    _resign(parts, "../../../../evil")


def a_manifest_without_end(parts: dict[str, bytes]) -> None:
    parts["manifest.json"] = b"[" * 200_000


def another_key(parts: dict[str, bytes]) -> None:
    parts["tables/user_account.ndjson"] = b"[1]\n"
    _resign(parts, "tables/user_account.ndjson")


def no_manifest(parts: dict[str, bytes]) -> None:
    del parts["manifest.json"]


def a_newer_one(parts: dict[str, bytes]) -> None:
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps(manifest | {"schema": "9999"}).encode()


def _resign(parts: dict[str, bytes], name: str) -> None:
    import hashlib

    manifest = json.loads(parts["manifest.json"])
    known = (
        manifest["parts"][name]
        if name in manifest["parts"]
        else manifest["tables"][name.removeprefix("tables/").removesuffix(".ndjson")]
    )
    known |= {"bytes": len(parts[name]), "sha256": hashlib.sha256(parts[name]).hexdigest()}
    parts["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "change",
    [a_changed_row, a_missing_part, one_more_part, a_way_out, a_way_out_that_the_manifest_names,
     a_manifest_without_end, another_key, no_manifest, a_newer_one],
)  # fmt: skip
def test_a_damaged_backup_is_refused_and_nothing_is_left(
    database: Db, media: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    source = rewritten(made(database, media, tmp_path / "b.tar"), change)
    data = tmp_path / "fresh" / "data"
    with pytest.raises(DeskError):
        restore(source, data / "gatewatch.db", data=data)
    assert not [path for path in (tmp_path / "fresh").rglob("*") if path.is_file()]
    assert not (tmp_path / "evil").exists()


def test_a_cut_off_backup_is_refused(database: Db, media: Path, tmp_path: Path) -> None:
    source = made(database, media, tmp_path / "b.tar.gz")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(DeskError, match="damaged or cut off"):
        restore(source, tmp_path / "x.db", data=tmp_path / "data")


def test_a_database_in_use_a_foreign_key_and_another_file_are_left_alone(
    database: Db, media: Path, tmp_path: Path
) -> None:
    source = made(database, media, tmp_path / "b.tar")
    with pytest.raises(DeskError, match="expected"):
        restore(source, database, data=tmp_path / "data")
    other = tmp_path / "other"
    SiteKeys.load_or_create(other / KEY_FILE)
    with pytest.raises(DeskError, match="key of another site"):
        restore(source, tmp_path / "x.db", data=other)
    filled = tmp_path / "filled"
    (filled / "clips").mkdir(parents=True)
    (filled / "clips/1.mp4").write_bytes(b"mine")
    with pytest.raises(DeskError, match="not the file of the backup"):
        restore(source, tmp_path / "x.db", data=filled)
    assert not (tmp_path / "x.db").exists()
    with pytest.raises(DeskError, match="is there already"):
        back_up(database, source, data=media)


def test_a_failure_in_the_middle_leaves_nothing(
    database: Db, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    source = made(database, media, tmp_path / "b.tar")
    target = request.getfixturevalue("empty_postgres") if "://" in database else str(tmp_path / "data" / "x.db")

    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("api.restore._place", fail)
    with pytest.raises(OSError, match="No space left"):
        restore(source, target, data=tmp_path / "data")
    monkeypatch.undo()
    assert not list((tmp_path / "data").iterdir())
    assert restore(source, target, data=tmp_path / "data").report.intact


def test_without_the_key_it_says_what_cannot_be_proved(database: Db, media: Path, tmp_path: Path) -> None:
    with reopened(database, media) as services:
        live(services)
    back_up(database, tmp_path / "b.tar", data=media, key=False)
    restored = restore(tmp_path / "b.tar", tmp_path / "x.db", data=tmp_path / "data")
    assert not restored.has_key
    assert restored.report.intact
    assert len(restored.report.unchecked) == 2


def test_what_was_lost_since_the_backup_is_told_by_the_kept_heads(database: Db, media: Path, tmp_path: Path) -> None:
    source = made(database, media, tmp_path / "b.tar")
    with reopened(database, media) as services:
        services.desk.take(make_event(9, 50000.0))
        services.heads.sign("asked")
    restored = restore(source, tmp_path / "x.db", data=media)
    assert restored.heads_put_aside is not None
    assert restored.report.intact
    assert (media / HEADS_FILE).exists()


def test_every_table_is_in_it(database: Db, media: Path, tmp_path: Path) -> None:
    with reopened(database, media):
        pass
    done = back_up(database, tmp_path / "b.tar", data=media)
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://") if "://" in database
                           else f"sqlite:///{database}")  # fmt: skip
    assert set(done.tables) == set(inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
