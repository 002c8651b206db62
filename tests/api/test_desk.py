"""The desk in its database: grouping over restarts, guards' actions, media, imports, crashes, migrations."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from api.access.principal import PERMISSIONS_OF, Principal
from api.access.users import UserChange
from api.alerts import Clip, Policy, group
from api.desk import Desk, ExternalEvent
from api.errors import DeskError, InvalidError, NotFoundError, StaleError, TransitionError
from api.journal import SYSTEM, Actor
from api.records import Filters
from api.services import Services
from api.storage import store
from api.storage.base import Base
from api.storage.database import open_database
from tests.api.kit import open_desk
from tests.api.scenes import START, crossing, make_event

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_stored_is_what_the_pure_part_says(desk: Desk) -> None:
    events = [make_event(n, t) for n, t in enumerate((10.0, 35.0, 80.0, 81.5), start=1)] + [crossing(1, 82.0)]
    for event in events:
        desk.take(event)
    stored = [record.alert for record in desk.list().records]
    assert sorted(stored, key=lambda alert: alert.first_raised_s) == group(events)


def test_an_event_that_comes_again_changes_nothing(desk: Desk) -> None:
    first = desk.take(make_event(1, 10.0))
    desk.act(first.alert_id, "resolve", reason="handled_on_site")
    again = desk.take(make_event(1, 10.0))
    assert (again.alert_id, again.state, len(desk.list().records)) == (first.alert_id, "resolved", 1)
    other_run = desk.take(make_event(1, 10.0), run="second")
    assert other_run.alert_id != first.alert_id


def test_a_restart_goes_on_with_the_open_alert(tmp_path: Path, media: Path) -> None:
    with open_desk(tmp_path / "a.db", media_dir=media) as before:
        first = before.take(make_event(1, 100.0), run="one")
    with open_desk(tmp_path / "a.db", media_dir=media) as after:
        soon = make_event(1, 3.0, raised_at=START + timedelta(seconds=115))
        assert after.take(soon, run="two").alert_id == first.alert_id
        later = make_event(2, 60.0, raised_at=START + timedelta(seconds=170))
        assert after.take(later, run="two").alert_id != first.alert_id
        assert len(after.get(first.alert_id).events or ()) == 2


def test_the_list_is_newest_first_and_pages_are_stable(desk: Desk) -> None:
    for n in (3, 1, 5, 2, 4):
        desk.take(make_event(n, 100.0 * n))
    first = desk.list(limit=2)
    desk.take(make_event(9, 900.0))
    rest = desk.list(after=first.next, limit=10)
    order = [record.alert.first_raised_s for record in (*first.records, *rest.records)]
    assert order == [500.0, 400.0, 300.0, 200.0, 100.0]
    assert rest.next is None


def test_filters_narrow(desk: Desk) -> None:
    lawn, road = desk.take(make_event(1, 10.0)), desk.take(crossing(1, 100.0))
    desk.take(make_event(2, 500.0, timed=False))
    desk.act(road.alert_id, "acknowledge")

    def ids(**filters: object) -> list[str]:
        return [record.alert.alert_id for record in desk.list(Filters(**filters)).records]

    assert ids(states=["acknowledged"]) == [road.alert_id]
    assert ids(severities=["high"], since=START) == [lawn.alert_id]
    assert ids(kinds=["line_crossing"], cameras=["north-gate"], rules=["road"]) == [road.alert_id]
    assert ids(cameras=["elsewhere"]) == []
    assert ids(since=START + timedelta(seconds=50)) == [road.alert_id]
    assert ids(until=START + timedelta(seconds=50)) == [lawn.alert_id]


def test_media_come_later_and_stay_in_their_folder(desk: Desk, media: Path, tmp_path: Path) -> None:
    alert = desk.take(make_event())
    assert desk.get(alert.alert_id).media == "pending"
    (media / "s.jpg").write_bytes(b"jpg")
    (media / "c.mp4").write_bytes(b"mp4")
    desk.attach_media(alert.alert_id, snapshot="s.jpg")
    desk.attach_media(alert.alert_id, clips=[Clip("c.mp4", 5.0), Clip("gone.mp4", 15.0)])
    record = desk.get(alert.alert_id)
    assert (record.media, record.alert.snapshot, len(record.alert.clips)) == ("ready", "s.jpg", 2)
    assert desk.clip_file(alert.alert_id).read_bytes() == b"mp4"
    for missing in (2, 3):
        with pytest.raises(NotFoundError, match=f"no clip {missing}"):
            desk.clip_file(alert.alert_id, missing)
    for bad in ("/etc/passwd", "../secret", "a/../../secret", "..\\secret", ""):
        with pytest.raises(DeskError, match="relative to the media folder"):
            desk.attach_media(alert.alert_id, snapshot=bad)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    (media / "link.jpg").symlink_to(secret)
    desk.attach_media(alert.alert_id, snapshot="link.jpg")
    with pytest.raises(NotFoundError):
        desk.snapshot_file(alert.alert_id)
    with desk._ledger.writing() as write:
        write.session.execute(text("UPDATE alert SET snapshot = '../secret.jpg'"))
    with pytest.raises(NotFoundError):
        desk.snapshot_file(alert.alert_id)


def test_history_says_what_happened_and_who_did_it_when(desk: Desk) -> None:
    alert = desk.take(make_event(1, 10.0))
    desk.act(alert.alert_id, "acknowledge", actor=Actor("user", "guard-1"))
    desk.take(make_event(2, 20.0))
    desk.attach_media(alert.alert_id, clips=[Clip("c.mp4", 5.0)])
    record = desk.act(alert.alert_id, "false_alarm", reason="other", note=" a kite ")
    told = [(c.version, c.action, c.actor, c.reason, c.note) for c in record.changes or ()]
    assert told == [
        (1, "raised", "gatewatch", None, None),
        (2, "acknowledge", "guard-1", None, None),
        (3, "joined", "gatewatch", None, None),
        (3, "evidence", "gatewatch", None, None),
        (4, "false_alarm", "gatewatch", "other", "a kite"),
    ]
    with pytest.raises(TransitionError):
        desk.act(alert.alert_id, "resolve", reason="intruder")
    assert len(desk.get(alert.alert_id).changes or ()) == 5


def test_an_action_writes_no_facts(desk: Desk) -> None:
    """Even where the code that decides were wrong: what the rule saw is not among what an action stores."""
    alert = desk.take(make_event(1, 10.0))
    before = desk.get(alert.alert_id)
    with desk._ledger.writing() as write:
        row = store.find(write.session, alert.alert_id)
        assert row is not None
        store.handled(row, replace(alert, camera="elsewhere", rule="other", severity="low", end_s=99.0, state="drill"))
    after = desk.get(alert.alert_id)
    assert after.alert == replace(before.alert, state="drill")
    assert after.events == before.events


def test_two_guards_at_once(desk: Desk) -> None:
    """Exactly one wins; the other is told which version it expected and which there is."""
    for n in range(1, 9):
        alert = desk.take(make_event(n, 1000.0 * n))
        won, refused = _claimed_together(desk, alert.alert_id, ["ann", "bob", "cem", "dan"])
        record = desk.get(alert.alert_id)
        assert [record.alert.assignee] == won
        assert refused == [{"expected": 1, "found": 2}] * 3
        assert [c.action for c in record.changes or ()] == ["raised", "claim"]


def _claimed_together(desk: Desk, alert_id: str, guards: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    together, won, refused = threading.Barrier(len(guards)), list[str](), list[dict[str, Any]]()

    def claim(name: str) -> None:
        together.wait(10)
        try:
            desk.act(alert_id, "claim", expected_version=1, actor=Actor("user", name))
            won.append(name)
        except StaleError as error:
            refused.append(error.details)

    threads = [threading.Thread(target=claim, args=(name,)) for name in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return won, refused


PANIC = ExternalEvent("panic", "device/7 #1", "panic_button", "critical", START, text="Reception")


def test_what_happens_outside_the_pictures_is_an_alert_too(desk: Desk) -> None:
    alert = desk.raise_external(PANIC, actor=Actor("external", "panic"))
    assert desk.raise_external(PANIC) == alert, "the same event again changes nothing"
    record = desk.get(alert.alert_id)
    assert (record.alert.camera, record.alert.rule, record.measured, record.media) == ("", "panic", {}, "missing")
    assert (record.events or ({},))[0]["text"] == "Reception"
    assert [(c.action, c.actor_kind) for c in record.changes or ()] == [("raised", "external")]
    assert set("/# ?").isdisjoint(alert.alert_id), "the id fits into an address whatever the source calls its events"
    soon = replace(PANIC, event_id="2", at=START + timedelta(seconds=29))
    assert desk.raise_external(soon).alert_id == alert.alert_id
    late = replace(PANIC, event_id="3", at=START + timedelta(seconds=90))
    assert desk.raise_external(late).alert_id != alert.alert_id
    seen = desk.raise_external(replace(PANIC, event_id="4", camera="north-gate"))
    assert (seen.camera, desk.get(seen.alert_id).media) == ("north-gate", "pending")


def test_what_a_source_says_of_another_place_is_another_alert(desk: Desk) -> None:
    def alert_of(number: int, **other: Any) -> str:
        at = START + timedelta(seconds=number)
        return desk.raise_external(replace(PANIC, event_id=str(number), at=at, **other)).alert_id

    seven, nine, nowhere = alert_of(1, text="门 7"), alert_of(2, text="Door 9"), alert_of(3, text=None)
    smoke = alert_of(4, text="门 7", kind="smoke")
    assert len({seven, nine, nowhere, smoke}) == 4
    assert [alert_of(5, text="门 7"), alert_of(6, text="Door 9"), alert_of(7, text=None)] == [seven, nine, nowhere]
    assert alert_of(8, text="门 7", kind="smoke") == smoke
    desk.act(seven, "false_alarm", reason="test")
    assert alert_of(9, text="门 7") not in (seven, nine, nowhere, smoke)


def test_a_guard_of_some_cameras_knows_no_others(desk: Desk, media: Path) -> None:
    mine, theirs, nobodys = desk.take(make_event()), desk.take(make_event(camera="south")), desk.raise_external(PANIC)
    guard = Principal("user", "ann", "guard", PERMISSIONS_OF["guard"], frozenset({"north-gate"}))
    (media / "s.jpg").write_bytes(b"jpg")
    for alert in (mine, theirs, nobodys):
        desk.attach_media(alert.alert_id, snapshot="s.jpg", clips=[Clip("s.jpg", 0.0)])
    assert desk.get(mine.alert_id, guard).alert.alert_id == mine.alert_id
    assert desk.snapshot_file(mine.alert_id, guard).name == "s.jpg"
    for hidden in (theirs.alert_id, nobodys.alert_id):
        for attempt in (
            lambda of=hidden: desk.get(of, guard),
            lambda of=hidden: desk.act(of, "claim", principal=guard, expected_version=99),
            lambda of=hidden: desk.assignees(of, guard),
            lambda of=hidden: desk.snapshot_file(of, guard),
            lambda of=hidden: desk.clip_file(of, principal=guard),
        ):
            with pytest.raises(NotFoundError, match="There is no alert"):
                attempt()


def test_an_alert_goes_only_to_who_may_handle_it(services: Services) -> None:
    desk, users = services.desk, services.accounts.users
    for name, role, cameras in (
        ("ann", "guard", None), ("bob", "guard", ["south"]), ("cem", "guard", ["north-gate", "south"]),
        ("dan", "auditor", None), ("eve", "guard", None),
    ):  # fmt: skip
        users.create(name, role, actor=SYSTEM, cameras=cameras, provider=("https://login.test", name))
    users.change("eve", UserChange(disabled=True), expected_version=None, actor=SYSTEM, by=None)
    alert = desk.take(make_event())
    assert [name for name, _ in desk.assignees(alert.alert_id)] == ["ann", "cem"]
    for name in ("bob", "dan", "eve", "nobody"):
        with pytest.raises(InvalidError, match=f"found {name}"):
            desk.act(alert.alert_id, "assign", assignee=name)
    assert desk.act(alert.alert_id, "assign", assignee="cem").alert.assignee == "cem"


def test_many_threads_lose_nothing(desk: Desk) -> None:
    failures: list[BaseException] = []

    def feed(camera: str) -> None:
        try:
            for n in range(1, 16):
                desk.take(make_event(n, 40.0 * n, camera=camera))
                desk.list(limit=5)
        except DeskError as error:
            failures.append(error)

    threads = [threading.Thread(target=feed, args=(f"camera-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert desk.counts() == {"new": 60}


def write_results(folder: Path, *events_times: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    events = [make_event(n, t, timed=False) for n, t in enumerate(events_times, start=1)]
    alerts = [
        a.with_media(snapshot="s.jpg", clips=[Clip("c.mp4", a.start_s - 5, None, "c.mkv", 0.5)]) for a in group(events)
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(e.to_json("r.avi", e.start_s)) + "\n" for e in events))
    (folder / "alerts.jsonl").write_text("".join(json.dumps(a.to_json()) + "\n" for a in alerts))
    return folder


def test_a_reanalysis_is_taken_over_once(desk: Desk, media: Path) -> None:
    out = write_results(media / "run 1", 10.0, 20.0, 100.0)
    assert desk.import_reanalysis(out) == 2
    newest, oldest = desk.list().records
    assert (newest.alert.first_raised_s, oldest.alert.event_ids) == (
        100.0,
        ("north-gate.lawn-loitering.000001", "north-gate.lawn-loitering.000002"),
    )
    assert oldest.alert.snapshot == "run 1/s.jpg"
    assert oldest.alert.clips == (Clip("run 1/c.mp4", 1.0, None, "run 1/c.mkv", 0.5),)
    desk.act(oldest.alert.alert_id, "resolve", reason="handled_on_site")
    assert desk.import_reanalysis(out) == 0
    assert desk.get(oldest.alert.alert_id).alert.state == "resolved"
    with pytest.raises(DeskError, match="another analysis"):
        desk.import_reanalysis(write_results(media / "run 2", 11.0))
    assert len(desk.list().records) == 2


def test_bad_results_are_refused_in_a_sentence(desk: Desk, media: Path, tmp_path: Path) -> None:
    with pytest.raises(DeskError, match="must lie in the media folder"):
        desk.import_reanalysis(write_results(tmp_path / "elsewhere", 10.0))
    with pytest.raises(DeskError, match=r"events\.jsonl: cannot be read"):
        desk.import_reanalysis(media / "nothing")
    out = write_results(media / "bad", 10.0)
    good = (out / "alerts.jsonl").read_text()
    for content, message in (
        ("{", "expected a JSON object with alert_id"),
        ('{"alert_id": 1}', "line 1: is not an alert"),
        (good.replace('"s.jpg"', '"../s.jpg"'), "leaves the folder"),
    ):
        (out / "alerts.jsonl").write_text(content)
        with pytest.raises(DeskError, match=message):
            desk.import_reanalysis(out)
    assert desk.list().records == ()


CHILD = """
import sys
from pathlib import Path
from tests.api.kit import open_desk
from tests.api.scenes import make_event
with open_desk(sys.argv[1], media_dir=Path(sys.argv[2])) as desk:
    for n in range(1, 100000):
        alert = desk.take(make_event(n, 40.0 * n))
        desk.act(alert.alert_id, "acknowledge")
        print(alert.alert_id, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, media: Path) -> None:
    database = tmp_path / "k.db"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(database), str(media)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        said = [child.stdout.readline().strip() for _ in range(15)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().split("\n")[:-1]
    with open_desk(database, media_dir=media) as desk:
        assert len(said) >= 15
        assert {desk.get(alert_id).alert.state for alert_id in said} == {"acknowledged"}
        for record in desk.list(limit=200).records:
            assert len(record.alert.event_ids) == 1
    assert _ask(database, "PRAGMA integrity_check") == [("ok",)]


def test_migrations_build_what_the_code_maps(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "deep" / "a 100% new.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
    assert _ask(tmp_path / "deep" / "a 100% new.db", "PRAGMA journal_mode") == [("wal",)]


def test_nobody_else_may_read_the_database(tmp_path: Path, media: Path) -> None:
    with open_desk(tmp_path / "own.db", media_dir=media) as desk:
        desk.take(make_event())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("own.db*")}
    assert modes == {"own.db": 0o600, "own.db-wal": 0o600, "own.db-shm": 0o600}


def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"no database" * 500)
    with pytest.raises(DeskError, match=r"junk\.db: cannot be used as the database: file is not a database"):
        open_database(junk)
    newer = tmp_path / "newer.db"
    open_database(newer).dispose()
    _tamper(newer, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DeskError, match=r"newer Gatewatch: expected schema \d{4} or older, found 9999"):
        open_database(newer)
    with pytest.raises(DeskError, match="cannot be used as the database"):
        open_database(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DeskError, match="cannot hold the database"):
        open_database(tmp_path / "file" / "a.db")


def test_grouping_follows_the_policy(tmp_path: Path, media: Path) -> None:
    policy = Policy(cooldowns={("north-gate", "lawn-loitering"): 1.0})
    with open_desk(tmp_path / "p.db", media_dir=media, policy=policy) as desk:
        assert desk.take(make_event(1, 10.0)).alert_id != desk.take(make_event(2, 12.0)).alert_id


def _tamper(database: Path, sql: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute(sql)
    connection.commit()
    connection.close()


def _ask(database: Path, sql: str) -> list[tuple[str]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
