"""Media time from timestamps as they come: missing, repeated, backwards, or with jumps."""

from __future__ import annotations

from fractions import Fraction

REBASE_S = 1.0
"""A step back by more than this is a new clock (a camera that set its time, a file glued together)."""


class Timeline:
    """Turns the timestamps of one stream into strictly growing seconds from `start_s`.

    A frame without a timestamp, or with one that is not later than the frame before, is placed by the average rate
    and counted in `irregular`.
    """

    def __init__(self, time_base: Fraction, average_fps: float | None, start_s: float = 0.0) -> None:
        self.irregular = 0
        self._num, self._den = time_base.numerator, time_base.denominator
        self.step_s = 1.0 / (average_fps or 25.0)
        self._start_s = start_s
        self._zero: int | None = None
        self._last: float | None = None
        self._bad_run = 0

    def place(self, timestamp: int | None) -> float:
        """Media time in seconds of the next frame in order of presentation."""
        if self._last is None:
            self._zero = timestamp
            self.irregular += timestamp is None
            self._last = self._start_s
            return self._last
        if timestamp is not None and self._zero is None:
            # The first frames had no timestamp: this one carries on where they led.
            self._rebase(timestamp, self._last + self.step_s)
        if timestamp is not None:
            time_s = self._seconds(timestamp)
            if time_s > self._last:
                self._bad_run = 0
                self._last = time_s
                return time_s
        return self._guess(timestamp)

    def _guess(self, timestamp: int | None) -> float:
        last = self._last or 0.0
        self.irregular += 1
        # A single repeated timestamp gets half a step, so that the next good one still lies ahead.
        step = self.step_s if timestamp is None or self._bad_run else self.step_s / 2
        self._bad_run += 1
        if timestamp is not None and last - self._seconds(timestamp) > REBASE_S:
            step = self.step_s
            self._rebase(timestamp, last + step)
            self._bad_run = 0
        self._last = last + step
        return self._last

    def _seconds(self, timestamp: int) -> float:
        return self._start_s + (timestamp - (self._zero or 0)) * self._num / self._den

    def _rebase(self, timestamp: int, time_s: float) -> None:
        self._zero = timestamp
        self._start_s = time_s
