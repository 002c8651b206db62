"""Where the objects of a camera were last seen, for the snapshots of their events, live and in a re-analysis."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from pipeline.types import Box, TrackedFrame
from rules.types import RuleEvent

BOXES_KEPT = 64
KEPT_S = 120.0
TRACKS_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the object of an event was last seen by the time the rule decided."""

    media_time_s: float
    box: Box
    """Pixels of the analysed stream's picture."""
    width_px: int
    height_px: int


class LastSeen:
    """The newest boxes of each track; those of tracks that are long gone are forgotten."""

    def __init__(self) -> None:
        self.highest_id = 0
        self._boxes: dict[int, deque[tuple[float, Box]]] = {}
        self._size = (0, 0)

    def __len__(self) -> int:
        return len(self._boxes)

    def note(self, frame: TrackedFrame) -> None:
        """Takes the next frame."""
        self._size = (frame.width_px, frame.height_px)
        for track in frame.tracks:
            self.highest_id = max(self.highest_id, track.track_id)
            # Moved to the end: the first is the one that was not seen for longest.
            boxes = self._boxes.pop(track.track_id, None) or deque(maxlen=BOXES_KEPT)
            boxes.append((frame.media_time_s, track.box))
            self._boxes[track.track_id] = boxes
        while self._boxes:
            oldest = next(iter(self._boxes))
            if self._boxes[oldest][-1][0] >= frame.media_time_s - KEPT_S and len(self._boxes) <= TRACKS_KEPT:
                break
            del self._boxes[oldest]

    def of(self, event: RuleEvent) -> Seen | None:
        """The object of the event as it was by the time the rule decided: it may be gone by then.

        Its track may have broken, and tracks of others may be named too: its own is the one that ends where the event's
        path does.
        """
        kept = [boxes for track_id in event.track_ids if (boxes := self._boxes.get(track_id))]
        seen = [max((one for one in boxes if one[0] <= event.raised_s + 0.001), default=boxes[0]) for boxes in kept]
        if not seen:
            return None
        time_s, box = min(seen, key=lambda one: self._off_path(one, event)) if event.path else seen[0]
        return Seen(time_s, box, *self._size)

    def _off_path(self, seen: tuple[float, Box], event: RuleEvent) -> float:
        """How far a box is from the end of the event's path, in its own heights and in seconds."""
        time_s, (left, top, right, bottom) = seen
        end_s, x, y = event.path[-1]
        dx, dy = (left + right) / 2 - x * self._size[0], bottom - y * self._size[1]
        return math.hypot(dx, dy) / max(bottom - top, 1.0) + abs(time_s - end_s)
