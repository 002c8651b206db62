"""Footage through the product's own path from file to tracked frames, for every benchmark that needs tracks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.types import Frame, TrackedFrame

if TYPE_CHECKING:
    import supervision as sv

    from models.types import Detector

CAMERA = "view1"
WORKERS = 2


class BenchError(Exception):
    """A benchmark cannot be run; the message is one sentence for the user."""


@dataclass
class Measured:
    """The tracked frames of one run, and the size of the source picture."""

    frames: list[TrackedFrame]
    width_px: int
    height_px: int


def needed(path: Path) -> Path:
    """The footage at `path`. Raises BenchError where it is not there."""
    if not path.is_file():
        raise BenchError(f"{path}: no such footage; the benchmark clips lie in ../shared/footage.")
    return path


def track_file(
    path: Path,
    detector: Detector | None,
    *,
    analyse_fps: float | None = None,
    min_score: float = 0.5,
    tracker: str = "gatewatch",
    use_gate: bool = True,
) -> Measured:
    """Decodes, gates, detects and tracks a recording; `detector` None means `detector: motion`.

    `tracker` is `gatewatch` or a name of `pipeline.track_library`. Raises BenchError where the file is not there, and
    what the pipeline raises.
    """
    from pipeline.camera import track_camera
    from pipeline.decode import Decoder
    from pipeline.motion import MotionGate
    from pipeline.motion_track import blob_picture_size
    from pipeline.source import open_source

    with open_source(needed(path)) as source, ThreadPoolExecutor(WORKERS) as executor:
        size = (source.info.width_px, source.info.height_px)
        decoder = Decoder(
            source,
            analyse_fps=analyse_fps,
            analysis_size=detector.analysis_size(*size) if detector else blob_picture_size(*size),
        )

        def look(frame: Frame) -> sv.Detections:
            assert detector is not None
            return detector.detect([frame.image], [size])[0]

        frames: Iterator[TrackedFrame] = track_camera(
            CAMERA,
            decoder.frames(source.packets()),
            look if detector else None,
            gate=MotionGate(*size),
            tracker=_tracker(tracker if detector else "blobs", size, min_score),
            executor=executor,
            use_gate=use_gate,
        )
        done = list(frames)
    return Measured(done, *size)


def _tracker(name: str, size: tuple[int, int], min_score: float) -> Any:
    if name == "gatewatch":
        from pipeline.track import Tracker

        return Tracker(*size, min_score=min_score)
    if name == "blobs":
        from pipeline.motion_track import blob_tracker

        return blob_tracker(*size, min_score=min_score)
    from pipeline.track_library import LibraryTracker

    return LibraryTracker(min_score=min_score, name=name)
