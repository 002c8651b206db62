"""Events against true events: what counts as found, what as a false alarm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scoring import score_events, worst_rules
from rules.types import Direction, RuleEvent


def event(raised_s: float, rule: str = "road", direction: Direction | None = "left_to_right") -> RuleEvent:
    return RuleEvent(
        event_id=f"view1.{rule}.{round(raised_s * 1000):06d}", camera="view1", rule=rule, kind="line_crossing",
        severity="medium", zone=None, line=rule, direction=direction, label="person", track_ids=(1,),
        start_s=raised_s, raised_s=raised_s, started_at=None, raised_at=None, measured={}, path=(),
    )  # fmt: skip


CASES = [
    # name                             true times    found times       late  matched
    ("the same", [10.0, 20.0], [10.0, 20.0], 3.0, 2),
    ("as late as allowed", [10.0], [13.0], 3.0, 1),
    ("a little too late", [10.0], [13.1], 3.0, 0),
    ("a second early", [10.0], [9.0], 3.0, 1),
    ("more than a second early", [10.0], [8.9], 3.0, 0),
    ("told twice", [10.0], [10.0, 10.4], 3.0, 1),
    ("two close ones, both told late", [10.0, 12.0], [12.5, 14.5], 3.0, 2),
    ("a wider window", [10.0], [19.0], 10.0, 1),
    ("nothing told", [10.0], [], 3.0, 0),
    ("nothing true", [], [10.0], 3.0, 0),
]


@pytest.mark.parametrize(("name", "true", "found", "late_s", "matched"), CASES, ids=[case[0] for case in CASES])
def test_pairs(name: str, true: list[float], found: list[float], late_s: float, matched: int) -> None:
    score = score_events([event(t) for t in true], [event(t) for t in found], late_s)
    assert (score.true, score.found, score.matched) == (len(true), len(found), matched), name


def test_a_second_event_of_the_same_crossing_is_a_false_alarm() -> None:
    score = score_events([event(10.0)], [event(10.0), event(10.5)], 3.0)
    assert (score.precision, score.recall, score.f1) == (0.5, 1.0, pytest.approx(2 / 3))


def test_another_rule_or_direction_is_another_event() -> None:
    true = [event(10.0)]
    assert score_events(true, [event(10.0, rule="lawn")], 3.0).matched == 0
    assert score_events(true, [event(10.0, direction="right_to_left")], 3.0).matched == 0
    assert worst_rules(true, [event(10.0, rule="lawn")], 3.0) == {"lawn": "0/0/1", "road": "0/1/0"}


def test_nothing_to_find_and_nothing_found_is_no_mistake() -> None:
    assert score_events([], [], 3.0).f1 == 1.0


@given(st.lists(st.integers(0, 600), unique=True, max_size=30), st.floats(0, 2.9))
def test_a_uniform_delay_within_the_window_loses_nothing(tenths: list[int], delay_s: float) -> None:
    true = [event(number / 10) for number in tenths]
    found = [replace(one, raised_s=one.raised_s + delay_s) for one in true]
    assert score_events(true, found, 3.0).f1 == 1.0
