"""The cells of a detector that predicts once per cell of several grids."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.boxes import Floats


@lru_cache(maxsize=64)
def anchors(width_px: int, height_px: int, strides: tuple[int, ...], offset: float) -> tuple[Floats, Floats]:
    """Anchor points (n, 2) in pixels and strides (n,), row by row, in the order of `strides`.

    `offset` is where the point lies in its cell: 0 on the corner, 0.5 in the middle.
    """
    points, steps = [], []
    for stride in strides:
        rows, columns = -(-height_px // stride), -(-width_px // stride)
        y, x = np.mgrid[:rows, :columns]
        points.append(((np.stack([x, y], axis=-1).reshape(-1, 2) + offset) * stride).astype(np.float32))
        steps.append(np.full(rows * columns, stride, np.float32))
    return np.concatenate(points), np.concatenate(steps)


def cell_count(width_px: int, height_px: int, strides: tuple[int, ...] = (8, 16, 32)) -> int:
    return sum(-(-height_px // stride) * -(-width_px // stride) for stride in strides)


def corners(xywh: Floats) -> Floats:
    """(n, 4) centre x, centre y, width, height -> left, top, right, bottom."""
    half = xywh[:, 2:] / 2
    return np.concatenate([xywh[:, :2] - half, xywh[:, :2] + half], axis=1).astype(np.float32)
