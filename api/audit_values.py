"""How the audit reads values that anybody may have written, and how it shows them."""

from __future__ import annotations

import json
from typing import Any


def json_value(value: Any) -> Any:
    """What a JSON column holds: SQLite's rows come as text, PostgreSQL's as what it means.

    Text that is no JSON stays as it is, and so differs from whatever was written.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def shown(value: Any) -> str:
    """The value on one line of a terminal."""
    text = "none" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:120])


def user_of(name: Any) -> Any:
    """Who acts: a token acts for its user, and names of users have no slash."""
    return name.partition("/")[0] if isinstance(name, str) else name
