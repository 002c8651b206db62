"""Connections, over real sockets: strangers who dawdle, come in crowds or speak no HTTP harm nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import resource
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from api.app import create_app
from api.failures import SECURITY_HEADERS
from api.guard import Guard
from api.services import open_services
from gatewatch import connections
from gatewatch.connection_metrics import ConnectionCollector
from gatewatch.connections import Door, Room, allow_many_files, room_for
from gatewatch.protocols import Deadlines, config_of
from gatewatch.serve import free_socket
from gatewatch.transport import transport_of
from tests.api.scenes import Site
from tests.gatewatch.test_transport import make_cert
from tests.live.kit import until

PATIENT = Deadlines(60.0, 60.0)
QUICK = Deadlines(0.3, 0.5)
LARGE = Room(100, 100)
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@dataclass
class Served:
    door: Door
    port: int

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15, source_address=(source, 0))

    def ask(self, source: str = "127.0.0.1") -> int:
        """The status of a request of its own; 0 where the door stays shut."""
        with self.connect(source) as sock, suppress(ConnectionError):
            sock.sendall(GET + b"Connection: close\r\n\r\n")
            return int(rest_of(sock)[9:12] or 0)
        return 0


def simple() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard)
    app.state.heard = []

    @app.get("/")
    def hello() -> str:
        return "hello"

    @app.post("/echo")
    async def echo(request: Request) -> Any:
        app.state.heard.append(await request.body())
        return await request.json()

    @app.get("/endless")
    def endless() -> StreamingResponse:
        async def count() -> AsyncIterator[str]:
            for number in range(12):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(count(), media_type="text/event-stream")

    return app


@contextmanager
def served(
    deadlines: Deadlines = PATIENT, room: Room = LARGE, proxies: tuple[str, ...] = (), *,
    app: Any = None, **options: Any,
) -> Iterator[Served]:  # fmt: skip
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    door = Door(free_socket(0), room, proxies)
    port = door.getsockname()[1]
    server = Server(config_of(app or simple(), door.tally, deadlines, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    try:
        assert started.wait(20)
        yield Served(door, port)
    finally:
        server.should_exit = True
        thread.join(20)
        door.close()
    assert door.open == 0


def rest_of(sock: socket.socket) -> bytes:
    """Everything until the server ends it; fails where it does not."""
    got = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            got += piece
    return got


def hear_hello(sock: socket.socket) -> None:
    """An answer, and no more than that."""
    got = b""
    while not got.endswith(b'"hello"'):
        got += sock.recv(1)
    assert got.startswith(b"HTTP/1.1 200")


def error_of(raw: bytes) -> tuple[int, str]:
    """Status and code of an answer in the one shape, with all headers that answers have."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
    assert int(headers["content-length"]) == len(body)
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message", "details"}
    return int(status.split()[1]), error["code"]


def trickle(sock: socket.socket) -> None:
    """A byte at a time, faster than any deadline, for as long as they are taken."""

    def send() -> None:
        ended = threading.Event()
        with suppress(OSError):
            while not ended.wait(0.05):
                sock.sendall(b"a")

    threading.Thread(target=send, daemon=True).start()


class TestDeadlines:
    @pytest.mark.parametrize("trickling", [False, True])
    @pytest.mark.parametrize("begin", [GET + b"X: ", POST + b"Content-Length: 1000\r\n\r\n{"])
    def test_half_a_request_is_given_up(self, begin: bytes, trickling: bool) -> None:
        with served(QUICK) as server, server.connect() as sock:
            sock.sendall(begin)
            if trickling:
                trickle(sock)
            assert error_of(rest_of(sock)) == (408, "request_timeout")

    def test_half_a_body_is_not_acted_on(self) -> None:
        application = simple()
        with served(QUICK, app=application) as server, server.connect() as sock:
            sock.sendall(POST + b'Content-Length: 9\r\n\r\n{"a": 1}')
            assert error_of(rest_of(sock)) == (408, "request_timeout")
        assert application.state.heard == []

    def test_who_says_nothing_gets_no_answer(self) -> None:
        with served(QUICK) as server, server.connect() as sock:
            assert rest_of(sock) == b""

    @pytest.mark.parametrize(
        "further", [b"X", b"\r\n", GET[:9]], ids=["garbage begins", "an empty line", "a request begins"]
    )
    def test_a_further_request_has_to_end_too(self, further: bytes) -> None:
        with served(QUICK) as server, server.connect() as sock:
            sock.sendall(GET + b"\r\n")
            hear_hello(sock)
            sock.sendall(further)
            rest_of(sock)

    def test_a_body_that_nobody_needs_has_to_end_too(self) -> None:
        with served(QUICK) as server, server.connect() as sock:
            sock.sendall(GET + b"Content-Length: 1000\r\n\r\n")
            hear_hello(sock)
            trickle(sock)
            rest_of(sock)

    def test_long_answers_and_quiet_connections_are_not_cut(self) -> None:
        with served(QUICK) as server:
            kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
            for _ in range(2):  # What is between them takes longer than either deadline.
                kept.request("GET", "/")
                assert kept.getresponse().read() == b'"hello"'
                listening = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
                listening.request("GET", "/endless")
                assert listening.getresponse().read().count(b"data: ") == 12
                listening.close()
            kept.request("POST", "/echo", b"{}", {"Content-Type": "application/json"})
            assert kept.getresponse().read() == b"{}"
            kept.close()

    def test_a_client_of_tls_that_stays_is_left(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "FAREWELL_S", 0.3)
        cert, key = make_cert(tmp_path, "good")
        trusting = ssl.create_default_context(cafile=str(cert))
        with (
            transport_of(cert, key).served() as options,
            served(QUICK, **options) as server,
            server.connect() as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            wrapped.sendall(GET + b"X: ")
            assert error_of(rest_of(wrapped)) == (408, "request_timeout")
            until(lambda: server.door.open == 0, 5.0)

    def test_a_handshake_of_tls_has_to_end_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "HANDSHAKE_S", 0.3)
        cert, key = make_cert(tmp_path, "good")
        with (
            transport_of(cert, key).served() as options,
            served(QUICK, room=Room(10, 1), **options) as server,
        ):
            with server.connect() as sock:
                sock.sendall(b"\x16\x03\x01")  # It counts from the first byte on ...
                assert server.ask() == 0
                assert rest_of(sock) == b""
            trusting = ssl.create_default_context(cafile=str(cert))  # ... and no longer.
            with server.connect() as plain, trusting.wrap_socket(plain, server_hostname="localhost") as wrapped:
                wrapped.sendall(GET + b"Connection: close\r\n\r\n")
                assert rest_of(wrapped).startswith(b"HTTP/1.1 200")


class TestRoom:
    def test_one_address_leaves_room_for_others(self) -> None:
        with structlog.testing.capture_logs() as logged, ExitStack() as stack:
            server = stack.enter_context(served(room=Room(6, 3)))
            crowd = [stack.enter_context(server.connect()) for _ in range(3)]
            for sock in crowd:
                sock.sendall(GET + b"X: ")
            assert [server.ask() for _ in range(20)] == [0] * 20
            assert server.ask("127.0.0.2") == 200
            crowd.pop().close()
            while server.ask() != 200:  # Until the server has seen it go.
                pass
            assert server.door.tally.total["too_many_of_address"] >= 20
            told = {metric.name: metric.samples for metric in ConnectionCollector(server.door).collect()}
            assert told["gatewatch_connections"][0].value == server.door.open
            refused = {sample.labels["why"]: sample.value for sample in told["gatewatch_connections_refused"]}
            assert (refused["too_many_of_address"] >= 20, refused["malformed"]) == (True, 0)
        # Not a line for each: the first, and at the end the others.
        first, others = logged
        assert (first["why"], first["address"]) == ("too_many_of_address", "127.0.0.1")
        assert others["too_many_of_address"] >= 19

    def test_all_together_have_a_limit_and_proxies_no_other(self) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(served(room=Room(5, 1), proxies=("127.0.0.0/30",)))
            for number in range(5):
                stack.enter_context(server.connect(f"127.0.0.{1 + number % 2}")).sendall(GET + b"X: ")
            assert server.ask() == 0
            assert server.ask("127.0.0.9") == 0
            assert server.door.tally.total == {"too_many": 2}

    def test_many_streams_of_a_monitoring_room_fit(self) -> None:
        room = room_for(1024)
        assert room == Room(512, 128)
        assert (room_for(65_536), room_for(64)) == (Room(2048, 256), Room(32, 8))
        with ExitStack() as stack:
            server = stack.enter_context(served(QUICK, room))
            listeners = []
            for _ in range(100):
                sock = stack.enter_context(server.connect())
                sock.sendall(GET.replace(b"GET /", b"GET /endless") + b"Connection: close\r\n\r\n")
                listeners.append(sock)
            assert server.ask() == 200
            assert [rest_of(sock).count(b"data: ") for sock in listeners] == [12] * 100

    def test_without_a_file_left_who_waits_is_sent_away(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        opened: list[int] = []

        async def attempt(door: Door) -> None:
            try:
                highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
                with suppress(OSError):
                    while True:
                        opened.append(os.open(os.devnull, os.O_RDONLY))
                with pytest.raises(BlockingIOError):
                    door.accept()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for number in opened:
                    os.close(number)

        with (
            contextlib.closing(Door(free_socket(0), Room(10, 10))) as door,
            socket.create_connection(door.getsockname(), timeout=15) as waiting,
        ):
            asyncio.run(attempt(door))
            assert waiting.recv(1) == b""
            assert door.tally.total == {"no_file_left": 1}

    def test_as_many_files_as_allowed_are_asked_for(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
            assert allow_many_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestNoHttp:
    @pytest.mark.parametrize(
        "raw",
        [
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            GET + b"Host: 127.0.0.1\r\n\r\n",
            GET + b"X: " + b"a" * 20_000,
            POST + b"Content-Length: -5\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\n\r\nno number\r\n",
        ],
        ids=["garbage", "no host", "two hosts", "an endless header", "a negative length", "a broken chunk"],
    )
    def test_it_is_answered_in_the_one_shape(self, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
        with served() as server:
            for _ in range(3):
                with server.connect() as sock:
                    sock.sendall(raw)
                    assert error_of(rest_of(sock)) == (400, "bad_request")
            assert server.ask() == 200
            assert server.door.tally.total == {"malformed": 3}
        assert [record.message for record in caplog.records if record.name.startswith("uvicorn")] == []

    def test_after_an_answer_it_is_answered_too(self) -> None:
        with served() as server, server.connect() as sock:
            sock.sendall(GET + b"\r\n" + b"\x00\xff\r\n\r\n")
            answers = rest_of(sock)
            assert b'"hello"' in answers
            assert error_of(answers.partition(b'"hello"')[2]) == (400, "bad_request")


class TestHandshakes:
    """Of WebSockets, of the real application."""

    def refused(self, server: Served, query: str = "", *more: str) -> tuple[int, str]:
        lines = [
            f"GET /api/v1/stream/ws{query} HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", *more,
        ]  # fmt: skip
        with server.connect() as sock:
            sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            return error_of(rest_of(sock))

    def test_a_refusal_is_no_error_of_the_server(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with open_services(tmp_path / "gatewatch.db", media_dir=tmp_path) as services:
            application = create_app(services, site=Site(), version="1")
            with served(app=application) as server:
                assert self.refused(server, "?severity=none") == (422, "invalid_request")
                assert self.refused(server, "", "Origin: http://evil.test") == (403, "foreign_origin")
                assert self.refused(server, "", "X: " + "a" * 10_000) == (400, "bad_request")
        assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
