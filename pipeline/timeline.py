"""Media time from timestamps as they come: missing, repeated, backwards, or with jumps."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

import av

REBASE_S = 1.0
"""A step back by more than this is a new clock (a camera that set its time, a file glued together)."""
JUMP_S = 5.0
"""A live stream's step forward by more than this, without the wait to match, is a new clock too."""
LEAP_S = 6 * 3600.0
"""No recording pauses for longer than this: it is a clock that was set, or one that seems to have wrapped."""
DEFAULT_FPS = 25.0


class Timeline:
    """Turns the timestamps of one stream's pictures into strictly growing seconds from `start_s`.

    A picture without a timestamp, or with one that is not later than the picture before, is placed by the average rate
    and counted in `irregular`. `zero` is the timestamp that means `start_s`; left out, that of the first picture.
    """

    def __init__(
        self, time_base: Fraction, average_fps: float | None, start_s: float = 0.0, zero: int | None = None
    ) -> None:
        self.irregular = 0
        self.step_s = 1.0 / (average_fps or DEFAULT_FPS)
        self._num, self._den = time_base.numerator, time_base.denominator
        self._start_s = start_s
        self._zero = zero
        self._last: float | None = None
        self._bad_run = 0

    def place(self, timestamp: int | None) -> float:
        """Media time in seconds of the next picture in order of presentation."""
        if self._last is None:
            self.irregular += timestamp is None
            if self._zero is None:
                self._zero = timestamp
            self._last = self._start_s if timestamp is None else max(self._start_s, self._seconds(timestamp))
            return self._last
        if timestamp is not None and self._zero is None:
            # The first pictures had no timestamp: this one carries on where they led.
            self._rebase(timestamp, self._last + self.step_s)
        if timestamp is not None:
            time_s = self._seconds(timestamp)
            if self._last < time_s < self._last + LEAP_S:
                self._bad_run = 0
                self._last = time_s
                return time_s
        return self._guess(timestamp, self._last)

    def _guess(self, timestamp: int | None, last: float) -> float:
        self.irregular += 1
        # A single repeated timestamp gets half a step, so that the next good one still lies ahead.
        step = self.step_s if timestamp is None or self._bad_run else self.step_s / 2
        self._bad_run += 1
        if timestamp is not None and not -REBASE_S <= self._seconds(timestamp) - last <= 0:
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


class DisplayTimes:
    """The timestamp of each decoded picture, in order of presentation.

    Usually the picture's own. Where the container knows decode times only (`sort`), the decoder hands pictures out in
    the right order but with times that belong to others: the smallest time still open is the right one.
    """

    def __init__(self, *, sort: bool) -> None:
        self._sort = sort
        self._open: list[int] = []

    def sent(self, packet: av.Packet[Any]) -> None:
        """A packet went into the decoder."""
        if self._sort:
            time = packet.pts if packet.pts is not None else packet.dts
            if time is not None:
                heappush(self._open, time)

    def of(self, picture: av.VideoFrame) -> int | None:
        """The timestamp of the next picture that came out."""
        if self._sort:
            return heappop(self._open) if self._open else None
        return picture.pts if picture.pts is not None else picture.dts


class Stamper:
    """Gives the packets of one connection or irregular file timestamps that only grow, so that pts x time base is time.

    Decode times lead: a missing or repeated one moves on by the average rate, a step back by more than `REBASE_S` (or,
    live, a leap ahead that nobody waited for) starts a new count where the old one stood.
    """

    def __init__(self, time_base: Fraction, average_fps: float | None, start_s: float = 0.0) -> None:
        self.irregular = 0
        self._time_base = time_base
        self._step = max(1, round(1 / ((average_fps or DEFAULT_FPS) * time_base)))
        self._start = round(start_s / time_base)
        self._shift: int | None = None
        self._last: int | None = None
        self._bad_run = 0

    def stamp(self, packet: av.Packet[Any], waited_s: float | None = None) -> None:
        """Rewrites `pts` and `dts` of the next video packet; `waited_s`: how long it was in coming (live)."""
        raw_dts = packet.dts if packet.dts is not None else packet.pts
        lead = 0 if packet.pts is None or raw_dts is None else max(0, packet.pts - raw_dts)
        dts = self._next(raw_dts, lead, waited_s)
        packet.dts, packet.pts = dts, dts + lead
        self._last = dts

    def stamp_other(self, packet: av.Packet[Any]) -> bool:
        """Moves a packet of another stream (sound) along; False where it cannot be placed."""
        if self._shift is None or (packet.pts is None and packet.dts is None):
            return False
        shift = round(self._shift * self._time_base / packet.time_base)
        pts = (packet.pts if packet.pts is not None else packet.dts) or 0
        packet.pts = pts + shift
        packet.dts = (packet.dts if packet.dts is not None else pts) + shift
        return True

    def _next(self, raw: int | None, lead: int, waited_s: float | None) -> int:
        if self._last is None:
            if raw is None:
                self.irregular += 1
                return self._start
            self._shift = self._start - raw - lead
            return raw + self._shift
        if raw is None or self._shift is None:
            self.irregular += 1
            # Live, what has no timestamp is as late as it comes; in a file the average rate is all there is.
            step = self._step if waited_s is None else max(1, round(waited_s / self._time_base))
            if raw is not None:
                self._shift = self._last + step - raw
            return self._last + step
        return self._follow(raw, self._last, self._shift, waited_s)

    def _follow(self, raw: int, last: int, shift: int, waited_s: float | None) -> int:
        step = float((raw + shift - last) * self._time_base)
        leapt = waited_s is not None and step > JUMP_S and waited_s < step / 2
        if step < -REBASE_S or step > LEAP_S or leapt:
            self.irregular += 1
            self._shift = last + self._step - raw
            return last + self._step
        if step > 0:
            self._bad_run = 0
            return raw + shift
        self.irregular += 1
        self._bad_run += 1
        return last + max(1, self._step // 2 if self._bad_run == 1 else self._step)
