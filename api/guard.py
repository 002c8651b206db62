"""Refuses what a browser could be tricked into sending, before any route sees it, and sets the security headers."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.failures import SECURITY_HEADERS, failure

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY_BYTES = 64 * 1024
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


class Guard:
    """ASGI middleware.

    * The Host must be one of `hosts`: a foreign name that is made to point here (DNS rebinding) gets nothing.
    * A request that changes something must be JSON, and must not come from another origin's page; nor may a WebSocket.
    * A body is at most `MAX_BODY_BYTES` long.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = LOCAL_HOSTS) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")  # People and alerts are for nobody's disk.
            await send(message)

        if scope["type"] == "websocket":
            await self._handshake(scope, receive, send_with_headers)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and scope["method"] not in _SAFE:
            try:
                body = await _body(receive)
            except ClientDisconnect:
                return  # Half of what was meant is nothing to act on, and nobody waits for an answer.
            if body is None:
                refusal = failure(
                    413, "content_too_large", f"A request body has at most {MAX_BODY_BYTES} bytes.",
                    {"max_bytes": MAX_BODY_BYTES}, {"connection": "close"},
                )  # fmt: skip
            else:
                receive = _replay(body, receive)
        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _handshake(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._of_host(headers)
        if refusal is None and not _from_own_page(scope, headers):
            refusal = failure(403, "foreign_origin", "A page of another origin may not listen here.")
        if refusal is None:
            await self._app(scope, receive, send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        refusal = self._of_host(headers)
        if refusal is not None or scope["method"] in _SAFE:
            return refusal
        if not _from_own_page(scope, headers):
            return failure(403, "foreign_origin", "A page of another origin may not change anything here.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if (scope["method"] == "POST" or has_body) and kind != "application/json":
            details = {"expected": "application/json", "found": kind[:100]}
            return failure(415, "unsupported_media_type", "The body must be application/json.", details)
        return None

    def _of_host(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "").lower()
        if _without_port(host) in self._hosts:
            return None
        return failure(400, "bad_host", "This server does not answer to that host name.", {"host": host[:200]})


def _from_own_page(scope: Scope, headers: Headers) -> bool:
    """Whether it was sent by a page of this server, or by no page at all."""
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    origin = headers.get("origin")
    same = origin is None or origin.lower() == f"{scheme}://{headers.get('host', '').lower()}"
    return same and headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is too long. Raises ClientDisconnect where it does not come to its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return again
