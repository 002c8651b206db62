"""Small clocks of a live camera: how many pictures a second, how many seconds blind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pipeline.types import TrackedFrame

OVER_S = 5.0


class Pace:
    """Pictures a second over the last seconds, from counters that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._past: deque[tuple[float, int, int]] = deque([(clock(), 0, 0)])
        self.fps = self.analysed_fps = 0.0

    def at(self, decoded: int, analysed: int) -> None:
        now = self._clock()
        self._past.append((now, decoded, analysed))
        while len(self._past) > 2 and self._past[1][0] <= now - OVER_S:
            self._past.popleft()
        then, decoded_then, analysed_then = self._past[0]
        if now > then:
            self.fps = round((decoded - decoded_then) / (now - then), 2)
            self.analysed_fps = round((analysed - analysed_then) / (now - then), 2)


class RuleTime:
    """Seconds in which the rules of a camera could not see."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._blind_s = 0.0
        self._last_s: float | None = None
        self._heard_at = clock()
        self._away = True

    def reconnected(self) -> None:
        """The next frame is the first of a connection: what lies before it was not seen."""
        self._away = True

    def note(self, frame: TrackedFrame) -> None:
        now = self._clock()
        if self._last_s is None:
            self._blind_s += now - self._heard_at
        elif self._away or frame.blind:
            self._blind_s += frame.media_time_s - self._last_s
        self._away, self._last_s, self._heard_at = False, frame.media_time_s, now

    def blind_s(self, connected: bool) -> float:
        """Seconds until now; where there is no connection, those since the last frame too."""
        return self._blind_s + (0.0 if connected else self._clock() - self._heard_at)
