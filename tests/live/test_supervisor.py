"""Worker processes that die, hang and come back, and what is counted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gatewatch.live_board import Board
from gatewatch.live_messages import EventRaised, FromWorker, InputGiven
from gatewatch.live_supervisor import PAUSE_S, Supervisor
from gatewatch.live_worker import Setup
from gatewatch.site import load_site
from tests.conftest import ROOT
from tests.live import workers
from tests.live.kit import alive, until

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Watched:
    """A supervisor and all that it passed on."""

    def __init__(self, target: Callable[..., None], **options: Any) -> None:
        site = load_site(ROOT / "sample_footage" / "site.yaml")
        self.messages: list[tuple[FromWorker, str]] = []
        self.said: list[str] = []
        self.board = Board(("forecourt",))
        self.supervisor = Supervisor(
            "one", Setup(site, ("forecourt",), Path("unused"), "error", 1), self.board, handle=self._take,
            on_lost=lambda: 2, on_failed=self.said.append, say=lambda key, **_: self.said.append(key),
            target=target, **options,
        )  # fmt: skip

    def _take(self, message: FromWorker, run: str) -> None:
        self.messages.append((message, run))
        if isinstance(message, EventRaised):
            self.supervisor.took_event()

    @property
    def status(self) -> Any:
        return self.board.workers()[0] if self.board.workers() else None

    def inputs(self) -> list[InputGiven]:
        return [message for message, _ in self.messages if isinstance(message, InputGiven)]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setattr("gatewatch.live_supervisor.PAUSE_S", (0.01, PAUSE_S[1]))
    started: list[Watched] = []

    def start(target: Callable[..., None], **options: Any) -> Watched:
        started.append(Watched(target, **options))
        started[-1].supervisor.start()
        return started[-1]

    yield start
    for one in started:
        one.supervisor._stopping.set()
        one.supervisor.kill()
        one.supervisor._thread.join(20)


def given(kind: str = "authorisation", line: str = "barrier") -> InputGiven:
    return InputGiven("forecourt", line, kind, NOW)


def test_what_dies_with_a_worker_is_counted(watch: Callable[..., Watched]) -> None:
    watched = watch(workers.dies_with_events)
    until(lambda: any(isinstance(message, EventRaised) for message, _ in watched.messages), 30)
    for _ in range(3):
        assert watched.supervisor.send(given())
    status = until(lambda: watched.status.restarts and watched.status, 30)
    assert (status.events_lost, status.inputs, status.inputs_lost) == (2, 3, 2)
    assert status.evidence_lost == 2
    assert "worker_restarts" in watched.said
    until(lambda: len({run for _, run in watched.messages}) >= 2, 30, "a second run with a name of its own")


def test_a_worker_that_hangs_is_killed_and_started_again(watch: Callable[..., Watched]) -> None:
    watched = watch(workers.hangs, silence_s=0.3)
    first = until(lambda: watched.messages and watched.status.pid, 30)
    until(lambda: watched.status.restarts >= 1 and watched.status.pid not in (None, first), 30)
    assert not alive({first})


def test_arming_outlives_a_worker_and_authorisations_do_not(watch: Callable[..., Watched]) -> None:
    watched = watch(workers.echoes)
    until(lambda: watched.messages, 30)
    for message in (given("disarm"), given("disarm", "lawn"), given("arm", "lawn"), given()):
        assert watched.supervisor.send(message)
    until(lambda: len(watched.inputs()) == 4, 10)
    assert watched.supervisor.send(given("die"))
    told = until(lambda: len(watched.inputs()) >= 6 and watched.inputs()[4:], 30)
    assert told == [given("disarm"), given("arm", "lawn")]
    assert (watched.status.inputs, watched.status.inputs_lost) == (5, 0)
    watched.supervisor.close()
    assert watched.status.running is False
    assert not watched.supervisor.send(given())
    assert watched.said == ["worker_restarts"]
