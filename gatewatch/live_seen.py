"""Where the objects of a camera were last seen, for the snapshots of their events."""

from __future__ import annotations

from collections import deque

from gatewatch.live_messages import Seen
from pipeline.types import Box, TrackedFrame
from rules.types import RuleEvent

BOXES_KEPT = 64
KEPT_S = 120.0
TRACKS_KEPT = 2000


class LastSeen:
    """The newest boxes of each track; those of tracks that are long gone are forgotten."""

    def __init__(self) -> None:
        self.highest_id = 0
        self._boxes: dict[int, deque[tuple[float, Box]]] = {}
        self._size = (0, 0)

    def __len__(self) -> int:
        return len(self._boxes)

    def note(self, frame: TrackedFrame) -> None:
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
        """The object of the event as it was by the time the rule decided: it may be gone by then."""
        boxes = self._boxes.get(event.track_ids[0]) if event.track_ids else None
        if not boxes:
            return None
        past = [seen for seen in boxes if seen[0] <= event.raised_s + 0.001]
        time_s, box = past[-1] if past else boxes[0]
        return Seen(time_s, box, *self._size)
