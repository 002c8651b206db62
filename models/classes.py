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

Columns = NDArray[np.int64]


def class_columns(info: GraphInfo, default: int | None) -> tuple[Columns, Columns, int]:
    """Which of the graph's classes are ours: (their columns, their index in `LABELS`, number of classes in the graph).

    Taken from the metadata (`classes`: comma-separated; `names`: Ultralytics' dictionary), else COCO's numbering for
    `default` (80 or 91) classes. Raises ModelError where none of our labels is among them.
    """
    names = class_names(info)
    if names is not None:
        where = {name: number for number, name in names.items()}
        count = max(names, default=-1) + 1
    elif default == 91:
        where, count = dict(COCO91), 91
    elif default == 80:
        where, count = dict(COCO80), 80
    else:
        raise ModelError(
            f"{info.path}: cannot tell the names of its {default} classes;"
            " add the metadata entry `classes` (comma-separated)"
        )
    ours = [(where[label], index) for index, label in enumerate(LABELS) if label in where]
    if not ours:
        raise ModelError(f"{info.path}: none of its classes is ours ({', '.join(LABELS)}); found: {list(where)[:20]}")
    columns, indices = zip(*ours, strict=True)
    return np.array(columns, np.int64), np.array(indices, np.int64), count


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
