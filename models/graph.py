"""An ONNX graph in ONNX Runtime: opened with clear errors, described, run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.types import ModelError

CPU = "CPUExecutionProvider"
SHORT_NAMES = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
"""What a configuration may write for an execution provider, beside ONNX Runtime's own names."""

NUMPY_KINDS: Mapping[str, type] = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8,
}  # fmt: skip
PROBE_PX = 128
"""Side of the picture that shows what an open graph answers: a multiple of every stride in use."""

Dimension = int | str | None


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph; a dimension is a number, or a name (or None) where it is open."""

    name: str
    shape: tuple[Dimension, ...]
    kind: str
    """ONNX Runtime's word for the element type: `tensor(float)`."""

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.kind}"


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """What a family sees of a graph before it says whether it knows it."""

    path: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]
    picture_size: tuple[int, int] | None = None
    """Width, height of the input to which the numbers in `outputs` belong, where known."""

    def last_dimensions(self) -> tuple[Dimension, ...]:
        return tuple(port.shape[-1] if port.shape else None for port in self.outputs)


class Graph:
    """A loaded graph. `run` may be called by several threads at once."""

    def __init__(self, path: Path, providers: Sequence[str] | None = None, threads: int = 1) -> None:
        """Loads `path` onto `providers` (default: the processor), each inference on `threads` threads.

        Raises ModelError where the file is missing or corrupt, or a provider is not there.
        """
        payload = read_weights(path)
        self.sha256 = hashlib.sha256(payload).hexdigest()
        self.providers = choose_providers(providers)
        self._session = _open(path, payload, self.providers, threads)
        declared = GraphInfo(
            path=str(path),
            inputs=tuple(Port(port.name, tuple(port.shape), port.type) for port in self._session.get_inputs()),
            outputs=tuple(Port(port.name, tuple(port.shape), port.type) for port in self._session.get_outputs()),
            metadata=dict(self._session.get_modelmeta().custom_metadata_map),
        )
        self.info = declared
        self.info = self._probed(declared)

    def _probed(self, info: GraphInfo) -> GraphInfo:
        """The graph with the shapes that its outputs really have, where it leaves them open and takes any picture."""
        picture = next((port for port in info.inputs if len(port.shape) == 4), None)
        if picture is None:
            return info
        planes_first = picture.shape[1] == 3
        height, width = picture.shape[2:] if planes_first else picture.shape[1:3]
        if isinstance(height, int) and isinstance(width, int):
            info = replace(info, picture_size=(width, height))
        closed = all(isinstance(length, int) for port in info.outputs for length in port.shape[1:])
        if closed or "family" in info.metadata or len(info.inputs) > 1 or picture.kind not in NUMPY_KINDS:
            return info
        height, width = (side if isinstance(side, int) else PROBE_PX for side in (height, width))
        size = (3, height, width) if planes_first else (height, width, 3)
        batch = picture.shape[0] if isinstance(picture.shape[0], int) else 1
        try:
            found = self.run({picture.name: np.zeros((batch, *size), NUMPY_KINDS[picture.kind])})
        except ModelError:
            return info
        outputs = tuple(replace(port, shape=tuple(found[port.name].shape)) for port in info.outputs)
        return replace(info, outputs=outputs, picture_size=(width, height))

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All outputs by name. Raises ModelError where the runtime refuses the input."""
        names = [port.name for port in self.info.outputs]
        try:
            values = self._session.run(names, dict(feeds))
        except _runtime_errors() as error:
            raise ModelError(f"{self.info.path}: inference failed: {_first_line(error)}") from error
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def read_weights(path: Path) -> bytes:
    """The bytes of a weights file; ModelError where it cannot be read or is empty."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the weights ({error.strerror or error})") from error
    if not payload:
        raise ModelError(f"{path}: the weights file is empty")
    return payload


def choose_providers(wanted: Sequence[str] | None) -> tuple[str, ...]:
    """ONNX Runtime's names of the wanted providers, in order, the processor last as the fallback for single nodes."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    names = [SHORT_NAMES.get(name.lower(), name) for name in wanted or (CPU,)]
    for name, written in zip(names, wanted or (CPU,), strict=True):
        if name not in there:
            raise ModelError(
                f"execution provider {written} is not in this ONNX Runtime; there are: {', '.join(there)}"
                " (install the onnxruntime package that carries it)"
            )
    return tuple(dict.fromkeys([*names, CPU]))


def _open(path: Path, payload: bytes, providers: Sequence[str], threads: int) -> Any:
    import onnxruntime

    if threads < 1:
        raise ModelError(f"threads: expected at least 1, found {threads}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning workers take the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # By path where the graph may keep its weights in a file beside it, which bytes alone would not find.
        beside = any(path.parent.glob(f"{path.name}?*")) or any(path.parent.glob(f"{path.stem}*.data"))
        session = onnxruntime.InferenceSession(str(path) if beside else payload, options, providers=list(providers))
    except _runtime_errors() as error:
        raise ModelError(f"{path}: not a usable ONNX file: {_first_line(error)}") from error
    missing = [name for name in providers if name not in session.get_providers()]
    if missing:
        raise ModelError(
            f"execution provider {', '.join(missing)} did not start (is its driver or library missing?);"
            f" {path.name} would run on {', '.join(session.get_providers())} only"
        )
    return session


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Everything ONNX Runtime raises; its exceptions share no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = tuple(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))
    return (*own, RuntimeError, ValueError)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
