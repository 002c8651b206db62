"""The way to a detector: from a name of the catalogue or a path to something that finds objects in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.catalogue import catalogue, expected_sha256, find, what_to_do
from models.detector import OnnxDetector
from models.family import family_of
from models.graph import Graph
from models.types import ModelError


def load_detector(
    weights: str,
    *,
    input_px: int = 448,
    providers: Sequence[str] | None = None,
    threads: int = 1,
    family: str | None = None,
    min_score: float = 0.1,
    nms_iou: float = 0.45,
) -> OnnxDetector:
    """A detector that is warm and may be called by several threads at once.

    `weights` is a name of the catalogue, or the path of an `.onnx` file (or a `.pt` file, with the `ultralytics`
    extra). `input_px` is the longer side of the network's input where the graph leaves it open; `providers` are ONNX
    Runtime's execution providers (or `cpu`, `cuda`, ...), default the processor; `threads` each inference takes;
    `family` states what the graph is where that cannot be told; `min_score` and `nms_iou` (0..1) are the weakest
    detection reported and the overlap above which one of two boxes of a label group goes.

    Raises ModelError, one sentence: unknown name, missing, corrupt or altered file, missing provider, unknown graph.
    """
    path, expected, stated = _locate(weights)
    graph = Graph(path, providers, threads)
    if expected and graph.sha256 != expected:
        raise ModelError(f"{path}: damaged or another file: expected SHA-256 {expected}, found {graph.sha256}")
    chosen = family_of(graph.info, family or stated)
    detector = OnnxDetector(graph, chosen, input_px=input_px, min_score=min_score, nms_iou=nms_iou)
    detector.warm_up()
    return detector


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
