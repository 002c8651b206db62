"""A client of the stream that keeps what it got, and callers that a test makes and takes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from api.access.principal import PERMISSIONS_OF, Principal, Role
from api.errors import NotAuthenticatedError

LINE = 2**22


@dataclass
class Callers:
    """Knows callers by their bearer token; a test takes one away by removing it."""

    known: dict[str, Principal] = field(default_factory=dict)

    def add(self, name: str, role: Role = "guard", cameras: set[str] | None = None) -> str:
        scope = None if cameras is None else frozenset(cameras)
        self.known[name] = Principal("token", name, role, PERMISSIONS_OF[role], scope, token_id=f"t-{name}")
        return name

    def principal_of(self, connection: HTTPConnection) -> Principal:
        token = connection.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.known:
            raise NotAuthenticatedError("Nobody of that token.")
        return self.known[token]


@dataclass(frozen=True)
class Event:
    id: int | None
    event: str
    data: dict[str, Any]


class Listener:
    """One client: connects, reads events, and knows where it would go on."""

    def __init__(self, address: str, token: str = "", query: str = "") -> None:
        self._url = urlsplit(address)
        self._token, self._query = token, query
        self.last_id: int | None = None
        self.status = 0
        self._writer: asyncio.StreamWriter | None = None

    async def events(self, connected: asyncio.StreamReader | None = None) -> AsyncIterator[Event]:
        """Connects (or goes on with a connection) and gives what comes, until the server ends it."""
        reader = connected or await self.connect()
        if self.status != 200:
            return
        name, number, data = "", None, ""
        async for line in reader:
            if line == b"0\r\n":
                return
            if line.endswith(b"\r\n"):
                continue  # How chunks are framed: an event is never split over two.
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "id":
                number = int(value)
            elif key == "event":
                name = value
            elif key == "data":
                data = value
            elif not key:
                self.last_id = number if number is not None else self.last_id
                if data:
                    yield Event(number, name, json.loads(data))
                name, number, data = "", None, ""

    async def connect(self) -> asyncio.StreamReader:
        reader, self._writer = await asyncio.open_connection(self._url.hostname, self._url.port, limit=LINE)
        lines = [f"GET /api/v1/stream{self._query} HTTP/1.1", f"Host: {self._url.netloc}"]
        if self._token:
            lines.append(f"Authorization: Bearer {self._token}")
        if self.last_id is not None:
            lines.append(f"Last-Event-ID: {self.last_id}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.status = int(head.split()[1])
        return reader

    def cut(self) -> None:
        """As a network does it: without a goodbye."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
