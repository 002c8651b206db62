"""What the tracker remembers: an object's labels and the evidence that it is real, and what in the view never moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.associate import overlap
from pipeline.types import LABEL_GROUP, Box, Sample

FloatArray = NDArray[np.float64]

MOVED_SHARE = 0.15
"""A box of which this part moved within the last second or two is evidence that the object moved."""
STILL_SHARE = 0.05
STILL_SCORE = 0.6
STILL_LOOKS = 5
STILL_S = 2.0
"""What never moved is born only with this score in so many looks over so long; below, it is furniture."""

FORGIVEN_S = 0.65
"""Looks may miss a confirmed track for so long and it is still held when they end. Whoever is really gone was missed
for the whole second of looks that follows the last motion."""

PENDING_SAMPLES = 256


@dataclass(slots=True)
class Life:
    """One track, confirmed or not yet."""

    label: str
    score: float
    first_s: float
    last_s: float
    start: tuple[float, float]
    """Centre where it was first seen, source pixels."""
    feature: FloatArray
    """What it looks like (`pipeline.appearance`), zeros where nobody looked."""
    track_id: int = 0
    """0 until confirmed."""
    looks: int = 0
    strong_looks: int = 0
    weight: float = 0.0
    """Sum of scores so far."""
    moved: bool = False
    held: bool = False
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    pending: list[Sample] = field(default_factory=list)
    """Samples before it was confirmed."""
    last_box: Box | None = None
    seen_s: float = 0.0
    """When it was at `last_box`."""
    missed: list[float] = field(default_factory=list)
    """Times of the looks since it was last seen or held."""
    doubted_s: float | None = None
    """The first look that missed it since it was last seen."""

    @property
    def confirmed(self) -> bool:
        """Whether rules know of it."""
        return self.track_id > 0

    @property
    def group(self) -> str:
        """Group of the label that leads."""
        return LABEL_GROUP.get(self.label, self.label)

    def see(self, label: str, score: float, share: float | None, time_s: float) -> None:
        """Takes a detection; `share` is the part of its box that moved, None where nobody can tell."""
        self.last_s, self.score, self.held, self.doubted_s = time_s, score, False, None
        self.looks += 1
        self.weight += score
        self.strong_looks += score >= STILL_SCORE
        self.moved |= share is None or share >= MOVED_SHARE
        self.votes[label] += score
        self.label = max(self.votes, key=lambda name: (self.votes[name], name))

    def convincing(self, looks: int, weight: float) -> bool:
        """Whether there is enough evidence to tell the rules: looks, their scores, and motion (or long certainty)."""
        if self.looks < looks or self.weight < weight:
            return False
        return self.moved or (self.strong_looks >= STILL_LOOKS and self.last_s - self.first_s >= STILL_S)

    def wait(self, samples: Iterable[Sample]) -> None:
        """Keeps samples until the track is confirmed; of what nothing confirms, only the newest."""
        self.pending.extend(samples)
        del self.pending[:-PENDING_SAMPLES]

    def miss(self, time_s: float) -> None:
        """It was looked for and not found."""
        self.held = False
        self.missed.append(time_s)
        self.doubted_s = time_s if self.doubted_s is None else self.doubted_s

    def stands(self, looked_s: float | None) -> bool:
        """Whether it is held when looks end; the last frame was at `looked_s`."""
        if self.held or self.last_s == looked_s:
            return True
        if looked_s is None or self.doubted_s is None or not self.confirmed:
            return False
        return looked_s - self.last_s <= FORGIVEN_S and looked_s - self.doubted_s <= FORGIVEN_S

    def bridge(self, time_s: float, box: Box, longest_s: float) -> tuple[Sample, ...]:
        """It is at `box` now: samples for the looks that missed it, on a straight line from where it was last seen."""
        missed, self.missed, before, self.last_box = self.missed, [], self.last_box, box
        if before is None or not missed or time_s - self.seen_s > longest_s:
            self.seen_s = time_s
            return ()
        start_s, self.seen_s = self.seen_s, time_s
        shares = [(moment, (moment - start_s) / (time_s - start_s)) for moment in missed]
        return tuple(
            Sample(moment, as_box((1 - share) * np.array(before) + share * np.array(box))) for moment, share in shares
        )

    def learn(self, feature: FloatArray, rate: float) -> None:
        """Moves the remembered look towards `feature` (see `pipeline.appearance`)."""
        if not self.feature.any():
            self.feature = feature
        elif feature.any():
            self.feature = (1 - rate) * self.feature + rate * feature


@dataclass(slots=True)
class _Spot:
    box: FloatArray
    score: float
    looks: int
    last_s: float


class Furniture:
    """Places where the detector sees something that never moves: lamp posts, bushes, a sign.

    A walking person's track must not be caught by them, so weak detections there are set aside.
    """

    SAME_IOU = 0.6
    LOOKS = 3
    MARGIN = 0.15
    SURE = 0.7
    FORGET_S = 120.0
    DOUBT_S = 5.0
    MOST = 64

    def __init__(self) -> None:
        self._spots: list[_Spot] = []
        self._same: FloatArray = np.zeros((0, 0))
        """(spots, n) overlap with the detections of the last `mask`."""

    def __len__(self) -> int:
        return len(self._spots)

    def mask(self, boxes: FloatArray, scores: FloatArray) -> NDArray[np.bool_]:
        """(n,) True for detections that are such a place and not clearly more than was ever seen there."""
        self._same = overlap(np.array([spot.box for spot in self._spots]).reshape(-1, 4), boxes)
        known = np.array([spot.looks >= self.LOOKS for spot in self._spots], dtype=bool)
        limit = np.array([min(spot.score + self.MARGIN, self.SURE) for spot in self._spots])
        there = (self._same >= self.SAME_IOU) & known[:, None]
        return np.asarray((there & (scores[None, :] < limit[:, None])).any(axis=0))

    def learn(self, boxes: FloatArray, scores: FloatArray, still: NDArray[np.bool_], time_s: float) -> None:
        """Takes the detections `still` (n,) of the last `mask`: they belong to no track and nothing moved in them."""
        for column in np.flatnonzero(still):
            box, score = boxes[column], scores[column]
            best = int(self._same[:, column].argmax()) if len(self._same) else -1
            if best < 0 or self._same[best, column] < self.SAME_IOU:
                self._spots.append(_Spot(box.copy(), float(score), 1, time_s))
            else:
                spot = self._spots[best]
                spot.box = 0.9 * spot.box + 0.1 * box
                spot.score = max(spot.score, float(score))
                spot.looks += 1
                spot.last_s = time_s
        self._spots = [
            spot
            for spot in self._spots
            if time_s - spot.last_s < (self.FORGET_S if spot.looks >= self.LOOKS else self.DOUBT_S)
        ]
        if len(self._spots) > self.MOST:
            self._spots = sorted(self._spots, key=lambda spot: -spot.looks)[: self.MOST]


def as_box(row: FloatArray) -> Box:
    """Four floats."""
    return (float(row[0]), float(row[1]), float(row[2]), float(row[3]))
