"""YOLOX: per cell the offset and the logarithm of the size in strides, an object score and class scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes import Floats, RawBoxes
from models.classes import best_classes, class_table
from models.family import Call, Family, Preprocessing
from models.graph import GraphInfo
from models.grid import anchors, cell_count, corners
from models.types import ModelError


class YoloX(Family):
    """One output (batch, cells, 5 + classes), scores through the sigmoid.

    The usual export leaves the grid to the caller; one made with `--decode_in_inference` gives pixels, looks the same,
    and must say so in its metadata (`decoded`: `true`).
    """

    name = "yolox"
    layout = "one output [batch, cells, 5 + classes], one row per cell of strides 8, 16, 32 (e.g. 8400 x 85)"

    def __init__(self, info: GraphInfo) -> None:
        super().__init__(info)
        shape = info.outputs[0].shape
        last = shape[-1]
        if len(info.outputs) != 1 or len(shape) != 3 or not isinstance(last, int) or last < 6:
            raise ModelError(f"{info.path}: expected {self.layout}; found {'; '.join(map(str, info.outputs))}")
        self._table = class_table(info, last - 5)
        self._output = info.outputs[0].name
        self._strides = tuple(int(part) for part in info.metadata.get("strides", "8,16,32").split(","))
        self._decoded = info.metadata.get("decoded", "false").lower() == "true"
        self.stride = max(32, self._strides[-1])

    @staticmethod
    def recognises(info: GraphInfo) -> bool:
        if len(info.outputs) != 1 or len(info.outputs[0].shape) != 3 or "names" in info.metadata:
            return False
        _, middle, last = info.outputs[0].shape
        cells = None if info.picture_size is None else cell_count(*info.picture_size)
        return cells is not None and middle == cells and isinstance(last, int) and last > 5

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(order="bgr", align="corner", pad=114)

    def decode(self, outputs: Mapping[str, NDArray[Any]], call: Call) -> list[RawBoxes]:
        # The grid's own point is the corner of the cell.
        points, strides = anchors(call.width_px, call.height_px, self._strides, 0.0)
        batch = outputs[self._output].astype(np.float32)
        if batch.shape[1] != len(strides):
            raise ModelError(
                f"{self.info.path}: expected {len(strides)} cells for {call.width_px}x{call.height_px},"
                f" found {batch.shape[1]}"
            )
        return [self._one(picture, points, strides, call.min_score) for picture in batch]

    def _one(self, picture: Floats, points: Floats, strides: Floats, min_score: float) -> RawBoxes:
        rows, classes, scores = best_classes(picture[:, 5:] * picture[:, 4:5], self._table, min_score)
        xywh = picture[rows, :4]
        if not self._decoded:
            step = strides[rows, None]
            xywh = np.concatenate([xywh[:, :2] * step + points[rows], np.exp(xywh[:, 2:]) * step], axis=1)
        return RawBoxes(corners(xywh), scores, classes)
