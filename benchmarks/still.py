"""`gatewatch bench still`: what a scene costs in which nothing happens, with the motion gate on.

CPU seconds of the whole process per second of footage, decoding included: of a still stretch with the gate on, and of
a stretch where every frame is analysed, in the same footage.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.footage import BenchError
from pipeline.types import Frame

STILL_S = (46.0, 50.0)
"""A stretch of `one-by-one-person-detection.mp4` that its truth calls empty."""
BUSY_S = (52.0, 56.0)
SETTLE_S = 5.0
"""Frames before the stretch that the gate gets to know the background from; they are not counted."""
REPEATS = 3


def run(
    footage: Path,
    *,
    weights: str = "nanodet-g",
    input_px: int = 448,
    still_s: tuple[float, float] = STILL_S,
    busy_s: tuple[float, float] = BUSY_S,
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """CPU seconds per second of footage, still and analysed, and their ratio; medians of interleaved runs."""
    from models.load import load_detector

    if not footage.is_file():
        raise BenchError(f"{footage}: no such footage; the benchmark clips lie in ../shared/footage.")
    detector = load_detector(weights, input_px=input_px)
    still, busy, looked = [], [], 0
    for _ in range(repeats):
        cost, looked = _cost(footage, detector, still_s, use_gate=True)
        still.append(cost)
        busy.append(_cost(footage, detector, busy_s, use_gate=False)[0])
    cost_still, cost_busy = statistics.median(still), statistics.median(busy)
    return {
        "footage": footage.name,
        "weights": weights,
        "still_cpu_s_per_s": round(cost_still, 4),
        "analysed_cpu_s_per_s": round(cost_busy, 4),
        "ratio": round(cost_still / cost_busy, 4),
        "looks_in_still_stretch": looked,
    }


def _cost(path: Path, detector: Any, stretch: tuple[float, float], *, use_gate: bool) -> tuple[float, int]:
    """(CPU seconds per second of footage, frames looked at) between the two times of `stretch`."""
    from pipeline.camera import track_camera
    from pipeline.decode import Decoder
    from pipeline.motion import MotionGate
    from pipeline.source import open_source
    from pipeline.track import Tracker

    marks: list[float] = []
    looked = 0
    with open_source(path) as source, ThreadPoolExecutor(2) as executor:
        size = (source.info.width_px, source.info.height_px)
        decoder = Decoder(source, analyse_fps=None, analysis_size=detector.analysis_size(*size))

        def stretch_only() -> Iterator[Frame]:
            for frame in decoder.frames(source.packets()):
                if frame.media_time_s >= stretch[1]:
                    break
                if frame.media_time_s >= stretch[0] and not marks:
                    marks.append(time.process_time())
                if frame.media_time_s >= stretch[0] - SETTLE_S:
                    yield frame

        def look(frame: Frame) -> Any:
            return detector.detect([frame.image], [size])[0]

        frames = track_camera(
            "still", stretch_only(), look,
            gate=MotionGate(*size), tracker=Tracker(*size), executor=executor, use_gate=use_gate,
        )  # fmt: skip
        for tracked in frames:
            looked += tracked.looked and tracked.media_time_s >= stretch[0]
        spent = time.process_time() - marks[0]
    return spent / (stretch[1] - stretch[0]), looked
