"""The OpenAPI document: what FastAPI finds in the routes, and what it cannot know: who may call, which headers count.

It must be enough for somebody who has nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from api.access.authenticate import COOKIE
from api.access.principal import Principal
from api.access.requiring import Requires, requires
from api.contract_examples import BODIES
from api.contract_webhooks import told_to_webhooks
from api.contract_words import CODES, INTRODUCTION, TAGS, codes_as_table
from api.deprecation import Deprecated
from api.failures import documented
from api.idempotency import HEADER, KEY_PATTERN

Document = dict[str, Any]
SCHEMES: Document = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "gw_<id>_<secret>", "description": "An API token."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A browser that is logged in."},
    "csrf": {
        "type": "apiKey", "in": "header", "name": "X-CSRF-Token",
        "description": "With what a session changes; `GET /api/v1/session` gives it.",
    },
}  # fmt: skip
NO_NUL = r"^[^\u0000]*$"
SIGNATURE = "X-Gatewatch-Signature"
_READS = ("get", "head")
_KEY = {
    "name": HEADER, "in": "header", "required": False,
    "description": "Of your own making, one for each request; sent again with the same key, it is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": KEY_PATTERN},
}  # fmt: skip
_ERROR = {"$ref": "#/components/schemas/ErrorOut"}
_ETAG = {"description": 'The `version`, in quotes: `"3"`.', "schema": {"type": "string"}}
_RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer"}}

router = APIRouter(tags=["service"])


@router.get("/openapi.json", operation_id="get_openapi", response_class=JSONResponse, responses=documented(401, 429))
def get_openapi(request: Request, _: Annotated[Principal, requires("site.read")]) -> dict[str, Any]:
    """This document."""
    app: FastAPI = request.app
    return app.openapi()


class Api(FastAPI):
    """The application with our document."""

    _told: tuple[Document, Document] | None = None

    def openapi(self) -> Document:
        plain = super().openapi()
        if self._told is None or self._told[0] is not plain:
            self._told = (plain, _completed(copy.deepcopy(plain), self.routes))
        return self._told[1]


def guards_of(dependant: Dependant) -> Iterator[Any]:
    """Every dependency of a route, those of its dependencies included."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from guards_of(inner)


def _completed(document: Document, routes: Sequence[BaseRoute]) -> Document:
    info = document["info"]
    info["description"] = INTRODUCTION + codes_as_table()
    info["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "The server that gave this document."}]
    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    document["tags"] = [{"name": name, "description": words} for name, words in TAGS.items() if name in used]
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    document["security"] = [{"token": []}]
    document["webhooks"] = told_to_webhooks(components.setdefault("schemas", {}))
    _without_nul([schema for name, schema in components.get("schemas", {}).items() if name.endswith("In")])
    for context in iter_route_contexts(routes):
        if not isinstance(context.original_route, APIRoute) or not context.include_in_schema:
            continue
        calls = list(guards_of(context.dependant))
        for method in context.methods or ():
            operation = document["paths"][context.path_format][method.lower()]
            _guarded(operation, method.lower(), calls)
            _repeatable(operation, method.lower(), calls)
            _deprecated(operation, calls)
            _parameters(operation)
            _example(operation)
            _headers(operation, components.get("schemas", {}))
    return dict(_with_whole_enums(document))


def _with_whole_enums(node: Any) -> Any:
    """Texts that are one of several sets are one of all of them: clients otherwise get a type for each set."""
    if isinstance(node, list):
        return [_with_whole_enums(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: _with_whole_enums(item) for name, item in node.items()}
    options = node.get("anyOf", ())
    sets = [option for option in options if option.get("type") == "string" and "enum" in option]
    if len(sets) > 1:
        whole = {"type": "string", "enum": [word for option in sets for word in option["enum"]]}
        rest = [option for option in options if option not in sets]
        del node["anyOf"]
        node = {**node, "anyOf": [whole, *rest]} if rest else {**whole, **node}
    return node


def _guarded(operation: Document, method: str, calls: Sequence[Any]) -> None:
    permission = next((call.permission or "any" for call in calls if isinstance(call, Requires)), None)
    if permission is None:
        signed = any(parameter["name"] == SIGNATURE for parameter in operation.get("parameters", ()))
        operation["x-permission"] = "signed" if signed else "public"
        operation["security"] = []
        return
    operation["x-permission"] = permission
    operation["security"] = [{"token": []}, {"session": []} if method in _READS else {"session": [], "csrf": []}]
    needs = "Needs a caller who is logged in." if permission == "any" else f"Needs the permission `{permission}`."
    operation["description"] = f"{operation.get('description', '').rstrip()}\n\n{needs}".lstrip()


def _repeatable(operation: Document, method: str, calls: Sequence[Any]) -> None:
    if method in _READS or not any(isinstance(call, Requires) for call in calls):
        return
    operation.setdefault("parameters", []).append(_KEY)
    for status, answer in documented(409, 422).items():
        told = {"description": "", "content": {"application/json": {"schema": _ERROR}}}
        operation["responses"].setdefault(str(status), told | {"description": answer["description"]})


def _deprecated(operation: Document, calls: Sequence[Any]) -> None:
    for call in calls:
        if isinstance(call, Deprecated):
            operation["deprecated"] = True
            operation["description"] = f"{call.words()}\n\n{operation.get('description', '')}"
            for answer in (value for status, value in operation["responses"].items() if status < "400"):
                names = ("Deprecation", "Sunset", *(("Link",) if call.successor else ()))
                answer.setdefault("headers", {}).update({name: {"schema": {"type": "string"}} for name in names})


def _example(operation: Document) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and operation["operationId"] in BODIES:
        body["example"] = dict(BODIES[operation["operationId"]])


def _parameters(operation: Document) -> None:
    """A parameter is there or left out: none can be null."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
        if len(options) == 1:
            del schema["anyOf"]
            parameter["schema"] = {**options[0], **schema}
        _without_nul(parameter["schema"])


def _without_nul(node: Any) -> None:
    """What `api.strictness` refuses in every text, as far as a schema can say it."""
    if isinstance(node, list):
        for item in node:
            _without_nul(item)
    elif isinstance(node, dict):
        free = node.get("format", "password") == "password" and not {"pattern", "enum", "const"} & set(node)
        if free and node.get("type") == "string":
            node["pattern"] = NO_NUL
        for name, item in node.items():
            if name not in ("examples", "example", "default"):
                _without_nul(item)


def _headers(operation: Document, schemas: Document) -> None:
    for status, answer in operation["responses"].items():
        if status in ("429", "503"):
            answer.setdefault("headers", {})["Retry-After"] = _RETRY_AFTER
        elif status < "300" and _has_version(answer, schemas):
            answer.setdefault("headers", {})["ETag"] = _ETAG
        content = answer.get("content", {})
        if status >= "400" and content:
            # Whatever else a route sends: what it refuses is JSON.
            answer["content"] = {"application/json": next(iter(content.values()))}
        elif "text/event-stream" in content:
            content["text/event-stream"]["schema"] = {
                "description": "Events with `id`, `event` and `data` (JSON: a `StreamEntryOut`), without end."
            }
        if status >= "400" and int(status) in CODES:
            answer["description"] = f"{HTTPStatus(int(status)).phrase}: {', '.join(CODES[int(status)])}"


def _has_version(answer: Document, schemas: Document) -> bool:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Document = schemas.get(name, schema)
    return bool(found.get("properties", {}).get("version", {}).get("type") == "integer")
