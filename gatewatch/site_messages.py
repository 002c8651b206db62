"""pydantic's errors -> our sentences: what was expected at a key, and what was found there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gatewatch.site_yaml import Document, Path
from pipeline.address import mask_url

_MISSING = object()


def found(value: Any) -> str:
    """A value as it is shown in a message; containers are named, not shown."""
    if value is _MISSING:
        return "none"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        flat = len(value) <= 4 and all(isinstance(item, int | float | str) for item in value)
        shown = json.dumps(value, ensure_ascii=False)
        return "an empty list" if not value else shown if flat and len(shown) <= 60 else f"a list of {len(value)}"
    if isinstance(value, str):
        value = mask_url(value)
        return json.dumps(value if len(value) <= 60 else value[:57] + "...", ensure_ascii=False)
    return f"{value!r}"


def suggest(word: Any, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean "x"?)`, or nothing where no known word is near."""
    if not isinstance(word, str):
        return ""
    names = list(known)
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=cutoff)
    return f' (did you mean "{lowered[near[0]]}"?)' if near else ""


def one_of(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def unknown(word: Any, known: Sequence[str], what: str) -> str:
    """`expected a zone of this camera (a or b), found "c" (did you mean "b"?)`."""
    choice = f" ({one_of(sorted(known))})" if 0 < len(known) <= 12 else "" if known else " (there are none)"
    return f"expected {what}{choice}, found {found(word)}{suggest(word, known)}"


def value_at(document: Document, path: Path) -> Any:
    """The value at a path, or a marker where there is none."""
    value = document.value
    for part in path:
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
        if inside:
            value = value[part]
        else:
            return _MISSING
    return value


def problems(
    document: Document, errors: Iterable[ErrorDetails], prefix: Path, keys_at: Callable[[Path], Sequence[str]]
) -> dict[Path, str]:
    """Sentences by path. `keys_at` names the keys that the mapping at a path may have."""
    said: dict[Path, str] = {}
    counted: list[Path] = []
    for error in errors:
        path = _real_path(document, (*prefix, *error["loc"]))
        path, text = _sentence(document, error, path, keys_at)
        said.setdefault(path, document.problem(path, text))
        if error["type"] == "too_short" and isinstance(value_at(document, path), list | dict):
            counted.append(path)
    for path in counted:
        # Items that are wrong by themselves were not counted by pydantic: one thing to mend, one sentence.
        if any(other[: len(path)] == path and other != path for other in said):
            said.pop(path, None)
    return said


def _real_path(document: Document, loc: Path) -> Path:
    # pydantic adds the names of union members, `[key]` and the like; what is not in the file is left out,
    # except a last part that is missing from a mapping.
    path: Path = ()
    for position, part in enumerate(loc):
        if value_at(document, (*path, part)) is not _MISSING:
            path = (*path, part)
        elif position == len(loc) - 1 and isinstance(value_at(document, path), dict) and part != "[key]":
            return (*path, part)
    return path


def _sentence(
    document: Document, error: ErrorDetails, path: Path, keys_at: Callable[[Path], Sequence[str]]
) -> tuple[Path, str]:
    kind = error["type"]
    if len(path) >= 5 and path[0] == "cameras" and path[2] in ("zones", "lines"):
        path = path[:5]
        return path, f"expected a point [x, y], both from 0 to 1, found {found(value_at(document, path))}"
    if kind == "extra_forbidden":
        known = sorted(keys_at(path[:-1]))
        return path, f"expected a key out of {one_of(known)}, found this one{suggest(path[-1], known)}"
    value = value_at(document, path)
    if error["loc"] and error["loc"][-1] == "[key]" and path:
        value = path[-1]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "value_error" and str(context.get("error", "")).startswith("expected "):
        return path, str(context["error"]).rstrip(".")
    expected = _expected(kind, context, error, path)
    hint = ""
    if kind == "literal_error":
        hint = suggest(value, _literals(context))
    elif kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        hint = " (put it in quotes)"
    elif kind in _NUMBER_TYPES and isinstance(value, str) and _is_number(value):
        hint = " (leave out the quotes)"
    return path, f"expected {expected}, found {found(value)}{hint}"


_NUMBER_TYPES = ("float_type", "int_type", "int_from_float")
_EXPECTED = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "missing": "this required key",
}


def _expected(kind: str, context: Mapping[str, Any], error: ErrorDetails, path: Path) -> str:
    last = path[-1] if path else ""
    if last == "detector" and kind != "missing":
        return "a mapping or the word motion"
    if last in ("from", "to") and kind != "missing":
        return 'a time of day such as "06:00" or "22:30"'
    if kind == "too_short" and path == ("cameras",):
        return "at least one camera"
    bounds: dict[str, Callable[[], str]] = {
        "greater_than": lambda: f"a number above {_number(context['gt'])}",
        "greater_than_equal": lambda: f"a number of at least {_number(context['ge'])}",
        "less_than": lambda: f"a number below {_number(context['lt'])}",
        "less_than_equal": lambda: f"a number of at most {_number(context['le'])}",
        "multiple_of": lambda: f"a multiple of {_number(context['multiple_of'])}",
        "too_short": lambda: f"at least {_things(context['min_length'], path)}",
        "too_long": lambda: f"at most {context['max_length']} of them",
        "string_too_short": lambda: "text that is not empty",
        "string_too_long": lambda: f"text of at most {context['max_length']} characters",
        "string_pattern_mismatch": lambda: "text without blanks at its ends",
        "literal_error": lambda: one_of(_literals(context)),
        "value_error": lambda: str(context.get("error", error["msg"])),
    }
    if kind in bounds:
        return bounds[kind]()
    return _EXPECTED.get(kind, f"something else ({error['msg'][:1].lower()}{error['msg'][1:]})")


def _things(number: int, path: Path) -> str:
    thing = "point" if len(path) == 4 and path[2] in ("zones", "lines") else "item"
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _literals(context: Mapping[str, Any]) -> list[str]:
    text = str(context.get("expected", ""))
    return [part.strip("'") for part in text.replace(" or ", ", ").split(", ")]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a mapping as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]
