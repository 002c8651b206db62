"""How long an event takes from the pipeline's hand to the clients of the live stream.

From the moment at which a worker's message is given to `LiveDesk.take`, over the database, the feed and real sockets,
until a client in another process has read the event. Events come at a fixed pace, whatever became of those before.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from api.access.principal import permissions_of
from api.app import create_app
from api.journal import SYSTEM
from api.services import Services, open_services
from benchmarks.footage import BenchError
from gatewatch.connections import Tally
from gatewatch.live_board import Board, WorkerStatus
from gatewatch.live_desk import LiveDesk
from gatewatch.live_messages import EventRaised
from gatewatch.protocols import config_of
from gatewatch.site import Site
from rules.types import Measured, RuleEvent

CLIENTS = 100
TOKENS = 10
PER_S = 10.0
SECONDS = 60.0
SHORT_SECONDS = 6.0
GOAL_MS = 500.0


def run(site: Site, *, seconds: float = SECONDS, per_s: float = PER_S, clients: int = CLIENTS) -> dict[str, Any]:
    """Latencies in milliseconds over all events and clients. Raises BenchError where a client could not listen."""
    with tempfile.TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        media = Path(folder)
        with open_services(media / "gatewatch.db", media_dir=media) as services, _served(services, site) as address:
            job = {"address": address, "tokens": _tokens(services), "clients": clients}
            with subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stream_clients"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True,
            ) as listening:  # fmt: skip
                assert listening.stdin is not None
                assert listening.stdout is not None
                print(json.dumps(job), file=listening.stdin, flush=True)
                if listening.stdout.readline() != "ready\n":
                    raise BenchError("The listeners could not connect.")
                given = _raise_events(services, site, seconds, per_s)
                print(services.feed.head(), file=listening.stdin, flush=True)
                got = json.loads(listening.stdout.readline())
    return _judged(given, got, per_s)


def _raise_events(services: Services, site: Site, seconds: float, per_s: float) -> dict[str, float]:
    """Alert -> when its event was given."""
    camera = next(iter(site.cameras))
    live = LiveDesk(site, services.desk, services.arming, Board((camera,)), lambda _: None)
    worker: Any = _Worker()
    live.serves(worker, (camera,))
    given, began = {}, time.monotonic()
    for number in range(int(seconds * per_s)):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        event = _event(camera, number)
        given[f"alert.bench.{event.event_id}"] = time.monotonic()
        live.take(worker, EventRaised(event, None), "bench")
    return given


def _judged(given: dict[str, float], got: list[list[tuple[int, str, str, float]]], per_s: float) -> dict[str, Any]:
    late_ms, missed, doubled, disordered = [], 0, 0, 0
    for events in got:
        numbers = [number for number, *_ in events]
        disordered += numbers != sorted(numbers)
        doubled += len(numbers) - len(set(numbers))
        raised = {subject: when for _, event, subject, when in events if event == "alert.raised"}
        missed += len(given.keys() - raised.keys())
        late_ms += [1000 * (when - given[subject]) for subject, when in raised.items()]
    if not late_ms:
        raise BenchError("No event reached a client.")
    cuts = statistics.quantiles(late_ms, n=100)
    return {
        "clients": len(got),
        "events": len(given),
        "events_per_s": per_s,
        "latency_ms": {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "max": round(max(late_ms), 1)},
        "missed": missed,
        "doubled": doubled,
        "clients_out_of_order": disordered,
        "goal": {"p95_ms": GOAL_MS, "met": cuts[94] <= GOAL_MS and not (missed or doubled or disordered)},
    }


def _event(camera: str, number: int) -> RuleEvent:
    at = datetime.now(UTC)
    return RuleEvent(
        event_id=f"{camera}.bench.{number + 1:06}", camera=camera, rule="bench", kind="intrusion", severity="high",
        zone="all", line=None, direction=None, label="person", track_ids=(number,), start_s=1000.0 * number,
        raised_s=1000.0 * number + 0.5, started_at=at - timedelta(seconds=0.5), raised_at=at,
        measured={"enter_s": Measured(0.5, 0.5)},
        path=tuple((1000.0 * number + step / 10, 0.2 + step / 100, 0.7) for step in range(50)),
        versions={"gatewatch": "bench"},
    )  # fmt: skip


class _Worker:
    """Takes the wishes for clips, as a worker does, and cuts none."""

    def __init__(self) -> None:
        self.status = WorkerStatus("bench")

    def send(self, _message: object) -> bool:
        return True

    def took_event(self) -> None:
        pass

    def waited_for_database(self) -> None:
        pass


def _tokens(services: Services) -> list[str]:
    """As many callers as listen to one server in a large control room."""
    users, tokens = services.accounts.users, services.accounts.tokens
    made = []
    for number in range(TOKENS):
        login = ("https://login.bench", str(number))
        user, _ = users.create(f"guard{number}", "guard", actor=SYSTEM, cameras=None, provider=login)
        _, token = tokens.create(
            user.name, "bench", actor=SYSTEM, cameras=None, expires_at=services.ledger.now() + timedelta(days=1),
            permissions=permissions_of("guard"),
        )  # fmt: skip
        made.append(token)
    return made


@contextmanager
def _served(services: Services, site: Site) -> Iterator[str]:
    app = create_app(services, site=site, version="bench")
    answering = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            answering.set()

    server = Server(config_of(app, Tally(), port=0))
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        answering.wait()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        services.feed.end_streams()
        server.should_exit = True
        thread.join()
