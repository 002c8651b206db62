"""Pictures into a network's input: sizes, letterboxing, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.family import Preprocessing
from models.graph import Port
from models.types import Image, ModelError

Size = tuple[int, int]
"""Width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How one picture lies in the network's input."""

    picture: Size
    """To which the picture is resized."""
    canvas: Size
    """The network's input."""
    left: int = 0
    top: int = 0
    """Where the picture starts in it."""


@dataclass(frozen=True, slots=True)
class InputFormat:
    """What a graph wants to be fed."""

    name: str
    layout: Literal["nhwc", "nchw"]
    kind: str
    size: Size | None
    """Fixed by the graph, or None where any size will do."""
    batch: int | None
    """Fixed by the graph, or None."""

    @staticmethod
    def of(port: Port, path: str) -> InputFormat:
        """Read off the picture input; ModelError where it is not one."""
        shape = port.shape
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise ModelError(f"{path}: expected a picture input [batch, 3, height, width], found {port}")
        if port.kind not in ("tensor(float)", "tensor(float16)", "tensor(uint8)"):
            raise ModelError(f"{path}: expected float, float16 or uint8 pictures, found {port}")
        layout: Literal["nhwc", "nchw"] = "nchw" if shape[1] == 3 else "nhwc"
        height, width = (shape[2], shape[3]) if layout == "nchw" else (shape[1], shape[2])
        size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        batch = shape[0] if isinstance(shape[0], int) else None
        return InputFormat(port.name, layout, port.kind, size, batch)


def reduced_size(source: Size, longer_px: int) -> Size:
    """`source` scaled so that its longer side is `longer_px`, aspect ratio kept, at least one pixel high and wide."""
    scale = longer_px / max(source)
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))


def fit_picture(source: Size, how: Preprocessing, input_px: int, fixed: Size | None, stride: int) -> Fit:
    """Where a picture of size `source` goes: into the `fixed` input, else into the smallest that keeps its aspect."""
    if fixed is not None:
        scale = min(fixed[0] / source[0], fixed[1] / source[1])
        picture = max(1, round(source[0] * scale)), max(1, round(source[1] * scale))
        canvas = fixed
    else:
        picture = reduced_size(source, input_px)
        canvas = _up(picture[0], stride), _up(picture[1], stride)
    if how.fit == "stretch":
        return Fit(canvas, canvas)
    if how.align == "corner":
        return Fit(picture, canvas)
    return Fit(picture, canvas, round((canvas[0] - picture[0]) / 2 - 0.1), round((canvas[1] - picture[1]) / 2 - 0.1))


def _up(value: int, stride: int) -> int:
    return -(-value // stride) * stride


def place(image: Image, fit: Fit, pad: int) -> Image:
    """The picture on its canvas, (height, width, 3) uint8."""
    import cv2

    height, width = image.shape[:2]
    if (width, height) != fit.picture:
        shrinks = fit.picture[0] * fit.picture[1] < width * height
        image = cv2.resize(image, fit.picture, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(
            np.uint8, copy=False
        )
    if fit.picture == fit.canvas:
        return np.ascontiguousarray(image)
    canvas: Image = np.full((fit.canvas[1], fit.canvas[0], 3), pad, np.uint8)
    canvas[fit.top : fit.top + fit.picture[1], fit.left : fit.left + fit.picture[0]] = image
    return canvas


def to_blob(pictures: Sequence[Image], how: Preprocessing, form: InputFormat) -> NDArray[Any]:
    """The batch as the graph wants it."""
    if form.kind == "tensor(uint8)":
        batch: NDArray[Any] = pictures[0][None] if len(pictures) == 1 else np.stack(pictures)
        if how.order == "rgb":
            batch = batch[..., ::-1]
        return np.ascontiguousarray(batch if form.layout == "nhwc" else batch.transpose(0, 3, 1, 2))
    shape = (len(pictures), 3, *pictures[0].shape[:2])
    blob = np.empty(shape, np.float32)
    for number, picture in enumerate(pictures):
        for channel in range(3):
            plane = picture[..., channel if how.order == "bgr" else 2 - channel]
            np.subtract(plane, np.float32(how.mean[channel]), out=blob[number, channel])
            blob[number, channel] *= np.float32(1 / how.std[channel])
    if form.layout == "nhwc":
        blob = np.ascontiguousarray(blob.transpose(0, 2, 3, 1))
    return blob.astype(np.float16) if form.kind == "tensor(float16)" else blob
