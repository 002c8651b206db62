"""One camera: looks only where it must, in order, the same whatever the number of threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
import supervision as sv

from pipeline.camera import track_camera
from pipeline.motion import Motion, MotionGate
from pipeline.motion_policy import CameraCounts, LookPolicy
from pipeline.motion_track import blob_tracker
from pipeline.track import Tracker, TrackUpdate
from pipeline.types import Box, Frame, TrackedFrame

WAIT_S = 20.0
WIDTH_PX, HEIGHT_PX = 640, 360


def person_at(t: float) -> Box | None:
    """Walks in at 6 s, stands from 10 s to 30 s, walks on and is gone at 34 s."""
    if not 6.0 <= t <= 34.0:
        return None
    x = 50.0 + 60.0 * (min(t, 10.0) - 6.0) + 60.0 * max(0.0, t - 30.0)
    return (x, 120.0, x + 40.0, 220.0)


def frames(seconds: float, fps: float = 5.0, *, person: bool = True) -> Iterator[Frame]:
    random = np.random.default_rng(2)
    ground = cv2.resize(random.normal(110, 12, (11, 20)).astype(np.float32), (320, 180))
    for k in range(int(seconds * fps)):
        t = k / fps
        plane = ground + random.normal(0.0, 1.5, ground.shape).astype(np.float32)
        box = person_at(t) if person else None
        if box:
            left, top, right, bottom = (round(side / 2) for side in box)
            cv2.rectangle(plane, (left, top), (right, bottom), 40.0, -1)
        luma = np.clip(plane, 0, 255).astype(np.uint8)
        yield Frame(k, t, None, cv2.merge([luma, luma, luma]), luma, WIDTH_PX, HEIGHT_PX)


def detections(*boxes: Box, score: float = 0.8) -> sv.Detections:
    if not boxes:
        return sv.Detections.empty()
    return sv.Detections(
        xyxy=np.array(boxes, np.float32),
        confidence=np.full(len(boxes), score, np.float32),
        class_id=np.zeros(len(boxes), np.int64),
        data={"class_name": np.array(["person"] * len(boxes))},
    )


def see(frame: Frame) -> sv.Detections:
    """What a perfect detector finds."""
    box = person_at(frame.media_time_s)
    return detections(box) if box else detections()


@dataclass
class Notebook:
    """A tracker that only notes what it is told."""

    told: list[tuple[str, float, int]] = field(default_factory=list)

    def update(self, found: sv.Detections, media_time_s: float, motion: Motion, image: np.ndarray) -> TrackUpdate:
        assert motion.media_time_s == media_time_s
        assert image.ndim == 3
        self.told.append(("look", media_time_s, len(found)))
        return TrackUpdate((), ())

    def hold(self, media_time_s: float) -> TrackUpdate:
        self.told.append(("hold", media_time_s, 0))
        return TrackUpdate((), ())

    def boxes(self) -> tuple[Box, ...]:
        return ()


def gate() -> MotionGate:
    return MotionGate(WIDTH_PX, HEIGHT_PX)


def looked_at(tracked: list[TrackedFrame], start_s: float, end_s: float) -> float:
    return float(np.mean([one.looked for one in tracked if start_s <= one.media_time_s < end_s]))


def test_looks_while_settling_and_where_something_moves_and_spares_the_rest() -> None:
    tracker, counts = Tracker(WIDTH_PX, HEIGHT_PX), CameraCounts()
    tracked = list(track_camera("gate", frames(60.0), see, gate=gate(), tracker=tracker, counts=counts))
    assert [one.index for one in tracked] == list(range(300))
    assert looked_at(tracked, 0.0, 3.0) == 1.0
    assert looked_at(tracked, 3.2, 6.0) == 0.0
    assert looked_at(tracked, 6.2, 12.0) == 1.0  # walking, and a while after the stop
    assert 0.0 < looked_at(tracked, 14.0, 30.0) <= 0.05  # standing: verified rarely
    assert looked_at(tracked, 30.2, 34.5) == 1.0
    assert looked_at(tracked, 38.0, 60.0) <= 0.05
    assert (counts.looked, counts.spared) == (sum(o.looked for o in tracked), sum(not o.looked for o in tracked))
    assert (counts.blind, counts.scene_changes) == (0, 0)


def test_who_stands_still_stays_one_track_and_is_held_between_looks() -> None:
    tracker = Tracker(WIDTH_PX, HEIGHT_PX)
    tracked = list(track_camera("gate", frames(40.0), see, gate=gate(), tracker=tracker))
    present = [one for one in tracked if 7.0 <= one.media_time_s <= 33.0]
    assert {track.track_id for one in present for track in one.tracks} == {present[0].tracks[0].track_id}
    assert all(len(one.tracks) == 1 for one in present)
    assert all(one.tracks[0].state == ("seen" if one.looked else "held") for one in present)


def test_same_results_with_any_number_of_threads_and_looks_ahead_of_the_tracker() -> None:
    def run(threads: int) -> list[TrackedFrame]:
        with ThreadPoolExecutor(threads) as pool:
            tracker = Tracker(WIDTH_PX, HEIGHT_PX)
            executor = pool if threads > 1 else None
            return list(track_camera("gate", frames(36.0), see, gate=gate(), tracker=tracker, executor=executor))

    assert run(1) == run(2) == run(4)


def test_results_enter_in_order_though_looks_end_out_of_order() -> None:
    late = Event()

    def look(frame: Frame) -> sv.Detections:
        if frame.index == 0:
            assert late.wait(WAIT_S)  # The first look ends last.
        if frame.index == 3:
            late.set()
        return detections(*[(0.0, 0.0, 9.0, 9.0)] * frame.index)

    notebook = Notebook()
    with ThreadPoolExecutor(2) as pool:
        tracked = track_camera("gate", frames(1.0), look, gate=gate(), tracker=notebook, executor=pool, window=4)
        assert [one.index for one in tracked] == [0, 1, 2, 3, 4]
    assert [told[2] for told in notebook.told] == [0, 1, 2, 3, 4]


def test_never_more_frames_in_flight_than_the_window() -> None:
    pulled = [0]

    def counted() -> Iterator[Frame]:
        for frame in frames(8.0):
            pulled[0] += 1
            yield frame

    for done, tracked in enumerate(track_camera("gate", counted(), see, gate=gate(), tracker=Notebook(), window=5)):
        assert tracked.index == done
        assert pulled[0] <= done + 5
    assert pulled[0] == 40


def test_window_of_one_answers_each_frame_at_once() -> None:
    source = frames(2.0)
    tracked = track_camera("gate", source, see, gate=gate(), tracker=Notebook(), window=1)
    assert [next(tracked).index, next(tracked).index] == [0, 1]
    assert next(source).index == 2


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_of_the_detector_comes_out(threads: int) -> None:
    def look(frame: Frame) -> sv.Detections:
        if frame.index == 6:
            raise RuntimeError("the detector failed")
        return detections()

    done: list[int] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        executor = pool if threads else None
        tracked = track_camera("gate", frames(8.0), look, gate=gate(), tracker=Notebook(), executor=executor, window=3)
        with pytest.raises(RuntimeError, match="the detector failed"):
            done.extend(one.index for one in tracked)


def test_closing_cancels_what_waits() -> None:
    go_on = Event()
    looked: list[int] = []

    def look(frame: Frame) -> sv.Detections:
        looked.append(frame.index)
        if frame.index:
            assert go_on.wait(WAIT_S)
        return detections()

    with ThreadPoolExecutor(1) as pool:
        tracked = track_camera("gate", frames(8.0), look, gate=gate(), tracker=Notebook(), executor=pool, window=6)
        assert next(tracked).index == 0
        tracked.close()
        go_on.set()
    assert len(looked) <= 2


def test_without_the_gate_every_frame_is_looked_at_and_motion_is_still_told() -> None:
    counts = CameraCounts()
    tracker = Tracker(WIDTH_PX, HEIGHT_PX)
    tracked = list(track_camera("gate", frames(36.0), see, gate=gate(), tracker=tracker, use_gate=False, counts=counts))
    assert all(one.looked for one in tracked)
    assert (counts.looked, counts.spared) == (180, 0)


def test_a_lamp_post_that_the_detector_half_takes_for_a_person_never_becomes_one() -> None:
    post = detections((300.0, 60.0, 330.0, 200.0), score=0.55)
    for use_gate in (True, False):
        tracker = Tracker(WIDTH_PX, HEIGHT_PX)
        source = frames(20.0, person=False)
        tracked = track_camera("gate", source, lambda _: post, gate=gate(), tracker=tracker, use_gate=use_gate)
        assert not any(one.tracks for one in tracked)


def test_parked_since_before_the_start_is_found_while_settling_and_held() -> None:
    car = detections((300.0, 60.0, 400.0, 120.0), score=0.85)
    tracker = Tracker(WIDTH_PX, HEIGHT_PX)
    source = frames(20.0, fps=3.3, person=False)
    tracked = list(track_camera("gate", source, lambda _: car, gate=gate(), tracker=tracker))
    assert all(len(one.tracks) == 1 for one in tracked if one.media_time_s >= 3.0)


def test_black_and_changed_pictures_are_blind_and_counted() -> None:
    def spoiled() -> Iterator[Frame]:
        for frame in frames(20.0, person=False):
            luma = frame.luma
            if 8.0 <= frame.media_time_s < 10.0:
                luma = np.full_like(luma, 16)
            yield Frame(frame.index, frame.media_time_s, None, frame.image, luma, WIDTH_PX, HEIGHT_PX)

    notebook, counts = Notebook(), CameraCounts()
    tracked = list(track_camera("gate", spoiled(), see, gate=gate(), tracker=notebook, counts=counts))
    blind = {one.media_time_s: one.blind for one in tracked if one.blind}
    assert blind == {**{k / 5.0: "no picture" for k in range(40, 50)}, 10.0: "camera-wide change"}
    assert (counts.blind, counts.scene_changes) == (11, 2)
    assert not any(one.looked for one in tracked if one.blind == "no picture")
    assert not any(kind == "hold" for kind, t, _ in notebook.told if 8.0 <= t < 10.0)
    assert looked_at(tracked, 10.0, 13.0) == 1.0


def test_motion_detector_follows_whatever_moves() -> None:
    counts = CameraCounts()
    tracker = blob_tracker(WIDTH_PX, HEIGHT_PX)
    tracked = list(track_camera("gate", frames(40.0), None, gate=gate(), tracker=tracker, counts=counts))
    assert [one.blind for one in tracked[:15]] == ["background settling"] * 15
    assert not any(one.blind for one in tracked[16:])
    present = [one for one in tracked if 7.0 <= one.media_time_s <= 33.0]
    assert {track.label for one in present for track in one.tracks} == {"object"}
    assert {track.track_id for one in present for track in one.tracks} == {present[0].tracks[0].track_id}
    assert np.mean([len(one.tracks) == 1 for one in present]) >= 0.97
    assert not any(one.tracks for one in tracked if one.media_time_s < 6.0 or one.media_time_s >= 36.0)


def test_looks_when_something_stands_where_nothing_stood_and_ever_more_rarely_while_it_stays() -> None:
    policy = LookPolicy()
    box = (10.0, 10.0, 50.0, 90.0)
    looks = []
    for k in range(600):
        t = k / 5.0
        still = (box,) if t >= 40.0 else ()
        if policy.due(Motion(t, False, (), t >= 3.0, False, still=still), ()):
            looks.append(t)
    assert [t for t in looks if t < 40.0] == [*(k / 5.0 for k in range(15)), 33.0]
    assert [t for t in looks if 40.0 <= t < 43.0] == [k / 5.0 for k in range(200, 213)]
    waits = np.diff([t for t in looks if t >= 42.4])
    assert waits.round(1).tolist() == [8.0, 16.0, 30.0]


def crossings(tracked: list[TrackedFrame], y: float) -> list[tuple[float, str]]:
    """(time, towards) at which the middle of a track's lower edge is for the first time on the other side of y."""
    side: dict[int, float] = {}
    found = []
    for one in tracked:
        for track in one.tracks:
            now = (track.box[1] + track.box[3]) / 2 - y * one.height_px
            before = side.setdefault(track.track_id, now)
            if (before > 0.0) != (now > 0.0):
                found.append((one.media_time_s, "top" if now < 0.0 else "bottom"))
                side[track.track_id] = now
    return found


@pytest.mark.parametrize("fps", [None, 5.0, 3.3])
def test_motion_detector_sees_four_cars_from_above_through_exposure_shifts(footage: Path, fps: float | None) -> None:
    from pipeline.decode import Decoder
    from pipeline.source import open_source

    with open_source(str(footage / "car-detection.mp4")) as source:
        decoder = Decoder(source, analyse_fps=fps, analysis_size=(448, 256))
        pictures = decoder.frames(source.packets())
        tracked = list(track_camera("yard", pictures, None, gate=MotionGate(768, 432), tracker=blob_tracker(768, 432)))
    passed = crossings(tracked, 0.5)
    assert [towards for _, towards in passed] == ["top", "bottom", "top", "bottom"]
    for (at_s, _), expected_s in zip(passed, [6.6, 16.3, 16.9, 26.5], strict=True):
        assert abs(at_s - expected_s) <= 1.0
    empty = [(3.0, 4.0), (9.5, 14.0), (20.0, 25.0), (28.5, 30.1)]
    ghosts = [one.media_time_s for one in tracked for a, b in empty if a <= one.media_time_s <= b and one.tracks]
    assert ghosts == []


def test_real_detector_spared_where_a_real_person_stands(footage: Path, truth: Path) -> None:
    from models.load import load_detector
    from pipeline.decode import Decoder
    from pipeline.source import open_source

    clip = "one-by-one-person-detection.mp4"
    start_s, end_s = json.loads((truth / "clips.json").read_text())[clip]["visits"][0]["visible"]
    detector = load_detector("nanodet-g")

    def look(frame: Frame) -> sv.Detections:
        return detector.detect([frame.image], [(frame.width_px, frame.height_px)])[0]

    def run(threads: int) -> list[TrackedFrame]:
        with open_source(str(footage / clip)) as source, ThreadPoolExecutor(threads) as pool:
            decoder = Decoder(source, analyse_fps=5.0, analysis_size=detector.analysis_size(768, 432))
            pictures = takewhile(lambda frame: frame.media_time_s < 22.5, decoder.frames(source.packets()))
            return list(
                track_camera(
                    "room", pictures, look, gate=MotionGate(768, 432), tracker=Tracker(768, 432), executor=pool
                )
            )

    tracked = run(1)
    assert tracked == run(2)
    present = [one.media_time_s for one in tracked if one.tracks]
    assert abs(present[0] - start_s) <= 1.0
    assert abs(present[-1] - end_s) <= 1.0
    standing = [one for one in tracked if 12.5 <= one.media_time_s <= 17.5]
    assert all([track.label for track in one.tracks] == ["person"] for one in standing)
    assert np.mean([one.looked for one in standing]) <= 0.2
    assert np.mean([one.looked for one in tracked if 3.2 <= one.media_time_s <= 5.2]) == 0.0
