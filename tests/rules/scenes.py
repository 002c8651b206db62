"""Tiny factories for rule tests: stories of actors become tracked frames at any frame rate.

A story is a sum of pieces: `walk((0.1, 0.6), (0.9, 0.6), 4.0) + lost(1.0) + stay((0.9, 0.6), 2.0)`. Places are anchors
(bottom centre), normalised. The picture has 800 x 600 pixels and an actor a box of 40 x 100.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.types import Box, Sample, Track, TrackedFrame
from rules.base import RuleConfig
from rules.engine import Engine
from rules.registry import RULES
from rules.schedules import Window
from rules.types import Input, Point, RuleEvent

WIDTH, HEIGHT = 800, 600

ZONES: dict[str, list[Point]] = {
    "yard": [(0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)],
    "apron": [(0.3, 0.7), (0.7, 0.7), (0.7, 1.0), (0.3, 1.0)],
}
"""`apron` lies on the lower border."""
LINES: dict[str, list[Point]] = {"gate": [(0.5, 0.3), (0.5, 0.9)], "corner": [(0.2, 0.5), (0.5, 0.5), (0.5, 0.8)]}
"""`gate` runs down the picture: who looks along it from its first point has the picture's right on the left hand."""
SCHEDULES = {"night": [Window.model_validate({"from": "22:00", "to": "06:00"})]}


@dataclass(frozen=True)
class Piece:
    seconds: float
    begin: Point | None
    """None: not seen."""
    end: Point | None = None
    new_track: bool = False
    label: str | None = None
    tremble: float = 0.0
    """Amplitude of a wobble of the anchor, in pixels."""


@dataclass(frozen=True)
class Story:
    pieces: tuple[Piece, ...]

    def __add__(self, other: Story) -> Story:
        return Story(self.pieces + other.pieces)

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)


def walk(begin: Point, end: Point, seconds: float) -> Story:
    return Story((Piece(seconds, begin, end),))


def stay(place: Point, seconds: float, *, tremble: float = 0.0) -> Story:
    return Story((Piece(seconds, place, place, tremble=tremble),))


def lost(seconds: float) -> Story:
    return Story((Piece(seconds, None),))


def switch(label: str | None = None) -> Story:
    """From here on the tracker gives the actor another id (and label)."""
    return Story((Piece(0.0, None, new_track=True, label=label),))


def relabel(label: str) -> Story:
    """From here on the tracker has another label for the actor."""
    return Story((Piece(0.0, None, label=label),))


@dataclass(frozen=True)
class Actor:
    story: Story
    label: str = "person"
    enters_s: float = 0.0
    confirmed_after_s: float = 0.0
    """The tracker tells of a new track this late; its samples until then come as `earlier`."""


@dataclass(frozen=True)
class Expect:
    """An event: which actor (from 0), when it started and was raised, which way."""

    actor: int
    start_s: float
    raised_s: float
    direction: str | None = None


@dataclass(frozen=True)
class Scenario:
    name: str
    actors: tuple[Actor, ...]
    expected: tuple[Expect, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    wall_start: datetime | None = None

    def __str__(self) -> str:
        return self.name


def tell(
    name: str,
    actors: Story | Actor | Sequence[Story | Actor],
    *expected: Expect,
    inputs: Sequence[Input] = (),
    wall_start: datetime | None = None,
    **config: Any,
) -> Scenario:
    """One row of a scenario table."""
    listed = [actors] if isinstance(actors, Story | Actor) else actors
    cast = tuple(one if isinstance(one, Actor) else Actor(one) for one in listed)
    return Scenario(name, cast, expected, config, tuple(inputs), wall_start)


def box_at(place: Point, width: float = 40, height: float = 100) -> Box:
    x, y = place[0] * WIDTH, place[1] * HEIGHT
    return (x - width / 2, y - height, x + width / 2, y)


@dataclass(frozen=True)
class _Moment:
    track_id: int
    label: str
    place: Point | None


def _at(number: int, actor: Actor, time_s: float) -> _Moment | None:
    """Where the tracker has the actor at a time; None before and after its story."""
    left = time_s - actor.enters_s
    if left < -1e-9:
        return None
    track_id, label = 100 * (number + 1), actor.label
    for piece in actor.story.pieces:
        track_id += piece.new_track
        label = piece.label or label
        if left < piece.seconds - 1e-9:
            if piece.begin is None or piece.end is None:
                return _Moment(track_id, label, None)
            share = left / piece.seconds
            x = piece.begin[0] + share * (piece.end[0] - piece.begin[0])
            y = piece.begin[1] + share * (piece.end[1] - piece.begin[1])
            # Two frequencies that no frame rate divides, so that no two samples wobble alike.
            x += piece.tremble / WIDTH * (math.sin(37.1 * time_s) + math.sin(5.3 * time_s)) / 2
            return _Moment(track_id, label, (x, y))
        left -= piece.seconds
    return None


def frames(
    actors: Sequence[Actor], fps: float, *, wall_start: datetime | None = None, until_s: float | None = None
) -> list[TrackedFrame]:
    """What the pipeline would hand on; a track ends at the first frame after its id was last used."""
    end_s = until_s or max((one.enters_s + one.story.seconds for one in actors), default=0.0) + 0.5
    result: list[TrackedFrame] = []
    known: dict[int, float] = {}
    waiting: dict[int, list[Sample]] = {}
    current: dict[int, int] = {}
    for index in range(math.floor(end_s * fps + 1e-6) + 1):
        time_s = index / fps
        tracks: list[Track] = []
        ended: list[int] = []
        for number, actor in enumerate(actors):
            moment = _at(number, actor, time_s)
            before = current.get(number)
            if before is not None and (moment is None or moment.track_id != before):
                waiting.pop(before, None)
                if before in known:
                    ended.append(before)
                del current[number]
            if moment is None:
                continue
            if moment.place is not None or before == moment.track_id:
                current[number] = moment.track_id
            if moment.place is None:
                continue
            box = box_at(moment.place)
            first_s = waiting.setdefault(moment.track_id, [Sample(time_s, box)])[0].media_time_s
            if moment.track_id not in known and time_s - first_s < actor.confirmed_after_s - 1e-9:
                if waiting[moment.track_id][-1].media_time_s < time_s:
                    waiting[moment.track_id].append(Sample(time_s, box))
                continue
            earlier: tuple[Sample, ...] = ()
            if moment.track_id not in known:
                known[moment.track_id] = time_s
                earlier = tuple(s for s in waiting[moment.track_id] if s.media_time_s < time_s)
            tracks.append(Track(moment.track_id, moment.label, 0.9, box, earlier=earlier))
        wall = None if wall_start is None else wall_start + timedelta(seconds=time_s)
        tracks.sort(key=lambda track: track.track_id)
        result.append(TrackedFrame("cam", index, time_s, wall, WIDTH, HEIGHT, tuple(tracks), tuple(sorted(ended))))
    return result


def make_config(kind: str, **values: Any) -> RuleConfig:
    return RULES[kind].Config.model_validate({"name": "rule", "kind": kind, **values})


def make_engine(*configs: RuleConfig, timezone: str = "UTC") -> Engine:
    return Engine(
        "cam",
        configs,
        zones=ZONES,
        lines=LINES,
        schedules=SCHEDULES,
        timezone=ZoneInfo(timezone),
        versions={"gatewatch": "0", "weights_sha256": "w"},
    )


def play(engine: Engine, shown: Sequence[TrackedFrame], inputs: Sequence[Input] = ()) -> list[RuleEvent]:
    """Inputs come in as a live system would have them: each just before the first frame that is not older."""
    events: list[RuleEvent] = []
    waiting = sorted(inputs, key=lambda message: message.at)
    for frame in shown:
        while waiting and waiting[0].at <= frame.media_time_s:
            engine.receive(waiting.pop(0))
        events += engine.update(frame)
    return events + engine.finish()


def run(kind: str, base: Mapping[str, Any], scenario: Scenario, fps: float) -> list[RuleEvent]:
    """The events of a scenario."""
    engine = make_engine(make_config(kind, **{**base, **scenario.config}))
    return play(engine, frames(scenario.actors, fps, wall_start=scenario.wall_start), scenario.inputs)


def check(events: Sequence[RuleEvent], expected: Sequence[Expect], fps: float) -> None:
    """The expected events, in order of their start, with times within one sample interval."""
    got = sorted(events, key=lambda event: (event.start_s, event.track_ids))
    told = [(e.track_ids[0] // 100 - 1, round(e.start_s, 2), round(e.raised_s, 2), e.direction) for e in got]
    wanted = sorted(expected, key=lambda one: (one.start_s, one.actor))
    assert [(actor, way) for actor, _, _, way in told] == [(one.actor, one.direction) for one in wanted], told
    for event, one in zip(got, wanted, strict=True):
        slack = 1 / fps + 1e-6
        assert abs(event.start_s - one.start_s) <= slack, (told, one)
        assert abs(event.raised_s - one.raised_s) <= slack, (told, one)


NIGHT = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
