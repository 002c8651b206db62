"""What a worker has to say: facts wait for their turn and are never dropped, counters give way to newer ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from gatewatch.live_messages import FromWorker, Report

OUTBOX_MESSAGES = 1000


class Outbox:
    """Sends messages in order from a thread of its own; safe to use from any thread.

    `put` waits while `limit` messages wait: a camera whose events nobody takes stands still instead of losing them (its
    frames are dropped meanwhile, and counted). `report` keeps only the newest report.
    """

    def __init__(self, send: Callable[[FromWorker], None], *, limit: int = OUTBOX_MESSAGES) -> None:
        self._send, self._limit = send, limit
        self._messages: deque[FromWorker] = deque()
        self._report: Report | None = None
        self._change = threading.Condition()
        self._closing = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> Outbox:
        self._thread.start()
        return self

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def broken(self) -> bool:
        """Nobody is there to take messages any more."""
        return self._broken

    def put(self, message: FromWorker) -> bool:
        """Waits for room; False where the message can no longer be delivered."""
        with self._change:
            self._change.wait_for(lambda: len(self._messages) < self._limit or self._broken)
            if self._broken:
                return False
            self._messages.append(message)
            self._change.notify_all()
            return True

    def report(self, report: Report) -> None:
        """In place of a report that was not sent yet."""
        with self._change:
            self._report = report
            self._change.notify_all()

    def close(self) -> None:
        """Returns once all is sent, or cannot be."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._messages or self._report is not None or self._closing)
                message: FromWorker | None
                if self._messages:
                    message = self._messages[0]
                else:
                    message, self._report = self._report, None
            if message is None:
                return
            try:
                self._send(message)
            except OSError:
                with self._change:
                    self._broken = True
                    self._change.notify_all()
                return
            with self._change:
                # A message counts as waiting until it is handed over.
                if self._messages and self._messages[0] is message:
                    self._messages.popleft()
                self._change.notify_all()
