"""The facts that the pipeline hands on: frames, tracks, tracked frames.

Only the standard library and numpy are imported here, so that rules and the API can use these types without a
decoder, OpenCV or an inference runtime in the process.

Coordinates are pixels of the source picture, x to the right and y downwards, origin in the top left corner. Boxes are
*not* clipped to the picture: an object that walks out of it may have its feet below the last row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""left, top, right, bottom in source pixels."""

GROUPS: dict[str, tuple[str, ...]] = {
    "person": ("person",),
    "two_wheeler": ("bicycle", "motorcycle"),
    "vehicle": ("car", "bus", "truck"),
    "animal": ("dog", "cat"),
    "carried": ("backpack", "handbag", "suitcase"),
    "object": ("object",),
}
"""Labels that a detector confuses with one another or that a rule means together; group -> labels."""

LABEL_GROUP: dict[str, str] = {label: group for group, labels in GROUPS.items() for label in labels}


class Frame:
    """One decoded picture that is to be analysed. The colour image is made when it is first asked for: where the
    motion gate spares the detector, nobody asks."""

    __slots__ = ("_image", "height_px", "index", "luma", "media_time_s", "wall_time", "width_px")

    def __init__(
        self,
        index: int,
        media_time_s: float,
        wall_time: datetime | None,
        image: Image | Callable[[], Image],
        luma: Image,
        width_px: int,
        height_px: int,
    ) -> None:
        """`image` is the picture itself or what makes it; `luma` is grey, (height, width), small: for the motion gate.

        `index` counts analysed frames from 0 per camera and run; `wall_time` is UTC, None where the start of the
        recording is unknown; `width_px` and `height_px` are the size of the source picture.
        """
        self.index = index
        self.media_time_s = media_time_s
        self.wall_time = wall_time
        self.luma = luma
        self.width_px = width_px
        self.height_px = height_px
        self._image = image

    @property
    def image(self) -> Image:
        """BGR, (height, width, 3), at analysis size (see `pipeline.decode`)."""
        if not isinstance(self._image, np.ndarray):
            self._image = self._image()
        return self._image


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a track was at one time."""

    media_time_s: float
    box: Box


@dataclass(frozen=True, slots=True)
class Track:
    """One object over time in one camera, as it stands in one frame."""

    track_id: int
    """Unique per camera and run, never used again."""
    label: str
    """The label that won the vote so far."""
    score: float
    box: Box
    state: Literal["seen", "held"] = "seen"
    """`seen`: detected in this frame. `held`: the detector was spared because nothing moved, the object is still there.
    A track that was looked for and not found is not in the frame; it is lost until it comes back or ends."""
    earlier: tuple[Sample, ...] = ()
    """Samples between the last frame that had this track and this one that became known only now: looks before the
    track was confirmed, and, on a straight line, looks that missed it over a short gap. In order of time, not including
    this frame."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """What rules see: one analysed frame of one camera."""

    camera: str
    index: int
    media_time_s: float
    wall_time: datetime | None
    width_px: int
    height_px: int
    tracks: tuple[Track, ...] = ()
    """Objects present in this frame, by track_id."""
    ended: tuple[int, ...] = ()
    """Tracks that ended at this frame; their ids do not come back."""
    looked: bool = True
    """False where the motion gate spared the detector."""
    blind: str | None = None
    """Why the camera cannot see now (camera-wide change, background settling, no picture), else None."""
