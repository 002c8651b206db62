"""The served desk under measurement: a process that answers requests and takes events, as `gatewatch run` does.

Reads commands from standard input and answers on standard output, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.principal import permissions_of
from api.alerts import Policy
from api.app import create_app
from api.journal import SYSTEM
from api.services import Services, open_services
from benchmarks.desk_seed import event_of, facets
from gatewatch.connections import Tally
from gatewatch.heap import settled
from gatewatch.protocols import config_of

MARK = "cursor"
"""A request that has one is for a page deep in the list."""


@dataclass(frozen=True)
class _Site:
    name: str = "Benchmark"
    timezone: tzinfo = UTC
    language: str = "en"


class Timed:
    """ASGI: how long each list took, from the request's arrival to the last byte of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.took_ms: dict[str, list[float]] = defaultdict(list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/alerts"):
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        page = "deep_page" if MARK in parse_qs(scope["query_string"].decode()) else "first_page"

        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.took_ms[page].append((time.perf_counter() - begun) * 1e3)

        await self._app(scope, receive, watched)


class Arrivals:
    """Events that arrive at a steady rate, whether or not the ones before have been stored."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._random = Random(7)
        self._facets = facets(Random(1))
        self._number = 0
        self.taken: list[str] = []
        self.failed: list[str] = []
        self.took_ms: list[float] = []

    def run(self, rate: float, seconds: float) -> None:
        begun = time.perf_counter()
        for n in range(int(rate * seconds)):
            due = begun + n / rate
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            self._take(due)

    def _take(self, due: float) -> None:
        self._number += 1
        now = datetime.now(UTC).replace(microsecond=0) + timedelta(milliseconds=self._number % 1000)
        facet = self._random.choice(self._facets)
        event = event_of(facet, self._number, now, self._random)
        try:
            alert = self._services.desk.take(event, run=f"bench-{os.getpid()}")
        except Exception as error:  # noqa: BLE001 - whatever happens to an event is a finding of the measurement
            self.failed.append(str(error))
            return
        self.taken.append(alert.alert_id)
        self.took_ms.append((time.perf_counter() - due) * 1e3)


def tokens(services: Services, number: int) -> list[str]:
    """Of as many guards."""
    made = []
    for n in range(number):
        name = f"bench-reader-{n:03}-{os.getpid()}"
        accounts = services.accounts
        user, _ = accounts.users.create(
            name, "guard", actor=SYSTEM, cameras=None, provider=("https://login.example", name)
        )
        _, token = accounts.tokens.create(
            user.name, "bench", actor=SYSTEM, cameras=None, expires_at=services.ledger.now() + timedelta(days=1),
            permissions=permissions_of("guard"),
        )  # fmt: skip
        made.append(token)
    return made


@contextmanager
def _serving(app: ASGIApp) -> Any:
    answering = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            answering.set()

    server = Server(config_of(app, Tally(), port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        answering.wait(30)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def serve(media_dir: Path, readers: int) -> None:
    policy = Policy(cooldown_s=-1.0)  # Every event opens an alert.
    with open_services(os.environ["GATEWATCH_DATABASE"], media_dir=media_dir, policy=policy) as services:
        services.ledger.run_alone()
        timed = Timed(create_app(services, site=_Site(), version="bench"))
        arrivals = Arrivals(services)
        with _serving(timed) as port, settled():
            say(port=port, tokens=tokens(services, readers), pid=os.getpid())
            for line in sys.stdin:
                command = json.loads(line)
                timed.took_ms.clear()
                arrivals.took_ms, arrivals.taken, arrivals.failed = [], [], []
                feeding = threading.Thread(target=arrivals.run, args=(command["rate"], command["seconds"]))
                feeding.start()
                feeding.join()
                time.sleep(command.get("rest_s", 1.0))
                say(
                    server_ms=dict(timed.took_ms), take_ms=arrivals.took_ms, taken=arrivals.taken,
                    failed=arrivals.failed[:3], failures=len(arrivals.failed),
                )  # fmt: skip


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def main(arguments: Sequence[str]) -> None:
    serve(Path(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
