"""When to look: which frames are worth a detector's time, decided from pixels and from tracks a moment ago."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.motion import Motion
from pipeline.types import Box

TAIL_S = 1.0
"""Looks go on this long after the last motion, so that a track learns that its object stopped or left."""
STILL_TAIL_S = 2.5
"""The same where something stopped in view: an object is born still after 5 looks over 2 s."""
VERIFY_S = 8.0
"""First look at what stands still; the wait then doubles up to `VERIFY_MAX_S`."""
VERIFY_MAX_S = 30.0
STOOD_S = 10.0
"""What stood somewhere so long ago is forgotten: if it stands there again, it came anew."""
EMPTY_S = 30.0
"""Between looks at a view in which nothing is known."""


@dataclass(slots=True)
class CameraCounts:
    """What became of the analysed frames of one camera."""

    looked: int = 0
    spared: int = 0
    """Frames for which the gate spared the detector."""
    blind: int = 0
    scene_changes: int = 0

    def note(self, *, looked: bool, blind: bool, scene_change: bool) -> None:
        """Counts one frame."""
        self.looked += looked
        self.spared += not looked
        self.blind += blind
        self.scene_changes += scene_change


class LookPolicy:
    """Decides frame by frame, in order; the same frames and tracks give the same looks."""

    def __init__(self) -> None:
        self._moved_s = -math.inf
        self._looked_s = -math.inf
        self._wait_s = VERIFY_S
        self._standing: list[tuple[Box, float]] = []
        """What stands where, and when it was last seen there."""

    def due(self, motion: Motion, boxes: Iterable[Box]) -> bool:
        """Whether to look at the frame of `motion`; `boxes` are those of tracks alive or lost, source pixels."""
        # Who creeps does not move, but stands where nothing stood.
        if self._appeared(motion) or motion.moving:
            self._moved_s = motion.media_time_s
            self._wait_s = VERIFY_S
        tail_s = STILL_TAIL_S if motion.still else TAIL_S
        quiet_s = motion.media_time_s - self._moved_s
        look = not motion.settled or quiet_s <= tail_s
        if not look:
            standing = bool(motion.still) or any(True for _ in boxes)
            look = motion.media_time_s - self._looked_s >= (self._wait_s if standing else EMPTY_S)
            if look:
                self._wait_s = min(VERIFY_MAX_S, self._wait_s * 2.0)
        if look:
            self._looked_s = motion.media_time_s
        return look

    def _appeared(self, motion: Motion) -> bool:
        """Whether something stands where nothing stood; one object may be seen as one part now and as two then."""
        new = [box for box in motion.still if not any(_within(box, known) for known, _ in self._standing)]
        now_s = motion.media_time_s
        self._standing = [
            (known, now_s if any(_within(known, box) for box in motion.still) else seen_s)
            for known, seen_s in self._standing
            if now_s - seen_s <= STOOD_S
        ] + [(box, now_s) for box in new]
        return bool(new)


def _within(box: Box, other: Box) -> bool:
    """Whether at least half of `box` lies in `other`."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return min(width, height) > 0.0 and 2.0 * width * height >= (box[2] - box[0]) * (box[3] - box[1])


def why_blind(motion: Motion, *, settles: bool) -> str | None:
    """Why the camera cannot see in this frame, or None; `settles`: it sees by the gate alone (`detector: motion`)."""
    if motion.flat:
        return "no picture"
    if motion.scene_change:
        return "camera-wide change"
    return "background settling" if settles and not motion.settled else None
