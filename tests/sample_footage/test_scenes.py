"""The synthetic scenes: the same every time, true to their own truth, and usable by rules without a detector."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest

from rules.engine import Engine
from rules.registry import RULES
from rules.types import Input, RuleEvent
from sample_footage.scenes import HEIGHT_PX, SCENES, WIDTH_PX, Scene
from sample_footage.scenes_draw import pictures, write_video


def events(scene: Scene, fps: float, **config: object) -> list[RuleEvent]:
    rule = RULES[str(config["kind"])].Config.model_validate({"name": "rule", "line": "line", **config})
    engine = Engine(
        "drawn", [rule], zones={}, lines={"line": list(scene.line)}, schedules={}, timezone=ZoneInfo("UTC"), versions={}
    )
    for at_s in scene.authorised_s:
        engine.receive(Input("drawn", "line", "authorisation", at_s))
    return [event for frame in scene.tracked(fps) for event in engine.update(frame)] + engine.finish()


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("fps", [3.3, 10.0, 25.0])
def test_line_rule_finds_the_true_crossings(name: str, fps: float) -> None:
    scene = SCENES[name]()
    found = sorted(events(scene, fps, kind="line_crossing"), key=lambda event: event.start_s)
    truth = scene.crossings()
    assert truth
    assert [(event.track_ids[0], event.direction) for event in found] == [(c.object_id, c.direction) for c in truth]
    for event, crossing in zip(found, truth, strict=True):
        assert event.start_s == pytest.approx(crossing.at_s, abs=1 / fps)


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_the_follower_at_the_barrier_tailgates(fps: float) -> None:
    found = events(SCENES["barrier"](), fps, kind="tailgating", headway_s=3, labels=["vehicle"])
    assert [event.track_ids[0] for event in found] == [2]


def test_who_slips_in_at_the_door_has_no_authorisation() -> None:
    found = events(SCENES["door"](), 10.0, kind="tailgating", authorisation="event", valid_s=5, labels=["person"])
    assert [event.track_ids[0] for event in found] == [2]


@pytest.mark.parametrize("name", SCENES)
def test_pictures_and_detections_are_the_same_every_time(name: str) -> None:
    first, second = ([*pictures(SCENES[name](), 1.0)] for _ in range(2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, second, strict=True))
    assert [*SCENES[name]().detections(5.0)] == [*SCENES[name]().detections(5.0)]
    still = first[2][1].astype(int) - first[3][1]
    assert np.any(still) == (SCENES[name]().noise > 0 or bool(SCENES[name]().truth(3.0)))


def test_what_is_drawn_is_where_the_truth_says() -> None:
    scene = SCENES["exposure"]()
    shown = dict(pictures(scene, 2.0))
    empty = np.median([picture for at_s, picture in shown.items() if 6.0 <= at_s < 10.0], axis=0)
    differs = np.abs(shown[14.0].astype(float) - empty).max(axis=2) > 40
    rows, columns = np.nonzero(differs)
    left, top, right, bottom = scene.truth(14.0)[0][1]
    assert abs(columns.min() - left) < 8
    assert abs(columns.max() - right) < 8
    assert abs(rows.min() - top) < 8
    assert abs(rows.max() - bottom) < 8


def test_video_has_every_picture_at_its_time(tmp_path: Path) -> None:
    scene = SCENES["door"]()
    count = write_video(scene, tmp_path / "door.mp4", fps=5.0)
    with av.open(str(tmp_path / "door.mp4")) as video:
        frames = [*video.decode(video=0)]
    assert count == len(frames) == 100
    assert (frames[0].width, frames[0].height) == (WIDTH_PX, HEIGHT_PX)
    assert [frame.time for frame in frames] == pytest.approx(scene.times(5.0))
