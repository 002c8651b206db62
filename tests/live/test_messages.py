"""Nothing that was found is lost between a worker and the alerts: full queues, a busy database, dead ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.alerts import EXTERNAL, Clip
from api.arming import Arming
from api.desk import Desk, ExternalEvent
from api.errors import UnavailableError
from api.journal import SYSTEM
from api.live_view import Picture
from gatewatch.errors import FrontError, OutputError
from gatewatch.live import listening, only_one_on
from gatewatch.live_board import Board, WorkerStatus
from gatewatch.live_desk import LiveDesk
from gatewatch.live_evidence import LiveEvidence
from gatewatch.live_messages import (
    ClipsDone,
    EventRaised,
    EvidenceWanted,
    InputGiven,
    PictureDone,
    PictureWanted,
    Ready,
    Report,
    SnapshotDone,
)
from gatewatch.live_outbox import Outbox
from gatewatch.live_pictures import write
from gatewatch.live_plans import arming_plan
from gatewatch.site import load_site
from pipeline.clip import ClipPart, ClipResult
from pipeline.errors import MediaError
from pipeline.types import Frame
from rules.types import RuleEvent
from tests.api.kit import open_desk
from tests.conftest import ROOT
from tests.live.kit import until
from tests.live.workers import EVENT

SITE = load_site(ROOT / "sample_footage" / "site.yaml")


def event(number: int, start_s: float, raised_s: float) -> RuleEvent:
    return replace(
        EVENT, event_id=f"forecourt.line.{number:06d}", camera="forecourt", start_s=start_s, raised_s=raised_s,
        raised_at=datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=raised_s),
    )  # fmt: skip


# Outbox


def test_a_full_outbox_holds_events_back_and_loses_none() -> None:
    gate, sent = threading.Event(), []

    def slow(message: Any) -> None:
        gate.wait(10)
        sent.append(message)

    outbox = Outbox(slow, limit=3).start()
    done = threading.Event()

    def raise_events() -> None:
        for number in range(20):
            assert outbox.put(Ready(number))
        done.set()

    threading.Thread(target=raise_events, daemon=True).start()
    until(lambda: len(outbox) == 3, 5)
    assert not done.wait(0.05)
    for number in range(5):
        outbox.report(Report((), number, 0, 0, 0))
    gate.set()
    assert done.wait(10)
    outbox.close()
    assert [message.pid for message in sent if isinstance(message, Ready)] == list(range(20))
    assert [message.waiting for message in sent if isinstance(message, Report)][-1:] == [4]


def test_nobody_waits_for_an_outbox_whose_reader_is_gone() -> None:
    def broken(_: Any) -> None:
        raise BrokenPipeError

    outbox = Outbox(broken, limit=1).start()
    until(lambda: not outbox.put(Ready(1)), 5)
    outbox.close()
    assert outbox.broken


# Desk


class Worker:
    """Stands for the supervisor: keeps what it is to send."""

    def __init__(self, takes: bool = True) -> None:
        self.status = WorkerStatus("one")
        self.sent: list[Any] = []
        self.takes, self.events, self.retries = takes, 0, 0

    def send(self, message: Any) -> bool:
        if self.takes:
            self.sent.append(message)
        return self.takes

    def took_event(self) -> None:
        self.events += 1

    def waited_for_database(self) -> None:
        self.retries += 1


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path / "alerts.db", media_dir=tmp_path) as desk:
        yield desk


def live_desk(desk: Desk, worker: Any) -> LiveDesk:
    live = LiveDesk(SITE, desk, Arming(desk._ledger, arming_plan(SITE)), Board(("forecourt",)), lambda _: None)
    live.serves(worker, ("forecourt",))
    return live


def armed(desk: Desk, worker: Worker) -> tuple[Arming, LiveDesk]:
    arming = Arming(desk._ledger, arming_plan(SITE))
    live = LiveDesk(SITE, desk, arming, Board(("forecourt",)), lambda _: None)
    arming.on_change = live.arm
    live.serves(worker, ("forecourt",))  # type: ignore[arg-type]
    return arming, live


def test_workers_are_told_what_is_disarmed_and_only_that(desk: Desk) -> None:
    rules = sorted(rule.name for rule in SITE.cameras["forecourt"].rules)

    def told(worker: Worker) -> list[tuple[str, str]]:
        given, worker.sent = [(one.kind, one.line) for one in worker.sent if isinstance(one, InputGiven)], []
        return given

    first = Worker()
    arming, _ = armed(desk, first)
    assert told(first) == []
    arming.override("forecourt", rules[1], False, actor=SYSTEM)
    assert told(first) == [("disarm", rules[1])]
    arming.override("forecourt", "", False, actor=SYSTEM)
    assert told(first) == [("disarm", rule) for rule in rules if rule != rules[1]]
    second = Worker()  # Of the next start of Gatewatch: nothing was forgotten.
    arming, live = armed(desk, second)
    assert told(second) == [("disarm", rule) for rule in rules]
    arming.set_profile("drill", actor=SYSTEM, expected_version=None)
    assert told(second) == [("arm", rule) for rule in rules]
    live.take(second, EventRaised(event(1, 1, 2), None), "run1")  # type: ignore[arg-type]
    assert [record.alert.drill for record in desk.list().records] == [True]


def test_an_event_from_outside_gets_the_pictures_of_the_camera_that_looks_there(desk: Desk) -> None:
    worker, at = Worker(), datetime(2026, 5, 1, tzinfo=UTC)
    _, live = armed(desk, worker)
    told = ExternalEvent("panel", "7", "panic_button", "critical", at, "forecourt")
    alert = desk.raise_external(told)
    live.on_external(alert, told.as_rule_event(), at)
    wanted = worker.sent[-1]
    assert (wanted.alert_id, wanted.run, wanted.snapshot, wanted.at) == (alert.alert_id, EXTERNAL, True, at)
    worker.takes = False
    other = ExternalEvent("panel2", "8", "panic_button", "critical", at, "forecourt")
    alert = desk.raise_external(other)
    live.on_external(alert, other.as_rule_event(), at)
    assert desk.get(alert.alert_id).media == "missing"


def test_pictures_are_asked_for_and_what_comes_is_handed_on(desk: Desk, tmp_path: Path) -> None:
    worker = Worker()
    _, live = armed(desk, worker)
    seen: list[Any] = []
    live.view.shown = lambda *told: seen.append(told)  # type: ignore[method-assign]
    live.view.renew("forecourt")
    live.view.renew("forecourt")
    assert worker.sent == [PictureWanted("forecourt", 5.0)]
    dark = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(3, 1.5, datetime(2026, 5, 1, tzinfo=UTC), dark, dark[:, :, 0], 8, 8)
    write(tmp_path / ".live" / "forecourt.picture", b"jpeg\n\x00", frame, full=False)
    live.take(worker, PictureDone("forecourt", ".live/forecourt.picture"), "run1")  # type: ignore[arg-type]
    live.take(worker, PictureDone("forecourt", None, "The disk is full."), "run1")  # type: ignore[arg-type]
    live.take(worker, PictureDone("forecourt", ".live/none"), "run1")  # type: ignore[arg-type]
    picture = Picture(b"jpeg\n\x00", frame.wall_time, 1.5, full=False)
    assert seen[:2] == [("forecourt", picture), ("forecourt", None, "The disk is full.")]
    assert seen[2][:2] == ("forecourt", None)


def test_events_wait_for_a_busy_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewatch.live_desk.RETRY_S", (0.001, 0.001))
    worker, take, refused = Worker(), desk.take, [1, 1, 1]

    def busy(*args: Any, **options: Any) -> Any:
        if refused:
            refused.pop()
            raise UnavailableError("The database cannot be used now: database is locked.")
        return take(*args, **options)

    monkeypatch.setattr(desk, "take", busy)
    live = live_desk(desk, worker)
    live.take(worker, EventRaised(event(1, 1, 2), None), "run1")
    assert (worker.events, worker.retries) == (1, 3)
    assert desk.counts() == {"new": 1}


def test_an_alert_asks_once_for_its_picture_and_gathers_its_clips(desk: Desk) -> None:
    worker: Any = Worker()
    live = live_desk(desk, worker)
    for number, at_s in ((1, 10.0), (2, 20.0)):
        live.take(worker, EventRaised(event(number, at_s, at_s + 1), None), "run1")
    alert_id = worker.sent[0].alert_id
    assert [(wanted.alert_id, wanted.snapshot) for wanted in worker.sent] == [(alert_id, True), (alert_id, False)]
    live.take(worker, SnapshotDone(alert_id, "snapshots/1.jpg"), "run1")
    for name in ("1", "2"):
        live.take(worker, ClipsDone(alert_id, (Clip(f"clips/{name}.mp4", 0.0),)), "run1")
    record = desk.get(alert_id)
    assert record.media == "ready"
    assert record.alert.snapshot == "snapshots/1.jpg"
    assert [clip.path for clip in record.alert.clips] == ["clips/1.mp4", "clips/2.mp4"]
    live.take(worker, ClipsDone(alert_id, (), "There is no footage."), "run1")
    assert desk.get(alert_id).media == "ready"


def test_alerts_whose_worker_died_say_that_no_clip_will_come(desk: Desk) -> None:
    worker: Any = Worker()
    live = live_desk(desk, worker)
    live.take(worker, EventRaised(event(1, 1, 2), None), "run1")
    assert live.lost(worker) == 1
    assert live.lost(worker) == 0
    (record,) = desk.list().records
    assert record.media == "missing"
    assert record.media_note == "The camera process ended before the clip was cut."


def test_alerts_of_a_killed_process_are_cleared_at_the_next_start(desk: Desk) -> None:
    for number in range(1, 4):
        desk.take(event(number, number * 1000.0, number * 1000.0), run=f"run{number}")
    desk.attach_media(desk.list().records[0].alert.alert_id, clips=[Clip("clips/1.mp4", 0.0)])
    assert live_desk(desk, Worker()).clear_left_behind() == 2
    assert sorted(record.media for record in desk.list().records) == ["missing", "missing", "ready"]


# Evidence


class Ring:
    """A camera whose ring notes what was asked of it."""

    def __init__(self) -> None:
        self.recorder = self
        self.asked: list[tuple[float, float, float, str]] = []
        self.futures: list[Future[ClipResult]] = []

    def footage_shift_s(self) -> float:
        return 100.0

    def request(
        self, start_s: float, end_s: float, path: Path, *, pre_roll_s: float, post_roll_s: float
    ) -> Future[ClipResult]:
        assert post_roll_s == SITE.clips.post_s
        self.asked.append((start_s, end_s, pre_roll_s, path.name))
        self.futures.append(Future())
        return self.futures[-1]

    def answer(self, path: Path) -> None:
        start_s, end_s, pre_s, name = self.asked[-1]
        part = ClipPart(path / name, None, start_s - pre_s, end_s + 5, rendered=False)
        self.futures[-1].set_running_or_notify_cancel()
        self.futures[-1].set_result(
            ClipResult(part.path, None, part.from_s, part.to_s, False, 0.0, 0.0, (part,))
        )  # fmt: skip


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[tuple[Callable[[RuleEvent], None], Ring, list[Any]]]:
    ring, sent = Ring(), []
    cameras: Any = {"forecourt": ring}
    maker = LiveEvidence(SITE, cameras, tmp_path, sent.append)
    yield lambda raised: maker.want(EvidenceWanted("alert.x", raised, "r", None, snapshot=False)), ring, sent
    maker.close()


def test_events_of_one_alert_share_footage_without_gaps(
    evidence: tuple[Callable[[RuleEvent], None], Ring, list[Any]], tmp_path: Path
) -> None:
    want, ring, sent = evidence
    want(event(1, 10.0, 11.0))
    want(event(2, 12.0, 14.0))  # while the first clip waits for its post-roll: one clip for both
    assert ring.asked == [
        (110.0, 111.0, 5.0, "alert.r.forecourt.line.000001.mp4"),
        (110.0, 114.0, 5.0, "alert.r.forecourt.line.000001.mp4"),
    ]
    assert sent == []
    ring.answer(tmp_path)
    assert [(clip.path, clip.from_s, clip.to_s) for clip in sent[0].clips] == [
        ("clips/2026-05-01/alert.r.forecourt.line.000001.mp4", 5.0, 19.0)
    ]
    want(event(3, 22.0, 23.0))  # its pre-roll overlaps what was cut: goes on where that ended
    assert ring.asked[-1] == (119.0, 123.0, 0.0, "alert.r.forecourt.line.000003.mp4")
    ring.answer(tmp_path)
    want(event(4, 50.0, 51.0))
    assert ring.asked[-1] == (150.0, 151.0, 5.0, "alert.r.forecourt.line.000004.mp4")
    ring.futures[-1].set_running_or_notify_cancel()
    ring.futures[-1].set_exception(MediaError("rtsp://guard:s3cret@192.0.2.1/x: there is no footage."))
    assert sent[-1] == ClipsDone("alert.x", (), "rtsp://guard:***@192.0.2.1/x: there is no footage.")


# Front


def test_a_taken_port_and_a_taken_folder_are_said(tmp_path: Path) -> None:
    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(FrontError, match=rf"^127.0.0.1:{port}: cannot be served on: .* one with --port\)\.$"):
            listening("127.0.0.1", port)
    with pytest.raises(FrontError, match=r"^--host: expected an address of this machine, found no\.such\.host"):
        listening("no.such.host.invalid", 0)
    taken = pytest.raises(OutputError, match=r"data: another gatewatch run keeps its data here\.$")
    with only_one_on(tmp_path / "data"), taken, only_one_on(tmp_path / "data"):
        pass
    with only_one_on(tmp_path / "data"):
        pass
