"""What a detector family is, and the registry of those there are.

A family is one file `models/family_NAME.py` with one subclass of `Family`. It is found by its file name; a file that
cannot be imported, or defines no family, stops the start-up with its name.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from models.boxes import RawBoxes
from models.graph import GraphInfo, Port
from models.types import ModelError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pictures enter the graph."""

    order: Literal["bgr", "rgb"] = "bgr"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Per channel in `order`, on the 0..255 scale."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """`letterbox` keeps the aspect ratio and pads; `stretch` fills the network's input."""
    align: Literal["corner", "centre"] = "corner"
    """Where the picture lies in a padded input."""
    pad: int = 0
    """Grey level of the padding."""


@dataclass(frozen=True, slots=True)
class Call:
    """One batch at the moment of decoding."""

    width_px: int
    height_px: int
    """Size of the network's input."""
    min_score: float


class Family(ABC):
    """Decodes the outputs of one kind of graph. Stateless once made."""

    name: ClassVar[str]
    layout: ClassVar[str]
    """One line for error messages: the outputs that this family knows."""
    one_box_per_object: bool = False
    """True where the graph needs no suppression of doubles."""
    stride: int = 32
    """Sides of the input are multiples of this, in pixels."""

    def __init__(self, info: GraphInfo) -> None:
        """Raises ModelError where the graph is not of this family after all."""
        self.info = info

    @staticmethod
    @abstractmethod
    def recognises(info: GraphInfo) -> bool:
        """Whether the graph's metadata or outputs are of this family, and of no other."""

    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """How pictures enter this graph."""

    def picture_port(self) -> Port:
        """The input that takes pictures."""
        return self.info.inputs[0]

    def further_inputs(self, batch: int, size: tuple[int, int]) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - most want nothing
        """What the graph wants beside pictures; `size` is width, height of the network's input."""
        return {}

    @abstractmethod
    def decode(self, outputs: Mapping[str, NDArray[Any]], call: Call) -> list[RawBoxes]:
        """Boxes of at least `call.min_score`, per picture of the batch, in pixels of the network's input."""


@cache
def families() -> Mapping[str, type[Family]]:
    """All families by name. Raises ModelError where a family's file is broken."""
    found: dict[str, type[Family]] = {}
    for path in sorted(Path(__file__).parent.glob("family_*.py")):
        family = _family_of(path)
        if family.name in found:
            raise ModelError(f"models/{path.name}: the family name {family.name} is taken by another file")
        found[family.name] = family
    return found


def _family_of(path: Path) -> type[Family]:
    try:
        module = importlib.import_module(f"models.{path.stem}")
    except (ImportError, SyntaxError, AttributeError, NameError, TypeError, ValueError) as error:
        raise ModelError(f"models/{path.name}: a detector family that does not import: {error}") from error
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Family) and kind.__module__ == module.__name__
    ]
    if len(kinds) != 1:
        raise ModelError(f"models/{path.name}: expected one subclass of Family, found {len(kinds)}")
    return kinds[0]


def family_of(info: GraphInfo, stated: str | None = None) -> Family:
    """The family that decodes this graph: the stated one, the one its metadata names, or the one that recognises it.

    Raises ModelError, listing the outputs found and the layouts known, where none or several do.
    """
    known = families()
    name = stated or info.metadata.get("family")
    if name is not None:
        if name not in known:
            raise ModelError(f"{info.path}: unknown detector family {name}; known: {', '.join(known)}")
        return known[name](info)
    fitting = [family for family in known.values() if family.recognises(info)]
    if len(fitting) == 1:
        return fitting[0](info)
    outputs = "; ".join(str(port) for port in info.outputs)
    layouts = "; ".join(f"{family.name}: {family.layout}" for family in known.values())
    if fitting:
        names = " or ".join(family.name for family in fitting)
        raise ModelError(f"{info.path}: its outputs fit {names}, so state the family; found: {outputs}")
    raise ModelError(f"{info.path}: unknown kind of detector; outputs found: {outputs}; known: {layouts}")
