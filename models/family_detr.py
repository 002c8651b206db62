"""The DETR family: RT-DETR, D-FINE, RF-DETR and their kin, one box per object without suppression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.boxes import Floats, RawBoxes
from models.classes import Table, best_classes, class_names, class_table
from models.family import Call, Family, Preprocessing
from models.graph import GraphInfo, Port
from models.grid import corners
from models.types import ModelError

Variant = Literal["finished", "queries", "joined"]
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
BOX_NAMES, LOGIT_NAMES = ("dets", "pred_boxes"), ("labels", "logits", "pred_logits")


class Detr(Family):
    """Three layouts: finished boxes (RT-DETR, D-FINE), raw queries (RF-DETR, Transformers), joined (Ultralytics)."""

    name = "detr"
    layout = (
        "labels + boxes + scores with a second input orig_target_sizes (RT-DETR, D-FINE),"
        " dets + labels (RF-DETR), pred_boxes + logits (Transformers)"
        " or one [batch, queries, 4 + classes] (Ultralytics)"
    )
    one_box_per_object = True

    def __init__(self, info: GraphInfo) -> None:
        super().__init__(info)
        variant = _variant(info)
        if variant is None:
            found = "; ".join(str(port) for port in (*info.inputs, *info.outputs))
            raise ModelError(f"{info.path}: expected {self.layout}; found {found}")
        self._variant: Variant = variant
        self._table = class_table(info, self._class_count())

    @staticmethod
    def recognises(info: GraphInfo) -> bool:
        return _variant(info) is not None

    def picture_port(self) -> Port:
        return next(port for port in self.info.inputs if len(port.shape) == 4)

    def further_inputs(self, batch: int, size: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """The size in which finished boxes are wanted: that of the network's input, as width and height."""
        if self._variant != "finished":
            return {}
        port = next(port for port in self.info.inputs if len(port.shape) == 2)
        kind = np.float32 if port.kind == "tensor(float)" else np.int64
        return {port.name: np.tile(np.array([size], kind), (batch, 1))}

    def preprocessing(self) -> Preprocessing:
        names = {port.name for port in self.info.outputs}
        if "dets" in names or self.info.metadata.get("normalisation") == "imagenet":
            return Preprocessing(order="rgb", mean=IMAGENET_MEAN, std=IMAGENET_STD, fit="stretch")
        return Preprocessing(order="rgb", std=(255.0, 255.0, 255.0), fit="stretch")

    def decode(self, outputs: Mapping[str, NDArray[Any]], call: Call) -> list[RawBoxes]:
        if self._variant == "finished":
            columns = (outputs["labels"], outputs["boxes"], outputs["scores"])
            return [_finished(*picture, self._table, call.min_score) for picture in zip(*columns, strict=True)]
        size = np.array([call.width_px, call.height_px] * 2, np.float32)
        if self._variant == "joined":
            batch = outputs[self.info.outputs[0].name].astype(np.float32)
            pairs = [(picture[:, :4], picture[:, 4:]) for picture in batch]
        else:
            boxes, logits = (outputs[self._named(names)] for names in (BOX_NAMES, LOGIT_NAMES))
            pairs = [(one, _sigmoid(two)) for one, two in zip(boxes, logits, strict=True)]
        return [_from_queries(boxes, scores, self._table, size, call.min_score) for boxes, scores in pairs]

    def _class_count(self) -> int | None:
        if self._variant == "finished":
            return 80
        name = self._named(LOGIT_NAMES) if self._variant == "queries" else self.info.outputs[0].name
        last = next(port for port in self.info.outputs if port.name == name).shape[-1]
        if not isinstance(last, int):
            return None
        return last if self._variant == "queries" else last - 4

    def _named(self, names: tuple[str, ...]) -> str:
        # By name, never by shape: with three classes both outputs are four wide.
        return next(port.name for port in self.info.outputs if port.name in names)


def _variant(info: GraphInfo) -> Variant | None:
    names = {port.name for port in info.outputs}
    if {"labels", "boxes", "scores"} <= names:
        return "finished" if {len(port.shape) for port in info.inputs} == {2, 4} else None
    if names & set(BOX_NAMES) and names & set(LOGIT_NAMES):
        return "queries"
    known = class_names(info) if "names" in info.metadata else None
    joined = known is not None and len(info.outputs) == 1 and info.last_dimensions() == (len(known) + 4,)
    # Six columns are an end-to-end YOLO.
    return "joined" if joined and info.last_dimensions() != (6,) else None


def _finished(
    labels: NDArray[Any], boxes: NDArray[Any], scores: NDArray[Any], table: Table, min_score: float
) -> RawBoxes:
    numbers = labels.astype(np.int64)
    known = (numbers >= 0) & (numbers < len(table))
    classes = np.where(known, table[np.where(known, numbers, 0)], -1)
    kept = (classes >= 0) & (scores >= min_score)
    return RawBoxes(boxes[kept].astype(np.float32), scores[kept].astype(np.float32), classes[kept])


def _from_queries(boxes: Floats, scores: Floats, table: Table, size: Floats, min_score: float) -> RawBoxes:
    """Boxes as shares of the input, centre and size."""
    if len(table) < scores.shape[1]:
        scores = scores[:, : len(table)]
    rows, classes, best = best_classes(scores, table[: scores.shape[1]], min_score)
    return RawBoxes(corners(boxes[rows].astype(np.float32) * size), best, classes)


def _sigmoid(logits: NDArray[Any]) -> Floats:
    return (1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float32), -80.0, 80.0)))).astype(np.float32)
