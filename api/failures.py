"""Every answer that is not a success has one shape: {"error": {"code", "message", "details"}}."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Route, compile_path
from starlette.websockets import WebSocketState

from api.access.requiring import guard_first
from api.errors import DeskError
from api.schemas import ErrorOut

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_CODES: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    416: "range_not_satisfiable",
    500: "internal_error",
}
AGAIN_S = 2
"""What a client is told to wait, in seconds, where nobody knows better."""
_log = logging.getLogger(__name__)


def failure(
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = {"error": {"code": code, "message": message, "details": dict(details or {})}}
    return JSONResponse(body, status_code=status, headers={"cache-control": "no-store", **(headers or {})})


def answer_of(error: DeskError) -> JSONResponse:
    return failure(error.status, error.code, str(error), error.details, _headers_of(error))


def _answer_of_validation(error: ValidationException) -> JSONResponse:
    problems = [
        {"where": [str(part) for part in problem["loc"]], "message": problem["msg"], "type": problem["type"]}
        for problem in error.errors()
    ]
    first = problems[0]
    message = f"{'.'.join(first['where'])}: {first['message']}."
    return failure(422, "invalid_request", message, {"problems": problems})


def _headers_of(error: DeskError) -> dict[str, str]:
    if error.status == 401:
        return {"www-authenticate": "Bearer"}
    if error.status in (429, 503):
        return {"retry-after": str(error.details.get("retry_after_s", AGAIN_S))}
    return {}


def _allowed(request: Request) -> str:
    """The methods of this address: each has a route of its own, and a route names no other's."""
    methods = {
        method
        for context in iter_route_contexts(request.app.routes)
        if isinstance(context.original_route, Route)
        if compile_path(context.path_format or "")[0].match(request.url.path)
        for method in context.methods or ()
    }
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


async def _end(connection: WebSocket, answer: JSONResponse) -> None:
    """Refuses a handshake with this answer, or ends what was accepted already."""
    answerable = "websocket.http.response" in connection.scope.get("extensions", {})
    if answerable and connection.application_state == WebSocketState.CONNECTING:
        await connection.send_denial_response(answer)
        return
    if connection.application_state != WebSocketState.DISCONNECTED:
        await connection.close(1008)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its `responses`; 400, 403 and 500 can come from every route."""
    return {
        status: {"model": ErrorOut, "description": HTTPStatus(status).phrase}
        for status in sorted({400, 403, 500, *statuses})
    }


def install(app: FastAPI) -> None:
    """Gives this shape to everything that the application refuses or fails at."""

    @app.exception_handler(DeskError)
    async def of_desk(connection: Request | WebSocket, error: DeskError) -> JSONResponse | None:
        if error.status >= 500:
            _log.error("%s", error)
        answer = answer_of(error)
        if isinstance(connection, WebSocket):
            await _end(connection, answer)
            return None  # What is returned would be sent, too.
        return answer

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            await guard_first(request)
        # Python's names for a status differ between its versions; these codes are part of the API.
        code = _CODES.get(error.status_code, "request_failed")
        message = f"{str(error.detail).rstrip('.')}."
        headers = {"allow": _allowed(request)} if error.status_code == 405 else error.headers
        return failure(error.status_code, code, message, None, headers)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        await guard_first(request)
        return _answer_of_validation(error)

    @app.exception_handler(WebSocketRequestValidationError)
    async def of_handshake(socket: WebSocket, error: WebSocketRequestValidationError) -> None:
        await _end(socket, _answer_of_validation(error))

    @app.exception_handler(Exception)
    def of_anything(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - it is logged by the server
        # This answer goes past the middleware that adds the headers to all others.
        return failure(500, "internal_error", "The server failed at this request.", None, SECURITY_HEADERS)
