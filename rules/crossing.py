"""Who crossed a line: shared by the rules on lines.

A crossing is tested on the path between two samples. It counts once the object has stayed across for `settle_s`, or
when its track ends over there. An object whose anchor trembles on the line crosses once: after a crossing that counted,
the way back counts only when the object has got clear of the line, or has stayed across for long.
"""

from __future__ import annotations

from dataclasses import dataclass

from rules.base import EPSILON_S, Seen, View
from rules.geometry import Polyline
from rules.types import Direction, Measured

CLEAR = 0.1
"""An object is clear of a line or edge when its anchor is farther away than this share of the longer side of its box:
about a hand's length for a person, and more than the boxes of a good detector tremble."""
LONG = 10
"""Close to a line or edge, a change must last this many times longer to count."""
UNSEEN_S = 1.0
"""An object that was last seen across and has not been seen for this long has stayed there."""


@dataclass(slots=True)
class Crossed:
    """A crossing that counts."""

    object_id: int
    label: str
    at_s: float
    direction: Direction
    measured: dict[str, Measured]


@dataclass(slots=True)
class _Pending:
    at_s: float
    direction: Direction
    doubtful: bool
    """Follows a crossing that counted, and the object has not been clear of the line since."""
    clear: bool = False


@dataclass(slots=True)
class _Walker:
    label: str
    last: tuple[float, float, float]
    pending: _Pending | None = None
    near: bool = False
    """Has crossed and not been clear of the line since."""


class Crossings:
    """Crossings of one line by every object."""

    def __init__(self, line: Polyline, settle_s: float) -> None:
        self._line = line
        self._settle_s = settle_s
        self._walkers: dict[int, _Walker] = {}
        self._waiting: set[int] = set()

    def update(self, view: View) -> list[Crossed]:
        """Crossings that count from this frame on, by time, then object."""
        counted: list[Crossed] = []
        for seen in view.objects:
            self._follow(seen, view, counted)
        if self._waiting:
            self._settle_unseen(view, counted)
        if len(counted) > 1:
            counted.sort(key=lambda crossed: (crossed.at_s, crossed.object_id))
        return counted

    def forget(self, object_id: int) -> None:
        """Drops what is kept of the object."""
        self._walkers.pop(object_id, None)
        self._waiting.discard(object_id)

    def state_size(self) -> int:
        """How many objects are kept."""
        return len(self._walkers)

    def _follow(self, seen: Seen, view: View, counted: list[Crossed]) -> None:
        walker = self._walkers.get(seen.object_id)
        points = seen.points
        if walker is None:
            walker = self._walkers[seen.object_id] = _Walker(seen.label, points[0])
            points = points[1:]
        walker.label = seen.label
        line = self._line
        for sample in points:
            t0, x0, y0 = walker.last
            t1, x1, y1 = sample
            if not line.apart(x0, y0, x1, y1):
                for share, direction in line.crossings((x0, y0), (x1, y1)):
                    self._cross(seen.object_id, walker, t0 + share * (t1 - t0), direction, counted)
            walker.last = sample
            if walker.near or walker.pending is not None:
                self._judge(seen, view, walker, counted)

    def _cross(
        self, object_id: int, walker: _Walker, at_s: float, direction: Direction, counted: list[Crossed]
    ) -> None:
        pending = walker.pending
        if pending is not None:
            if self._stayed(pending, at_s):
                self._count(object_id, walker, at_s, counted)
            elif pending.direction != direction:
                walker.pending = None
                return
            else:
                return  # Came round the end of the line: the crossing that waits already says it.
        walker.pending = _Pending(at_s, direction, walker.near)

    def _judge(self, seen: Seen, view: View, walker: _Walker, counted: list[Crossed]) -> None:
        """At a sample: is the object clear of the line, has it stayed across?"""
        time_s, x, y = walker.last
        pending = walker.pending
        if walker.near or (pending is not None and pending.doubtful):
            clear = self._line.distance_px((x, y), view.width_px, view.height_px) > CLEAR * seen.size_px
            if clear and pending is not None:
                pending.clear = True
            elif clear:
                walker.near = False
        if pending is not None and self._stayed(pending, time_s):
            self._count(seen.object_id, walker, time_s, counted)
        elif walker.pending is not None:
            self._waiting.add(seen.object_id)

    def _stayed(self, pending: _Pending, time_s: float) -> bool:
        needed_s = self._settle_s
        if pending.doubtful and not pending.clear:
            needed_s *= LONG
        return time_s - pending.at_s >= needed_s - EPSILON_S

    def _count(
        self, object_id: int, walker: _Walker, time_s: float, counted: list[Crossed], ended: bool = False
    ) -> None:
        pending = walker.pending
        if pending is None:
            return
        stayed_s = time_s - pending.at_s
        measured = {"settle_s": Measured(stayed_s, self._settle_s)}
        if ended and stayed_s < self._settle_s - EPSILON_S:
            measured = {"track_ended": Measured(1.0, 1.0)}
        counted.append(Crossed(object_id, walker.label, pending.at_s, pending.direction, measured))
        walker.pending = None
        walker.near = not pending.clear
        self._waiting.discard(object_id)

    def _settle_unseen(self, view: View, counted: list[Crossed]) -> None:
        present = {seen.object_id for seen in view.objects}
        for object_id in sorted(self._waiting):
            walker = self._walkers[object_id]
            if walker.pending is None:
                self._waiting.discard(object_id)
            elif object_id not in present:
                unseen_s = view.time_s - walker.last[0]
                lost = unseen_s >= UNSEEN_S - EPSILON_S and self._stayed(walker.pending, view.time_s)
                ended = object_id in view.ended
                if lost:
                    self._count(object_id, walker, view.time_s, counted)
                elif ended and not (walker.pending.doubtful and not walker.pending.clear):
                    self._count(object_id, walker, walker.last[0], counted, ended=True)
