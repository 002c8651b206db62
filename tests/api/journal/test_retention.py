"""What retention takes away and what it leaves; the journal stays provable across its checkpoints."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.alerts import Clip
from api.desk import Desk
from api.retention import REMOVING, Removed, Retention
from api.services import Services
from tests.api.journal.lives import GUARD, audit_of, raw, reopened, sql
from tests.api.scenes import START, make_event

DAYS = 30


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def days(self, number: float) -> None:
        self.now += timedelta(days=number)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keep(services: Services, media: Path, days: int | None = DAYS) -> Removed:
    return Retention(services.ledger, services.heads, media_dir=media, closed_alerts_days=days).run()


def closed(desk: Desk, media: Path, number: int) -> str:
    """An alert with its files, closed."""
    alert_id = desk.take(make_event(number, 1000.0 * number)).alert_id
    for path in (f"snapshots/day{number}/s.jpg", f"clips/day{number}/c.mp4", f"clips/day{number}/o.mkv"):
        (media / path).parent.mkdir(parents=True, exist_ok=True)
        (media / path).write_bytes(b"x")
    desk.attach_media(
        alert_id, snapshot=f"snapshots/day{number}/s.jpg",
        clips=[Clip(f"clips/day{number}/c.mp4", 0.0, 1.0, f"clips/day{number}/o.mkv")],
    )  # fmt: skip
    desk.act(alert_id, "resolve", reason="other", note="done", actor=GUARD)
    return alert_id


def test_what_is_over_goes_with_its_files_and_the_journal_goes_on(database: str, media: Path, clock: Clock) -> None:
    with reopened(database, media, now=clock) as services:
        old = closed(services.desk, media, 1)
        services.heads.sign("hourly")
        clock.days(20)
        young = closed(services.desk, media, 2)
        clock.days(DAYS - 19)
        before = services.ledger.now()
        removed = keep(services, media)
        assert (removed.alerts, removed.files, removed.held_by) == (1, 3, f"alert {young}")
        ids = [record.alert.alert_id for record in services.desk.list().records]
        assert ids == [young]
        assert [path.name for path in (media / "clips").iterdir()] == ["day2"]
        assert keep(services, media).alerts == 0  # Nothing is left to do.
        assert services.ledger.now() == before
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert report.checkpoint == removed.up_to_seq
    assert report.first == removed.up_to_seq + 1 if removed.up_to_seq else False
    assert old not in [finding.subject for finding in report.findings]
    with reopened(database, media, now=clock) as services:
        clock.days(DAYS)
        assert keep(services, media).alerts == 1  # A second checkpoint follows from the first.
        closed(services.desk, media, 3)
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert report.checkpoint is not None
    assert report.checkpoint > (removed.up_to_seq or 0)


def test_open_alerts_and_open_incidents_hold_it_back(database: str, media: Path, clock: Clock) -> None:
    with reopened(database, media, now=clock) as services:
        first = closed(services.desk, media, 1)
        services.incidents.create("a burglary", [first], actor=GUARD)
        second = services.desk.take(make_event(2, 2000.0)).alert_id
        clock.days(DAYS + 1)
        removed = keep(services, media)
        assert (removed.alerts, removed.files) == (0, 0)
        assert removed.held_by == f"alert {first}"
        assert len(services.desk.list().records) == 2
        services.desk.act(second, "resolve", reason="other", note="x", actor=GUARD)
        assert keep(services, media).alerts == 0  # It was closed just now.
    assert audit_of(database, media).intact


def test_an_incident_goes_with_its_last_alert(database: str, media: Path, clock: Clock) -> None:
    with reopened(database, media, now=clock) as services:
        first = closed(services.desk, media, 1)
        incident = services.incidents.create("a burglary", [first], actor=GUARD)
        services.incidents.close(incident.incident_id, note="done", actor=GUARD)
        clock.days(DAYS + 1)
        removed = keep(services, media)
        assert (removed.alerts, removed.incidents) == (1, 1)
    assert audit_of(database, media).intact


def test_without_a_number_of_days_nothing_goes(database: str, media: Path, clock: Clock) -> None:
    with reopened(database, media, now=clock) as services:
        closed(services.desk, media, 1)
        clock.days(4000)
        assert keep(services, media, None).alerts == 0
        assert len(services.desk.list().records) == 1


@pytest.mark.parametrize("moment", ["before the database", "after the database", "between two files"])
def test_a_kill_leaves_nothing_that_the_next_run_does_not_finish(
    database: str, media: Path, clock: Clock, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    with reopened(database, media, now=clock) as services:
        closed(services.desk, media, 1)
        clock.days(DAYS + 1)
        keeper = Retention(services.ledger, services.heads, media_dir=media, closed_alerts_days=DAYS)
        with monkeypatch.context() as patch:
            if moment == "before the database":
                patch.setattr("api.storage.retention.remove_alerts", kill)
            elif moment == "after the database":
                finish, calls = Retention._finish_files, []

                def second(self: Retention, removed: Removed) -> None:
                    calls.append(1)
                    finish(self, removed) if len(calls) == 1 else kill()

                patch.setattr(Retention, "_finish_files", second)
            else:
                remove, gone = Retention._remove, []

                def one(self: Retention, path: str) -> bool:
                    gone.append(path)
                    return remove(self, path) if len(gone) == 1 else bool(kill())

                patch.setattr(Retention, "_remove", one)
            with pytest.raises(Killed):
                keeper.run()
        there = len(services.desk.list().records)
        assert there == (1 if moment == "before the database" else 0)
        assert (media / REMOVING).exists()
        if there:  # An alert that is still there keeps its files.
            assert len([path for path in media.rglob("*") if path.suffix in (".jpg", ".mp4", ".mkv")]) == 3
        keep(services, media)
        assert not (media / REMOVING).exists()
        assert not [path for path in media.rglob("*") if path.suffix in (".jpg", ".mp4", ".mkv")]
    assert audit_of(database, media).intact


def test_nothing_outside_the_media_folder_is_removed(database: str, media: Path, clock: Clock) -> None:
    outside = media.parent / "outside.jpg"
    outside.write_bytes(b"x")
    (media / "link").symlink_to(media.parent)
    with reopened(database, media, now=clock) as services:
        ids = [closed(services.desk, media, number) for number in (1, 2, 3)]
        with raw(database) as connection:
            for alert_id, path in zip(ids, ("../outside.jpg", str(outside), "link/outside.jpg"), strict=True):
                sql(connection, "UPDATE alert SET snapshot = :p WHERE alert_id = :i", p=path, i=alert_id)
        clock.days(DAYS + 1)
        assert keep(services, media).alerts == 3
    assert outside.exists()


def test_a_file_that_another_alert_shows_stays(database: str, media: Path, clock: Clock) -> None:
    with reopened(database, media, now=clock) as services:
        closed(services.desk, media, 1)
        other = services.desk.take(make_event(2, 5000.0)).alert_id
        services.desk.attach_media(other, snapshot="snapshots/day1/s.jpg")
        clock.days(DAYS + 1)
        assert keep(services, media).files == 2
    assert (media / "snapshots/day1/s.jpg").exists()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM journal_checkpoint", "missing"),
        ("UPDATE journal_checkpoint SET up_to_seq = up_to_seq + 1", "checkpoint_forged"),
        ("UPDATE journal_checkpoint SET removed = '{}'", "checkpoint_forged"),
        (f"UPDATE journal_checkpoint SET hash = '{'c' * 64}'", "checkpoint_forged"),
        ("DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)", "missing"),
    ],
)
def test_a_checkpoint_is_not_a_way_around_the_audit(
    database: str, media: Path, clock: Clock, statement: str, what: str
) -> None:
    with reopened(database, media, now=clock) as services:
        closed(services.desk, media, 1)
        clock.days(DAYS + 1)
        closed(services.desk, media, 2)
        assert keep(services, media).up_to_seq
    assert audit_of(database, media).intact
    with raw(database) as connection:
        sql(connection, statement)
    assert what in {finding.what for finding in audit_of(database, media).findings}
