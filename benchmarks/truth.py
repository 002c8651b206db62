"""Ground-truth tracks: MOTChallenge-style text (`gt.txt`) and our CSV with a header.

Frames count from 1; boxes are left, top, width, height in source pixels. Rows with `evaluate` 0 (the MOTChallenge
"conf" column) are people that nobody is asked to find: they belong to the true tracks, and so to event truth, but a
prediction that matches one is neither right nor wrong.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage import BenchError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOT_COLUMNS = ("frame", "id", "left", "top", "width", "height", "evaluate")


class TruthError(BenchError):
    """A truth file cannot be read; the message says where and what was expected."""


@dataclass(frozen=True)
class TruthFrame:
    """The true objects of one frame."""

    ids: IntArray
    boxes: FloatArray
    """(n, 4): left, top, right, bottom in source pixels."""
    evaluate: NDArray[np.bool_]


def load_truth(path: Path, frames: int | None = None) -> list[TruthFrame]:
    """True objects per frame; item k is frame k + 1 of the file. `frames` extends the list with empty frames.

    Raises TruthError on a file that is missing, empty or malformed.
    """
    if not path.is_file():
        raise TruthError(f"{path}: no such truth file")
    rows: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or row[0].strip() == "frame":
                continue
            try:
                values = tuple(float(value) for value in row[:7])
            except ValueError:
                raise TruthError(
                    f"{path}, line {number}: expected numbers {', '.join(MOT_COLUMNS)}, found {row}"
                ) from None
            if len(values) < 7:
                raise TruthError(f"{path}, line {number}: expected 7 columns or more, found {len(values)}")
            rows[int(values[0])].append(values)
    if not rows:
        raise TruthError(f"{path}: no rows")
    return [_frame(rows.get(number, [])) for number in range(1, max(max(rows), frames or 0) + 1)]


def _frame(rows: list[tuple[float, ...]]) -> TruthFrame:
    table = np.array(rows, dtype=np.float64).reshape(-1, len(rows[0]) if rows else 7)[:, :7]
    boxes = np.column_stack((table[:, 2], table[:, 3], table[:, 2] + table[:, 4], table[:, 3] + table[:, 5]))
    return TruthFrame(ids=table[:, 1].astype(np.int64), boxes=boxes, evaluate=table[:, 6] > 0)


def iou_matrix(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every box of `a` (n, 4) with every box of `b` (m, 4), as (n, m)."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(bottom_right - top_left, 0.0, None), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))
