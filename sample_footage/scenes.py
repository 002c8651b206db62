"""Synthetic scenes: drawn, deterministic, with exact truth. What is measured on them is labelled synthetic.

A scene is a story of movers on straight ways at constant speed, so that every box and every crossing is known exactly
at any frame rate. `sample_footage/scenes_draw.py` draws it. Boxes are in pixels of the picture and not clipped; lines
are normalised, and sides are as `direction` of a rule has them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.types import Box, Track, TrackedFrame

Point = tuple[float, float]
SYNTHETIC = "synthetic"
"""The word that every result on these scenes carries."""
WIDTH_PX, HEIGHT_PX = 640, 480


@dataclass(frozen=True)
class Mover:
    """Something that moves along `way` (normalised anchors, bottom centre), each leg in its number of seconds."""

    object_id: int
    label: str
    enters_s: float
    way: tuple[Point, ...]
    legs_s: tuple[float, ...]
    size_px: tuple[float, float]
    colour: tuple[int, int, int] = (40, 40, 160)
    """BGR."""
    grows_to_px: tuple[float, float] | None = None
    """Its size at the end of its way, if another: it comes closer or goes away."""
    scores: tuple[float, float] = (0.6, 0.95)
    """What the scripted detector gives it, from and to."""

    def anchor(self, at_s: float) -> Point | None:
        """Where it stands at a time, or None before it came and after it left."""
        rest_s = at_s - self.enters_s
        if rest_s < 0:
            return None
        for (begin, end), leg_s in zip(pairwise(self.way), self.legs_s, strict=True):
            if rest_s < leg_s:
                share = rest_s / leg_s
                return begin[0] + share * (end[0] - begin[0]), begin[1] + share * (end[1] - begin[1])
            rest_s -= leg_s
        return None

    def box(self, at_s: float) -> Box | None:
        """left, top, right, bottom in pixels."""
        anchor = self.anchor(at_s)
        if anchor is None:
            return None
        share = (at_s - self.enters_s) / sum(self.legs_s)
        begin, end = self.size_px, self.grows_to_px or self.size_px
        width, height = (a + share * (b - a) for a, b in zip(begin, end, strict=True))
        x, y = anchor[0] * WIDTH_PX, anchor[1] * HEIGHT_PX
        return x - width / 2, y - height, x + width / 2, y


@dataclass(frozen=True)
class Crossing:
    """A mover's anchor meets the scene's line."""

    at_s: float
    object_id: int
    direction: str


@dataclass(frozen=True)
class Bush:
    """Leaves that sway around a place; the scripted detector may half take them for somebody."""

    foot: Point
    size_px: tuple[float, float] = (44.0, 90.0)

    def box(self) -> Box:
        """left, top, right, bottom in pixels."""
        x, y, (width, height) = self.foot[0] * WIDTH_PX, self.foot[1] * HEIGHT_PX, self.size_px
        return x - width / 2, y - height, x + width / 2, y


@dataclass(frozen=True)
class Mistaken:
    """A thing of the place that the scripted detector half takes for a person."""

    box: Box
    scores: tuple[float, float] = (0.30, 0.59)
    seen: float = 0.6
    """Part of the looks in which it does: it flickers."""


@dataclass(frozen=True)
class Detection:
    """What a scripted detector reports."""

    object_id: int
    """0: nobody is there."""
    label: str
    score: float
    box: Box


@dataclass(frozen=True)
class Scene:
    """One drawn scene."""

    name: str
    seconds: float
    movers: tuple[Mover, ...]
    line: tuple[Point, Point]
    ground: tuple[int, int, int] = (120, 125, 120)
    arm_up_s: tuple[tuple[float, float], ...] = ()
    """When a barrier's arm stands up; empty: there is no barrier."""
    posts: tuple[Point, ...] = ()
    """Things that stand there like a person would and are none."""
    doorway: tuple[Point, Point] | None = None
    """Top left and bottom right corner."""
    light: float = 1.0
    noise: float = 0.0
    """Standard deviation of the sensor's noise, grey levels."""
    rain: int = 0
    """Streaks per picture."""
    exposure: tuple[tuple[float, float], ...] = ()
    """(from when, gain), in order of time."""
    authorised_s: tuple[float, ...] = ()
    bushes: tuple[Bush, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()
    snow: int = 0
    """Flakes per picture."""
    falls_s: tuple[tuple[float, float], ...] = ()
    """When rain and snow fall; empty: always."""
    sweeps_s: tuple[float, ...] = ()
    """When headlights begin to sweep over the view, from left to right."""
    seed: int = 1

    def times(self, fps: float) -> list[float]:
        """Times of the pictures at a frame rate."""
        return [number / fps for number in range(math.ceil(self.seconds * fps))]

    def truth(self, at_s: float) -> list[tuple[Mover, Box]]:
        """Everything that is in the scene at a time."""
        return [(mover, box) for mover in self.movers if (box := mover.box(at_s)) is not None]

    def gain(self, at_s: float) -> float:
        """The exposure's gain at a time."""
        return ([1.0] + [gain for begin, gain in self.exposure if at_s >= begin])[-1]

    def crossings(self) -> list[Crossing]:
        """Every meeting of an anchor with the line, in order of time, computed and not sampled."""
        found = []
        for mover in self.movers:
            begin_s = mover.enters_s
            for (begin, end), leg_s in zip(pairwise(mover.way), mover.legs_s, strict=True):
                share = _meets(begin, end, self.line)
                if share is not None:
                    to_right = _side(end, self.line) > 0
                    direction = "left_to_right" if to_right else "right_to_left"
                    found.append(Crossing(begin_s + share * leg_s, mover.object_id, direction))
                begin_s += leg_s
        return sorted(found, key=lambda crossing: (crossing.at_s, crossing.object_id))

    def detections(self, fps: float, *, jitter_px: float = 1.0, missed: float = 0.05) -> Iterator[list[Detection]]:
        """Scripted detections picture by picture: trembling boxes, some missed; the same for the same arguments."""
        chance = random.Random(f"{self.name} {self.seed} {fps:g}")
        for at_s in self.times(fps):
            found = []
            for mover, box in self.truth(at_s):
                shift = [chance.gauss(0.0, jitter_px) for _ in box]
                low, high = mover.scores
                score, seen = low + (high - low) * chance.random(), chance.random() >= missed and _visible(box)
                if seen:
                    left, top, right, bottom = (edge + by for edge, by in zip(box, shift, strict=True))
                    found.append(Detection(mover.object_id, mover.label, score, (left, top, right, bottom)))
            yield found + [one for thing in self.mistaken if (one := _taken_for_a_person(thing, chance, jitter_px))]

    def tracked(self, fps: float, camera: str = "drawn") -> Iterator[TrackedFrame]:
        """The frames of a tracker that makes no mistakes, for rules without a detector."""
        gone: set[int] = set()
        for index, at_s in enumerate(self.times(fps)):
            here = self.truth(at_s)
            present = {mover.object_id for mover, _ in here}
            over = {m.object_id for m in self.movers if m.enters_s <= at_s} - present - gone
            gone |= over
            tracks = tuple(Track(mover.object_id, mover.label, 0.9, box) for mover, box in here)
            yield TrackedFrame(camera, index, at_s, None, WIDTH_PX, HEIGHT_PX, tracks, tuple(sorted(over)))


def _visible(box: Box) -> bool:
    """Whether enough of it is in the picture to be recognised."""
    width, height = min(box[2], WIDTH_PX) - max(box[0], 0.0), min(box[3], HEIGHT_PX) - max(box[1], 0.0)
    return min(width, height) > 0.0 and width * height >= 0.3 * (box[2] - box[0]) * (box[3] - box[1])


def _taken_for_a_person(thing: Mistaken, chance: random.Random, jitter_px: float) -> Detection | None:
    left, top, right, bottom = (edge + chance.gauss(0.0, jitter_px) for edge in thing.box)
    score, seen = chance.uniform(*thing.scores), chance.random() < thing.seen
    return Detection(0, "person", score, (left, top, right, bottom)) if seen else None


def _side(point: Point, line: tuple[Point, Point]) -> float:
    """> 0 on the right hand of who looks along the line, in a picture whose y grows downwards."""
    (ax, ay), (bx, by) = line
    return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)


def _meets(begin: Point, end: Point, line: tuple[Point, Point]) -> float | None:
    """The share of the way at which it meets the line's extent, or None."""
    before, after = _side(begin, line), _side(end, line)
    if before * after >= 0 or _side(line[0], (begin, end)) * _side(line[1], (begin, end)) > 0:
        return None
    return before / (before - after)


def _car(object_id: int, enters_s: float, colour: tuple[int, int, int], *, waits_s: float = 0.0) -> Mover:
    """Drives to the barrier, waits, drives on; without a wait it is over the line 4 s after it entered."""
    way = ((-0.1, 0.7), (0.4, 0.7), (0.4, 0.7), (1.1, 0.7))
    return Mover(object_id, "car", enters_s, way, (3.2, waits_s or 1e-6, 5.6), (130.0, 70.0), colour)


def _person(object_id: int, enters_s: float, colour: tuple[int, int, int]) -> Mover:
    """Walks up to the door and through it, over the line 4.3 s after entering."""
    return Mover(object_id, "person", enters_s, ((0.1, 0.95), (0.62, 0.5)), (6.0,), (34.0, 92.0), colour)


BARRIER = ((0.5, 0.5), (0.5, 0.9))
DOOR = ((0.4, 0.55), (0.6, 0.75))


def barrier() -> Scene:
    """Four cars: the second follows the first through the open barrier, the others come alone."""
    cars = (
        _car(1, 1.0, (40, 40, 170), waits_s=1.0),
        _car(2, 3.8, (160, 90, 40)),
        _car(3, 14.0, (60, 140, 60), waits_s=1.0),
        _car(4, 24.0, (190, 190, 190), waits_s=1.0),
    )
    arm = ((4.6, 10.0), (17.6, 21.5), (27.6, 31.5))
    return Scene("barrier", 36.0, cars, BARRIER, arm_up_s=arm, authorised_s=(4.5, 17.5, 27.5))


def ramp() -> Scene:
    """Cars that stand out from the ground, on a way without a moving arm, 2.4 s between the first two: a scene that can
    be read from motion alone. (Nearer cars, and the arm that swings into one, are one blob.)"""
    colours = ((30, 30, 60), (230, 225, 220), (50, 40, 30), (210, 215, 235))
    begins = ((1.0, 1.0), (4.4, 0.0), (14.0, 1.0), (24.0, 1.0))
    cars = (
        _car(number, at_s, colour, waits_s=waits_s)
        for number, ((at_s, waits_s), colour) in enumerate(zip(begins, colours, strict=True), 1)
    )
    return Scene("ramp", 36.0, tuple(cars), BARRIER, authorised_s=(4.5, 17.5, 27.5))


def door() -> Scene:
    """Three people at a door with a card reader: the second slips in behind the first."""
    people = (_person(1, 1.0, (150, 60, 40)), _person(2, 2.5, (40, 110, 40)), _person(3, 12.0, (60, 60, 60)))
    return Scene(
        "door",
        20.0,
        people,
        DOOR,
        ground=(150, 150, 155),
        doorway=((0.56, 0.27), (0.7, 0.52)),
        authorised_s=(4.0, 15.0),
    )


def night() -> Scene:
    """A dark yard with posts that stand like people; one person walks through the noise."""
    walker = Mover(1, "person", 12.0, ((-0.05, 0.85), (1.05, 0.8)), (10.0,), (34.0, 92.0), (235, 235, 235))
    posts = ((0.2, 0.6), (0.75, 0.65))
    return Scene("night", 26.0, (walker,), BARRIER, light=0.25, noise=9.0, posts=posts, seed=2)


def rain() -> Scene:
    """A car in heavy rain, and long stretches of nothing but rain."""
    return Scene("rain", 24.0, (_car(1, 10.0, (40, 40, 170)),), BARRIER, rain=120, noise=3.0, seed=3)


def exposure() -> Scene:
    """A car between two jumps of the exposure, both while nothing moves."""
    jumps = ((6.0, 1.35), (22.0, 0.8))
    return Scene("exposure", 28.0, (_car(1, 10.0, (60, 140, 60)),), BARRIER, noise=2.0, exposure=jumps, seed=4)


YARD = ((0.05, 0.42), (0.95, 0.42), (0.95, 0.98), (0.05, 0.98))
"""A sterile zone behind the fence."""
_LAMP, _BUSH = (0.45, 0.72), Bush((0.72, 0.8))


def post_box(foot: Point) -> Box:
    """left, top, right, bottom in pixels of a lamp post, lamp included."""
    x, y = foot[0] * WIDTH_PX, foot[1] * HEIGHT_PX
    return x - 10, y - 106, x + 10, y


def _night_yard(name: str, seconds: float, movers: tuple[Mover, ...], **more: Any) -> Scene:
    posts = (_LAMP, (0.2, 0.6))
    mistaken = (*(Mistaken(post_box(foot)) for foot in posts), Mistaken(_BUSH.box()))
    return Scene(
        name, seconds, movers, BARRIER, light=0.25, noise=8.0, posts=posts, bushes=(_BUSH,), mistaken=mistaken, **more
    )


def fence() -> Scene:
    """Infrared: lamp posts and a bush score like persons; an intruder, himself scored 0.4, passes them at a walk."""
    way = ((0.06, 0.45), (0.43, 0.66), (0.78, 0.92), (0.9, 0.7))
    intruder = Mover(1, "person", 14.0, way, (6.0, 5.0, 4.0), (12.0, 30.0), (230, 230, 230), (30.0, 80.0), (0.35, 0.45))
    return _night_yard("fence", 40.0, (intruder,), seed=5)


def empty_night() -> Scene:
    """The same yard for ten minutes without anybody: noise, headlights, jumps of the exposure, rain, snow."""
    jumps = tuple((60.0 + 45.0 * k, 1.3 if k % 2 == 0 else 1.0) for k in range(12))
    falls = ((90.0, 150.0), (300.0, 330.0), (500.0, 560.0))
    sweeps = tuple(25.0 + 37.0 * k for k in range(15))
    return _night_yard(
        "empty-night", 600.0, (), exposure=jumps, sweeps_s=sweeps, rain=60, snow=40, falls_s=falls, seed=6
    )


def waiting() -> Scene:
    """Somebody comes, stands still for a minute and goes on."""
    way = ((-0.05, 0.8), (0.6, 0.8), (0.6, 0.8), (1.05, 0.8))
    visitor = Mover(1, "person", 6.0, way, (6.0, 60.0, 6.0), (34.0, 92.0), (60, 90, 150), scores=(0.5, 0.8))
    return Scene("waiting", 84.0, (visitor,), BARRIER, noise=3.0, seed=7)


SCENES = {make.__name__: make for make in (barrier, door, night, rain, exposure, fence, waiting, ramp)}
