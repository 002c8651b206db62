"""`gatewatch bench accuracy`: tracks against true tracks (CLEAR, identity, HOTA)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.footage import Measured, track_file
from benchmarks.mot import Predictions, score_tracks
from benchmarks.truth import load_truth
from pipeline.types import GROUPS, Box, Sample


def run(
    footage: Path,
    truth: Path,
    *,
    weights: str = "nanodet-g",
    input_px: int = 448,
    trackers: tuple[str, ...] = ("gatewatch", "botsort"),
    frames: int | None = None,
) -> dict[str, Any]:
    """Scores of every tracker on every frame of `footage`, or of the first `frames`.

    Row k of the truth belongs to the picture of index k - 1; the file must have one picture per row of truth.
    """
    from models.load import load_detector

    detector = load_detector(weights, input_px=input_px)
    result: dict[str, Any] = {"footage": footage.name, "weights": weights, "input_px": input_px}
    true = load_truth(truth)[:frames]
    for name in trackers:
        measured = track_file(footage, detector, tracker=name)
        scores = score_tracks(true, predictions(measured, len(true)))
        result[name] = {key: round(value, 4) for key, value in scores.items()}
        result["frames"] = len(true)
    return result


def predictions(measured: Measured, frames: int, group: str = "person") -> Predictions:
    """Boxes per picture, as `tracks.parquet` has them: samples that became known later stand at their own time.

    Of tracks whose label is in `group` only; the truth speaks of no other.
    """
    index = {round(frame.media_time_s, 3): number for number, frame in enumerate(measured.frames)}
    boxes: dict[int, list[tuple[int, Box]]] = defaultdict(list)
    for frame in measured.frames:
        for track in frame.tracks:
            if track.label not in GROUPS[group]:
                continue
            for sample in (*track.earlier, Sample(frame.media_time_s, track.box)):
                number = index[round(sample.media_time_s, 3)]
                if number < frames:
                    boxes[number].append((track.track_id, sample.box))
    return boxes
