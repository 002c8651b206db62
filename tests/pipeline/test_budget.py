"""The budget: newest frame wins, importance decides under overload, nobody starves, and every drop is counted."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import numpy as np
import pytest
import supervision as sv

from pipeline.budget import STARVED_S, CameraShare, Dispatcher, DispatcherClosedError, NewestFrame, Request, Turns
from pipeline.types import Frame

WAIT_S = 20.0
"""Bound of every wait, so that a broken lock fails the test and does not hang it."""


def frame(index: int = 0, media_time_s: float = 0.0) -> Frame:
    image = np.zeros((8, 8, 3), np.uint8)
    return Frame(index, media_time_s, None, image, image[:, :, 0], 8, 8)


def boxes(frames: Sequence[Frame]) -> list[sv.Detections]:
    """One box a frame, whose left side is the frame's index."""
    return [sv.Detections(np.array([[one.index, 0.0, one.index + 1.0, 1.0]], np.float32)) for one in frames]


def test_a_slow_reader_gets_the_newest_frame_and_the_others_are_counted() -> None:
    slot = NewestFrame()
    for index in range(5):
        slot.put(frame(index))
    reader = iter(slot)
    assert next(reader).index == 4
    slot.put(frame(5))
    slot.close()
    slot.put(frame(6))
    assert [one.index for one in reader] == [5]
    assert (slot.offered, slot.dropped) == (6, 4)


def test_a_waiting_reader_is_woken_by_a_frame_and_by_close() -> None:
    slot = NewestFrame()
    first = Event()
    taken: list[int] = []

    def read() -> None:
        for one in slot:
            taken.append(one.index)
            first.set()

    thread = Thread(target=read)
    thread.start()
    slot.put(frame(7))
    assert first.wait(WAIT_S)
    slot.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert taken == [7]


def simulate(
    cameras: dict[str, tuple[int, float]], *, look_s: float, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Looks per second, and longest gap in seconds, of cameras (name: priority, wanted fps) on one detector.

    A camera has a frame 1 / wanted fps after the last, or at once when its look came later than that.
    """
    turns = Turns()
    turns.cameras = {name: CameraShare(priority, wanted_fps) for name, (priority, wanted_fps) in cameras.items()}
    asks = dict.fromkeys(cameras, 0.0)
    served: dict[str, list[float]] = {name: [0.0] for name in cameras}
    now_s = 0.0
    while now_s < seconds:
        for name in [name for name, at_s in asks.items() if at_s <= now_s + 1e-9]:
            turns.waiting.append(Request(name, frame(), now_s))
            asks[name] = float("inf")
        request = turns.take(now_s)
        if request is None:
            now_s = min(asks.values())
            continue
        asks[request.camera] = max(now_s + look_s, request.asked_s + 1.0 / cameras[request.camera][1])
        now_s += look_s
        served[request.camera].append(now_s)
    rates = {name: (len(times) - 1) / seconds for name, times in served.items()}
    return rates, {name: float(np.diff(times).max()) for name, times in served.items()}


def test_enough_for_all_gives_all_what_they_want() -> None:
    rates, _ = simulate({"gate": (2, 5.0), "lawn": (0, 3.3)}, look_s=0.05, seconds=60.0)
    assert rates["gate"] == pytest.approx(5.0, abs=0.1)
    assert rates["lawn"] == pytest.approx(3.3, abs=0.1)


def test_overload_degrades_the_least_important_first_and_starves_none() -> None:
    rates, gaps = simulate({"gate": (2, 5.0), "door": (1, 3.0), "lawn": (0, 5.0)}, look_s=0.1, seconds=60.0)
    assert rates["gate"] >= 4.7
    assert rates["door"] >= 2.4
    assert 1.0 <= rates["lawn"] <= 2.6
    assert sum(rates.values()) == pytest.approx(10.0, abs=0.2)

    rates, gaps = simulate({"gate": (2, 10.0), "door": (1, 5.0), "lawn": (0, 5.0)}, look_s=0.1, seconds=60.0)
    assert rates["gate"] >= 8.0
    assert max(gaps.values()) <= STARVED_S + 0.5
    assert gaps["gate"] <= 0.3


def test_equals_share_equally_in_proportion_to_what_they_want() -> None:
    rates, _ = simulate({f"c{k}": (0, 5.0) for k in range(6)}, look_s=0.1, seconds=60.0)
    assert max(rates.values()) - min(rates.values()) <= 0.1


def test_an_idle_camera_does_not_catch_up() -> None:
    turns = Turns()
    turns.cameras = {"idle": CameraShare(0, 5.0), "busy": CameraShare(0, 5.0)}
    order = []
    now_s = 100.0  # "idle" asks for the first time in 100 s, and then as often as it gets a look.
    for _ in range(20):
        for name in turns.cameras:
            if all(request.camera != name for request in turns.waiting):
                turns.waiting.append(Request(name, frame(), now_s))
        request = turns.take(now_s)
        assert request is not None
        order.append(request.camera)
        now_s += 0.1
    assert 8 <= order.count("idle") <= 12


def started(detect: object, **options: int) -> Dispatcher:
    dispatcher = Dispatcher(detect, **options)
    dispatcher.start()
    for number, name in enumerate("abc"):
        dispatcher.add(name, priority=-number)
    return dispatcher


def test_every_camera_gets_the_answer_to_its_own_frame() -> None:
    for options in ({"threads": 2}, {"threads": 1, "batch": 3}, {"threads": 2, "batch": 2}):
        dispatcher = started(boxes, **options)
        with ThreadPoolExecutor(3) as pool:

            def ask(name: str, start: int, dispatcher: Dispatcher = dispatcher) -> list[float]:
                return [dispatcher.look(name, frame(start + k)).xyxy[0, 0] for k in range(100)]

            answers = [pool.submit(ask, name, 1000 * number) for number, name in enumerate("abc")]
            for number, answer in enumerate(answers):
                assert answer.result(WAIT_S) == [1000 * number + k for k in range(100)]
        assert [counts.looked for counts in dispatcher.counts().values()] == [100, 100, 100]
        dispatcher.close()


def test_as_many_looks_at_once_as_there_are_threads() -> None:
    together = Barrier(2, timeout=WAIT_S)

    def detect(frames: Sequence[Frame]) -> list[sv.Detections]:
        together.wait()  # Broken after the time-out unless two looks meet here.
        return boxes(frames)

    dispatcher = started(detect, threads=2)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(dispatcher.look, name, frame()) for name in "ab"]
        assert all(len(answer.result(WAIT_S)) == 1 for answer in answers)
    dispatcher.close()


@pytest.mark.parametrize(("threads", "batch"), [(1, 1), (2, 1), (1, 3)])
def test_a_failed_look_is_reported_to_its_camera_and_harms_no_other(threads: int, batch: int) -> None:
    def detect(frames: Sequence[Frame]) -> list[sv.Detections]:
        if any(one.index == 13 for one in frames):
            raise RuntimeError("the runtime failed on this frame")
        return boxes(frames)

    dispatcher = started(detect, threads=threads, batch=batch)

    def ask(name: str) -> list[int]:
        bad = []
        for k in range(30):
            try:
                dispatcher.look(name, frame(k if name == "a" else 100 + k))
            except RuntimeError:
                bad.append(k)
        return bad

    with ThreadPoolExecutor(3) as pool:
        answers = {name: pool.submit(ask, name) for name in "abc"}
        assert {name: answer.result(WAIT_S) for name, answer in answers.items()} == {"a": [13], "b": [], "c": []}
    counts = dispatcher.counts()
    assert (counts["a"].looked, counts["a"].failed) == (29, 1)
    assert (counts["b"].looked, counts["b"].failed) == (30, 0)
    dispatcher.close()


def test_close_wakes_those_that_wait_and_joins_the_running_look() -> None:
    running, go_on = Event(), Event()

    def detect(frames: Sequence[Frame]) -> list[sv.Detections]:
        running.set()
        assert go_on.wait(WAIT_S)
        return boxes(frames)

    dispatcher = started(detect, threads=1)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(dispatcher.look, "a", frame(1))
        assert running.wait(WAIT_S)
        waits = pool.submit(dispatcher.look, "b", frame(2))
        closed = pool.submit(dispatcher.close)
        with pytest.raises(DispatcherClosedError, match="camera b: the detector is closed"):
            waits.result(WAIT_S)
        assert not closed.done()
        go_on.set()
        closed.result(WAIT_S)
        assert first.result(0)
    with pytest.raises(DispatcherClosedError):
        dispatcher.look("a", frame())
    dispatcher.start()
    dispatcher.add("a")
    assert len(dispatcher.look("a", frame())) == 1


def test_waiting_and_drops_are_counted_under_the_given_clock() -> None:
    now_s = [50.0]

    def detect(frames: Sequence[Frame]) -> list[sv.Detections]:
        now_s[0] += 3.0
        return boxes(frames)

    dispatcher = Dispatcher(detect, clock=lambda: now_s[0])
    dispatcher.start()
    slot = dispatcher.add("gate", priority=3, wanted_fps=2.0)
    slot.put(frame(0))
    slot.put(frame(1))
    newest = next(iter(slot))
    dispatcher.look("gate", newest)
    counts = dispatcher.counts()["gate"]
    assert (counts.offered, counts.dropped, counts.looked, counts.failed) == (2, 1, 1, 0)
    assert (counts.priority, counts.wanted_fps, counts.waited_s) == (3, 2.0, 0.0)
    dispatcher.remove("gate")
    assert dispatcher.counts() == {}
    with pytest.raises(KeyError):
        dispatcher.look("gate", newest)


@pytest.mark.parametrize("options", [{"threads": 0}, {"batch": 0}])
def test_senseless_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        Dispatcher(boxes, **options)
    with pytest.raises(ValueError, match="wanted_fps must be above 0"):
        Dispatcher(boxes).add("gate", wanted_fps=0.0)
