"""From raw boxes to detections: suppression of doubles, order, our labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.types import LABELS

if TYPE_CHECKING:
    import supervision as sv

Floats = NDArray[np.float32]

GROUPS: tuple[tuple[str, ...], ...] = (
    ("person",),
    ("bicycle", "motorcycle"),
    ("car", "bus", "truck"),
    ("dog", "cat"),
    ("backpack", "handbag", "suitcase"),
)
"""Labels that a detector confuses with one another: of two boxes on the same thing only the better one stays."""

GROUP_OF_CLASS = np.array(
    [next(number for number, group in enumerate(GROUPS) if label in group) for label in LABELS], np.int64
)
_NAMES = np.array(LABELS)


@dataclass(frozen=True, slots=True)
class RawBoxes:
    """What a family decodes for one picture, before suppression."""

    xyxy: Floats
    """(n, 4) left, top, right, bottom in pixels of the network's input."""
    scores: Floats
    """(n,) 0..1."""
    classes: NDArray[np.int64]
    """(n,) index into `LABELS`."""

    @staticmethod
    def none() -> RawBoxes:
        return RawBoxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def suppress(raw: RawBoxes, iou: float) -> NDArray[np.int64]:
    """Indices of the boxes that stay, by falling score: no two of one group overlap by more than `iou`.

    Equal scores keep the order they came in, so that the result never depends on how it was sorted.
    """
    order = np.argsort(-raw.scores, kind="stable")
    if len(order) < 2:
        return order
    boxes = raw.xyxy[order].astype(np.float64)
    groups = GROUP_OF_CLASS[raw.classes[order]]
    overlaps = (_iou_matrix(boxes) > iou) & (groups[:, None] == groups[None, :])
    stays = np.ones(len(order), bool)
    for index in range(len(order) - 1):
        if stays[index]:
            stays[index + 1 :] &= ~overlaps[index, index + 1 :]
    return order[stays]


def _iou_matrix(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    left, top, right, bottom = boxes.T
    # One side at a time: a (n, n, 2) array and its product take three times as long.
    shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    np.maximum(shared, 0.0, out=shared)
    heights = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared *= np.maximum(heights, 0.0, out=heights)
    areas = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    total = areas[:, None] + areas - shared
    ratios: NDArray[np.float64] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return ratios


def to_detections(raw: RawBoxes, keep: NDArray[np.int64], scale: tuple[float, float]) -> sv.Detections:
    """The boxes `keep`, stretched by `scale` (x, y) into source pixels."""
    import supervision as sv

    xyxy = raw.xyxy[keep] * np.array([*scale, *scale], np.float32)
    classes = raw.classes[keep].astype(int)
    return sv.Detections(
        xyxy=xyxy.astype(np.float32),
        confidence=raw.scores[keep].astype(np.float32),
        class_id=classes,
        data={"class_name": _NAMES[classes]},
    )
