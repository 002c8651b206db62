"""Which detection belongs to which track: the cost of every pair, and the best assignment.

All arrays are over n tracks and m detections; boxes are left, top, right, bottom in source pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FloatArray = NDArray[np.float64]

NEVER = 1e6
"""Cost of a pair that may not be matched."""


def overlap(a: FloatArray, b: FloatArray, widen: float = 0.0) -> FloatArray:
    """(n, m) intersection over union after widening every box by `widen` times its size on each side.

    Widening lets boxes of one object be compared that do not touch at a low frame rate (C-BIoU, Yang et al., 2023).
    """
    a, b = _widened(a, widen), _widened(b, widen)
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(bottom_right - top_left, 0.0)
    inter = size[:, :, 0] * size[:, :, 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    return np.asarray(inter / np.maximum(area_a[:, None] + area_b[None, :] - inter, 1e-9))


def assign(cost: FloatArray, limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the cheapest one-to-one assignment, those costing more than `limit` left out.

    Costs beyond the limit are clipped first, so that a hopeless pair cannot push a good one out.
    """
    if cost.size == 0:
        return []
    rows, columns = linear_sum_assignment(np.minimum(cost, limit + 1e-3))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] <= limit]


def _widened(boxes: FloatArray, widen: float) -> FloatArray:
    if widen == 0.0:
        return boxes
    margin = widen * (boxes[:, 2:] - boxes[:, :2])
    return np.hstack((boxes[:, :2] - margin, boxes[:, 2:] + margin))
