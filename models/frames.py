"""A few pictures out of a video, for calibration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from models.types import Image, ModelError


def sample_frames(video: Path, count: int) -> list[Image]:
    """`count` BGR frames spread evenly over the video, the same ones every time.

    Raises ModelError where the video cannot be read or has fewer frames.
    """
    total = sum(1 for _ in _grabs(_open(video)))
    if total < max(count, 1):
        raise ModelError(f"{video}: expected a video of at least {count} frames, could read {total}")
    wanted = {number * total // count for number in range(count)}
    capture = _open(video)
    return [capture.retrieve()[1].astype(np.uint8, copy=False) for number in _grabs(capture) if number in wanted]


def _open(video: Path) -> cv2.VideoCapture:
    if not video.is_file():
        raise ModelError(f"{video}: no such video")
    return cv2.VideoCapture(str(video))


def _grabs(capture: cv2.VideoCapture) -> Iterator[int]:
    """Numbers of the frames, each stepped to but not decoded into a picture yet."""
    number = 0
    while capture.grab():
        yield number
        number += 1
