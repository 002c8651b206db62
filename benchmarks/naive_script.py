"""The script that a user would write today: VideoCapture, the same weights, supervision, trackers.

One picture after the other, each full size and analysed, lines and zones by supervision. It is what `gatewatch bench
speed` compares with, and no part of the product.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import supervision as sv

LINE = ((0.30, 0.30), (0.22, 0.48))
ZONE = ((0.0, 0.45), (0.33, 0.525), (0.56, 0.64), (1.0, 0.93), (1.0, 1.0), (0.0, 1.0))
"""Normalised; the pipeline that it is compared with watches the same places (`benchmarks.speed`)."""


def run(footage: Path, detector: Any, frames: int | None = None) -> dict[str, Any]:
    """Frames per second of the script on the footage, or on its first `frames` pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trackers import BoTSORTTracker

        tracker = BoTSORTTracker(enable_cmc=False)
        capture = cv2.VideoCapture(str(footage))
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        start, end = (sv.Point(x * width, y * height) for x, y in LINE)
        line = sv.LineZone(start=start, end=end)
        zone = sv.PolygonZone(polygon=(np.array(ZONE) * (width, height)).astype(int))
        began, cpu, done, inside = time.perf_counter(), time.process_time(), 0, 0
        while frames is None or done < frames:
            more, picture = capture.read()
            if not more:
                break
            found = tracker.update(detector.detect([picture])[0])
            line.trigger(found)
            inside += int(zone.trigger(found).sum())
            done += 1
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        capture.release()
    return {
        "frames": done, "wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3), "fps": round(done / wall_s, 2),
        "crossings": line.in_count + line.out_count, "frames_inside": inside,
    }  # fmt: skip
