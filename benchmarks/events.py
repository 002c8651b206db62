"""`gatewatch bench events`: events of measured tracks against events of true tracks, under the same rules.

The committed scene (`pets09.yaml`) has the places that a guard would watch. The random scenes have 60 lines each, drawn
by a seeded generator anywhere in the picture: nobody chose them, so nobody can have tuned for them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.footage import CAMERA, BenchError, track_file
from benchmarks.scoring import WINDOWS_S, score_events, worst_rules
from benchmarks.truth import TruthFrame, load_truth
from pipeline.types import Track, TrackedFrame
from rules.base import RuleConfig
from rules.engine import Engine
from rules.types import Point, RuleEvent

SCENE = Path(__file__).with_name("pets09.yaml")
RATES_HZ = (10.0, 5.0, 3.3)
SEEDS = (1, 2, 3)
LINES = 60
LATE_S = 3.0
"""The window that the goals are stated for."""


@dataclass(frozen=True)
class Scene:
    """Rules and their places."""

    name: str
    rules: tuple[RuleConfig, ...]
    zones: dict[str, Sequence[Point]]
    lines: dict[str, Sequence[Point]]

    def events(self, frames: Iterable[TrackedFrame]) -> list[RuleEvent]:
        """What the rules make of the tracks."""
        engine = Engine(
            CAMERA, self.rules, zones=self.zones, lines=self.lines, schedules={}, timezone=ZoneInfo("UTC"), versions={}
        )
        found = [event for frame in frames for event in engine.update(frame)]
        return found + engine.finish()


def run(
    footage: Path,
    truth: Path,
    *,
    weights: str = "nanodet-g",
    input_px: int = 448,
    truth_fps: float = 10.0,
    rates_hz: Sequence[float] = RATES_HZ,
    trackers: tuple[str, ...] = ("gatewatch", "botsort"),
    scene: Path = SCENE,
    seeds: Sequence[int] = SEEDS,
) -> dict[str, Any]:
    """Precision, recall, F1 and delay per scene, tracker and analysed rate, in windows of 1, 3 and 10 s."""
    from models.load import load_detector

    detector = load_detector(weights, input_px=input_px)
    true = load_truth(truth)
    scenes = [load_scene(scene), *(random_scene(seed) for seed in seeds)]
    result: dict[str, Any] = {"footage": footage.name, "weights": weights, "input_px": input_px}
    expected: dict[str, list[RuleEvent]] = {}
    for name in trackers:
        for rate_hz in rates_hz:
            measured = track_file(footage, detector, analyse_fps=rate_hz, tracker=name)
            size = (measured.width_px, measured.height_px)
            for one in scenes:
                if one.name not in expected:
                    expected[one.name] = one.events(true_frames(true, truth_fps, size))
                found = one.events(measured.frames)
                entry = result.setdefault(one.name, {}).setdefault(name, {})
                entry[f"{rate_hz:g}"] = _compare(expected[one.name], found, details=one is scenes[0])
    return result


def _compare(true: Sequence[RuleEvent], found: Sequence[RuleEvent], *, details: bool) -> dict[str, Any]:
    report: dict[str, Any] = {f"{late_s:g}_s": score_events(true, found, late_s).to_json() for late_s in WINDOWS_S}
    if details:
        report["mistakes"] = worst_rules(true, found, LATE_S)
    return report


def true_frames(truth: Sequence[TruthFrame], fps: float, size: tuple[int, int]) -> Iterator[TrackedFrame]:
    """True objects as the tracked frames of a perfect tracker."""
    last = {int(track_id): number for number, frame in enumerate(truth) for track_id in frame.ids}
    ends: dict[int, list[int]] = {}
    for track_id, number in last.items():
        ends.setdefault(number + 1, []).append(track_id)
    for number, frame in enumerate(truth):
        tracks = (
            Track(int(track_id), "person", 1.0, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
            for track_id, box in zip(frame.ids, frame.boxes, strict=True)
        )
        yield TrackedFrame(
            CAMERA,
            number,
            number / fps,
            None,
            *size,
            tracks=tuple(sorted(tracks, key=lambda track: track.track_id)),
            ended=tuple(sorted(ends.get(number, ()))),
        )


def load_scene(path: Path) -> Scene:
    """The rules and places of the first camera of a site file."""
    from gatewatch.site import load_site

    site = load_site(path)
    if len(site.cameras) != 1:
        raise BenchError(f"{path}: expected a site of one camera, found {len(site.cameras)}.")
    camera = next(iter(site.cameras.values()))
    return Scene(path.stem, tuple(camera.rules), dict(camera.zones), dict(camera.lines))


def random_scene(seed: int, lines: int = LINES) -> Scene:
    """`lines` directed lines of 0.2 to 0.6 of the picture, each with a rule that takes both directions."""
    from rules.line_crossing import LineCrossing

    draw = random.Random(seed)
    places: dict[str, Sequence[Point]] = {}
    while len(places) < lines:
        a, b = (draw.random(), draw.random()), (draw.random(), draw.random())
        if 0.2 <= ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 <= 0.6:
            places[f"line-{len(places) + 1}"] = (a, b)
    rules = tuple(LineCrossing.Config(name=name, kind="line_crossing", line=name) for name in places)
    return Scene(f"random-{seed}", rules, {}, places)
