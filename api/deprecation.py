"""How a route says that it is going away: `dependencies=[deprecated(...)]`; docs/deprecation.md is the policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.strictness import add_headers

AT_LEAST = timedelta(days=183)
"""How long an old form lives after it was called deprecated."""


@dataclass(frozen=True, slots=True)
class Deprecated:
    """The dependency. Answers of its route carry `Deprecation` (RFC 9745) and `Sunset` (RFC 8594), and, where there is
    something to go over to, a `Link` to it; the OpenAPI document calls it deprecated."""

    since: date
    until: date
    successor: str | None

    def __call__(self, connection: HTTPConnection) -> None:
        add_headers(connection, self.headers())

    def headers(self) -> dict[str, str]:
        headers = {
            "deprecation": f"@{int(_start(self.since).timestamp())}",
            "sunset": format_datetime(_start(self.until), usegmt=True),
        }
        if self.successor is not None:
            headers["link"] = f'<{self.successor}>; rel="successor-version"'
        return headers

    def words(self) -> str:
        instead = "" if self.successor is None else f" Use `{self.successor}` instead."
        return f"**Deprecated since {self.since}, gone after {self.until}.**{instead}"


def deprecated(since: date, until: date, successor: str | None = None) -> Any:
    """`since` the first release that says so, at least half a year before `until`; `successor`: the address to use
    instead. Raises ValueError."""
    if until - since < AT_LEAST:
        raise ValueError(f"expected at least {AT_LEAST.days} days between {since} and {until}")
    return Depends(Deprecated(since, until, successor))


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
