"""Reads a TensorFlow.js graph model (`NAME.json` + `NAME.bin`) from a folder or an npm tarball."""

from __future__ import annotations

import base64
import binascii
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.types import ModelError

Attribute = int | float | str | list[int] | None


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; `inputs` are the names of the nodes (or `name:1` for a second output) that it reads."""

    op: str
    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class TfjsGraph:
    """Nodes in execution order, and the constants by name (float16 weights stay float16)."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]


def read_tfjs(source: Path, name: str) -> TfjsGraph:
    """The graph model `name` of an unpacked package, of its `.tgz`, or of a folder that holds the two files.

    Raises ModelError where the files are missing or are not a graph model of the kind expected.
    """
    files = _read_files(source, name)
    try:
        document = json.loads(files[f"{name}.json"])
        constants = _constants(document["weightsManifest"], files[f"{name}.bin"])
        nodes = tuple(_node(raw) for raw in document["modelTopology"]["node"] if raw["op"] != "Const")
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ModelError(f"{source}: {name}.json is not a TensorFlow.js graph model ({error})") from error
    return TfjsGraph(nodes, constants)


def _read_files(source: Path, name: str) -> dict[str, bytes]:
    wanted = (f"{name}.json", f"{name}.bin")
    if source.is_dir():
        found = {path.name: path.read_bytes() for path in sorted(source.rglob(f"{name}.*")) if path.name in wanted}
    elif source.is_file():
        found = _read_tarball(source, wanted)
    else:
        raise ModelError(f"{source}: no such file or folder; expected the unpacked npm package or its .tgz")
    missing = [file for file in wanted if file not in found]
    if missing:
        raise ModelError(f"{source}: expected {' and '.join(wanted)} in it, missing: {', '.join(missing)}")
    return found


def _read_tarball(source: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(source.read_bytes())) as archive:
            for member in archive:
                base = PurePosixPath(member.name).name
                if member.isfile() and base in wanted:
                    stream = archive.extractfile(member)
                    found[base] = stream.read() if stream else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ModelError(f"{source}: not a package tarball (.tgz): {error}") from error
    return found


def _constants(manifest: list[dict[str, Any]], payload: bytes) -> dict[str, NDArray[Any]]:
    constants: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in (weight for group in manifest for weight in group["weights"]):
        dtype = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"])).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        size = count * dtype.itemsize
        if offset + size > len(payload):
            raise ValueError(f"the weights end at byte {len(payload)}, {entry['name']} needs {offset + size}")
        constants[entry["name"]] = np.frombuffer(payload, dtype, count, offset).reshape(entry["shape"])
        offset += size
    if offset != len(payload):
        raise ValueError(f"{len(payload) - offset} bytes of weights are left over")
    return constants


def _node(raw: Mapping[str, Any]) -> Node:
    attributes = {key: _attribute(value) for key, value in raw.get("attr", {}).items()}
    inputs = tuple(name.removeprefix("^") for name in raw.get("input", ()))
    return Node(raw["op"], raw["name"], inputs, attributes)


def _attribute(value: Mapping[str, Any]) -> Attribute:
    if "s" in value:
        return base64.b64decode(value["s"]).decode()
    if "list" in value:
        return [int(item) for item in value["list"].get("i", ())]
    if "i" in value:
        return int(value["i"])
    if "b" in value:
        return bool(value["b"])
    if "f" in value:
        return float(value["f"])
    return None
