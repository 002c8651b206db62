"""The way to a detector: from a name of the catalogue or a path to something that finds objects in pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from models.catalogue import catalogue, expected_sha256, find, what_to_do
from models.detector import OnnxDetector
from models.family import family_of
from models.graph import Graph
from models.types import ModelError

PROVIDERS_VARIABLE = "GATEWATCH_PROVIDERS"
THREADS_VARIABLE = "GATEWATCH_THREADS"
"""What a machine has is not a matter of the site: these say it for every command."""
MOST_THREADS = 256


def load_detector(
    weights: str,
    *,
    input_px: int = 448,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    family: str | None = None,
    min_score: float = 0.1,
    nms_iou: float = 0.45,
) -> OnnxDetector:
    """A detector that is warm and may be called by several threads at once.

    `weights` is a name of the catalogue, or the path of an `.onnx` file (or a `.pt` file, with the `ultralytics`
    extra). `input_px` is the longer side of the network's input where the graph leaves it open; `providers` are ONNX
    Runtime's execution providers (or `cpu`, `cuda`, ...), `threads` those that each inference takes; left out, the
    environment says (`GATEWATCH_PROVIDERS`, `GATEWATCH_THREADS`), else one thread of the processor;
    `family` states what the graph is where that cannot be told; `min_score` and `nms_iou` (0..1) are the weakest
    detection reported and the overlap above which one of two boxes of a label group goes.

    Raises ModelError, one sentence: unknown name, missing, corrupt or altered file, missing provider, unknown graph.
    """
    path, expected, stated = _locate(weights)
    graph = Graph(path, _providers() if providers is None else providers, _threads() if threads is None else threads)
    if expected and graph.sha256 != expected:
        raise ModelError(f"{path}: damaged or another file: expected SHA-256 {expected}, found {graph.sha256}")
    chosen = family_of(graph.info, family or stated)
    detector = OnnxDetector(graph, chosen, input_px=input_px, min_score=min_score, nms_iou=nms_iou)
    detector.warm_up()
    return detector


def _providers() -> list[str] | None:
    names = [name.strip() for name in os.environ.get(PROVIDERS_VARIABLE, "").split(",")]
    return [name for name in names if name] or None


def _threads() -> int:
    text = os.environ.get(THREADS_VARIABLE, "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise ModelError(f"{THREADS_VARIABLE}: expected a whole number from 1 to {MOST_THREADS}, found {text!r}")
    return int(text)


def _locate(weights: str) -> tuple[Path, str, str | None]:
    """(file, hash it must have or an empty text, family it must be or None)."""
    path = Path(weights).expanduser()
    if path.suffix == ".pt" and weights not in catalogue():
        from models.ultralytics_pt import exported

        return exported(path), "", None
    if path.suffix == ".onnx" or path.is_file():
        return path, "", None
    row = find(weights)
    if not row.path.is_file():
        raise ModelError(f"{row.name}: no file at {row.path}; {what_to_do(row)}")
    return row.path, expected_sha256(row), row.family
