"""Objects behind tracks: what a rule knows of an object survives the breaking of its track.

A new track continues a lost object when it starts where and when that one could be: the same group of labels, within a
few seconds, near the way on which the object would have gone on, and of about its size. Objects that walked out of the
picture are not continued, else the next one through the same gate would inherit what they did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.types import LABEL_GROUP, Box, Sample, Track, TrackedFrame

MAX_GAP_S = 3.0
"""A lost object is looked for this long (longer where a rule asks for it)."""
CONFIRM_S = 3.0
"""A new track may be confirmed this long after its first sample; lost objects are kept that much longer."""
ABANDONED_S = 60.0
"""A track that is neither seen nor ended for this long is taken to have ended."""
LEFT_GAP_S = 0.5
"""An object that was walking out of the picture is continued only over a gap this short."""
VELOCITY_S = 0.4
"""Time constant of an object's velocity."""
PATH_SPACING_S = 0.1
PATH_POINTS = 96
PATH_RECENT_S = 4.0
"""The path of a long stay is thinned, except its last seconds."""
TRACK_IDS = 16
"""An object remembers this many of its tracks' ids."""

Place = tuple[float, Box]


@dataclass(slots=True)
class Tracked:
    """An object and what is known of it."""

    object_id: int
    track: Track
    """As last seen."""
    last_s: float
    """When it was last seen."""
    box: Box
    vx: float = 0.0
    """Velocity of the box's middle, source pixels a second."""
    vy: float = 0.0
    ended: bool = False
    """Its track has ended; it may still be continued."""
    track_ids: list[int] = field(default_factory=list)
    path: list[Place] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Group of its label."""
        return LABEL_GROUP.get(self.track.label, self.track.label)

    def move(self, sample: Sample) -> None:
        """Takes its next sample."""
        dt = sample.media_time_s - self.last_s
        weight = 1.0 - math.exp(-dt / VELOCITY_S)
        x0, y0 = _middle(self.box)
        x1, y1 = _middle(sample.box)
        self.vx += weight * ((x1 - x0) / dt - self.vx)
        self.vy += weight * ((y1 - y0) / dt - self.vy)
        self.last_s, self.box = sample.media_time_s, sample.box
        if sample.media_time_s - self.path[-1][0] >= PATH_SPACING_S - 1e-6:
            self.path.append((sample.media_time_s, sample.box))
            if len(self.path) > PATH_POINTS:
                self._thin()

    def _thin(self) -> None:
        recent = next(k for k, (t, _) in enumerate(self.path) if t > self.last_s - PATH_RECENT_S)
        if recent < PATH_POINTS // 4:
            recent = len(self.path) - 2
        self.path[:recent] = self.path[:recent:2]


@dataclass(slots=True)
class Present:
    """An object in this frame, with the samples of it that are new."""

    tracked: Tracked
    track: Track
    samples: list[Sample]
    """In order of time, the last one is this frame's."""


class Stitcher:
    """Gives each track its object. Ids of objects are counted from 1 per camera and run."""

    def __init__(self, max_gap_s: float = MAX_GAP_S) -> None:
        self._max_gap_s = max(MAX_GAP_S, max_gap_s)
        self._by_track: dict[int, Tracked] = {}
        self._by_object: dict[int, Tracked] = {}
        self._count = 0
        self._check_s = -math.inf
        self.stitched = 0
        self.samples_dropped = 0

    @property
    def objects(self) -> Mapping[int, Tracked]:
        """Every object that is remembered, by its id."""
        return self._by_object

    def update(self, frame: TrackedFrame) -> tuple[list[Present], list[int]]:
        """Objects present in the frame, and the ids of those whose track ended and that nothing continues (yet)."""
        present: list[Present] = []
        births: list[tuple[Track, list[Sample]]] = []
        for track in frame.tracks:
            samples = [*track.earlier, Sample(frame.media_time_s, track.box)]
            tracked = self._by_track.get(track.track_id)
            if tracked is None:
                births.append((track, samples))
            elif fresh := self._fresh(tracked, samples):
                for sample in fresh:
                    tracked.move(sample)
                tracked.track = track
                present.append(Present(tracked, track, fresh))
        if births:
            self._bear(frame, births, present)
            present.sort(key=lambda one: one.track.track_id)
        return present, self._end(frame)

    def expired(self, time_s: float) -> list[int]:
        """Drops the objects that nothing will continue any more; returns their ids."""
        if time_s - self._check_s < 1.0:
            return []
        self._check_s = time_s
        keep_s = self._max_gap_s + CONFIRM_S
        gone = [one.object_id for one in self._by_object.values() if one.ended and time_s - one.last_s > keep_s]
        for object_id in gone:
            del self._by_object[object_id]
        return gone

    def finish(self) -> tuple[list[int], list[int]]:
        """Every track ends: ids of those that end only now, and of all objects, which are dropped."""
        ending = sorted(one.object_id for one in self._by_object.values() if not one.ended)
        known = sorted(self._by_object)
        self._by_track.clear()
        self._by_object.clear()
        return ending, known

    def _fresh(self, tracked: Tracked, samples: list[Sample]) -> list[Sample]:
        fresh: list[Sample] = []
        last_s = tracked.last_s
        for sample in samples:
            if sample.media_time_s > last_s:
                fresh.append(sample)
                last_s = sample.media_time_s
        self.samples_dropped += len(samples) - len(fresh)
        return fresh

    def _bear(self, frame: TrackedFrame, births: list[tuple[Track, list[Sample]]], present: list[Present]) -> None:
        seen_now = {one.tracked.object_id for one in present}
        oldest_s = min(samples[0].media_time_s for _, samples in births) - self._max_gap_s
        lost = [one for one in self._by_object.values() if one.last_s >= oldest_s and one.object_id not in seen_now]
        pairs: list[tuple[float, int, int]] = []
        for number, (track, samples) in enumerate(births):
            for one in lost:
                cost = self._cost(one, track, samples[0], frame)
                if cost is not None:
                    pairs.append((cost, one.object_id, number))
        taken: dict[int, Tracked] = {}
        for _, object_id, number in sorted(pairs):
            if number not in taken and object_id not in seen_now:
                taken[number] = self._by_object[object_id]
                seen_now.add(object_id)
        for number, (track, samples) in enumerate(births):
            tracked = taken.get(number)
            if tracked is None:
                tracked = self._new(track, samples[0])
                fresh = [samples[0], *self._fresh(tracked, samples[1:])]
            else:
                self._adopt(tracked, track)
                fresh = self._fresh(tracked, samples)
            for sample in fresh:
                if sample.media_time_s > tracked.last_s:
                    tracked.move(sample)
            present.append(Present(tracked, track, fresh))

    def _new(self, track: Track, first: Sample) -> Tracked:
        self._count += 1
        tracked = Tracked(self._count, track, first.media_time_s, first.box)
        tracked.track_ids.append(track.track_id)
        tracked.path.append((first.media_time_s, first.box))
        self._by_track[track.track_id] = self._by_object[tracked.object_id] = tracked
        return tracked

    def _adopt(self, tracked: Tracked, track: Track) -> None:
        """The object goes on under a new track. Should the old one come back after all, it is another object."""
        self._by_track.pop(tracked.track.track_id, None)
        self._by_track[track.track_id] = tracked
        tracked.track, tracked.ended = track, False
        tracked.track_ids = [*tracked.track_ids, track.track_id][-TRACK_IDS:]
        self.stitched += 1

    def _end(self, frame: TrackedFrame) -> list[int]:
        ended: list[int] = []
        gone = [self._by_track[track_id] for track_id in frame.ended if track_id in self._by_track]
        if frame.media_time_s - self._check_s >= 1.0:
            gone += [one for one in self._by_track.values() if frame.media_time_s - one.last_s > ABANDONED_S]
        for one in gone:
            if self._by_track.pop(one.track.track_id, None) is not None:
                one.ended = True
                ended.append(one.object_id)
        return sorted(ended)

    def _cost(self, one: Tracked, track: Track, first: Sample, frame: TrackedFrame) -> float | None:
        """How far the track's start lies from where the object could be, as a share of what is allowed; None: never."""
        gap_s = first.media_time_s - one.last_s
        if gap_s <= 0 or gap_s > self._max_gap_s or LABEL_GROUP.get(track.label, track.label) != one.group:
            return None
        height, height_then = first.box[3] - first.box[1], one.box[3] - one.box[1]
        if not 0.5 * height_then <= height <= 2.0 * height_then:
            return None
        if gap_s > LEFT_GAP_S and _leaving(one, frame):
            return None
        size = min(_size(first.box), _size(one.box))
        allowed = size * min(1.5, 0.35 + 0.6 * gap_s)
        away = _from_way(one, gap_s, _middle(first.box))
        return away / allowed if away <= allowed else None


def _from_way(one: Tracked, gap_s: float, place: tuple[float, float]) -> float:
    """Distance from a place to the way between standing still and going on as before."""
    x, y = _middle(one.box)
    wx, wy = one.vx * gap_s, one.vy * gap_s
    length2 = wx * wx + wy * wy
    share = ((place[0] - x) * wx + (place[1] - y) * wy) / length2 if length2 > 0 else 0.0
    share = min(1.0, max(0.0, share))
    return math.hypot(place[0] - x - share * wx, place[1] - y - share * wy)


def _leaving(one: Tracked, frame: TrackedFrame) -> bool:
    """Was it moving out over a border of the picture that its box reached?"""
    left, top, right, bottom = one.box
    speed = 0.1 * _size(one.box)
    margin_x, margin_y = 0.01 * frame.width_px, 0.01 * frame.height_px
    return (
        (left <= margin_x and one.vx < -speed)
        or (right >= frame.width_px - margin_x and one.vx > speed)
        or (top <= margin_y and one.vy < -speed)
        or (bottom >= frame.height_px - margin_y and one.vy > speed)
    )


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _size(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
