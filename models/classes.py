"""From a graph's own classes to ours."""

from __future__ import annotations

import ast

import numpy as np
from numpy.typing import NDArray

from models.graph import GraphInfo
from models.types import LABELS, ModelError

COCO80 = {
    "person": 0, "bicycle": 1, "car": 2, "motorcycle": 3, "bus": 5, "truck": 7,
    "backpack": 24, "handbag": 26, "suitcase": 28, "dog": 16, "cat": 15,
}  # fmt: skip
"""Our labels among the 80 classes that most COCO models number without gaps."""

COCO91 = {
    "person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "bus": 6, "truck": 8,
    "backpack": 27, "handbag": 31, "suitcase": 33, "dog": 18, "cat": 17,
}  # fmt: skip
"""Our labels among COCO's original category numbers, which go to 90 and have gaps."""

Table = NDArray[np.int64]


def class_table(info: GraphInfo, default: int | None) -> Table:
    """Per class of the graph its index in `LABELS`, -1 for a class that is none of ours.

    Taken from the metadata (`classes`: comma-separated; `names`: Ultralytics' dictionary), else COCO's numbering for
    `default` (80, or 90 and 91 with gaps) classes. Raises ModelError where that tells nothing, or none is ours.
    """
    names = class_names(info)
    if names is not None:
        where = {name: number for number, name in names.items()}
        count = max(names, default=-1) + 1
    elif default in (80, 90, 91):
        where, count = (COCO80 if default == 80 else COCO91), default
    else:
        raise ModelError(
            f"{info.path}: cannot tell the names of its {default or 'unknown number of'} classes;"
            " add the metadata entry `classes` (comma-separated) to the graph"
        )
    table = np.full(count, -1, np.int64)
    for index, label in enumerate(LABELS):
        if label in where:
            table[where[label]] = index
    if (table < 0).all():
        raise ModelError(f"{info.path}: none of its classes is ours ({', '.join(LABELS)}); found: {list(where)[:20]}")
    return table


def best_classes(
    scores: NDArray[np.float32], table: Table, min_score: float
) -> tuple[Table, Table, NDArray[np.float32]]:
    """Rows of `scores` (n, classes) with one of ours as best class, from `min_score`: (rows, labels, scores).

    A box that is rather a bench than a person is no weak person: it is dropped.
    """
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(best)), best]
    ours = table[best]
    rows = np.flatnonzero((top >= min_score) & (ours >= 0))
    return rows, ours[rows], top[rows].astype(np.float32)


def class_names(info: GraphInfo) -> dict[int, str] | None:
    """The class names in the graph's metadata by number, or None where it has none."""
    if "classes" in info.metadata:
        return {number: name.strip() for number, name in enumerate(info.metadata["classes"].split(","))}
    if "names" not in info.metadata:
        return None
    try:
        names = ast.literal_eval(info.metadata["names"])
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (ValueError, SyntaxError, TypeError) as error:
        raise ModelError(f"{info.path}: its metadata entry `names` is not a list of class names ({error})") from error
