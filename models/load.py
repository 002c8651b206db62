"""The way to a detector: by name or path, to something that finds objects in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.detector import OnnxDetector
from models.family import family_of
from models.graph import Graph

WEIGHTS = Path(__file__).parent / "weights"


def load_detector(
    weights: str,
    *,
    input_px: int = 448,
    providers: Sequence[str] | None = None,
    threads: int = 1,
    family: str | None = None,
    min_score: float = 0.1,
    nms_iou: float = 0.6,
) -> OnnxDetector:
    """A detector that is warm and ready."""
    path = WEIGHTS / f"{weights}.onnx" if not weights.endswith(".onnx") else Path(weights)
    graph = Graph(path, providers, threads)
    detector = OnnxDetector(
        graph, family_of(graph.info, family), input_px=input_px, min_score=min_score, nms_iou=nms_iou
    )
    detector.warm_up()
    return detector
