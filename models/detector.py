"""The detector that every ONNX graph becomes: fit, batch, infer, decode, suppress, back to source pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.boxes import RawBoxes, suppress, to_detections
from models.family import Call, Family
from models.graph import Graph
from models.picture import Fit, InputFormat, Size, fit_picture, place, reduced_size, to_blob
from models.types import Image, ModelError

if TYPE_CHECKING:
    import supervision as sv


class OnnxDetector:
    """A `models.types.Detector` on ONNX Runtime. Several threads may call `detect` at once."""

    def __init__(
        self, graph: Graph, family: Family, *, input_px: int = 448, min_score: float = 0.1, nms_iou: float = 0.45
    ) -> None:
        """`input_px` is the longer side of the network's input, where the graph does not fix it.

        `min_score` (0..1) is the weakest detection reported, `nms_iou` (0..1) the overlap from which the weaker of two
        boxes of one label group is dropped. Raises ModelError for values out of range.
        """
        if input_px < family.stride or input_px % family.stride:
            raise ModelError(f"input_px: expected a multiple of {family.stride}, found {input_px}")
        for name, value in (("min_score", min_score), ("nms_iou", nms_iou)):
            if not 0.0 <= value <= 1.0:
                raise ModelError(f"{name}: expected 0 to 1, found {value}")
        self.weights_sha256 = graph.sha256
        self.family = family
        self.min_score = min_score
        self.nms_iou = nms_iou
        self._graph = graph
        self._how = family.preprocessing()
        self._form = InputFormat.of(family.picture_port(), graph.info.path)
        self._longer_px = max(self._form.size) if self._form.size else input_px

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use, ONNX Runtime's names."""
        return self._graph.providers

    def analysis_size(self, width_px: int, height_px: int) -> Size:
        """Size (width, height) to which a source picture is reduced before `detect`, aspect ratio kept."""
        if self._how.fit == "stretch" or self._form.size is None:
            return reduced_size((width_px, height_px), self._longer_px)
        return self._fit((width_px, height_px)).picture

    def warm_up(self, width_px: int = 16, height_px: int = 9) -> None:
        """One inference on a grey picture of this aspect ratio, so that the first real one is not slow."""
        grey = np.full((*self.analysis_size(width_px, height_px)[::-1], 3), 114, np.uint8)
        self.detect([grey])

    def detect(self, images: Sequence[Image], source_sizes: Sequence[Size] | None = None) -> list[sv.Detections]:
        """Detections of each BGR image, in pixels of the source picture (see `models.types.Detector`).

        Raises ModelError where an image is not (height, width, 3) uint8, or there are not as many sizes as images.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ModelError(f"expected pictures (height, width, 3) uint8, found {image.shape} {image.dtype}")
        if source_sizes is not None and len(source_sizes) != len(images):
            raise ModelError(f"expected a source size for each of {len(images)} pictures, found {len(source_sizes)}")
        fits = [self._fit((image.shape[1], image.shape[0])) for image in images]
        raw = self._infer(images, fits)
        sizes = source_sizes or [(image.shape[1], image.shape[0]) for image in images]
        return [self._finish(boxes, fit, size) for boxes, fit, size in zip(raw, fits, sizes, strict=True)]

    def feeds_of(self, image: Image) -> dict[str, NDArray[Any]]:
        """What the graph is fed for one BGR picture."""
        fit = self._fit((image.shape[1], image.shape[0]))
        return self._feeds([place(image, fit, self._how.pad)], fit.canvas)

    def _feeds(self, placed: list[Image], canvas: Size) -> dict[str, NDArray[Any]]:
        feeds = {self._form.name: to_blob(placed, self._how, self._form)}
        return feeds | self.family.further_inputs(len(placed), canvas)

    def _fit(self, size: Size) -> Fit:
        return fit_picture(size, self._how, self._longer_px, self._form.size, self.family.stride)

    def _infer(self, images: Sequence[Image], fits: Sequence[Fit]) -> list[RawBoxes]:
        """Raw boxes per image; images whose canvases are equal go through the network together."""
        raw: list[RawBoxes] = [RawBoxes.none()] * len(images)
        by_canvas: dict[Size, list[int]] = {}
        for number, fit in enumerate(fits):
            by_canvas.setdefault(fit.canvas, []).append(number)
        for canvas, numbers in by_canvas.items():
            step = self._form.batch or len(numbers)
            for start in range(0, len(numbers), step):
                chunk = numbers[start : start + step]
                placed = [place(images[number], fits[number], self._how.pad) for number in chunk]
                placed += [placed[-1]] * ((self._form.batch or 0) - len(chunk))
                outputs = self._graph.run(self._feeds(placed, canvas))
                decoded = self.family.decode(outputs, Call(canvas[0], canvas[1], self.min_score))
                for number, boxes in zip(chunk, decoded, strict=False):
                    raw[number] = boxes
        return raw

    def _finish(self, raw: RawBoxes, fit: Fit, source: Size) -> sv.Detections:
        keep = np.argsort(-raw.scores, kind="stable") if self.family.one_box_per_object else suppress(raw, self.nms_iou)
        moved = RawBoxes(raw.xyxy - np.array([fit.left, fit.top] * 2, np.float32), raw.scores, raw.classes)
        return to_detections(moved, keep, (source[0] / fit.picture[0], source[1] / fit.picture[1]))
