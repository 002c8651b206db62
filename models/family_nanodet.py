"""NanoDet and NanoDet-Plus: per anchor the scores and four distributions over the distance to an edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes import Floats, RawBoxes
from models.classes import best_classes, class_table
from models.family import Call, Family, Preprocessing
from models.graph import GraphInfo
from models.grid import anchors
from models.types import ModelError

MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)


class NanoDet(Family):
    """One output (batch, anchors, classes + 4 * bins), scores already through the sigmoid."""

    name = "nanodet"
    layout = "one output [batch, anchors, classes + 4 x bins] (e.g. 112 = 80 + 4 x 8)"

    def __init__(self, info: GraphInfo) -> None:
        super().__init__(info)
        metadata = info.metadata
        self._output = info.outputs[0].name
        self._table = class_table(info, default=80)
        count = len(self._table)
        width = info.outputs[0].shape[-1]
        if not isinstance(width, int) or width <= count or (width - count) % 4:
            raise ModelError(
                f"{info.path}: expected NanoDet's [batch, anchors, {count} classes + 4 x bins], found {info.outputs[0]}"
            )
        self._class_count = count
        self._bins = np.arange((width - count) // 4, dtype=np.float32)
        self._strides = tuple(int(part) for part in metadata.get("strides", "8,16,32,64").split(","))
        # NanoDet-Plus puts its anchors on the corners of the cells, the first NanoDet into their middle.
        self._offset = float(metadata.get("anchor_offset", "0"))
        self.stride = max(self._strides[-1], 32)

    @staticmethod
    def recognises(info: GraphInfo) -> bool:
        return len(info.outputs) == 1 and len(info.outputs[0].shape) == 3 and info.last_dimensions() == (112,)

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(order="bgr", mean=MEAN_BGR, std=STD_BGR)

    def decode(self, outputs: Mapping[str, NDArray[Any]], call: Call) -> list[RawBoxes]:
        centres, strides = anchors(call.width_px, call.height_px, self._strides, self._offset)
        batch = outputs[self._output]
        if batch.shape[1] != len(strides):
            raise ModelError(
                f"{self.info.path}: expected {len(strides)} anchors for {call.width_px}x{call.height_px}"
                f" at strides {self._strides}, found {batch.shape[1]}"
            )
        return [self._decode_one(picture, centres, strides, call.min_score) for picture in batch]

    def _decode_one(self, picture: Floats, centres: Floats, strides: Floats, min_score: float) -> RawBoxes:
        kept, classes, scores = best_classes(picture[:, : self._class_count], self._table, min_score)
        logits = picture[kept, self._class_count :].reshape(len(kept), 4, len(self._bins))
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        distances = (weights * self._bins).sum(axis=2) / weights.sum(axis=2) * strides[kept, None]
        xyxy = np.concatenate([centres[kept] - distances[:, :2], centres[kept] + distances[:, 2:]], axis=1)
        return RawBoxes(xyxy, scores, classes)
