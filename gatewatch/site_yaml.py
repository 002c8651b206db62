"""The text of a site file -> plain values and the line each of them stands on.

The nodes are read by ruamel.yaml and turned into values here, by the core schema of YAML 1.2 alone: `no` and `22:00`
are text, not a boolean or a number in base 60. Mapping keys are always text, so that a camera may be called `101`.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from gatewatch.errors import SiteError
from pipeline.address import mask_text

Path = tuple[str | int, ...]
"""Where a value stands: keys and positions from the top of the file."""

MAX_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000
MAX_DEPTH = 40

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_KNOWN_TAGS = {"tag:yaml.org,2002:" + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq")}


@dataclass(frozen=True)
class Document:
    """A parsed site file."""

    name: str
    """The file as the user wrote it, for messages."""
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Line (from 1) of the value at `path`, else of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Path, text: str) -> str:
        """One sentence: file, line, key path, then `text`."""
        where = f"{self.name}:{self.line(path)}: "
        return mask_text(f"{where}{path_text(path)}: {text}." if path else f"{where}{text}.")


def path_text(path: Path) -> str:
    """`cameras.gate.rules[0].zone`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_text(path: FilePath) -> tuple[bytes, str]:
    """The file's bytes and its text, without a byte order mark. Raises SiteError."""
    if path.is_dir():
        raise SiteError(f"{path}: expected a site file, found a folder.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SiteError(f"{path}: expected a site file, found nothing there.") from None
    except OSError as error:
        raise SiteError(f"{path}: expected a readable site file, found: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise SiteError(f"{path}: expected a site file of at most 4 MiB, found a larger one.")
    try:
        return data, data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SiteError(
            f"{path}:{line}: expected text in UTF-8, found the byte 0x{data[error.start]:02x}, which is not."
        ) from None


def parse(name: str, text: str) -> Document:
    """Values and lines of YAML (or JSON) text. Raises SiteError: one problem of syntax or all of values."""
    node = _compose(name, text)
    if node is None:
        raise SiteError(f"{name}: expected a site with the keys site and cameras, found an empty file.")
    reader = _Reader(name)
    value = reader.value(node, ())
    if reader.problems:
        raise SiteError(reader.problems)
    return Document(name, value, reader.lines)


def _compose(name: str, text: str) -> Node | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root: Node | None = YAML(typ="rt", pure=True).compose(text)
            return root
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise SiteError(f"{name}:{line}: expected printable text, found the character U+{code:04X}.") from None
    except MarkedYAMLError as error:
        raise SiteError(_syntax_problem(name, text, error)) from None
    except RecursionError:
        raise SiteError(f"{name}: expected at most {MAX_DEPTH} levels, found more.") from None
    except YAMLError:
        raise SiteError(f"{name}: expected valid YAML, found something that is not.") from None


def _syntax_problem(name: str, text: str, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"{name}: expected valid YAML, found: {error.problem}."
    rows = text.splitlines()
    row = rows[mark.line] if mark.line < len(rows) else ""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return f"{name}:{mark.line + 1}: expected spaces before the first key of the line, found a tab."
    if error.problem and "single document" in f"{error.context} {error.problem}":
        return f"{name}:{mark.line + 1}: expected one document, found a second one."
    what = error.problem or error.context or "something else"
    if row[max(0, mark.column - 1) : mark.column + 1] == "${":
        what = "${...} without quotes inside {...} or [...]"
    # The parser's own words may quote the token; the line itself is never shown, as it may hold a password.
    return mask_text(f"{name}:{mark.line + 1}: expected valid YAML, found at column {mark.column + 1}: {what}.")


class _Reader:
    """Turns nodes into values, remembers lines, collects problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}
        self.problems: list[str] = []
        self._count = 0
        self._open: list[int] = []

    def value(self, node: Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > MAX_VALUES:
            raise SiteError(
                f"{self.name}:{node.start_mark.line + 1}: expected at most {MAX_VALUES} values, aliases included, "
                "found more."
            )
        if id(node) in self._open:
            raise SiteError(self._say(node, path, "expected a value, found an alias of the value it stands in"))
        if len(self._open) >= MAX_DEPTH:
            raise SiteError(self._say(node, (), f"expected at most {MAX_DEPTH} levels, found more"))
        self._open.append(id(node))
        try:
            return self._by_kind(node, path)
        finally:
            self._open.pop()

    def _by_kind(self, node: Node, path: Path) -> Any:
        tag = str(node.tag) if node.tag is not None else ""
        if tag and tag not in _KNOWN_TAGS and not _implicit(tag):
            self.problems.append(self._say(node, path, f"expected a plain value, found the tag {tag}"))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.problems.append(self._say(key_node, path, "expected text as a key, found a list or a mapping"))
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                self.problems.append(self._say(key_node, path, "expected keys written out, found the merge key <<"))
                continue
            here = (*path, key)
            if key in result:
                first = self.lines[here]
                self.problems.append(
                    self._say(key_node, here, f"expected each key once, found it again (first on line {first})")
                )
                continue
            self.lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here)
        return result

    def _scalar(self, node: Node, path: Path) -> Any:
        text = str(node.value)
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            self.problems.append(self._say(node, path, "expected text, found half of a UTF-16 pair"))
            return None
        if getattr(node, "style", None) is not None or node.tag == "tag:yaml.org,2002:str":
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _NOT_FINITE.fullmatch(text):
            self.problems.append(self._say(node, path, f"expected a finite number, found {text}"))
            return None
        if _INT.fullmatch(text) and len(text) <= 18:
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
            self.problems.append(self._say(node, path, f"expected a finite number, found {text[:40]}"))
            return None
        return text

    def _say(self, node: Node, path: Path, text: str) -> str:
        where = f"{self.name}:{node.start_mark.line + 1}: "
        return mask_text(f"{where}{path_text(path)}: {text}." if path else f"{where}{text}.")


def _implicit(tag: str) -> bool:
    # What ruamel resolves by itself and we resolve again: time stamps, merge and value keys.
    return tag.rsplit(":", 1)[-1] in ("timestamp", "merge", "value", "yaml")
