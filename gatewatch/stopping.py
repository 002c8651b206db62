"""Ctrl-C and SIGTERM during long work: the first asks it to stop at the next frame, a second Ctrl-C ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gatewatch.errors import StoppedError


class Stopper:
    """Whether the user or the system asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raises StoppedError where it was asked."""
        if self.asked:
            raise StoppedError("Stopped.")


@contextmanager
def stoppable() -> Iterator[Stopper]:
    """Catches both signals in the main thread for as long as the block runs; elsewhere it catches nothing."""
    stopper = Stopper()
    if threading.current_thread() is not threading.main_thread():
        yield stopper
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if stopper.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopper.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
