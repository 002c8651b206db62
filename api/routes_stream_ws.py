"""The live stream as a WebSocket: the messages of `api.routes_stream`, as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from starlette.requests import HTTPConnection

from api.access.authenticate import COOKIE
from api.access.principal import Principal
from api.access.requiring import guarded_within
from api.errors import DeskError, NotAuthenticatedError
from api.routes_stream import May, Message, Seq, feed_of, first_of, messages_of, wanted_of
from api.schemas import Name
from api.stream import StreamedSubject
from api.streamed import STUCK_S
from rules.types import Severity

router = APIRouter()

HELLO_S = 10.0
"""How long a client may stay silent before it says who it is."""
GOING_AWAY = 1001


@router.websocket("/stream/ws", dependencies=[guarded_within("alerts.read")])
async def stream_socket(
    socket: WebSocket,
    camera: Annotated[list[Name] | None, Query()] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    subject: Annotated[list[StreamedSubject] | None, Query()] = None,
    last_event_id: Annotated[Seq | None, Query()] = None,
) -> None:
    """The messages of `GET /stream` as `{"id", "event", "data"}`; heartbeats have the event `heartbeat`.

    Programs send `Authorization: Bearer ...`, or as their first message `{"token": "..."}`; browsers their cookie, from
    a page of this server only. Closes with 4000 and the HTTP status of what was wrong, or 1001 where the server stops.
    """
    await socket.accept()
    try:
        caller, principal = await _caller(socket)
        with feed_of(socket).reader(principal, wanted_of(camera, severity, subject)) as reader:
            first = await first_of(reader, last_event_id)
            code, why = await _first_to_end(_hear(socket), _tell(socket, first, messages_of(reader, caller)))
    except WebSocketDisconnect:
        return
    except DeskError as error:
        code, why = 4000 + error.status, str(error)
    except TimeoutError:
        code, why = 4408, "The client took too long."
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # It may have gone meanwhile.
        await socket.close(code, why.encode()[:120].decode(errors="ignore"))


async def _caller(socket: WebSocket) -> tuple[HTTPConnection, Principal]:
    """Who calls, and the connection that says so. Raises DeskError, TimeoutError, WebSocketDisconnect."""
    if "authorization" in socket.headers:
        return socket, await May(socket)
    if COOKIE in socket.cookies:
        return socket, await May(socket)
    token = _token(await asyncio.wait_for(socket.receive(), HELLO_S))
    headers = [*socket.scope["headers"], (b"authorization", f"Bearer {token}".encode("latin-1"))]
    connection = HTTPConnection({**socket.scope, "headers": headers})
    return connection, await May(connection)


def _token(message: Any) -> str:
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        token = json.loads(message.get("text") or "")["token"]
    except (ValueError, TypeError, KeyError, RecursionError):
        token = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise NotAuthenticatedError('The first message must be {"token": "gw_..."}.')
    return token


async def _hear(socket: WebSocket) -> tuple[int, str]:
    """Clients have nothing to say; returns when they leave."""
    while True:
        if (await socket.receive())["type"] == "websocket.disconnect":
            raise WebSocketDisconnect


async def _tell(socket: WebSocket, first: list[Message], rest: AsyncIterator[list[Message]]) -> tuple[int, str]:
    messages = first
    while True:
        for number, event, data in messages:
            text = f'{{"id":{json.dumps(number)},"event":"{event or "heartbeat"}","data":{data or "null"}}}'
            await asyncio.wait_for(socket.send_text(text), STUCK_S)
            if event == "bye":
                lost = "access" in data
                return (4401, "The caller may no longer listen.") if lost else (GOING_AWAY, "The server stops.")
        messages = await anext(rest)


async def _first_to_end(*jobs: Coroutine[Any, Any, tuple[int, str]]) -> tuple[int, str]:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
