"""Events become alerts as design.md section 3.6 says, and alerts go only where they may."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from api.alerts import EXTERNAL, OPEN_STATES, STATES, Clip, Policy, group, joined, joins, opened
from rules.types import RuleEvent
from tests.api.scenes import START, crossing, make_event


def grouped(*times_s: float, policy: Policy | None = None, **changes: object) -> list[list[float]]:
    """The raise times of each alert's events."""
    events = {e.event_id: e for e in (make_event(n, t, **changes) for n, t in enumerate(times_s, start=1))}
    return [[events[i].raised_s for i in alert.event_ids] for alert in group(events.values(), policy)]


SCENARIOS = [
    ("one event", [10.0], [[10.0]]),
    ("30 s of 30 joins", [10.0, 40.0], [[10.0, 40.0]]),
    ("31 s of 30 opens", [10.0, 41.0], [[10.0], [41.0]]),
    ("counts from the last event, not the first", [10.0, 35.0, 60.0], [[10.0, 35.0, 60.0]]),
    ("sums of fractions are no surprise", [0.1 + 0.2, 30.3], [[0.1 + 0.2, 30.3]]),
    ("300 s is the end", [*range(0, 331, 30)], [[*range(0, 301, 30)], [330]]),
    ("two at once", [10.0, 10.0], [[10.0, 10.0]]),
]


@pytest.mark.parametrize(("times_s", "expected"), [s[1:] for s in SCENARIOS], ids=[s[0] for s in SCENARIOS])
def test_grouping(times_s: list[float], expected: list[list[float]]) -> None:
    assert grouped(*times_s) == expected


def test_a_rule_may_have_its_own_cooldown() -> None:
    own = Policy(cooldowns={("north-gate", "lawn-loitering"): 5.0})
    assert grouped(10.0, 15.0, 20.1, policy=own) == [[10.0, 15.0], [20.1]]
    assert grouped(10.0, 15.0, 20.1, policy=Policy(cooldowns={("north-gate", "other"): 5.0})) == [[10.0, 15.0, 20.1]]


def test_cameras_and_rules_do_not_mix() -> None:
    events = [make_event(1, 10.0), crossing(1, 11.0), make_event(1, 12.0, camera="south"), make_event(2, 13.0)]
    assert [len(alert.event_ids) for alert in group(events)] == [2, 1, 1]


def test_an_alert_spans_its_events_and_takes_the_gravest_severity() -> None:
    first, second = make_event(1, 10.0, severity="medium"), make_event(2, 30.0, start_s=5.0, severity="critical")
    (alert,) = group([first, second])
    assert (alert.start_s, alert.end_s, alert.severity) == (5.0, 30.0, "critical")
    assert (alert.started_at, alert.ended_at) == (START + timedelta(seconds=5), START + timedelta(seconds=30))


def test_alert_lines_have_the_documented_keys_in_order() -> None:
    (alert,) = group([make_event(7, 10.0)])
    clips = [Clip("clips/a.mp4", 5.0, 15.0, "clips/a.mkv", 1.2), Clip("clips/b.mp4", 15.0)]
    line = json.loads(json.dumps(alert.with_media(snapshot="snapshots/a.jpg", clips=clips).to_json()))
    assert list(line)[:13] == [
        "alert_id", "camera", "rule", "kind", "severity", "zone", "state", "event_ids", "media_time_s", "started_at",
        "ended_at", "clip", "snapshot",
    ]  # fmt: skip
    assert line["media_time_s"] == {"start": 6.0, "end": 10.0}
    assert (line["clip"], line["clip_original"], line["clip_shortfall_s"]) == ("clips/a.mp4", "clips/a.mkv", 1.2)
    assert [more["clip"] for more in line["more_clips"]] == ["clips/b.mp4"]
    assert line["alert_id"] == "alert.north-gate.lawn-loitering.000007"
    (of_line,) = group([crossing(timed=False)])
    assert "zone" not in of_line.to_json()
    assert (of_line.to_json()["line"], of_line.to_json()["started_at"]) == ("kerb", None)


def test_after_a_restart_wall_time_decides() -> None:
    alert = opened(make_event(5, 1000.0), "monday")
    soon = replace(make_event(1, 2.0), raised_at=alert.ended_at + timedelta(seconds=20))
    late = replace(soon, raised_at=alert.ended_at + timedelta(seconds=31))
    assert joins(alert, soon, Policy(), "tuesday")
    assert not joins(alert, late, Policy(), "tuesday")
    assert not joins(alert, replace(soon, raised_at=None), Policy(), "tuesday")
    after = joined(alert, soon, "tuesday")
    assert (after.start_s, after.end_s) == (alert.start_s, alert.end_s)
    assert after.ended_at == soon.raised_at


def test_until_a_verdict_an_alert_takes_more() -> None:
    alert, later = opened(make_event(1, 10.0)), make_event(2, 12.0)
    for state in STATES:
        assert joins(replace(alert, state=state), later, Policy()) == (state in OPEN_STATES)


def test_what_comes_from_outside_is_compared_by_wall_time() -> None:
    alert = opened(make_event(1, 0.0, raised_at=START), EXTERNAL)
    soon, late = (make_event(2, 0.0, raised_at=START + timedelta(seconds=s)) for s in (30, 31))
    assert joins(alert, soon, Policy(), EXTERNAL)
    assert not joins(alert, late, Policy(), EXTERNAL)


def test_an_event_twice_is_one_event() -> None:
    event: RuleEvent = make_event()
    alert = opened(event)
    assert joined(alert, event) is alert
