"""Trackers of the trackers library behind our interface: the reference that ours is measured against.

They know nothing of motion as evidence, of labels that compete, or of samples before confirmation; what is common to
both, association by label group among it, is done here so that the comparison is about tracking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import MediaError
from pipeline.track import TrackUpdate
from pipeline.track_life import as_box
from pipeline.types import LABEL_GROUP, Box, Image, Track

if TYPE_CHECKING:
    import supervision as sv

    from pipeline.motion import Motion

NAMES = ("botsort", "bytetrack", "ocsort", "cbiou")
LOST_S = 1.0


class LibraryTracker:
    """A tracker of the library, one instance per label group so that a car never continues a person."""

    def __init__(self, *, min_score: float = 0.5, name: str = "botsort") -> None:
        """`name` is one of `NAMES`; raises MediaError for another."""
        if name not in NAMES:
            raise MediaError(f"tracker: expected gatewatch or one of {', '.join(NAMES)}, found {name}.")
        self._name, self._min_score = name, min_score
        self._groups: dict[str, Any] = {}
        self._ids: dict[tuple[str, int], int] = {}
        self._seen: dict[int, tuple[float, Track]] = {}
        self._time_s = 0.0

    def update(
        self,
        detections: sv.Detections,
        media_time_s: float,
        motion: Motion | None = None,  # noqa: ARG002 (the library has no use for it)
        image: Image | None = None,  # noqa: ARG002 (neither for this)
    ) -> TrackUpdate:
        """As `pipeline.track.Tracker.update`."""
        self._time_s = media_time_s
        tracks: list[Track] = []
        labels = np.asarray(detections.data.get("class_name", []), dtype=str)
        groups = np.array([LABEL_GROUP.get(label, label) for label in labels], dtype=str)
        for group in sorted({*self._groups, *groups.tolist()}):
            tracker = self._groups.setdefault(group, None) or self._new(group)
            result = tracker.update(detections[groups == group], timestamp=media_time_s)
            tracks += self._tracks(group, result)
        for track in tracks:
            self._seen[track.track_id] = (media_time_s, track)
        return TrackUpdate(tuple(sorted(tracks, key=lambda track: track.track_id)), self._ended())

    def hold(self, media_time_s: float) -> TrackUpdate:
        """As `pipeline.track.Tracker.hold`."""
        before_s, self._time_s = self._time_s, media_time_s
        held = []
        for track_id, (seen_s, track) in sorted(self._seen.items()):
            if seen_s == before_s:
                kept = Track(track_id, track.label, track.score, track.box, "held")
                self._seen[track_id] = (media_time_s, kept)
                held.append(kept)
        return TrackUpdate(tuple(held), self._ended())

    def finish(self) -> tuple[int, ...]:
        """As `pipeline.track.Tracker.finish`."""
        ended = tuple(sorted(self._seen))
        self._seen.clear()
        return ended

    def boxes(self) -> tuple[Box, ...]:
        """As `pipeline.track.Tracker.boxes`."""
        return tuple(track.box for _, track in self._seen.values())

    def _new(self, group: str) -> Any:
        import trackers

        born, strong = {"track_activation_threshold": self._min_score}, {"high_conf_det_threshold": 0.4}
        kinds = {
            "botsort": (trackers.BoTSORTTracker, {**born, **strong, "enable_cmc": False}),
            "bytetrack": (trackers.ByteTrackTracker, {**born, **strong}),
            "ocsort": (trackers.OCSORTTracker, strong),
            "cbiou": (trackers.CBIoUTracker, born),
        }
        kind, options = kinds[self._name]
        self._groups[group] = kind(**options)
        return self._groups[group]

    def _tracks(self, group: str, result: sv.Detections) -> list[Track]:
        tracks = []
        names = result.data.get("class_name", [])
        for row, tracker_id in enumerate(result.tracker_id if result.tracker_id is not None else ()):
            if tracker_id >= 0:
                track_id = self._ids.setdefault((group, int(tracker_id)), len(self._ids) + 1)
                score = 1.0 if result.confidence is None else float(result.confidence[row])
                tracks.append(Track(track_id, str(names[row]), score, as_box(result.xyxy[row])))
        return tracks

    def _ended(self) -> tuple[int, ...]:
        ended = tuple(sorted(k for k, (seen_s, _) in self._seen.items() if self._time_s - seen_s > LOST_S))
        for track_id in ended:
            del self._seen[track_id]
        return ended
