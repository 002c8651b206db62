"""Who is inside a zone, and since when: shared by the rules on zones.

Entering and leaving have hysteresis in seconds of media time, and the moments of going in and out are interpolated on
the path between two samples, so that the sampling rate shifts nothing but when something becomes known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rules.base import EPSILON_S, Seen, View
from rules.crossing import CLEAR, LONG
from rules.geometry import Zone


class Stay(NamedTuple):
    """Part of a visit: the object was inside up to `until_s`, in a visit that began at `start_s`."""

    visit: int
    """Counts the object's visits."""
    start_s: float
    until_s: float


@dataclass(slots=True)
class _Visitor:
    last: tuple[float, float, float]
    inside: bool
    since_s: float
    """When it last went in or out."""
    start_s: float
    """When the visit, or what may become one, began."""
    member: bool = False
    clear: bool = False
    """Since it went out it was clear of the edge (see rules.crossing.CLEAR)."""
    visit: int = 0


class Membership:
    """Membership of one zone for every object.

    Inside for `enter_s` without a break begins a visit (its start is when it went in), outside for `leave_s` ends it;
    so does not being seen for `gap_s`. An object that only trembles on the edge does not leave.
    """

    def __init__(self, zone: Zone, *, enter_s: float, leave_s: float, gap_s: float | None = None) -> None:
        self._zone = zone
        self._enter_s = enter_s
        self._leave_s = leave_s
        self._gap_s = gap_s
        self._visitors: dict[int, _Visitor] = {}

    def advance(self, seen: Seen, view: View) -> list[Stay]:
        """Moves on to this frame; returns the stretches since the last one in which the object was a member inside."""
        stays: list[Stay] = []
        visitor = self._visitors.get(seen.object_id)
        for sample in seen.points:
            time_s, x, y = sample
            inside = self._zone.contains((x, y))
            if visitor is None:
                visitor = self._visitors[seen.object_id] = _Visitor(sample, inside, time_s, time_s)
            elif self._gap_s is not None and self._unseen_s(visitor, time_s, view) > self._gap_s + EPSILON_S:
                visitor.inside, visitor.member = inside, False
                visitor.since_s = visitor.start_s = time_s
                visitor.visit += 1
            else:
                self._walk(visitor, sample, inside, stays)
            visitor.last = sample
            if visitor.member and not inside and not visitor.clear:
                away_px = self._zone.distance_px((x, y), view.width_px, view.height_px)
                visitor.clear = away_px > CLEAR * seen.size_px
            self._settle(visitor, time_s, stays)
        return stays

    def forget(self, object_id: int) -> None:
        """Drops what is kept of the object."""
        self._visitors.pop(object_id, None)

    def state_size(self) -> int:
        """How many objects are kept."""
        return len(self._visitors)

    @staticmethod
    def _unseen_s(visitor: _Visitor, time_s: float, view: View) -> float:
        # Between two frames that follow each other nothing was missed, however far apart a slow camera takes them.
        return time_s - visitor.last[0] - min(view.interval_s, 0.5)

    def _walk(self, visitor: _Visitor, sample: tuple[float, float, float], inside: bool, stays: list[Stay]) -> None:
        t0, x0, y0 = visitor.last
        t1, x1, y1 = sample
        for share in self._zone.edge_shares((x0, y0), (x1, y1), visitor.inside, inside):
            at_s = t0 + share * (t1 - t0)
            self._settle(visitor, at_s, stays)
            visitor.inside = not visitor.inside
            visitor.since_s = at_s
            visitor.clear = False
            if visitor.inside and not visitor.member:
                visitor.start_s = at_s
                visitor.visit += 1

    def _settle(self, visitor: _Visitor, time_s: float, stays: list[Stay]) -> None:
        """What the hysteresis says at a moment up to which the object was inside, or outside, without a break."""
        if visitor.inside:
            if not visitor.member and time_s - visitor.start_s >= self._enter_s - EPSILON_S:
                visitor.member = True
            if visitor.member:
                stays.append(Stay(visitor.visit, visitor.start_s, time_s))
        elif visitor.member:
            needed_s = self._leave_s if visitor.clear else self._leave_s * LONG
            if time_s - visitor.since_s >= needed_s - EPSILON_S:
                visitor.member = False
