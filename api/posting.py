"""One POST to a checked address: pinned, without redirects, proxies or cookies, within a time and a size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

import h11

from api.targets import Target

MAX_ANSWER_BYTES = 16 * 1024
"""Of the head, and again of the body; the rest is not read."""


@dataclass(frozen=True, slots=True)
class Limits:
    connect_s: float = 5.0
    """To one address, TLS included."""
    total_s: float = 10.0
    """Until a connection stands; and again until the head of the answer is there."""
    drain_s: float = 1.0
    """What the target may take for the rest of its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after: str | None


async def post(
    target: Target,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tls: ssl.SSLContext,
    limits: Limits,
) -> Answer:
    """Sends it to the first of these addresses that takes a connection; names are not looked up again.

    Raises TimeoutError, OSError (ssl.SSLError is one) or h11.RemoteProtocolError.
    """
    async with asyncio.timeout(limits.total_s):
        reader, writer = await _connect(target, addresses, tls, limits)
    try:
        async with asyncio.timeout(limits.total_s):
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
            writer.write(_request(connection, target, headers, body))
            await writer.drain()
            answer = await _head(connection, reader)
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(limits.drain_s):
                # Servers that are cut off while they answer complain in their logs.
                await reader.read(MAX_ANSWER_BYTES)
        return answer
    finally:
        writer.transport.abort()


async def _connect(
    target: Target, addresses: Sequence[str], tls: ssl.SSLContext, limits: Limits
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    failure: OSError | None = None
    for address in addresses:
        try:
            async with asyncio.timeout(limits.connect_s):
                reader, writer = await asyncio.open_connection(
                    address, target.port, limit=MAX_ANSWER_BYTES,
                    ssl=tls if target.scheme == "https" else None,
                    server_hostname=target.host if target.scheme == "https" else None,
                )  # fmt: skip
        except OSError as error:  # TimeoutError is one.
            failure = error
            continue
        peer = writer.get_extra_info("peername")
        if peer is None or ip_address(peer[0]) != ip_address(address):
            writer.transport.abort()
            raise OSError(f"connected to {peer} instead of {address}")
        return reader, writer
    raise failure or OSError("no address")


def _request(connection: h11.Connection, target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    sent = [("Host", target.authority), *headers.items(), ("Content-Length", str(len(body))), ("Connection", "close")]
    head = connection.send(h11.Request(method="POST", target=target.path, headers=sent))
    data = connection.send(h11.Data(data=body))
    end = connection.send(h11.EndOfMessage())
    return (head or b"") + (data or b"") + (end or b"")


async def _head(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    informational = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        elif isinstance(event, h11.InformationalResponse) and informational < 10:
            informational += 1
        elif isinstance(event, h11.Response):
            after = next((value for name, value in event.headers if name == b"retry-after"), None)
            return Answer(event.status_code, None if after is None else after.decode("latin-1"))
        else:
            raise h11.RemoteProtocolError("no answer of HTTP")


def retry_after_s(answer: str | None, now_s: float) -> float | None:
    """Seconds that a `Retry-After` asks for, from a number or a date; None where it says nothing usable."""
    if answer is None:
        return None
    if answer.strip().isdecimal() and len(answer) < 12:
        return float(answer)
    try:
        return max(0.0, parsedate_to_datetime(answer).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
