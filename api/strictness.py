"""What holds for every route alike: unknown query parameters and unusable characters are refused, HEAD answers like
GET without a body, and a server that is reached by TLS says that it always is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import InvalidError
from api.schemas import PREFIX

OTHER_PARAMETERS = "x-other-parameters"
"""In a route's `openapi_extra`, with the value `ignored`: query parameters that it does not know are passed over."""
HSTS = "max-age=31536000"
_DEEP = 64
_ADDED = "gatewatch_answer_headers"


async def only_what_is_known(connection: HTTPConnection) -> None:
    """A dependency of the whole application. What is wrong is told by the route's guard (`refuse_what_is_wrong`):
    strangers hear first that they must log in.

    A misspelt filter that is passed over would show more than was asked for; a NUL in a text is refused by some
    databases and cut off at by others.
    """
    route = connection.scope.get("route")
    if not connection.scope["path"].startswith(f"{PREFIX}/") or not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    problems = list(_of_query(connection, route))
    for name, value in connection.path_params.items():
        if isinstance(value, str) and not _usable(value):
            problems.append(_problem(["path", name], "must not contain NUL or half a surrogate pair", "unusable_text"))
    if isinstance(connection, Request) and connection.method not in ("GET", "HEAD"):
        problems += _of_body(await connection.body())
    connection.state.problems = problems[:20]


def refuse_what_is_wrong(connection: HTTPConnection) -> None:
    """Raises InvalidError for what `only_what_is_known` found."""
    problems: list[dict[str, Any]] = getattr(connection.state, "problems", [])
    if problems:
        first = problems[0]
        raise InvalidError(f"{'.'.join(first['where'])}: {first['message']}.", {"problems": problems})


class HeadAsGet:
    """ASGI middleware: a HEAD request that no route takes as such is answered as a GET whose body is left out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or _taken(scope):
            await self._app(scope, receive, send)
            return
        begun = False

        async def leave() -> Message:
            # A stream would go on for as long as somebody listens.
            return {"type": "http.disconnect"} if begun else await receive()

        async def without_body(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and not begun:
                begun = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET"}, leave, without_body)


class AnswerHeaders:
    """ASGI middleware: adds the headers that a dependency left with `add_headers`, and, to an answer by https, that
    this server is to be reached by https alone (RFC 6797)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(state.get(_ADDED, {}))
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = HSTS
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(connection: HTTPConnection, headers: Mapping[str, str]) -> None:
    """Puts headers on the answer, whatever it will be: also on an error and on a file."""
    added: dict[str, str] = connection.scope["state"].setdefault(_ADDED, {})
    added.update(headers)


def _taken(scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].router.routes)


def _of_query(connection: HTTPConnection, route: APIRoute | APIWebSocketRoute) -> Iterator[dict[str, Any]]:
    known = _query_of(route)
    lenient = (getattr(route, "openapi_extra", None) or {}).get(OTHER_PARAMETERS) == "ignored"
    seen: set[str] = set()
    for name, value in connection.query_params.multi_items():
        if name not in known and lenient:
            continue
        if name not in known:
            words = f"there is no such parameter here; expected {', '.join(sorted(known)) or 'none'}"
            yield _problem(["query", name[:64]], words, "unknown_parameter")
        elif name in seen and not known[name]:
            yield _problem(["query", name], "may be given once", "repeated_parameter")
        elif not _usable(value):
            yield _problem(["query", name], "must not contain NUL or half a surrogate pair", "unusable_text")
        seen.add(name)


def _of_body(body: bytes) -> Iterator[dict[str, Any]]:
    # Both can only be there as an escape, or as the bytes of what is no text at all.
    if b"\\u0000" not in body and b"\\ud" not in body.lower() and b"\x00" not in body:
        return
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    for where in _unusable(content, ["body"]):
        yield _problem(where, "must not contain NUL or half a surrogate pair", "unusable_text")


def _unusable(content: Any, where: list[str]) -> Iterator[list[str]]:
    if isinstance(content, str):
        if not _usable(content):
            yield where
        return
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(content, dict):
        yield from ([*where, "(a name)"] for name in content if not _usable(name))
        inside = content.items()
    elif isinstance(content, list):
        inside = enumerate(content)
    if len(where) > _DEEP:
        yield where
        return
    for name, item in inside:
        yield from _unusable(item, [*where, str(name) if _usable(str(name)) else "(a name)"])


def _usable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _query_of(route: APIRoute | APIWebSocketRoute) -> dict[str, bool]:
    """Every query parameter of a route, and whether it may be given several times."""
    # Kept with the route, as routes cannot be keys.
    kept: dict[str, bool] | None = vars(route).get("_query_parameters")
    if kept is None:
        kept = vars(route)["_query_parameters"] = dict(_query_fields(route.dependant))
    return kept


def _query_fields(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((info.alias or name, _several(info.annotation)) for name, info in kind.model_fields.items())
        else:
            yield field.alias, _several(kind)
    for inner in dependant.dependencies:
        yield from _query_fields(inner)


def _several(annotation: Any) -> bool:
    options = [annotation, *getattr(annotation, "__args__", ())]
    return any(getattr(option, "__origin__", option) in (list, set, tuple, frozenset) for option in options)


def _problem(where: list[str], message: str, kind: str) -> dict[str, Any]:
    return {"where": where, "message": message, "type": kind}
