"""Makes the int8 variant of a convolutional detector: smaller and faster, within a tested distance of the original.

Only convolutions are quantised, per channel, with weights of seven bits (`reduce_range`): processors without VNNI add
pairs of products in 16 bits and would overflow with eight. The last convolutions, which give scores and distances,
stay in floating point: their outputs are the detection itself. Same graph and frames give the same bytes.

Needs the `onnx` package (extra `convert`).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime import quantization

from models.detector import OnnxDetector
from models.types import Image, ModelError


class _Frames(quantization.CalibrationDataReader):  # type: ignore[misc]  # the runtime's package has no types
    """Feeds pictures to the calibrator, one inference at a time."""

    def __init__(self, feeds: Iterator[dict[str, NDArray[Any]]], progress: Callable[[], None]) -> None:
        self._feeds = feeds
        self._progress = progress

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        self._progress()
        return next(self._feeds, None)


def quantise(
    weights: Path,
    detector: OnnxDetector,
    frames: Sequence[Image],
    name: str,
    progress: Callable[[], None] = lambda: None,
) -> bytes:
    """The int8 ONNX file of the graph `weights`, calibrated on BGR `frames` as `detector` would see them.

    Raises ModelError where there are no frames or the graph has no convolutions.
    """
    if not frames:
        raise ModelError("quantising needs frames to calibrate on, found none")
    model = with_float_weights(onnx.load(weights))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    if not convolutions:
        raise ModelError(f"{weights}: expected a convolutional detector, found no convolution")
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, whole)
        with _quiet():
            quantization.quantize_static(
                whole,
                small,
                _Frames((detector.feeds_of(frame) for frame in frames), progress),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=_last_convolutions(model),
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        result = onnx.load(small)
    props = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(result, {**props, "name": name, "precision": "int8 (convolutions), calibrated"})
    result.producer_name, result.producer_version = "gatewatch", ""
    onnx.checker.check_model(result, full_check=True)
    return bytes(result.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises on graphs that are not tidied up; ours is made for it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def with_float_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its half-precision weights widened, so that the quantiser sees weights and not casts."""
    halves = {one.name: one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT16}
    widened = {
        node.output[0]: halves[node.input[0]] for node in model.graph.node if node.input[:1] and node.input[0] in halves
    }
    nodes = [node for node in model.graph.node if node.output[0] not in widened]
    weights = [one for one in model.graph.initializer if one.name not in halves]
    weights += [
        numpy_helper.from_array(numpy_helper.to_array(half).astype(np.float32), name) for name, half in widened.items()
    ]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    return model


def _last_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions after which no other comes."""
    feeds_convolution: set[str] = set()
    last = []
    for node in reversed(model.graph.node):
        reaches = node.op_type == "Conv" or any(output in feeds_convolution for output in node.output)
        if node.op_type == "Conv" and not any(output in feeds_convolution for output in node.output):
            last.append(node.name)
        if reaches:
            feeds_convolution.update(node.input)
    return sorted(last)
