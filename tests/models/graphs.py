"""Small ONNX graphs whose outputs are fixed numbers in a family's published layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

KINDS = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}


def constant_graph(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    size: tuple[int | str, int | str] = (64, 96),
    metadata: Mapping[str, str] | None = None,
    extra_inputs: Sequence[tuple[str, str, list[int | str]]] = (),
    picture_name: str = "images",
    batch: int | str = 1,
) -> Path:
    """A graph that takes (batch, 3, height, width) and answers `outputs`; `size` is height, width."""
    nodes, weights, ports = [], [], []
    for name, values in outputs.items():
        weights.append(numpy_helper.from_array(values, f"{name}_value"))
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        kind = TensorProto.INT64 if values.dtype == np.int64 else TensorProto.FLOAT
        ports.append(helper.make_tensor_value_info(name, kind, list(values.shape)))
    inputs = [helper.make_tensor_value_info(picture_name, TensorProto.FLOAT, [batch, 3, *size])]
    inputs += [helper.make_tensor_value_info(name, KINDS[kind], shape) for name, kind, shape in extra_inputs]
    graph = helper.make_graph(nodes, "test", inputs, ports, weights)
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, dict(metadata or {}))
    save(model, path)
    return path


def echo_graph(path: Path, size: tuple[int, int], metadata: Mapping[str, str]) -> Path:
    """An end-to-end YOLO that "finds" the mean colours of its input as a box: to see what pictures arrive as."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Concat", ["means", "rest"], ["row"], axis=1),
        helper.make_node("Unsqueeze", ["row", "one"], ["output0"]),
    ]
    weights = [
        numpy_helper.from_array(np.array([[100.0, 0.9, 0.0]], np.float32), "rest"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *size])]
    outputs = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, 6])]
    graph = helper.make_graph(nodes, "echo", inputs, outputs, weights)
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, dict(metadata))
    save(model, path)
    return path
