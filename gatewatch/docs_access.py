"""`python -m gatewatch.docs_access`: writes the tables of `docs/access.md` from the code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.access.principal import MEANINGS, PERMISSIONS, PERMISSIONS_OF, ROLES, SITE_WIDE
from api.access.requiring import Public, Requires, Within
from api.app import create_app
from api.contract import guards_of
from api.keys import SiteKeys
from api.services import open_services
from gatewatch.live_api import add_live_routes
from gatewatch.live_board import Board

PAGE = Path(__file__).resolve().parent.parent / "docs" / "access.md"
PAGE_FILES = "/page/"
PUBLIC, ANYBODY_KNOWN, UNGUARDED = "public", "any log-in", "NOBODY ASKS"


@dataclass(frozen=True, order=True)
class Guarded:
    """A route and who may call it: a permission, or one of the words above."""

    path: str
    method: str
    needs: str


@dataclass(frozen=True)
class _NoSite:
    name: str = "any"
    timezone: tzinfo = UTC
    language: str = "en"


def guarded_routes(app: FastAPI) -> list[Guarded]:
    """Every route of the application, WebSockets too, whatever made it."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        dependant = getattr(context, "dependant", None) or getattr(route, "dependant", None)
        calls = [] if dependant is None else list(guards_of(dependant))
        needs = [_needs(call) for call in calls if isinstance(call, Requires | Within | Public)]
        path = str(getattr(context, "path_format", None) or getattr(route, "path", "?"))
        for method in sorted(getattr(context, "methods", None) or {"WEBSOCKET"}):
            found.append(Guarded(path, method, needs[0] if len(needs) == 1 else UNGUARDED))
    return sorted(found)


def _needs(call: Requires | Within | Public) -> str:
    return PUBLIC if isinstance(call, Public) else call.permission or ANYBODY_KNOWN


def page(text: str) -> str:
    """The page with its tables made anew."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with open_services(place / "none.db", media_dir=place, keys=SiteKeys.ephemeral()) as services:
            app = create_app(services, site=_NoSite(), version="0")
            add_live_routes(app, Board(()))
            routes = guarded_routes(app)
    tables = {"permissions": _permissions(), "public": _public(routes), "routes": _routes(routes)}
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        table = begin + "\n".join(lines) + "\n" + end
        before, after = text.split(begin)[0], text.split(end)[1]
        text = before + table + after
    return text


def _permissions() -> Iterator[str]:
    yield "| permission | to | " + " | ".join(ROLES) + " |"
    yield "| --- | --- | " + " | ".join([":-:"] * len(ROLES)) + " |"
    for permission in PERMISSIONS:
        star = " *" if permission in SITE_WIDE else ""
        marks = ["yes" if permission in PERMISSIONS_OF[role] else "" for role in ROLES]
        yield f"| `{permission}`{star} | {MEANINGS[permission]} | " + " | ".join(marks) + " |"


def _public(routes: list[Guarded]) -> Iterator[str]:
    for route in routes:
        if route.needs == PUBLIC and not route.path.startswith(PAGE_FILES) and route.method != "HEAD":
            yield f"* `{route.method} {route.path}`"
    yield f"* `GET {PAGE_FILES}...`: the files that the page consists of"


def _routes(routes: list[Guarded]) -> Iterator[str]:
    yield "| route | needs |"
    yield "| --- | --- |"
    for route in routes:
        if route.needs != PUBLIC and route.method != "HEAD":
            needs = route.needs if route.needs == ANYBODY_KNOWN else f"`{route.needs}`"
            yield f"| `{route.method} {route.path}` | {needs} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
