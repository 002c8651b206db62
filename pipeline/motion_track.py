"""`detector: motion`: the tracker's settings for blobs of motion instead of a detector's boxes."""

from __future__ import annotations

from dataclasses import replace

from pipeline.track import Tracker, TrackerConfig

BLOBS = replace(TrackerConfig(), surprise=5.0)
"""Blobs are where the pixels are, also while they grow at the edge of the picture: their size is to be believed."""
PICTURE_PX = 448
"""Longer side of the pictures whose colours the tracker is shown; no detector sets their size."""


def blob_tracker(width_px: int, height_px: int, *, min_score: float = 0.5) -> Tracker:
    """The tracker for a camera with `detector: motion`; sizes in source pixels."""
    return Tracker(width_px, height_px, config=replace(BLOBS, min_score=min_score))


def blob_picture_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Size (width, height) to which a source picture is reduced where no detector looks at it, aspect ratio kept."""
    scale = min(1.0, PICTURE_PX / max(width_px, height_px))
    return max(2, round(width_px * scale)), max(2, round(height_px * scale))
