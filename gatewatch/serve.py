"""Serves the API and its page on this machine until it is asked to stop."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from api.streamed import end_streams
from gatewatch.connections import Door, allow_many_files, room_for
from gatewatch.errors import FrontError
from gatewatch.heap import settled
from gatewatch.protocols import config_of

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST = "127.0.0.1"


def free_socket(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1: on this port, or on another one where it is taken or not allowed."""
    for wanted in (port, 0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, wanted))
            sock.listen(128)
        except OSError as error:
            sock.close()
            if wanted == 0 or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise FrontError(f"{HOST}:{wanted}: cannot be served on: {error.strerror}.") from None
        else:
            return sock
    raise FrontError(f"{HOST}: no port is free.")


def serve(app: FastAPI, sock: socket.socket, *, started: Callable[[str], None]) -> None:
    """Runs until Ctrl-C or SIGTERM and returns; takes the socket over. `started` hears the address once it answers."""
    address = f"http://{HOST}:{sock.getsockname()[1]}/"
    door = Door(sock, room_for(allow_many_files()))
    config = config_of(app, door.tally, proxy_headers=False)
    with _asked_to_stop_is_no_error(), settled():
        _Server(config, lambda: started(address)).run(sockets=[door])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(list(sockets) if sockets else None)
        if self.started:
            self._say_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end_streams(self.config.app)
        await super().shutdown(sockets)


@contextmanager
def _asked_to_stop_is_no_error() -> Iterator[None]:
    # uvicorn stops at these signals and then raises them again; stopping is how serving ends, so they do nothing more.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
