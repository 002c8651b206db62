"""Detections -> tracks with stable ids, for one camera.

Association in the manner of ByteTrack (strong detections first, weak ones only extend) on a cost that adds up what
tells objects apart: distance from where the object should be by now, overlap, size and colour. Everything is in
seconds and box heights, so that 3 looks a second and 25 behave alike. Three things are not in the usual trackers:
motion is evidence (a track is born where something moved; what never moved is furniture), samples that become known
late, from before a track was confirmed or from a short gap, are handed on with it (`Track.earlier`), and labels that a
detector confuses compete by vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.appearance import SIZE as COLOURS
from pipeline.appearance import describe
from pipeline.associate import NEVER, assign, overlap
from pipeline.kalman import BoxFilter, to_centres
from pipeline.track_life import STILL_SCORE, STILL_SHARE, Furniture, Life, as_box
from pipeline.types import LABEL_GROUP, Box, Image, Sample, Track

if TYPE_CHECKING:
    import supervision as sv

    from pipeline.motion import Motion

SHAPED_IOU = 0.5
SHAPED_SHARE = 0.6
PERSON_ASPECT = 1.3
"""A person stands at least this much higher than wide; a weak "person" that lies is a part of a car."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Rows = IntArray
PERSON, TWO_WHEELER, VEHICLE = range(3)
"""Codes of the groups whose shape is known; others follow as they come."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings; times in seconds, scores 0..1, the rest in units of cost."""

    min_score: float = 0.5
    """What a track needs to be born; less where motion speaks for it and no confirmed track is near. Overhead views and
    small objects score low, but next to a person a weak box is a part of that person."""
    clear_share: float = 0.5
    clear_factor: float = 0.7
    """Part of `min_score` that is enough where `clear_share` of the box moved."""
    shaped_factor: float = 0.4
    """Part of `min_score` that is enough where the box is the very box of a thing that moves (`_Found.shaped`)."""
    shaped_weight: float = 0.4
    """What such a look counts for beside its score."""
    near: float = 0.2
    """Boxes touch when both are widened by this part of their size."""
    weak_score: float = 0.15
    """Detections below are not looked at."""
    strong_score: float = 0.45
    """Detections from here up may find a lost track; weaker ones only extend a live one."""
    live_s: float = 0.5
    lost_s: float = 2.0
    """A track not seen for this long ends; 0.7 s before it is confirmed."""
    unconfirmed_s: float = 0.7
    bridge_s: float = 1.5
    """Over a gap this short a track that is found again gets the samples that are missing, on a straight line."""
    confirm_looks: int = 2
    confirm_weight: float = 1.5
    cost_limit: float = 0.8
    weak_cost_limit: float = 0.2
    new_cost_limit: float = 0.6
    gate: float = 5.0
    """Standard deviations of the expected place beyond which nothing is matched."""
    overlap_cost: float = 0.4
    distance_cost: float = 0.6
    size_cost: float = 0.3
    colour_cost: float = 0.8
    colour_typical: float = 0.3
    """Colour distance of the same object in two frames."""
    colour_rate: float = 0.3
    double_overlap: float = 0.3
    """No track is born in a box that overlaps a live one's this much."""
    surprise: float = 0.15
    """Sizes that differ from the expected ones by more (in heights) are trusted less: something is hidden."""


@dataclass(frozen=True, slots=True)
class TrackUpdate:
    """What one frame made of the tracks."""

    tracks: tuple[Track, ...]
    ended: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """The detections of one frame as arrays."""

    boxes: FloatArray
    centres: FloatArray
    scores: FloatArray
    labels: list[str]
    groups: IntArray
    """(n,) codes of the labels' groups."""
    shares: FloatArray | None
    shaped: NDArray[np.bool_]
    """Boxes that are the very box of something that moves, and of the right shape for their label."""
    features: FloatArray
    """(n, COLOURS) see `pipeline.appearance`; a row of zeros where nobody looked."""

    def share(self, column: int) -> float | None:
        return None if self.shares is None else float(self.shares[column])


class Tracker:
    """The tracks of one camera. Deterministic; not thread-safe."""

    def __init__(
        self, width_px: int, height_px: int, *, min_score: float = 0.5, config: TrackerConfig | None = None
    ) -> None:
        """`width_px`, `height_px`: size of the source picture, in whose pixels all boxes are."""
        self.config = config or TrackerConfig(min_score=min_score)
        self._size = (width_px, height_px)
        self._filter = BoxFilter()
        self._lives: list[Life] = []
        self._furniture = Furniture()
        self._codes = {"person": PERSON, "two_wheeler": TWO_WHEELER, "vehicle": VEHICLE}
        self._time_s: float | None = None
        self._count = 0

    def update(
        self,
        detections: sv.Detections,
        media_time_s: float,
        motion: Motion | None = None,
        image: Image | None = None,
    ) -> TrackUpdate:
        """Takes the detections of the frame at `media_time_s` (not before the last frame's).

        `motion` is the evidence that something moved (None: everything counts as moved); `image` the BGR picture at any
        size, for colours.
        """
        self._advance(media_time_s)
        found = self._unpack(detections, motion)
        aside = self._furniture.mask(found.boxes, found.scores)
        promising = self._promising(found, media_time_s)
        if image is not None:
            self._colour(found, image, ~aside & (promising | self._near_tracks(found)))
        matched = self._match(found, promising, aside, media_time_s)
        tracks = self._extend(found, matched, media_time_s)
        for row, life in enumerate(self._lives):
            if row not in matched:
                life.miss(media_time_s)
        free = np.ones(len(found.boxes), dtype=bool)
        free[list(matched.values())] = False
        if found.shares is not None and motion is not None and motion.settled:
            still = free & (found.shares <= STILL_SHARE) & (found.scores < STILL_SCORE)
            self._furniture.learn(found.boxes, found.scores, still, media_time_s)
        rows = np.array(sorted(matched), dtype=np.int64)
        self._bear(found, np.flatnonzero(free & ~aside & promising), self._filter.boxes()[rows], media_time_s)
        return TrackUpdate(tracks, self._bury(media_time_s))

    def hold(self, media_time_s: float) -> TrackUpdate:
        """The detector was spared because nothing moves: what was there at the last look is still there."""
        before_s = self._time_s
        held = [row for row, life in enumerate(self._lives) if life.stands(before_s)]
        elapsed_s = 0.0 if before_s is None else max(media_time_s - before_s, 0.0)
        self._filter.rest(np.array(held, dtype=np.int64), elapsed_s)
        self._time_s = media_time_s
        boxes = self._filter.boxes()
        tracks = []
        for row in held:
            life = self._lives[row]
            box = as_box(boxes[row])
            earlier = life.bridge(media_time_s, box, self.config.bridge_s)
            life.held, life.last_s, life.seen_s = True, media_time_s, media_time_s
            if life.confirmed:
                tracks.append(Track(life.track_id, life.label, life.score, box, "held", earlier))
        tracks.sort(key=lambda track: track.track_id)
        return TrackUpdate(tuple(tracks), self._bury(media_time_s))

    def finish(self) -> tuple[int, ...]:
        """The stream is over: ids of the tracks that were still open."""
        ended = tuple(sorted(life.track_id for life in self._lives if life.confirmed))
        self._filter.keep(np.zeros(len(self._lives), dtype=bool))
        self._lives.clear()
        return ended

    def boxes(self) -> tuple[Box, ...]:
        """Where the live, lost and unconfirmed tracks are expected, for the gate that decides whether to look."""
        return tuple(as_box(row) for row in self._filter.boxes())

    def state_size(self) -> int:
        """How many things are remembered; it must not grow with time."""
        return len(self._lives) + len(self._furniture)

    def _advance(self, media_time_s: float) -> None:
        if self._time_s is not None:
            self._filter.predict(max(media_time_s - self._time_s, 0.0))
        self._time_s = media_time_s

    def _unpack(self, detections: sv.Detections, motion: Motion | None) -> _Found:
        scores = np.asarray(
            detections.confidence if detections.confidence is not None else np.ones(len(detections)), dtype=np.float64
        )
        keep = scores >= self.config.weak_score
        boxes = np.asarray(detections.xyxy, dtype=np.float64).reshape(-1, 4)[keep]
        labels = [str(name) for name in np.asarray(detections.data.get("class_name", []))[keep]] if len(boxes) else []
        shares = None
        if motion is not None:
            shares = motion.shares(boxes)
        groups = np.array([self._code(LABEL_GROUP.get(label, label)) for label in labels], dtype=np.int64)
        centres = to_centres(boxes)
        shaped = np.zeros(len(boxes), dtype=bool)
        if motion is not None and motion.blobs and shares is not None:
            same = overlap(boxes, np.array(motion.blobs)).max(axis=1, initial=0.0) >= SHAPED_IOU
            upright = centres[:, 3] >= PERSON_ASPECT * centres[:, 2]
            likely = (groups <= VEHICLE) & (upright | (groups != PERSON))
            shaped = same & (shares >= SHAPED_SHARE) & likely
        return _Found(boxes, centres, scores[keep], labels, groups, shares, shaped, np.zeros((len(boxes), COLOURS)))

    def _code(self, group: str) -> int:
        return self._codes.setdefault(group, len(self._codes))

    def _near_tracks(self, found: _Found) -> NDArray[np.bool_]:
        """(n,) detections that touch the box in which some track is expected."""
        return np.asarray((overlap(self._filter.boxes(), found.boxes) > 0.0).any(axis=0))

    def _colour(self, found: _Found, image: Image, rows: NDArray[np.bool_]) -> None:
        found.features[rows] = describe(image, found.boxes[rows], self._size)

    def _match(
        self, found: _Found, promising: NDArray[np.bool_], aside: NDArray[np.bool_], time_s: float
    ) -> dict[int, int]:
        """Row of a track -> column of its detection, in three stages."""
        config, free = self.config, ~aside
        matched: dict[int, int] = {}

        def stage(rows: list[int], columns: Rows, limit: float) -> None:
            if rows and len(columns):
                cost = self._cost(np.array(rows, dtype=np.int64), found, columns)
                for row, column in assign(cost, limit):
                    matched[rows[row]] = int(columns[column])
                    free[columns[column]] = False

        confirmed = [row for row, life in enumerate(self._lives) if life.confirmed]
        shaped = found.shaped & (found.scores >= config.shaped_factor * config.min_score)
        strong = shaped | (found.scores >= config.strong_score)
        stage(confirmed, np.flatnonzero(free & strong), config.cost_limit)
        live = [r for r in confirmed if r not in matched and time_s - self._lives[r].last_s <= config.live_s]
        stage(live, np.flatnonzero(free), config.weak_cost_limit)
        new = [row for row, life in enumerate(self._lives) if not life.confirmed]
        stage(new, np.flatnonzero(free & promising), config.new_cost_limit)
        return matched

    def _promising(self, found: _Found, time_s: float) -> NDArray[np.bool_]:
        """(n,) detections that are enough for a track to be born or confirmed by."""
        config = self.config
        clear = np.ones(len(found.boxes), dtype=bool) if found.shares is None else found.shares >= config.clear_share
        live = [k for k, life in enumerate(self._lives) if life.confirmed and time_s - life.last_s <= config.live_s]
        near = overlap(self._filter.boxes()[live], found.boxes, config.near).max(axis=0, initial=0.0) > 0.0
        factor = np.where(clear & ~near, config.clear_factor, 1.0)
        factor[found.shaped & ~near] = config.shaped_factor
        return np.asarray(found.scores >= factor * config.min_score)

    def _cost(self, rows: Rows, found: _Found, columns: Rows) -> FloatArray:
        config = self.config
        expected, measured = self._filter.value[rows], found.centres[columns]
        away = (expected[:, None, :2] - measured[None, :, :2]) / self._filter.spread()[rows][:, None, :]
        distance = np.sqrt((away * away).sum(axis=2))
        ratio = np.abs(np.log(np.maximum(expected[:, None, 2:], 1.0) / np.maximum(measured[None, :, 2:], 1.0)))
        size = ratio[:, :, 1] + 0.5 * ratio[:, :, 0]
        same = overlap(self._filter.boxes()[rows], found.boxes[columns])
        cost = (
            config.overlap_cost * (1.0 - same)
            + config.distance_cost * np.minimum(distance / config.gate, 1.0)
            + config.size_cost * size
        )
        colours = np.array([self._lives[row].feature for row in rows]) @ found.features[columns].T
        # Nothing in common at all: one of the two was never looked at.
        cost += np.where(colours > 0.0, config.colour_cost * (1.0 - colours - config.colour_typical), 0.0)
        groups = np.array([self._code(self._lives[row].group) for row in rows], dtype=np.int64)
        never = (distance > config.gate) | (size > 0.9) | (groups[:, None] != found.groups[columns][None, :])
        cost[never] = NEVER
        return np.asarray(cost)

    def _extend(self, found: _Found, matched: dict[int, int], time_s: float) -> tuple[Track, ...]:
        rows = np.array(sorted(matched), dtype=np.int64)
        columns = np.array([matched[int(row)] for row in rows], dtype=np.int64)
        self._correct(rows, found.centres[columns], found.scores[columns])
        boxes, tracks = self._filter.boxes(), []
        for row, column in zip(rows, columns, strict=True):
            life = self._lives[row]
            life.see(found.labels[column], float(found.scores[column]), found.share(int(column)), time_s)
            life.weight += self.config.shaped_weight * bool(found.shaped[column])
            x, y, width, _ = self._filter.value[row]
            life.moved |= bool(abs(x - life.start[0]) + abs(y - life.start[1]) > 0.5 * width)
            life.learn(found.features[column], self.config.colour_rate)
            box = as_box(boxes[row])
            earlier = life.bridge(time_s, box, self.config.bridge_s)
            if not life.confirmed:
                if not life.convincing(self.config.confirm_looks, self.config.confirm_weight):
                    life.wait((*earlier, Sample(time_s, box)))
                    continue
                self._count += 1
                life.track_id, earlier = self._count, (*life.pending, *earlier)
                life.pending.clear()
            tracks.append(Track(life.track_id, life.label, life.score, box, "seen", earlier))
        return tuple(sorted(tracks, key=lambda track: track.track_id))

    def _correct(self, rows: Rows, measured: FloatArray, scores: FloatArray) -> None:
        expected = self._filter.value[rows]
        wrong = np.abs(measured - expected)[:, 2:] / np.maximum(expected[:, 3:4], 1.0)
        trust = np.clip(self.config.surprise / np.maximum(wrong.max(axis=1, initial=1e-6), 1e-6), 0.2, 1.0)
        self._filter.update(rows, measured, trust * np.clip(0.5 + scores, 0.5, 1.0))

    def _bear(self, found: _Found, columns: Rows, live: FloatArray, time_s: float) -> None:
        config = self.config
        born: list[int] = []
        for column in columns:
            share = found.share(int(column))
            box = found.boxes[column][None]
            if len(live) and overlap(live, box).max() >= config.double_overlap:
                continue
            life = Life(
                label=found.labels[column], score=float(found.scores[column]), first_s=time_s, last_s=time_s,
                start=(float(found.centres[column][0]), float(found.centres[column][1])),
                feature=found.features[column],
            )  # fmt: skip
            life.see(found.labels[column], life.score, share, time_s)
            life.last_box, life.seen_s = as_box(found.boxes[column]), time_s
            life.wait((Sample(time_s, life.last_box),))
            self._lives.append(life)
            born.append(int(column))
        self._filter.add(found.centres[born])

    def _bury(self, time_s: float) -> tuple[int, ...]:
        width_px, height_px = self._size
        keep = np.ones(len(self._lives), dtype=bool)
        for row, life in enumerate(self._lives):
            x, y, width, height = self._filter.value[row]
            outside = (
                x < -0.2 * width or x > width_px + 0.2 * width or y < -0.3 * height or y > height_px + 0.3 * height
            )
            limit_s = self.config.lost_s if life.confirmed else self.config.unconfirmed_s
            unseen_s = time_s - life.last_s
            keep[row] = unseen_s <= limit_s and not (outside and unseen_s > 0)
        gone = [life.track_id for life, kept in zip(self._lives, keep, strict=True) if not kept]
        if not keep.all():
            self._filter.keep(keep)
            self._lives = [life for life, kept in zip(self._lives, keep, strict=True) if kept]
        return tuple(sorted(track_id for track_id in gone if track_id))
