"""A receiver on a real socket, told how to answer, and a sender that may reach it."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from api.access.principal import PERMISSIONS_OF, Principal
from api.delivery import Timings
from api.journal import Actor
from api.posting import Limits
from api.sender import SenderOptions
from api.services import Services
from api.targets import Reach
from api.webhooks import Webhook

ADMIN = Principal("user", "wang", "administrator", PERMISSIONS_OF["administrator"])
WANG = Actor("user", "wang", "192.0.2.9")
QUICK = Timings(first_s=0.02, longest_s=0.1)
LOOPBACK = Reach.parse("127.0.0.0/8")


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def message_id(self) -> str:
        return self.headers["gatewatch-id"]


Reply = Callable[[Received, BaseHTTPRequestHandler], int | None]
"""The status to answer with; None where it has answered itself."""


@dataclass
class Receiver:
    url: str
    reply: Reply = lambda _, __: 204
    got: list[Received] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, one: Received) -> None:
        with self._news:
            self.got.append(one)
            self._news.notify_all()

    def wait(self, number: int, timeout_s: float = 10.0) -> list[Received]:
        """The first `number` requests."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.got) >= number, timeout_s), f"{len(self.got)} of {number} came"
            return self.got[:number]


@contextmanager
def receiver(reply: Reply | None = None, *, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """`tls`: files of a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            served.take(one)
            status = served.reply(one, self)
            if status is not None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # Clients that go away are part of these tests.

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served = Receiver(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/hook")
    if reply is not None:
        served.reply = reply
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def is_genuine(secret: str, one: Received, now_s: float, *, within_s: float = 300) -> bool:
    """What a receiver checks; written without the product's code."""
    sent_at = one.headers["gatewatch-timestamp"]
    signed = f"{one.headers['gatewatch-id']}.{sent_at}.".encode() + one.body
    expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = [part.strip() for part in one.headers["gatewatch-signature"].split(",")]
    return abs(now_s - int(sent_at)) <= within_s and any(hmac.compare_digest(expected, part) for part in given)


def quick(**changes: Any) -> SenderOptions:
    """Short waits; the machine itself may be reached."""
    values: dict[str, Any] = {"reach": LOOPBACK, "timings": QUICK, "limits": Limits(0.5, 0.5, 0.1)}
    return SenderOptions(**(values | changes))


def hook(services: Services, url: str, *topics: str, cameras: list[str] | None = None) -> tuple[Webhook, str]:
    """A webhook of the administrator and its secret."""
    return services.webhooks.create(
        ADMIN, WANG, name="console", url=url, topics=topics or ("alert.*",), cameras=cameras
    )
