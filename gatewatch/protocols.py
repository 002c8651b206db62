"""HTTP and WebSocket as uvicorn speaks them, for strangers: nothing is waited for without end, and what is no HTTP gets
an answer in the API's one shape."""

from __future__ import annotations

import asyncio
import http
from dataclasses import dataclass
from typing import Any, Literal

import h11
import uvicorn
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.failures import SECURITY_HEADERS, failure
from gatewatch.connections import Tally

KEEP_ALIVE_S = 30
"""How long a connection may wait for its next request."""
ENDING_S = 3
"""How long connections get to end when the server stops."""
HEAD_BYTES = 16 * 1024
SAID_BYTES = 16 * 1024
"""Of one message of a WebSocket's client, which has nothing to say but a token."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    head_s: float = 10.0
    """From the connection, or from the first byte of a further request, to the end of the request's head."""
    body_s: float = 30.0
    """From there to the end of its body."""


def config_of(app: Any, tally: Tally, deadlines: Deadlines | None = None, **options: Any) -> uvicorn.Config:
    """How a server of this application speaks. `options`: further ones of uvicorn."""
    return uvicorn.Config(
        app, log_level="warning", log_config=None, access_log=False, timeout_graceful_shutdown=ENDING_S,
        timeout_keep_alive=KEEP_ALIVE_S, h11_max_incomplete_event_size=HEAD_BYTES, ws_max_size=SAID_BYTES,
        loop="gatewatch.connections:Loop", ws=StreamSocket,
        http=type("Speaking", (PatientProtocol,), {"tally": tally, "deadlines": deadlines or Deadlines()}),
        **options,
    )  # fmt: skip


class _Parser(h11.Connection):
    """Notes what is no HTTP: uvicorn would answer it in its own words, and log each."""

    broken = False

    def next_event(self) -> Any:
        try:
            return super().next_event()
        except h11.RemoteProtocolError:
            self.broken = True
            return h11.NEED_DATA


class PatientProtocol(H11Protocol):
    """One connection. What is waited for has a deadline that bytes do not move."""

    tally: Tally
    deadlines: Deadlines

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: _Parser = _Parser(h11.SERVER, HEAD_BYTES)
        self._awaited: object = None
        """The word `head`, or the request whose body is."""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As uvicorn has it.
        super().connection_made(transport)
        self._await("head", self.deadlines.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._await("head", self.deadlines.head_s)

    def handle_events(self) -> None:
        super().handle_events()
        if self.transport.is_closing():
            self._await(None)
        elif self.conn.broken:
            self._refuse("malformed", failure(400, "bad_request", "What came is not HTTP as it should be."))
        elif self.conn.their_state is h11.SEND_BODY:
            # Also where it was answered already: what does not end would keep the connection.
            self._await(self.cycle, self.deadlines.body_s)
        elif self.conn.their_state is not h11.IDLE or self._awaited != "head":
            self._await(None)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._await(None)
        super().handle_websocket_upgrade(event)

    def _await(self, what: object, within_s: float = 0.0) -> None:
        if what is self._awaited:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._awaited = what
        self._deadline = None if what is None else self.loop.call_later(within_s, self._late)

    def _late(self) -> None:
        what, why = self._awaited, "The request did not end in time."
        self._await(None)
        if self.transport.is_closing():
            return
        if what == "head" and not self.conn.trailing_data[0]:
            self.transport.close()  # Browsers connect ahead of their requests, and take an answer for that of the next.
        else:
            late: Literal["head_late", "body_late"] = "head_late" if what == "head" else "body_late"
            self._refuse(late, failure(408, "request_timeout", why))

    def _refuse(self, why: Literal["malformed", "head_late", "body_late"], answer: JSONResponse) -> None:
        self._await(None)
        self.tally.count(why, self.client[0] if self.client else "")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # What the application still says comes too late.
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_as_bytes(answer))
        self.transport.close()


class StreamSocket(WebSocketsSansIOProtocol):
    """A handshake that is refused with an answer of its own is no error, and one that cannot be read ends, too."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(_as_bytes(failure(400, "bad_request", "The handshake of the WebSocket is wrong.")))
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True


def _as_bytes(answer: JSONResponse) -> bytes:
    for name, value in {**SECURITY_HEADERS, "connection": "close"}.items():
        answer.headers[name] = value
    status = http.HTTPStatus(answer.status_code)
    head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    head += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*head, b"", bytes(answer.body)])
