"""Synthetic scenes through the product's own path from pixels on: gate, looks, tracks, rules.

Every number here is synthetic: drawn pictures, and a scripted detector that trembles, misses, flickers and takes lamp
posts for persons. No real footage shows these things with an exact truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import supervision as sv
from shapely.geometry import Point, Polygon

from pipeline.camera import CameraCounts, track_camera
from pipeline.motion import MotionGate
from pipeline.track import Tracker
from pipeline.types import TrackedFrame
from rules.engine import Engine
from rules.registry import RULES
from rules.types import Input, RuleEvent
from sample_footage.scenes import HEIGHT_PX, SCENES, WIDTH_PX, YARD, Detection, Scene, empty_night
from sample_footage.scenes_draw import frames


def detections(found: list[Detection]) -> sv.Detections:
    return sv.Detections(
        xyxy=np.array([one.box for one in found], np.float32).reshape(-1, 4),
        confidence=np.array([one.score for one in found], np.float32),
        class_id=np.zeros(len(found), np.int64),
        data={"class_name": np.array([one.label for one in found], dtype=str)},
    )


def through(
    scene: Scene, fps: float, *, jitter_px: float = 1.0, missed: float = 0.05, counts: CameraCounts | None = None
) -> tuple[TrackedFrame, ...]:
    script = [detections(found) for found in scene.detections(fps, jitter_px=jitter_px, missed=missed)]
    tracked = track_camera(
        "drawn", frames(scene, fps), lambda frame: script[frame.index],
        gate=MotionGate(WIDTH_PX, HEIGHT_PX), tracker=Tracker(WIDTH_PX, HEIGHT_PX), counts=counts,
    )  # fmt: skip
    return tuple(tracked)


@cache
def seen(name: str, fps: float) -> tuple[TrackedFrame, ...]:
    return through(SCENES[name](), fps)


def events(scene: Scene, tracked: Iterable[TrackedFrame], **config: object) -> list[RuleEvent]:
    rule = RULES[str(config["kind"])].Config.model_validate({"name": "rule", **config})
    engine = Engine(
        "drawn", [rule], zones={"yard": YARD}, lines={"line": scene.line}, schedules={}, timezone=ZoneInfo("UTC"),
        versions={},
    )  # fmt: skip
    for at_s in scene.authorised_s:
        engine.receive(Input("drawn", "line", "authorisation", at_s))
    return [event for frame in tracked for event in engine.update(frame)] + engine.finish()


def ids(tracked: Iterable[TrackedFrame]) -> set[int]:
    return {track.track_id for frame in tracked for track in frame.tracks}


def in_yard_s(scene: Scene) -> float:
    """When the scene's only mover is in the yard for the first time."""
    (mover,) = scene.movers
    return next(t for t in scene.times(50.0) if (at := mover.anchor(t)) and Polygon(YARD).contains(Point(at)))


@pytest.mark.parametrize("fps", [25.0, 10.0, 5.0, 3.3])
@pytest.mark.parametrize("name", ["barrier", "door"])
def test_every_passage_and_exactly_the_true_tailgating_with_its_headway(name: str, fps: float) -> None:
    scene, tracked = SCENES[name](), seen(name, fps)
    truth = scene.crossings()
    assert len(ids(tracked)) == len(scene.movers)
    passed = sorted(events(scene, tracked, kind="line_crossing", line="line"), key=lambda event: event.start_s)
    assert [event.direction for event in passed] == [crossing.direction for crossing in truth]
    assert [event.start_s for event in passed] == pytest.approx([crossing.at_s for crossing in truth], abs=0.1)
    second = truth[1].at_s
    (close,) = events(scene, tracked, kind="tailgating", line="line", headway_s=3)
    assert close.start_s == pytest.approx(second, abs=0.1)
    assert close.measured["headway_s"].value == pytest.approx(second - truth[0].at_s, abs=0.1)
    (alone,) = events(scene, tracked, kind="tailgating", line="line", authorisation="event", valid_s=5)
    assert alone.start_s == pytest.approx(second, abs=0.1)
    assert (alone.measured["crossings"].value, alone.measured["crossings"].threshold) == (2, 1)


@pytest.mark.parametrize("name", ["night", "rain", "exposure"])
def test_one_object_through_noise_rain_and_exposure_jumps_is_one_crossing(name: str) -> None:
    scene, tracked = SCENES[name](), seen(name, 5.0)
    (truth,) = scene.crossings()
    (event,) = events(scene, tracked, kind="line_crossing", line="line")
    assert event.start_s == pytest.approx(truth.at_s, abs=0.2)
    assert event.direction == truth.direction
    assert len(ids(tracked)) == 1


@pytest.mark.parametrize(("fps", "jitter_px"), [(10.0, 1.0), (5.0, 3.0), (3.3, 1.0)])
def test_an_intruder_scored_as_weakly_as_the_lamp_posts_he_passes_is_found_and_they_are_not(
    fps: float, jitter_px: float
) -> None:
    scene = SCENES["fence"]()
    tracked = through(scene, fps, jitter_px=jitter_px)
    (event,) = events(scene, tracked, kind="intrusion", zone="yard", labels=["person"])
    assert 0.0 <= event.raised_s - in_yard_s(scene) <= 2.0
    (mover,) = scene.movers
    for frame in tracked:
        for track in frame.tracks:
            at = mover.box(frame.media_time_s)
            assert at is not None, f"somebody at {frame.media_time_s} s in an empty yard: {track}"
            assert track.box[0] < at[2] + 10
            assert track.box[2] > at[0] - 10


def test_ten_minutes_of_an_empty_night_make_nobody() -> None:
    counts = CameraCounts()
    tracked = through(empty_night(), 3.3, counts=counts)
    assert not ids(tracked)
    assert counts.looked > 200, "the posts were looked at"


@pytest.mark.parametrize(("fps", "missed"), [(10.0, 0.05), (5.0, 0.15), (3.3, 0.1)])
def test_who_stands_still_for_a_minute_is_one_track_and_loiters_on_time(fps: float, missed: float) -> None:
    scene = SCENES["waiting"]()
    tracked = through(scene, fps, missed=missed)
    assert ids(tracked) == {1}
    stands = [frame for frame in tracked if 20.0 <= frame.media_time_s <= 70.0]
    assert np.mean([frame.looked for frame in stands]) <= 0.25
    assert np.mean([bool(frame.tracks) for frame in stands]) >= 0.95
    (event,) = events(scene, tracked, kind="loitering", zone="yard", dwell_s=30, labels=["person"])
    assert event.raised_s == pytest.approx(in_yard_s(scene) + 30.0, abs=0.5)


def test_a_still_scene_costs_few_looks() -> None:
    counts = CameraCounts()
    through(replace(SCENES["waiting"](), movers=()), 5.0, counts=counts)
    # Settling, and then once in half a minute.
    assert counts.looked <= 3.2 * 5.0 + 3
    assert counts.looked + counts.spared == 84 * 5
