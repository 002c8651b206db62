"""The motion gate: sees what moves, and nothing else, at every frame rate."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.motion import Motion, MotionGate, motion_detections
from pipeline.types import Box

WIDTH_PX, HEIGHT_PX = 768, 432
SCALE = 320 / WIDTH_PX
POST: Box = (596.0, 118.0, 616.0, 332.0)
"""A lamp post: what a detector half takes for a person at night."""

Draw = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def view(level: float = 110.0) -> np.ndarray:
    """An uneven ground with darker and brighter blocks, and a lamp post; float32 on the small plane."""
    random = np.random.default_rng(4)
    ground = cv2.resize(random.normal(level, level * 0.1, (11, 20)).astype(np.float32), (320, 180))
    for left, top, bright in ((20, 20, 0.5), (80, 60, 1.6), (200, 15, 0.7), (270, 130, 1.4)):
        cv2.rectangle(ground, (left, top), (left + 30, top + 22), level * bright, -1)
    left, top, right, bottom = (round(side * SCALE) for side in POST)
    cv2.rectangle(ground, (left, top), (right, bottom), level * 1.5, -1)
    return ground


def noise(sigma: float) -> Draw:
    return lambda picture, _t, random: picture + random.normal(0.0, sigma, picture.shape)


def brightness(gain: Callable[[float], float], sigma: float = 1.5) -> Draw:
    return lambda picture, t, random: picture * gain(t) + random.normal(0.0, sigma, picture.shape)


def key_frames(picture: np.ndarray, t: float, _random: np.random.Generator) -> np.ndarray:
    """A compressed still view: nothing changes between key frames, blocks jump a little at each."""
    blocks = np.random.default_rng(int(t / 2.0)).normal(0.0, 2.0, (23, 40)).astype(np.float32)
    return picture + cv2.resize(blocks, (320, 180), interpolation=cv2.INTER_NEAREST)


def bush(picture: np.ndarray, t: float, random: np.random.Generator) -> np.ndarray:
    """Leaves around the lamp post sway by a few pixels."""
    leaves = cv2.resize(np.random.default_rng(5).normal(90, 35, (25, 11)).astype(np.float32), (42, 100))
    sway = np.array([[1.0, 0.0, 1.3 * np.sin(2.1 * t) + 0.8 * np.sin(5.3 * t)], [0.0, 1.0, 0.0]], np.float32)
    picture = picture.copy()
    picture[42:142, 232:274] = cv2.warpAffine(leaves, sway, (42, 100), borderMode=cv2.BORDER_REFLECT)
    return picture + random.normal(0.0, 1.5, picture.shape)


def rain(picture: np.ndarray, _t: float, random: np.random.Generator) -> np.ndarray:
    streaks = np.zeros_like(picture)
    for _ in range(150):
        x, y = int(random.integers(320)), int(random.integers(180))
        cv2.line(streaks, (x, y), (x + 1, y + int(random.integers(4, 15))), float(random.uniform(10, 40)), 1)
    return picture + streaks + random.normal(0.0, 1.5, picture.shape)


def walker(box_at: Callable[[float], Box], contrast: float, sigma: float = 1.5) -> Draw:
    """Someone whose silhouette differs by `contrast` levels; `box_at` in source pixels."""

    def draw(picture: np.ndarray, t: float, random: np.random.Generator) -> np.ndarray:
        left, top, right, bottom = (side * SCALE for side in box_at(t))
        mask = np.zeros(picture.shape, np.uint8)
        middle = (round((left + right) * 8), round((top + bottom) * 8))
        axes = (max(16, round((right - left) * 7)), round((bottom - top) * 8))
        cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, -1, shift=4)
        return picture + mask * contrast + random.normal(0.0, sigma, picture.shape)

    return draw


def run(
    draw: Draw, *, fps: float, seconds: float, level: float = 110.0, gate: MotionGate | None = None
) -> list[Motion]:
    gate = gate or MotionGate(WIDTH_PX, HEIGHT_PX)
    random = np.random.default_rng(1)
    ground = view(level)
    return [
        gate.update(np.clip(draw(ground, k / fps, random), 0, 255).astype(np.uint8), k / fps)
        for k in range(int(seconds * fps))
    ]


def settled(motions: list[Motion]) -> list[Motion]:
    kept = [motion for motion in motions if motion.settled]
    assert len(kept) > len(motions) // 2
    return kept


STILL = [
    # name                       drawing                                                  level  most frames that move
    ("sensor noise by day", noise(2.0), 110.0, 0.0),
    ("night noise", noise(8.0), 30.0, 0.02),
    ("exposure steps up", brightness(lambda t: 1.0 if t < 8 else 1.3), 110.0, 0.02),
    ("exposure halves in two seconds", brightness(lambda t: 1.0 - 0.25 * min(2.0, max(0.0, t - 8.0))), 110.0, 0.02),
    ("gain drifts", brightness(lambda t: 1.0 + 0.3 * np.sin(t / 4.0)), 110.0, 0.0),
    ("lamps flicker", brightness(lambda t: 1.0 + 0.08 * np.sin(37.0 * t)), 110.0, 0.0),
    ("key frames pump", key_frames, 110.0, 0.02),
    ("a bush sways", bush, 110.0, 0.05),
]


@pytest.mark.parametrize("fps", [3.3, 10.0, 25.0])
@pytest.mark.parametrize(("draw", "level", "most"), [row[1:] for row in STILL], ids=[row[0] for row in STILL])
def test_still_view_is_still(draw: Draw, level: float, most: float, fps: float) -> None:
    motions = settled(run(draw, fps=fps, seconds=16.0, level=level))
    assert np.mean([motion.moving for motion in motions]) <= most
    assert max(motion.share(POST) for motion in motions if motion.media_time_s >= 5.0) <= 0.02
    assert not any(motion.scene_change for motion in motions)


def test_rain_gives_a_lamp_post_no_motion_of_its_own_and_hides_no_car() -> None:
    def car(t: float) -> Box:
        return (60.0 * t - 200.0, 180.0, 60.0 * t - 80.0, 250.0)

    drive = walker(car, 60.0, sigma=0.0)
    motions = run(lambda p, t, r: rain(drive(p, t, r), t, r), fps=5.0, seconds=14.0)
    late = motions[30:]
    assert max(motion.share(POST) for motion in late if car(motion.media_time_s)[2] < POST[0] - 30.0) < 0.15
    shares = [motion.share(car(motion.media_time_s)) for motion in late if car(motion.media_time_s)[0] > 0.0]
    assert min(shares) > 0.4


def closer(t: float) -> Box:
    """Comes through a door after 5 s and walks towards the camera, swaying as people do."""
    if t < 5.0:
        return (-60.0, 200.0, -30.0, 280.0)
    sway = 4.0 * np.sin(6.0 * t)
    return (300 - 1.5 * t + sway, 200 - t, 330 + 1.5 * t + sway, 280 + 4 * t)


def test_headlights_that_sweep_over_a_lamp_post_do_not_move_it() -> None:
    across, down = np.meshgrid(np.arange(320.0), np.arange(180.0))

    def draw(picture: np.ndarray, t: float, random: np.random.Generator) -> np.ndarray:
        beam = np.exp(-((across - (t - 8.0) * 105.0) ** 2 + (down - 125.0) ** 2) / (2 * 37.0**2))
        return picture * (1.0 + 1.2 * beam) + random.normal(0.0, 1.5, picture.shape)

    for fps in (5.0, 25.0):
        motions = settled(run(draw, fps=fps, seconds=14.0, level=40.0))
        assert any(motion.moving for motion in motions)
        assert max(motion.share(POST) for motion in motions) <= 0.14


MOVING = [
    # name                              where it is                                              contrast  sigma level
    ("far person, slow", lambda t: (100 + 8 * t, 240, 112 + 8 * t, 270), -30.0, 1.5, 110.0),
    ("far person, walking", lambda t: (100 + 22 * t, 240, 112 + 22 * t, 270), -30.0, 1.5, 110.0),
    ("far person at night", lambda t: (100 + 12 * t, 240, 112 + 12 * t, 270), 25.0, 4.0, 30.0),
    ("person comes closer", closer, -35.0, 1.5, 110.0),
]


@pytest.mark.parametrize("fps", [3.3, 10.0, 25.0])
@pytest.mark.parametrize(
    ("box_at", "contrast", "sigma", "level"), [row[1:] for row in MOVING], ids=[row[0] for row in MOVING]
)
def test_who_walks_has_moved(
    box_at: Callable[[float], Box], contrast: float, sigma: float, level: float, fps: float
) -> None:
    motions = settled(run(walker(box_at, contrast, sigma), fps=fps, seconds=14.0, level=level))
    boxes = [(motion, box_at(motion.media_time_s)) for motion in motions]
    shares = [motion.share(box) for motion, box in boxes if box[0] > 0.0]
    assert np.percentile(shares, 5) >= 0.2
    assert max(motion.share(POST) for motion in motions) <= 0.02


def test_light_switched_on_is_reported_and_settles_anew() -> None:
    motions = run(brightness(lambda t: 1.0 if t < 8.0 else 1.9), fps=10.0, seconds=14.0, level=90.0)
    changes = [motion.media_time_s for motion in motions if motion.scene_change]
    assert changes == [8.0]
    assert not any(motion.moving for motion in motions)
    unsettled = [motion.media_time_s for motion in motions if not motion.settled and motion.media_time_s >= 8.0]
    assert unsettled[0] == 8.0
    assert 10.8 <= unsettled[-1] <= 11.2
    assert max(motion.share(POST) for motion in motions) == 0.0


def test_another_view_is_a_camera_wide_change() -> None:
    gate = MotionGate(WIDTH_PX, HEIGHT_PX)
    run(noise(1.5), fps=5.0, seconds=5.0, gate=gate)
    other = np.full((180, 320), 40, np.uint8)
    other[:, ::7] = 200
    motion = gate.update(other, 5.0)
    assert motion.scene_change
    assert not motion.moving
    assert not motion.settled
    assert gate.scene_changes == 1


def test_settles_in_seconds_not_frames_and_again_after_reset() -> None:
    for fps in (3.3, 25.0):
        gate = MotionGate(WIDTH_PX, HEIGHT_PX)
        motions = run(noise(1.5), fps=fps, seconds=5.0, gate=gate)
        first = next(motion.media_time_s for motion in motions if motion.settled)
        assert 3.0 <= first <= 3.0 + 1.01 / fps
        gate.reset()
        again = gate.update(view().astype(np.uint8), 100.0)
        assert not again.settled
        assert not again.scene_change


def test_black_picture_is_flat_and_shows_nothing() -> None:
    gate = MotionGate(WIDTH_PX, HEIGHT_PX)
    assert not any(motion.flat for motion in run(noise(1.5), fps=5.0, seconds=5.0, gate=gate))
    for k in range(25):
        motion = gate.update(np.full((180, 320), 16, np.uint8), 5.0 + k / 5.0)
        assert motion.flat
        assert not motion.moving
        assert len(motion_detections(motion)) == 0


def test_who_stops_stays_known_and_the_hole_left_behind_does_not() -> None:
    def box_at(t: float) -> Box:
        x = 100.0 + 60.0 * (min(t, 6.0) - 4.0 if t > 4.0 else 0.0) + 120.0 * max(0.0, t - 20.0)
        return (x, 200.0, x + 40.0, 300.0)

    motions = run(walker(box_at, -45.0), fps=5.0, seconds=30.0)
    standing = [motion for motion in motions if 9.0 <= motion.media_time_s <= 19.5]
    assert all(not motion.moving and len(motion.still) == 1 for motion in standing)
    left, _, right, _ = standing[-1].still[0]
    assert abs((left + right) / 2 - 240.0) < 15.0
    gone = [motion for motion in motions if motion.media_time_s >= 28.0]
    assert all(not motion.moving and not motion.still for motion in gone)


def test_one_car_with_an_even_side_is_one_blob_and_two_cars_are_two() -> None:
    def car(picture: np.ndarray, x: float, y: float) -> None:
        left, top = round(x * SCALE), round(y * SCALE)
        cv2.rectangle(picture, (left, top), (left + 60, top + 26), 175.0, -1)
        # Its side has just the grey of the ground.
        picture[top + 6 : top + 20, left + 6 : left + 54] = view()[top + 6 : top + 20, left + 6 : left + 54]

    def draw(picture: np.ndarray, t: float, random: np.random.Generator) -> np.ndarray:
        picture = picture.copy()
        if t > 4.0:
            car(picture, 40.0 * (t - 4.0), 300.0)
            car(picture, 500.0 - 40.0 * (t - 4.0), 60.0)
        return picture + random.normal(0.0, 1.5, picture.shape)

    motions = [motion for motion in run(draw, fps=10.0, seconds=9.0) if motion.media_time_s > 5.0]
    assert {len(motion.blobs) for motion in motions} == {2}


def test_share_of_boxes_outside_and_empty() -> None:
    motion = Motion(0.0, True, (), True, False, recent=np.ones((180, 320), np.uint8), scale=(SCALE, SCALE))
    assert motion.share((-50.0, -50.0, 100.0, 100.0)) == 1.0
    assert motion.share((-50.0, 0.0, -10.0, 50.0)) == 0.0
    assert motion.share((900.0, 0.0, 950.0, 50.0)) == 0.0
    assert motion.share((10.0, 10.0, 10.0, 10.0)) == 0.0


def test_same_frames_same_motion() -> None:
    draw = walker(lambda t: (100 + 22 * t, 240, 112 + 22 * t, 270), -30.0)
    first, second = (run(draw, fps=10.0, seconds=6.0) for _ in range(2))
    assert first == second
    for a, b in zip(first, second, strict=True):
        assert (a.recent is None) == (b.recent is None)
        assert a.recent is None or np.array_equal(a.recent, b.recent)


@pytest.mark.parametrize("shape", [(1, 1), (9, 16), (240, 320), (320, 180), (1080, 1920), (7, 320)])
def test_any_plane_size(shape: tuple[int, int]) -> None:
    gate = MotionGate(shape[1] * 3, shape[0] * 3)
    random = np.random.default_rng(0)
    for k in range(20):
        motion = gate.update(random.integers(0, 255, shape).astype(np.uint8), k / 5.0)
        assert all(0.0 <= side <= 3.0 * max(shape) for box in motion.blobs for side in box)


def planes(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    from pipeline.decode import Decoder
    from pipeline.source import open_source

    with open_source(str(path)) as source:
        for frame in Decoder(source, analyse_fps=None, analysis_size=(64, 32)).frames(source.packets()):
            yield frame.luma, frame.media_time_s


@pytest.mark.parametrize("clip", ["car-detection.mp4", "one-by-one-person-detection.mp4"])
def test_real_clips_move_when_truth_says_and_cost_little(clip: str, footage: Path, truth: Path) -> None:
    told = json.loads((truth / "clips.json").read_text())[clip]
    gate = MotionGate(WIDTH_PX, HEIGHT_PX)
    spent_s = 0.0
    motions = []
    for plane, media_time_s in planes(footage / clip):
        started_s = time.thread_time()
        motions.append(gate.update(plane, media_time_s))
        spent_s += time.thread_time() - started_s
    assert spent_s / len(motions) < 0.002  # 0.3 ms measured; room for slow and busy machines

    def share(spans: list[list[float]]) -> float:
        inside = [m.moving for m in motions if m.settled and any(a <= m.media_time_s <= b for a, b in spans)]
        return float(np.mean(inside))

    assert share(told["empty"]) <= 0.06
    assert not any(motion.scene_change for motion in motions)
    for what in told.get("passes", []):
        start, end = what["visible"]
        assert share([[start + 0.5, end - 0.5]]) == 1.0
    for what in told.get("visits", []):
        start, end = what["visible"]
        assert share([[start, start + 2.0]]) >= 0.7
        assert share([[end - 1.5, end]]) >= 0.7


def test_people_of_a_busy_place_have_moved(footage: Path, truth: Path) -> None:
    boxes: dict[int, list[Box]] = {}
    with (truth / "pets09-s2l1.csv").open() as rows:
        for row in csv.DictReader(rows):
            left, top = float(row["left"]), float(row["top"])
            box = (left, top, left + float(row["width"]), top + float(row["height"]))
            boxes.setdefault(int(row["frame"]) - 1, []).append(box)
    gate = MotionGate(768, 576)
    shares: list[float] = []
    for index, (plane, media_time_s) in enumerate(planes(footage / "vtest.avi")):
        if index % 2 == 0:
            motion = gate.update(plane, media_time_s)
            shares += [motion.share(box) for box in boxes.get(index, []) if motion.settled]
    assert len(shares) > 2000
    assert np.mean([share >= 0.15 for share in shares]) >= 0.97  # the rest stands or is hidden


def test_detections_carry_label_and_score() -> None:
    moving = Motion(1.0, True, ((10.0, 20.0, 110.0, 90.0),), True, False, still=((300.0, 20.0, 400.0, 90.0),))
    found = motion_detections(moving)
    assert found.xyxy.tolist() == [[10.0, 20.0, 110.0, 90.0], [300.0, 20.0, 400.0, 90.0]]
    assert found.data["class_name"].tolist() == ["object", "object"]
    assert found.confidence is not None
    assert found.confidence[0] >= 0.5 > found.confidence[1]
