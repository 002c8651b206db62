"""A worker process: cameras, detectors and rules. It tells what it finds and does as it is told, through one pipe.

It ends when it is asked to, and by itself when the API process is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog

from gatewatch.last_seen import Seen
from gatewatch.live_messages import (
    Drained,
    EventRaised,
    EvidenceWanted,
    Failed,
    Finish,
    InputGiven,
    PictureWanted,
    Ready,
    Report,
    Stop,
)
from gatewatch.live_outbox import OUTBOX_MESSAGES, Outbox
from gatewatch.log import Level, configure
from gatewatch.site import Site
from rules.types import RuleEvent

REPORT_S = 1.0
TRIM_S = 60.0
JOIN_S = 8.0
FINISH_S = 15.0

EMITTED, TAKEN = 0, 1
"""Places in the tallies that both processes see: events that rules raised, inputs that reached a camera. They outlive a
worker that is killed, so that what was lost with it can be counted."""


@dataclass(frozen=True)
class Setup:
    """What a worker is started with."""

    site: Site
    cameras: tuple[str, ...]
    data_dir: Path
    log_level: Level
    ring_bytes: int
    outbox_messages: int = OUTBOX_MESSAGES


def work(pipe: Connection, tallies: Any, setup: Setup) -> None:
    """The whole life of a worker process."""
    configure(setup.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the API process says what to do.
    threading.excepthook = _end_after_a_lost_thread
    _Worker(pipe, tallies, setup).run()


def _end_after_a_lost_thread(args: threading.ExceptHookArgs) -> None:
    """A worker that lost a thread is not whole: it ends, is seen to end, and is started again."""
    if args.exc_type is not SystemExit:
        thread = args.thread.name if args.thread else None
        structlog.get_logger().error("a thread failed", thread=thread, exc_info=args.exc_value)
        sys.stderr.flush()
        os._exit(70)


class _Worker:
    def __init__(self, pipe: Connection, tallies: Any, setup: Setup) -> None:
        self._pipe, self._tallies, self._setup = pipe, tallies, setup
        self._outbox = Outbox(pipe.send, limit=setup.outbox_messages)
        self._emitting = threading.Lock()
        self._asked_to_end = False
        self._lost = False
        self._trimmed = 0.0

    def run(self) -> None:
        from gatewatch.live_camera import LiveCamera, Settings
        from gatewatch.live_evidence import LiveEvidence
        from gatewatch.live_eyes import Detectors
        from gatewatch.live_pictures import LivePictures
        from models.types import ModelError
        from rules.types import RuleError

        signal.signal(signal.SIGTERM, self._ask_to_end)
        self._outbox.start()
        site, settings = self._setup.site, Settings(ring_bytes=self._setup.ring_bytes)
        try:
            self._detectors = Detectors(site, self._setup.cameras)
            self._cameras = {
                name: LiveCamera(site, name, self._detectors.eyes(name), self._emit, settings=settings)
                for name in self._setup.cameras
            }
        except (ModelError, RuleError) as error:
            self._outbox.put(Failed(str(error)))
            self._outbox.close()
            return
        self._evidence = LiveEvidence(site, self._cameras, self._setup.data_dir, self._outbox.put)
        self._pictures = LivePictures(self._cameras, self._setup.data_dir, self._outbox.put).start()
        self._outbox.put(Ready(os.getpid()))
        for camera in self._cameras.values():
            camera.start()
        told = self._until_told()
        self._pictures.close()
        for camera in self._cameras.values():
            camera.stop()
        self._detectors.close()
        self._join()
        if told:
            self._outbox.put(Drained())
            told = self._until_told(FINISH_S)
        if not told and self._gone():
            sys.stderr.flush()
            os._exit(0)  # Nobody would hear of what else could be done.
        for camera in self._cameras.values():
            camera.close()
        self._evidence.close()
        self._outbox.close()

    def _until_told(self, at_most_s: float | None = None) -> bool:
        """Does what comes in until `Stop` or `Finish`; False where nobody is there any more, or the time is over."""
        began = reported = time.monotonic()
        while not self._gone():
            now = time.monotonic()
            if at_most_s is not None and now - began > at_most_s:
                return False
            if now - reported >= REPORT_S:
                reported = now
                self._outbox.report(self._report())
                if now - self._trimmed >= TRIM_S:
                    self._trimmed = now
                    give_back_memory()
            if self._asked_to_end:
                self._asked_to_end = False
                return True
            try:
                if not self._pipe.poll(max(0.0, reported + REPORT_S - now)):
                    continue
                message = self._pipe.recv()
            except (EOFError, OSError):
                self._lost = True
                return False
            if isinstance(message, Stop | Finish):
                return True
            self._do(message)
        return False

    def _gone(self) -> bool:
        return self._lost or self._outbox.broken

    def _do(self, message: InputGiven | EvidenceWanted | PictureWanted) -> None:
        if isinstance(message, InputGiven):
            self._cameras[message.camera].receive(message)
            self._tallies[TAKEN] += 1
        elif isinstance(message, PictureWanted):
            self._pictures.want(message)
        else:
            self._evidence.want(message)

    def _emit(self, event: RuleEvent, seen: Seen | None) -> None:
        with self._emitting:
            self._tallies[EMITTED] += 1
        self._outbox.put(EventRaised(event, seen))

    def _join(self) -> None:
        until = time.monotonic() + JOIN_S
        for camera in self._cameras.values():
            camera.join(max(0.1, until - time.monotonic()))

    def _report(self) -> Report:
        rss_bytes, descriptors = _usage()
        return Report(
            cameras=tuple(camera.status() for camera in self._cameras.values()),
            waiting=len(self._outbox), rss_bytes=rss_bytes, threads=threading.active_count(), descriptors=descriptors,
        )  # fmt: skip

    def _ask_to_end(self, _number: int, _frame: object) -> None:
        self._asked_to_end = True


def give_back_memory() -> None:
    """Hands freed memory back to the system. Pictures, made and freed by many threads, leave the C library holding much
    more than is in use, and more with every reconnect."""
    with contextlib.suppress(OSError, AttributeError):  # Only glibc has it.
        ctypes.CDLL(None).malloc_trim(0)


def _usage() -> tuple[int, int]:
    """(resident bytes, open descriptors) of this process, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0, 0
