"""Keeps one worker process alive: starts it, listens to it, starts it again when it ends or hangs."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import structlog

from gatewatch.live_board import Board, WorkerStatus
from gatewatch.live_messages import Drained, Failed, Finish, FromWorker, InputGiven, Ready, Report, Stop, ToWorker
from gatewatch.live_worker import EMITTED, TAKEN, Setup, work

COMMANDS = 1000
START_S = 120.0
"""How long a worker may load its detectors."""
SILENCE_S = 30.0
"""A worker that says nothing for so long hangs: it reports once a second."""
STEADY_S = 60.0
PAUSE_S = (0.5, 30.0)
LEAVE_S = 30.0

Handler = Callable[[FromWorker, str], None]


class Supervisor:
    """One worker. `start()`, `send()`, `close()`; `handle(message, run)` is called in the supervisor's own thread.

    Every start is a run of its own: it has its own media clock and counts its events from 1.
    """

    def __init__(
        self,
        name: str,
        setup: Setup,
        board: Board,
        *,
        handle: Handler,
        on_lost: Callable[[], int],
        on_failed: Callable[[str], None],
        say: Callable[..., None],
        target: Callable[[Connection, Any, Setup], None] = work,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`on_lost`: the worker died; returns how many alerts now wait in vain for evidence. `on_failed`: it cannot
        work as configured. `target` runs in the process; silent for `silence_s`, it counts as hanging."""
        self.status = WorkerStatus(name)
        self._setup, self._board = setup, board
        self._handle, self._on_lost, self._on_failed, self._say = handle, on_lost, on_failed, say
        self._target, self._silence_s = target, silence_s
        self._context = multiprocessing.get_context("spawn")
        self._log = structlog.get_logger().bind(worker=name)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._commands: queue.Queue[ToWorker | None] | None = None
        self._arming: dict[tuple[str, str], InputGiven] = {}
        self._owed: dict[tuple[str, str], InputGiven] = {}
        """Arming that did not fit into the queue: it is handed over as soon as there is room."""
        self._process: BaseProcess | None = None
        self._worked = False
        self._thread = threading.Thread(target=self._run, name=f"supervise {name}", daemon=True)

    def start(self) -> Supervisor:
        self._thread.start()
        return self

    def send(self, message: ToWorker) -> bool:
        """Hands a message over without waiting; False where nothing runs or too much waits already."""
        with self._lock:
            arming = isinstance(message, InputGiven) and message.kind in ("arm", "disarm")
            if isinstance(message, InputGiven) and arming:
                # Arming outlives a worker: the next one is told again.
                self._arming.pop((message.camera, message.line), None)
                self._arming[message.camera, message.line] = message
            if self._commands is None:
                return False
            try:
                self._commands.put_nowait(message)
            except queue.Full:
                if isinstance(message, InputGiven) and arming:
                    self._owed[message.camera, message.line] = message
                return False
            if isinstance(message, InputGiven) and arming:
                self._owed.pop((message.camera, message.line), None)
            if isinstance(message, InputGiven):
                self._note(inputs=self.status.inputs + 1)
            return True

    def close(self) -> None:
        """Asks the worker to end, and returns once it has; after `LEAVE_S` it is ended."""
        self._stopping.set()
        self.send(Stop())
        self._thread.join(LEAVE_S)
        if self._thread.is_alive():
            self._log.error("the worker does not end and is killed")
            self.kill()
            self._thread.join()

    def kill(self) -> None:
        """Ends the worker at once."""
        process = self._process
        if process is not None and process.is_alive():
            process.kill()

    def _run(self) -> None:
        pause_s = PAUSE_S[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            self._one_life()
            if self._stopping.is_set():
                break
            if time.monotonic() - began > STEADY_S:
                pause_s = PAUSE_S[0]
            self._say("worker_restarts", seconds=pause_s)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S[1])

    def _one_life(self) -> None:
        starts = self.status.starts + 1
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{self.status.name}-{starts}"
        ours, theirs = self._context.Pipe()
        tallies = self._context.RawArray("Q", 2)
        process = self._context.Process(
            target=self._target, args=(theirs, tallies, self._setup), name=f"gatewatch {self.status.name}", daemon=True
        )
        process.start()
        theirs.close()  # So that the end of the worker is the end of the pipe.
        self._process = process
        commands: queue.Queue[ToWorker | None] = queue.Queue(COMMANDS)
        with self._lock:
            for message in self._arming.values():
                commands.put(message)
            resent, self._commands = len(self._arming), commands
            self._owed.clear()
            events, inputs = self.status.events, self.status.inputs - resent
        self._note(running=True, pid=process.pid, starts=starts, restarts=starts - 1)
        sender = threading.Thread(target=_forward, args=(commands, ours), name="commands", daemon=True)
        sender.start()
        whole = self._listen(ours, process, run, commands)
        with self._lock:
            self._commands = None
        _end(commands)
        process.join(5.0 if whole else 0.2)
        self.kill()
        process.join()
        sender.join()
        ours.close()
        self._account(process, tallies, events=events, inputs=inputs, asked=whole and self._stopping.is_set())
        process.close()
        self._process = None

    def _listen(self, ours: Connection, process: BaseProcess, run: str, commands: queue.Queue[ToWorker | None]) -> bool:
        """Takes messages until the worker is gone; True where it said goodbye."""
        heard, patience_s, whole = time.monotonic(), START_S, False
        while True:
            try:
                if not ours.poll(min(1.0, patience_s)):
                    if time.monotonic() - heard > patience_s:
                        self._log.error("the worker hangs and is killed", pid=process.pid, silent_s=patience_s)
                        self.kill()
                        heard = time.monotonic()
                    continue
                message: FromWorker = ours.recv()
            except (EOFError, OSError):
                return whole
            if isinstance(message, Ready):
                patience_s, self._worked = self._silence_s, True
            elif isinstance(message, Failed):
                whole = True
                self._failed(message)
            elif isinstance(message, Drained):
                whole = True
                commands.put(Finish())
            elif isinstance(message, Report):
                self._note(
                    waiting=message.waiting, rss_bytes=message.rss_bytes, threads=message.threads,
                    descriptors=message.descriptors,
                )  # fmt: skip
            self._handle(message, run)
            heard = time.monotonic()
            for owed in list(self._owed.values()):
                self.send(owed)

    def _failed(self, message: Failed) -> None:
        if self._worked:
            self._log.error("the worker cannot work", why=message.message)
        else:
            self._stopping.set()  # It would fail again in the same way.
            self._on_failed(message.message)

    def _account(self, process: BaseProcess, tallies: Any, *, events: int, inputs: int, asked: bool) -> None:
        """Says how a worker ended, and counts what ended with it."""
        lost_events = max(0, tallies[EMITTED] - (self.status.events - events))
        lost_inputs = max(0, self.status.inputs - inputs - tallies[TAKEN])
        waiting = self._on_lost()
        self._note(
            running=False, pid=None, waiting=0, events_lost=self.status.events_lost + lost_events,
            inputs_lost=self.status.inputs_lost + lost_inputs,
            evidence_lost=self.status.evidence_lost + waiting,
        )  # fmt: skip
        if asked and not lost_events:
            self._board.down(self._setup.cameras, "Gatewatch was stopped.")
            return
        self._board.down(self._setup.cameras, "The camera process ended and is started again.")
        self._log.error(
            "the worker ended", exit_code=process.exitcode, events_lost=lost_events, inputs_lost=lost_inputs,
            alerts_without_evidence=waiting,
        )  # fmt: skip

    def took_event(self) -> None:
        """An event of the worker was taken over."""
        self._note(events=self.status.events + 1)

    def waited_for_database(self) -> None:
        self._note(store_retries=self.status.store_retries + 1)

    def _note(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._board.worker(self.status)


def _forward(commands: queue.Queue[ToWorker | None], pipe: Connection) -> None:
    while (message := commands.get()) is not None:
        try:
            pipe.send(message)
        except OSError:
            return


def _end(commands: queue.Queue[ToWorker | None]) -> None:
    """Wakes the sender, whatever still waits: nobody is there to take it."""
    while True:
        try:
            commands.put_nowait(None)
        except queue.Full:
            commands.get_nowait()
        else:
            return
