"""Worker processes that misbehave, for the tests of their supervisor."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection
from typing import Any

from gatewatch.live_messages import Drained, EventRaised, Finish, InputGiven, Ready, Stop
from gatewatch.live_worker import EMITTED, TAKEN, Setup
from rules.types import RuleEvent

EVENT = RuleEvent(
    event_id="gate.line.000001", camera="gate", rule="line", kind="line_crossing", severity="medium", zone=None,
    line="barrier", direction="left_to_right", label="person", track_ids=(1,), start_s=1.0, raised_s=1.5,
    started_at=None, raised_at=None, measured={}, path=(),
)  # fmt: skip


def dies_with_events(pipe: Connection, tallies: Any, _setup: Setup) -> None:
    """Raised three events, told of one, took one of the inputs it was given."""
    pipe.send(Ready(os.getpid()))
    pipe.send(EventRaised(EVENT, None))
    tallies[EMITTED] = 3
    pipe.recv()
    tallies[TAKEN] = 1
    pipe.recv()
    os._exit(9)


def hangs(pipe: Connection, _tallies: Any, _setup: Setup) -> None:
    """Alive and silent."""
    pipe.send(Ready(os.getpid()))
    threading.Event().wait()


def echoes(pipe: Connection, tallies: Any, _setup: Setup) -> None:
    """Sends every input back, ends when told, and dies of an input called `die`."""
    pipe.send(Ready(os.getpid()))
    while True:
        message = pipe.recv()
        if isinstance(message, InputGiven):
            tallies[TAKEN] += 1
            if message.kind == "die":
                os._exit(9)
            pipe.send(message)
        elif isinstance(message, Stop):
            pipe.send(Drained())
        elif isinstance(message, Finish):
            return
