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

from benchmarks.footage import needed
from pipeline.types import Frame

STRETCHES: dict[str, tuple[tuple[tuple[float, float], ...], tuple[float, float]]] = {
    "one-by-one-person-detection.mp4": (((47.5, 50.0), (89.5, 92.0), (46.0, 50.0)), (52.0, 56.0)),
    "car-detection.mp4": (((11.5, 14.0), (22.0, 25.0), (10.0, 14.0), (20.0, 25.0)), (14.5, 18.5)),
}
"""Of each clip: stretches that its truth calls empty, and one that is analysed. In the first `STILL` nobody is followed
any more; the others begin while the gate still looks for who has just left, which is what makes them dearer."""
STILL = 2
SETTLE_S = 5.0
"""Frames before the stretch that the gate gets to know the background from; they are not counted."""
REPEATS = 3


def run(
    folder: Path,
    *,
    weights: str = "nanodet-g",
    input_px: int = 448,
    repeats: int = REPEATS,
    clips: int = len(STRETCHES),
) -> dict[str, Any]:
    """CPU seconds per second of footage, still and analysed, of the clips in `folder`; medians of interleaved runs.

    `ratio` is the mean over the stretches in which nobody is followed; each stretch stands beside it. Raises BenchError
    where a clip is not there.
    """
    from models.load import load_detector

    detector = load_detector(weights, input_px=input_px)
    result: dict[str, Any] = {"weights": weights, "ratio": 0.0}
    ratios: list[float] = []
    for name, (still, busy) in list(STRETCHES.items())[:clips]:
        path = needed(folder / name)
        rows = result[name] = [_compared(path, detector, stretch, busy, repeats) for stretch in still]
        ratios += [row["ratio"] for row in rows[:STILL]]
    result["ratio"] = round(statistics.mean(ratios), 4)
    return result


def _compared(
    path: Path, detector: Any, still: tuple[float, float], busy: tuple[float, float], repeats: int
) -> dict[str, Any]:
    costs, analysed, looked = [], [], 0
    for _ in range(repeats):
        cost, looked = _cost(path, detector, still, use_gate=True)
        costs.append(cost)
        analysed.append(_cost(path, detector, busy, use_gate=False)[0])
    cost_still, cost_busy = statistics.median(costs), statistics.median(analysed)
    return {
        "stretch_s": list(still),
        "still_cpu_s_per_s": round(cost_still, 4),
        "analysed_cpu_s_per_s": round(cost_busy, 4),
        "ratio": round(cost_still / cost_busy, 4),
        "looks": looked,
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
