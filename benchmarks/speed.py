"""`gatewatch bench speed`: the whole pipeline against a bare loop that only decodes and infers the same frames.

Both take every frame, with the same decoder, input size, session options and number of concurrent inference calls; the
runs are interleaved and their medians compared, so that a machine that slows down slows both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import naive_script
from benchmarks.footage import BenchError, needed
from gatewatch.machine import cores
from pipeline.types import Frame

if TYPE_CHECKING:
    from gatewatch.site import Site

WINDOW = 8
"""Look-ahead of both loops, as `pipeline.camera` has it."""
REPEATS = 3
RULES = f"""
site: {{name: Speed, timezone: UTC}}
cameras:
  view1:
    source: footage
    zones: {{lawn: {[list(point) for point in naive_script.ZONE]}}}
    lines: {{road: {[list(point) for point in naive_script.LINE]}}}
    rules:
      - {{name: lawn, kind: intrusion, zone: lawn, labels: [person]}}
      - {{name: road, kind: line_crossing, line: road, labels: [person]}}
      - {{name: dwell, kind: loitering, zone: lawn, labels: [person], dwell_s: 10}}
"""


def run(
    footage: Path, *, weights: str = "nanodet-g", input_px: int = 448, repeats: int = REPEATS, naive: bool = True
) -> dict[str, Any]:
    """Frames per second, the ratio of pipeline to bare loop (with and without clips), and seconds per stage."""
    from models.load import load_detector

    needed(footage)
    detector = load_detector(weights, input_px=input_px)
    workers = cores()
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        site = _site(Path(folder), weights, input_px)
        runs: dict[str, Callable[[], int]] = {
            "bare": lambda: _bare(footage, weights, input_px, workers),
            "pipeline": lambda: _pipeline(footage, site, Path(folder), workers, clips=False),
            "pipeline_with_clips": lambda: _pipeline(footage, site, Path(folder), workers, clips=True),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        frames = _bare(footage, weights, input_px, workers)  # Warm: the file and the imports are there for all.
        for number in range(repeats):
            for name in list(runs) if number % 2 == 0 else list(runs)[::-1]:
                began, cpu = time.perf_counter(), time.process_time()
                if runs[name]() != frames:
                    raise BenchError(f"The {name} run did not see the same {frames} frames as the bare loop.")
                times[name].append((time.perf_counter() - began, time.process_time() - cpu))
    result: dict[str, Any] = {
        "footage": footage.name,
        "weights": weights,
        "input_px": input_px,
        "frames": frames,
        "workers": workers,
    }
    walls = {name: statistics.median(wall for wall, _ in pairs) for name, pairs in times.items()}
    for name, wall_s in walls.items():
        cpu_s = statistics.median(cpu for _, cpu in times[name])
        result[name] = {"wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3), "fps": round(frames / wall_s, 2)}
    result["ratio"] = round(walls["pipeline"] / walls["bare"], 4)
    result["cpu_ratio"] = round(result["pipeline"]["cpu_s"] / result["bare"]["cpu_s"], 4)
    result["ratio_with_clips"] = round(walls["pipeline_with_clips"] / walls["bare"], 4)
    result["stages_ms_per_frame"] = _stages(footage, detector)
    if naive:
        result["naive_script"] = naive_script.run(footage, detector)
    return result


def _site(folder: Path, weights: str, input_px: int) -> Site:
    from gatewatch.site import load_site

    path = folder / "site.yaml"
    path.write_text(f"{RULES}detector: {{weights: {weights}, input_px: {input_px}}}\n", encoding="utf-8")
    return load_site(path)


def _bare(path: Path, weights: str, input_px: int, workers: int) -> int:
    """Loads the detector, decodes and infers every frame, `workers` at a time; returns the number of frames."""
    from models.load import load_detector
    from pipeline.decode import Decoder
    from pipeline.source import open_source

    waiting: deque[Future[Any]] = deque()
    done = 0
    detector = load_detector(weights, input_px=input_px)
    with open_source(path) as source, ThreadPoolExecutor(workers) as executor:
        size = (source.info.width_px, source.info.height_px)
        decoder = Decoder(source, analyse_fps=None, analysis_size=detector.analysis_size(*size))
        for frame in decoder.frames(source.packets()):
            waiting.append(executor.submit(detector.detect, [frame.image], [size]))
            if len(waiting) >= WINDOW:
                waiting.popleft().result()
                done += 1
        while waiting:
            waiting.popleft().result()
            done += 1
    return done


def _pipeline(path: Path, site: Site, folder: Path, workers: int, *, clips: bool) -> int:
    """The whole re-analysis with rules and tables, every frame looked at; `clips` adds clips."""
    from gatewatch.reanalyse import Options, reanalyse

    options = Options(
        out=folder / "out",
        workers=workers,
        overwrite=True,
        fresh=True,
        use_gate=False,
        clips=clips,
        snapshots=clips,
        quiet=True,
    )
    result = reanalyse(site, [path], options, say_line=lambda _: None)
    return int(result.summary["frames_analysed"])


def _stages(path: Path, detector: Any, frames: int = 200) -> dict[str, float]:
    """Milliseconds per frame of each stage alone, one after the other in one thread, on the first `frames` frames."""
    from pipeline.decode import Decoder
    from pipeline.motion import MotionGate
    from pipeline.source import open_source
    from pipeline.track import Tracker

    spent = dict.fromkeys(("decode", "motion", "detect", "track"), 0.0)
    count = 0
    with open_source(path) as source:
        size = (source.info.width_px, source.info.height_px)
        decoder = Decoder(source, analyse_fps=None, analysis_size=detector.analysis_size(*size))
        gate, tracker = MotionGate(*size), Tracker(*size)
        pictures: Iterator[Frame] = islice(decoder.frames(source.packets()), frames)
        marks = [time.perf_counter()]
        for frame in pictures:
            marks.append(time.perf_counter())
            motion = gate.update(frame.luma, frame.media_time_s)
            marks.append(time.perf_counter())
            found = detector.detect([frame.image], [size])[0]
            marks.append(time.perf_counter())
            tracker.update(found, frame.media_time_s, motion, frame.image)
            marks.append(time.perf_counter())
            for name, start, end in zip(spent, marks, marks[1:], strict=False):
                spent[name] += end - start
            marks, count = [time.perf_counter()], count + 1
    return {name: round(1000 * total / max(1, count), 2) for name, total in spent.items()}
