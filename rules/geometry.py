"""Points, lines and zones: anchors, the crossing test on a path, and membership of a polygon.

Everything here is in normalised coordinates (0..1 of the picture's width and height, y downwards) unless a name says
`_px`. Points may lie outside 0..1. Ties (a point exactly on a line, a path through a vertex) are decided as if every
moving point were shifted by the same infinitely small vector (e, e*e): then no three points are ever in line, a path
through a vertex crosses exactly once or not at all, and both ends of a path are judged alike. The maths is plain Python
on floats, since a frame has few objects and lines have few segments; shapely only judges what users drew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import shapely

from rules.types import Direction, Point, RuleError

Anchor = Literal["bottom_centre", "centre", "top_centre", "left_centre", "right_centre"]

ANCHORS: dict[Anchor, tuple[float, float]] = {
    "bottom_centre": (0.5, 1.0),
    "centre": (0.5, 0.5),
    "top_centre": (0.5, 0.0),
    "left_centre": (0.0, 0.5),
    "right_centre": (1.0, 0.5),
}
"""Anchor -> where it lies in the box, as shares of its width and height from the top left."""

BORDER = 0.005
"""A point this close to the picture's border is meant to lie on it (people draw by hand)."""
BEYOND = 100.0
"""How far, in pictures, a zone's edge on the border reaches outwards."""


class Crossing(NamedTuple):
    """Where a path meets a line."""

    share: float
    """0..1 of the way from the path's first to its last point."""
    direction: Direction


class _Segment(NamedTuple):
    ax: float
    ay: float
    dx: float
    dy: float
    tie: bool
    """Is a point exactly on it taken to lie to its right?"""


class Polyline:
    """A directed line of two or more points.

    Left and right are as seen by someone who stands on the first point and looks towards the last: with y downwards, a
    point lies to the right of a -> b where (b - a) x (p - a) is positive.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self.points: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in points)
        self._segments = tuple(
            _Segment(a[0], a[1], b[0] - a[0], b[1] - a[1], b[1] < a[1] or (b[1] == a[1] and b[0] > a[0]))
            for a, b in zip(self.points, self.points[1:], strict=False)
            if a != b
        )
        self._left = min(x for x, _ in self.points)
        self._right = max(x for x, _ in self.points)
        self._top = min(y for _, y in self.points)
        self._bottom = max(y for _, y in self.points)

    def apart(self, px: float, py: float, qx: float, qy: float) -> bool:
        """Does the box around the path p -> q lie wholly beside the box around this line?"""
        return (
            (px < self._left and qx < self._left)
            or (px > self._right and qx > self._right)
            or (py < self._top and qy < self._top)
            or (py > self._bottom and qy > self._bottom)
        )

    def crossings(self, p: Point, q: Point) -> list[Crossing]:
        """Where the straight path from p to q crosses this line, in the order in which it does."""
        px, py = p
        qx, qy = q
        if self.apart(px, py, qx, qy):
            return []
        ex, ey = qx - px, qy - py
        path_tie = ey > 0 or (ey == 0 and ex < 0)
        found: list[Crossing] = []
        ahead: bool | None = None
        for ax, ay, dx, dy, tie in self._segments:
            if ahead is None:
                c = ex * (ay - py) - ey * (ax - px)
                ahead = c > 0 or (c == 0 and path_tie)
            behind = ahead
            c = ex * (ay + dy - py) - ey * (ax + dx - px)
            ahead = c > 0 or (c == 0 and path_tie)
            if ahead == behind:
                continue
            cp = dx * (py - ay) - dy * (px - ax)
            cq = dx * (qy - ay) - dy * (qx - ax)
            now_right = cq > 0 or (cq == 0 and tie)
            if now_right == (cp > 0 or (cp == 0 and tie)):
                continue
            share = cp / (cp - cq) if cp != cq else 0.0
            found.append(Crossing(min(1.0, max(0.0, share)), "left_to_right" if now_right else "right_to_left"))
        if len(found) > 1:
            found.sort(key=lambda crossing: crossing.share)
        return found

    def distance_px(self, point: Point, width_px: int, height_px: int) -> float:
        """Distance in pixels from a point to the nearest place on this line, in a picture of that size."""
        x, y = point
        least = math.inf
        for ax, ay, dx, dy, _ in self._segments:
            ux, uy = dx * width_px, dy * height_px
            vx, vy = (x - ax) * width_px, (y - ay) * height_px
            share = (vx * ux + vy * uy) / (ux * ux + uy * uy)
            share = 0.0 if share < 0 else 1.0 if share > 1 else share
            least = min(least, math.hypot(vx - share * ux, vy - share * uy))
        return least


class Zone:
    """A polygon; its edges on the picture's border reach beyond it, since feet may lie below the picture."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in points)
        ring = _reach_out(self.points)
        self._edge = Polyline([*ring, ring[0]])
        self._convex = _is_convex(ring)

    def contains(self, point: Point) -> bool:
        """Is the point inside? A point on the edge belongs to one side, always the same one."""
        x, y = point
        edge = self._edge
        if edge.apart(x, y, x, y):
            return False
        inside = False
        for ax, ay, dx, dy, tie in edge._segments:
            if (ay > y) != (ay + dy > y):
                c = dx * (y - ay) - dy * (x - ax)
                if (c > 0 or (c == 0 and tie)) == (dy > 0):
                    inside = not inside
        return inside

    def edge_shares(self, p: Point, q: Point, p_inside: bool, q_inside: bool) -> list[float]:
        """Where on the straight path from p to q it goes in or out, as shares 0..1 of the way, in order.

        Their number is odd where `p_inside != q_inside` and even where not.
        """
        if p_inside and q_inside and self._convex:
            return []
        shares = [crossing.share for crossing in self._edge.crossings(p, q)]
        if len(shares) % 2 != (p_inside != q_inside):
            # Rounding of a nearly parallel edge: believe the two ends, and place the change at the later one.
            shares = [*shares, 1.0]
        return shares

    def distance_px(self, point: Point, width_px: int, height_px: int) -> float:
        """Distance in pixels from a point to the zone's edge."""
        return self._edge.distance_px(point, width_px, height_px)


def anchor_of(box: tuple[float, float, float, float], anchor: Anchor, width_px: int, height_px: int) -> Point:
    """The normalised anchor of a box in pixels, taken before any clipping: it may lie outside the picture."""
    across, down = ANCHORS[anchor]
    left, top, right, bottom = box
    return (left + across * (right - left)) / width_px, (top + down * (bottom - top)) / height_px


def check_line(name: str, points: Sequence[Point]) -> tuple[Point, ...]:
    """The points without repetitions.

    Raises RuleError where they do not make a line: fewer than two places, not normalised, or it crosses itself.
    """
    cleaned = _cleaned(f"line '{name}'", points)
    if len(cleaned) < 2:
        raise RuleError(f"line '{name}' needs at least 2 different points, found {len(cleaned)}")
    if not shapely.LineString(cleaned).is_simple:
        raise RuleError(f"line '{name}' crosses itself; expected a line that does not")
    return cleaned


def check_zone(name: str, points: Sequence[Point]) -> tuple[Point, ...]:
    """The points without repetitions and without a closing point.

    Raises RuleError where they do not make a zone: fewer than three places, not normalised, edges that cross, no area.
    """
    cleaned = _cleaned(f"zone '{name}'", points)
    if len(cleaned) > 1 and cleaned[0] == cleaned[-1]:
        cleaned = cleaned[:-1]
    if len(cleaned) < 3:
        raise RuleError(f"zone '{name}' needs at least 3 different points, found {len(cleaned)}")
    polygon = shapely.Polygon(cleaned)
    if polygon.convex_hull.area < 1e-6:
        raise RuleError(f"zone '{name}' has no area; expected points that do not lie on one line")
    if not polygon.is_valid:
        where = shapely.is_valid_reason(polygon).partition("[")[2].rstrip("]").replace(" ", ", ")
        raise RuleError(f"zone '{name}' is not a simple polygon: its edges cross or touch at ({where})")
    return cleaned


def _cleaned(what: str, points: Sequence[Point]) -> tuple[Point, ...]:
    cleaned: list[Point] = []
    for number, point in enumerate(points, 1):
        if len(point) != 2:
            raise RuleError(f"{what}: point {number} must be [x, y], found {len(point)} numbers")
        x, y = float(point[0]), float(point[1])
        if not (-1 <= x <= 2 and -1 <= y <= 2):
            raise RuleError(
                f"{what}: point {number} is ({x:g}, {y:g}); expected shares of the picture's width and height, 0 to 1"
            )
        if not cleaned or cleaned[-1] != (x, y):
            cleaned.append((x, y))
    return tuple(cleaned)


def _outwards(point: Point, other: Point) -> tuple[int, int]:
    """Direction out of the picture for the edge between two points, (0, 0) where it is not on the border."""
    for axis in (0, 1):
        for border, sign in ((0.0, -1), (1.0, 1)):
            if abs(point[axis] - border) <= BORDER and abs(other[axis] - border) <= BORDER:
                return (sign, 0) if axis == 0 else (0, sign)
    return (0, 0)


def _reach_out(points: Sequence[Point]) -> list[Point]:
    """The polygon with every edge that lies on the picture's border pushed out, the corners with them."""
    ring: list[Point] = []
    count = len(points)
    for k, (x, y) in enumerate(points):
        before = _outwards(points[k - 1], (x, y))
        after = _outwards((x, y), points[(k + 1) % count])
        pushed = [(x + BEYOND * way[0], y + BEYOND * way[1]) for way in (before, after)]
        if before != (0, 0) and after != (0, 0):
            ring.append((x + BEYOND * (before[0] + after[0]), y + BEYOND * (before[1] + after[1])))
        elif before != (0, 0):
            ring += [pushed[0], (x, y)]
        elif after != (0, 0):
            ring += [(x, y), pushed[1]]
        else:
            ring.append((x, y))
    return ring


def _is_convex(ring: Sequence[Point]) -> bool:
    turns = set()
    for k in range(len(ring)):
        (ax, ay), (bx, by), (cx, cy) = ring[k - 2], ring[k - 1], ring[k]
        turn = (bx - ax) * (cy - by) - (by - ay) * (cx - bx)
        if turn:
            turns.add(turn > 0)
    return len(turns) == 1
