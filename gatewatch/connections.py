"""Who may connect, how many at once, and what is told about those who may not."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

import structlog

from api.access.limits import network_of

FILES = 65_536
"""Open files that are asked for; whoever starts the program may allow fewer."""
MOST = 2048
"""Connections at once, where there are files enough."""
MOST_OF_ADDRESS = 256
SILENT_S = 60.0
"""A client that acknowledges nothing for so long is gone (Linux)."""
HANDSHAKE_S = 10.0
"""How long TLS may take to begin."""
FAREWELL_S = 3.0
"""... and to end."""
SAID_EVERY_S = 60.0
AT_A_TIME = 64
"""So many are refused in a row before the server does something else."""

Why = Literal["too_many", "too_many_of_address", "no_file_left", "head_late", "body_late", "malformed"]
WHY: tuple[Why, ...] = get_args(Why)
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Room:
    """Connections at once, in total and of one address."""

    total: int
    of_address: int


def allow_many_files() -> int:
    """Lets this process have as many files open as it may allow itself, within reason; gives their number."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # Some systems have a further limit.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


def room_for(files: int) -> Room:
    """Half of the files stay for the database, clips, cameras and webhooks; no address gets more than a quarter of what
    is left."""
    total = max(4, min(MOST, files // 2))
    return Room(total, min(MOST_OF_ADDRESS, total // 4))


class Tally:
    """Counts what was refused or cut off, and says so in the log: at once, then once a minute at most. Belongs to one
    event loop; `total` may be read from any thread."""

    def __init__(self) -> None:
        self.total: Counter[Why] = Counter()
        self._unsaid: Counter[Why] = Counter()
        self._quiet = False

    def count(self, why: Why, address: str) -> None:
        self.total[why] += 1
        self._unsaid[why] += 1
        if not self._quiet:
            structlog.get_logger().warning("a connection was refused or cut off", why=why, address=address)
            self._unsaid.clear()
            self._quiet = True
            asyncio.get_running_loop().call_later(SAID_EVERY_S, self._say)

    def say_rest(self) -> bool:
        """Says what was not said yet; False where that is nothing."""
        said: dict[str, int] = {str(why): number for why, number in self._unsaid.items()}
        self._unsaid.clear()
        if said:
            structlog.get_logger().warning("connections were refused or cut off", **said)
        return bool(said)

    def _say(self) -> None:
        self._quiet = self.say_rest()
        if self._quiet:
            asyncio.get_running_loop().call_later(SAID_EVERY_S, self._say)


class Door(socket.socket):
    """A listening socket that lets in as many as there is room for: who comes on top is closed at once, before TLS or
    HTTP cost anything."""

    def __init__(self, listening: socket.socket, room: Room, proxies: Sequence[str] = ()) -> None:
        """Takes the socket over. `proxies`: addresses and networks that speak for many, so that only `room.total` holds
        for them."""
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self.tally = Tally()
        self._room = room
        self._proxies = tuple(ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)

    @property
    def open(self) -> int:
        """Connections now."""
        with self._lock:
            return self._inside.total()

    def accept(self) -> tuple[socket.socket, Any]:
        """Who comes next and is let in. Raises BlockingIOError where nobody is, for now."""
        for _ in range(AT_A_TIME):
            guest, address = self._next()
            host = str(address[0])
            network = network_of(host)
            why = self._enter(host, network)
            if why is None:
                return _Guest(guest, self, network), address
            self.tally.count(why, network)
            guest.close()
        raise BlockingIOError

    def close(self) -> None:
        super().close()
        self.tally.say_rest()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def leave(self, network: str) -> None:
        """One of them went."""
        with self._lock:
            self._inside[network] -= 1
            if not self._inside[network]:
                del self._inside[network]

    def _enter(self, host: str, network: str) -> Why | None:
        with self._lock:
            if self._inside.total() >= self._room.total:
                return "too_many"
            if self._inside[network] >= self._room.of_address and not self._speaks_for_many(host):
                return "too_many_of_address"
            self._inside[network] += 1
            return None

    def _speaks_for_many(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in proxy for proxy in self._proxies)

    def _next(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _OUT_OF_FILES or self._spare is None:
                raise
        # Who waits would wait for ever, and the server would be woken for nothing: the spare file lets one in and out.
        os.close(self._spare)
        self._spare = None
        try:
            guest, address = super().accept()
            self.tally.count("no_file_left", network_of(str(address[0])))
            guest.close()
        finally:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY)
        raise BlockingIOError


class _Guest(socket.socket):
    """A connection that was let in; says when it goes."""

    def __init__(self, accepted: socket.socket, door: Door, network: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._door: Door | None = door
        self._network = network
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * SILENT_S))

    def close(self) -> None:
        super().close()
        door, self._door = self._door, None
        if door is not None:
            door.leave(self._network)


class Loop(asyncio.SelectorEventLoop):
    """Waits for TLS to begin and to end only so long; uvicorn has no option for it."""

    async def create_server(self, *args: Any, **kwargs: Any) -> asyncio.Server:
        if kwargs.get("ssl") is not None:
            kwargs |= {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": FAREWELL_S}
        return await super().create_server(*args, **kwargs)
