"""Ultralytics YOLO: the anchor-free heads (YOLOv5u, 8, 11, 12), the end-to-end ones (10, 26) and the first YOLOv5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.boxes import Floats, RawBoxes
from models.classes import best_classes, class_names, class_table
from models.family import Call, Family, Preprocessing
from models.graph import Dimension, GraphInfo
from models.grid import cell_count, corners
from models.types import ModelError

Variant = Literal["anchor_free", "anchors", "end_to_end"]
MOST_QUERIES = 1000
"""An end-to-end head gives at most so many boxes; a grid has more cells."""


class Yolo(Family):
    """One output in pixels of the input; which of the three layouts is read off its shape."""

    name = "yolo"
    layout = (
        "one output [batch, 4 + classes, cells] (v5u, 8, 11), [batch, boxes, 6] (10, 26 end to end)"
        " or [batch, 3 x cells, 5 + classes] (v5)"
    )

    def __init__(self, info: GraphInfo) -> None:
        super().__init__(info)
        variant = _variant(info)
        if variant is None:
            outputs = "; ".join(str(port) for port in info.outputs)
            raise ModelError(f"{info.path}: expected {self.layout}; found {outputs}")
        self._variant: Variant = variant
        self._output = info.outputs[0].name
        shape = info.outputs[0].shape
        counts: dict[Variant, int | None] = {
            "anchor_free": _less(shape[1], 4), "anchors": _less(shape[2], 5), "end_to_end": 80,
        }  # fmt: skip
        self._table = class_table(info, counts[variant])
        self.one_box_per_object = variant == "end_to_end"
        self.stride = max(32, int(float(info.metadata.get("stride", "32"))))

    @staticmethod
    def recognises(info: GraphInfo) -> bool:
        return _variant(info) is not None

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(order="rgb", std=(255.0, 255.0, 255.0), align="centre", pad=114)

    def decode(self, outputs: Mapping[str, NDArray[Any]], call: Call) -> list[RawBoxes]:
        ways = {"anchor_free": self._anchor_free, "anchors": self._anchors, "end_to_end": self._end_to_end}
        return [ways[self._variant](picture, call.min_score) for picture in outputs[self._output].astype(np.float32)]

    def _anchor_free(self, picture: Floats, min_score: float) -> RawBoxes:
        rows, classes, scores = best_classes(picture[4:].T, self._table, min_score)
        return RawBoxes(corners(picture[:4, rows].T), scores, classes)

    def _anchors(self, picture: Floats, min_score: float) -> RawBoxes:
        rows, classes, scores = best_classes(picture[:, 5:] * picture[:, 4:5], self._table, min_score)
        return RawBoxes(corners(picture[rows, :4]), scores, classes)

    def _end_to_end(self, picture: Floats, min_score: float) -> RawBoxes:
        numbers = picture[:, 5].astype(np.int64)
        known = (numbers >= 0) & (numbers < len(self._table))
        classes = np.where(known, self._table[np.where(known, numbers, 0)], -1)
        kept = (classes >= 0) & (picture[:, 4] >= min_score)
        return RawBoxes(picture[kept, :4], picture[kept, 4], classes[kept])


def _variant(info: GraphInfo) -> Variant | None:
    if len(info.outputs) != 1 or len(info.inputs) != 1 or len(info.outputs[0].shape) != 3:
        return None
    _, middle, last = info.outputs[0].shape
    # The number of boxes is open in a graph with open sizes, so an end-to-end head is told by its six columns.
    if last == 6 and (not isinstance(middle, int) or middle <= MOST_QUERIES):
        return "end_to_end"
    names = class_names(info) if "names" in info.metadata and "stride" in info.metadata else None
    if names is not None:
        return _by_classes(len(names), middle, last)
    cells = _cells(info)
    if cells is not None and last == cells:
        return "anchor_free"
    return "anchors" if cells is not None and middle == 3 * cells else None


def _by_classes(count: int, middle: Dimension, last: Dimension) -> Variant | None:
    """The layout of an export that names its classes."""
    if middle == count + 4:
        return "anchor_free"
    return "anchors" if last == count + 5 else None


def _cells(info: GraphInfo) -> int | None:
    return None if info.picture_size is None else cell_count(*info.picture_size)


def _less(dimension: Dimension, count: int) -> int | None:
    return dimension - count if isinstance(dimension, int) else None
