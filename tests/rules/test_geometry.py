from __future__ import annotations

import itertools
import math

import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rules.geometry import Polyline, Zone, anchor_of, check_line, check_zone
from rules.types import Point, RuleError

# Whole numbers make exact arithmetic: then the properties hold to the letter, in the degenerate cases too.
whole = st.integers(0, 12).map(float)
points = st.tuples(whole, whole)
# A busy machine is no reason to fail.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FLIP = {"left_to_right": "right_to_left", "right_to_left": "left_to_right"}


@st.composite
def lines(draw: st.DrawFn) -> Polyline:
    drawn = draw(st.lists(points, min_size=2, max_size=5))
    assume(all(a != b for a, b in itertools.pairwise(drawn)))
    return Polyline(drawn)


@st.composite
def polygons(draw: st.DrawFn) -> list[Point]:
    """Simple polygons: places around a middle, in order of their angle."""
    middle = (6.5, 6.5)
    drawn = draw(st.lists(points, min_size=3, max_size=8, unique=True))
    ring = sorted(drawn, key=lambda p: (math.atan2(p[1] - middle[1], p[0] - middle[0]), math.dist(p, middle)))
    polygon = shapely.Polygon(ring)
    assume(polygon.is_valid and polygon.area > 0)
    return ring


def ways(line: Polyline, p: Point, q: Point) -> list[str]:
    return [crossing.direction for crossing in line.crossings(p, q)]


def net(found: list[str]) -> int:
    return found.count("left_to_right") - found.count("right_to_left")


def moved(place: Point, dx: float, dy: float, scale: float = 1.0) -> Point:
    return (place[0] * scale + dx, place[1] * scale + dy)


@pytest.mark.parametrize(
    ("name", "line", "begin", "end", "expected"),
    [
        ("down: the picture's right is the left hand", [(0.5, 0.2), (0.5, 0.8)], (0.7, 0.5), (0.3, 0.5),
         ["left_to_right"]),
        ("to the right: the upper side is the left hand", [(0.2, 0.5), (0.8, 0.5)], (0.5, 0.3), (0.5, 0.7),
         ["left_to_right"]),
        ("to the left: the upper side is the right hand", [(0.8, 0.5), (0.2, 0.5)], (0.5, 0.3), (0.5, 0.7),
         ["right_to_left"]),
        ("up: the picture's left is the left hand", [(0.5, 0.8), (0.5, 0.2)], (0.3, 0.5), (0.7, 0.5),
         ["left_to_right"]),
        ("past the end", [(0.5, 0.2), (0.5, 0.4)], (0.3, 0.5), (0.7, 0.5), []),
        ("through the middle vertex of a bend", [(0.5, 0.2), (0.5, 0.5), (0.6, 0.8)], (0.3, 0.5), (0.7, 0.5),
         ["right_to_left"]),
        ("touches the tip of a bend", [(0.2, 0.2), (0.5, 0.5), (0.8, 0.2)], (0.2, 0.5), (0.8, 0.5), []),
        ("along the line", [(0.2, 0.5), (0.8, 0.5)], (0.3, 0.5), (0.7, 0.5), []),
        ("along the line and off its end", [(0.2, 0.5), (0.8, 0.5)], (0.3, 0.5), (0.9, 0.5), []),
        ("stands still on the line", [(0.2, 0.5), (0.8, 0.5)], (0.5, 0.5), (0.5, 0.5), []),
        ("out and in of a hook", [(0.5, 0.2), (0.5, 0.8), (0.7, 0.8), (0.7, 0.2)], (0.3, 0.5), (0.9, 0.5),
         ["right_to_left", "left_to_right"]),
    ],
)  # fmt: skip
def test_ways_across(name: str, line: list[Point], begin: Point, end: Point, expected: list[str]) -> None:
    assert ways(Polyline(line), begin, end) == expected, name


def test_a_stop_on_the_line_is_crossed_once() -> None:
    """Whatever the exact place of the samples: up to the line, on it, at its vertex, and on."""
    line = Polyline([(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)])
    for y in (0.35, 0.5):
        steps = [(0.3, y), (0.5, y), (0.5, y), (0.7, y)]
        found = [way for p, q in itertools.pairwise(steps) for way in ways(line, p, q)]
        assert found == ["right_to_left"]


def test_the_place_of_a_crossing_is_where_it_is() -> None:
    (crossing,) = Polyline([(0.5, 0.0), (0.5, 1.0)]).crossings((0.4, 0.5), (0.8, 0.5))
    assert crossing.share == pytest.approx(0.25)


@steady
@given(lines(), points, points, st.integers(-40, 40), st.integers(-40, 40), st.sampled_from([0.25, 1.0, 2.0, 8.0]))
def test_moving_and_scaling_everything_changes_nothing(
    line: Polyline, p: Point, q: Point, dx: int, dy: int, scale: float
) -> None:
    other = Polyline([moved(point, dx, dy, scale) for point in line.points])
    assert ways(other, moved(p, dx, dy, scale), moved(q, dx, dy, scale)) == ways(line, p, q)


@steady
@given(lines(), points, points)
def test_turning_the_line_round_flips_every_direction(line: Polyline, p: Point, q: Point) -> None:
    turned = ways(Polyline(line.points[::-1]), p, q)
    assert sorted(turned) == sorted(FLIP[way] for way in ways(line, p, q))


@steady
@given(lines(), points, points)
def test_walking_back_undoes_the_walk(line: Polyline, p: Point, q: Point) -> None:
    assert sorted(ways(line, q, p)) == sorted(FLIP[way] for way in ways(line, p, q))


@steady
@given(lines(), points, points)
def test_a_crossing_lies_on_the_line(line: Polyline, p: Point, q: Point) -> None:
    drawn = shapely.LineString(line.points)
    for share, _ in line.crossings(p, q):
        place = (p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1]))
        assert drawn.distance(shapely.Point(place)) < 1e-9


@steady
@given(lines(), st.lists(points, min_size=2, max_size=6))
def test_a_round_trip_crosses_an_endless_line_as_often_either_way(line: Polyline, walk: list[Point]) -> None:
    """The net number of crossings of a line that ends nowhere near depends on the ends of the walk alone."""
    (ax, ay), (bx, by) = line.points[:2]
    endless = Polyline([(ax - 100 * (bx - ax), ay - 100 * (by - ay)), (bx + 100 * (bx - ax), by + 100 * (by - ay))])
    steps = [ways(endless, p, q) for p, q in itertools.pairwise(walk)]
    assert sum(net(step) for step in steps) == net(ways(endless, walk[0], walk[-1]))
    assert net([way for step in steps for way in step] + ways(endless, walk[-1], walk[0])) == 0


@steady
@given(polygons(), points)
def test_membership_is_shapelys(ring: list[Point], place: Point) -> None:
    ring, place = [moved(point, 2, 2) for point in ring], moved(place, 2, 2)  # no edge on the picture's border
    polygon = shapely.Polygon(ring)
    assume(polygon.boundary.distance(shapely.Point(place)) > 1e-9)
    assert Zone(ring).contains(place) == polygon.contains(shapely.Point(place))


@steady
@given(polygons(), points, points)
def test_a_path_changes_sides_as_often_as_its_ends_say(ring: list[Point], p: Point, q: Point) -> None:
    zone = Zone([moved(point, 2, 2) for point in ring])
    p, q = moved(p, 2, 2), moved(q, 2, 2)
    edge = Polyline([*zone.points, zone.points[0]])
    assert len(edge.crossings(p, q)) % 2 == (zone.contains(p) != zone.contains(q))


@steady
@given(polygons(), points)
def test_neighbours_share_no_place_and_leave_none(ring: list[Point], place: Point) -> None:
    """A zone cut in two: each place of the whole is in exactly one of the halves, those on the cut too."""
    whole_zone = shapely.Polygon([moved(point, 2, 2) for point in ring])
    halves = [shapely.box(-1, -1, 8, 99), shapely.box(8, -1, 99, 99)]
    parts = [part for half in halves for part in shapely.get_parts(whole_zone.intersection(half))]
    parts = [part for part in parts if isinstance(part, shapely.Polygon) and part.area > 1e-6]
    assume(len(parts) == 2)
    at = moved(place, 2, 2)
    assume(whole_zone.boundary.distance(shapely.Point(at)) > 1e-6)
    inside = sum(Zone(list(part.exterior.coords)[:-1]).contains(at) for part in parts)
    assert inside == whole_zone.contains(shapely.Point(at))


@pytest.mark.parametrize(
    ("place", "inside"),
    [((0.1, 1.4), True), ((-0.3, 0.7), True), ((-0.3, 1.4), True), ((0.1, 0.3), False), ((-0.3, 0.3), False),
     ((0.7, 1.4), False), ((0.45, 1.01), True), ((0.55, 1.01), False)],
)  # fmt: skip
def test_edges_on_the_border_reach_beyond_it(place: Point, inside: bool) -> None:
    corner = Zone([(0.0, 0.45), (0.5, 0.6), (0.5, 0.998), (0.003, 1.0)])
    assert corner.contains(place) is inside


def test_a_zone_of_the_whole_picture_has_no_end() -> None:
    everywhere = Zone([(0, 0), (0.5, 0), (1, 0), (1, 1), (0, 1)])
    assert all(everywhere.contains((x, y)) for x in (-3.0, 0.5, 4.0) for y in (-2.0, 0.5, 3.0))


def test_the_anchor_is_taken_before_clipping() -> None:
    box = (100.0, 500.0, 200.0, 660.0)
    assert anchor_of(box, "bottom_centre", 1000, 600) == pytest.approx((0.15, 1.1))
    assert anchor_of(box, "top_centre", 1000, 600) == pytest.approx((0.15, 500 / 600))
    assert anchor_of(box, "left_centre", 1000, 600) == pytest.approx((0.1, 580 / 600))


@steady
@given(lines(), points)
def test_distance_is_shapelys(line: Polyline, place: Point) -> None:
    drawn = shapely.LineString([(8 * x, 6 * y) for x, y in line.points])
    expected = drawn.distance(shapely.Point(8 * place[0], 6 * place[1]))
    assert line.distance_px(place, 8, 6) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "drawn", "message"),
    [
        (check_line, [(0.1, 0.1)], "line 'x' needs at least 2 different points, found 1"),
        (check_line, [(0.1, 0.1), (0.1, 0.1)], "line 'x' needs at least 2 different points, found 1"),
        (check_line, [(0, 0), (1, 1), (1, 0), (0, 1)], "line 'x' crosses itself; expected a line that does not"),
        (check_line, [(0.1, 0.1), (320, 0.4)],
         "line 'x': point 2 is (320, 0.4); expected shares of the picture's width and height, 0 to 1"),
        (check_line, [(0.1, 0.1), (float("nan"), 0.4)],
         "line 'x': point 2 is (nan, 0.4); expected shares of the picture's width and height, 0 to 1"),
        (check_line, [(0.1, 0.1), (0.1, 0.2, 0.3)], "line 'x': point 2 must be [x, y], found 3 numbers"),
        (check_zone, [(0, 0), (1, 1)], "zone 'x' needs at least 3 different points, found 2"),
        (check_zone, [(0, 0), (1, 1), (0, 0)], "zone 'x' needs at least 3 different points, found 2"),
        (check_zone, [(0, 0), (0.5, 0.5), (1, 1)], "zone 'x' has no area; expected points that do not lie on one line"),
    ],
)  # fmt: skip
def test_what_is_no_line_or_zone_is_refused(make, drawn: list[Point], message: str) -> None:
    with pytest.raises(RuleError) as raised:
        make("x", drawn)
    assert str(raised.value) == message


def test_a_bow_tie_is_refused_with_the_place() -> None:
    with pytest.raises(RuleError, match=r"^zone 'x' is not a simple .* cross or touch at \(0\.5, 0\.5\)$"):
        check_zone("x", [(0, 0), (1, 1), (1, 0), (0, 1)])


def test_a_closed_polygon_and_doubled_points_are_understood() -> None:
    assert check_zone("x", [(0, 0), (0, 0), (1, 0), (1, 1), (0, 0)]) == ((0, 0), (1, 0), (1, 1))


def test_a_path_between_the_arms_of_a_zone_leaves_it() -> None:
    zone = Zone([(0.2, 0.2), (0.4, 0.2), (0.4, 0.6), (0.6, 0.6), (0.6, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)])
    p, q = (0.3, 0.3), (0.7, 0.3)
    assert zone.contains(p)
    assert zone.contains(q)
    assert zone.edge_shares(p, q, True, True) == pytest.approx([0.25, 0.75])
