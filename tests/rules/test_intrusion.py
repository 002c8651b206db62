from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rules.types import Input
from tests.rules.scenes import (
    NIGHT,
    NOON,
    Actor,
    Expect,
    Scenario,
    Story,
    check,
    frames,
    lost,
    make_config,
    make_engine,
    play,
    relabel,
    run,
    stay,
    switch,
    tell,
    walk,
)

KIND = "intrusion"
CONFIG = {"zone": "yard"}

WEST, EAST, MID = (0.2, 0.6), (0.8, 0.6), (0.5, 0.6)
EDGE = (0.4, 0.6)

SCENARIOS: list[Scenario] = [
    tell("walks through", walk(WEST, EAST, 6.0), Expect(0, 2.0, 2.5)),
    tell("is there from the start", stay(MID, 3.0), Expect(0, 0.0, 0.5)),
    tell("appears inside", Actor(stay(MID, 3.0), enters_s=1.0), Expect(0, 1.0, 1.5)),
    tell("cuts a corner for 0.4 s of 0.5", walk((0.36, 0.6), (0.42, 0.6), 0.6) + walk((0.42, 0.6), (0.36, 0.6), 0.6)),
    tell("inside for 0.4 s of 0.3", walk((0.36, 0.6), (0.42, 0.6), 0.6) + walk((0.42, 0.6), (0.36, 0.6), 0.6),
         Expect(0, 0.4, 0.7), enter_s=0.3),
    tell("no entering time asked for: a dash through at 12 widths a second",
         stay(WEST, 1.0) + walk(WEST, EAST, 0.05) + stay(EAST, 1.0), Expect(0, 1.017, 1.05), enter_s=0),
    tell("passes beside it", walk((0.2, 0.9), (0.8, 0.9), 6.0)),
    tell("leaves for 3 s, comes back: two visits",
         stay(MID, 2.0) + walk(MID, WEST, 1.0) + stay(WEST, 2.7) + walk(WEST, MID, 1.0) + stay(MID, 2.0),
         Expect(0, 0.0, 0.5), Expect(0, 6.367, 6.867)),
    tell("steps out for 0.8 s: one visit",
         stay(MID, 2.0) + walk(MID, (0.36, 0.6), 0.5) + stay((0.36, 0.6), 0.5) + walk((0.36, 0.6), MID, 0.5)
         + stay(MID, 2.0), Expect(0, 0.0, 0.5)),
    tell("steps back and forth over the edge, a hand's breadth: one visit",
         Story(10 * (stay((0.405, 0.6), 2.0) + stay((0.395, 0.6), 2.0)).pieces), Expect(0, 0.0, 0.5)),
    tell("steps out a hand's breadth and stays there for long: left",
         stay((0.405, 0.6), 2.0) + stay((0.395, 0.6), 12.0) + stay((0.405, 0.6), 2.0),
         Expect(0, 0.0, 0.5), Expect(0, 14.0, 14.5)),
    tell("lost inside for 2.5 s: one visit", stay(MID, 2.0) + lost(2.5) + stay(MID, 2.0), Expect(0, 0.0, 0.5)),
    tell("another id inside: one visit", stay(MID, 2.0) + switch() + stay(MID, 2.0), Expect(0, 0.0, 0.5)),
    tell("lost and another id inside: one visit", stay(MID, 2.0) + lost(1.5) + switch() + stay((0.51, 0.6), 2.0),
         Expect(0, 0.0, 0.5)),
    tell("another person appears at the other end: two visits",
         [stay((0.42, 0.5), 2.0), Actor(stay((0.58, 0.78), 2.0), enters_s=3.0)],
         Expect(0, 0.0, 0.5), Expect(1, 3.0, 3.5)),
    tell("a car appears where a person was lost", stay(MID, 2.0) + lost(0.5) + switch("car") + stay(MID, 2.0),
         Expect(0, 0.0, 0.5), Expect(0, 2.5, 3.0)),
    tell("two people: two events", [stay(MID, 3.0), Actor(walk(WEST, EAST, 6.0), enters_s=1.0)],
         Expect(0, 0.0, 0.5), Expect(1, 3.0, 3.5)),
    tell("known late: counts from the true time", Actor(stay(MID, 3.0), confirmed_after_s=1.0), Expect(0, 0.0, 1.0)),
    tell("came and went before it was sure",
         Actor(walk((0.3, 0.6), (0.46, 0.6), 0.8) + walk((0.46, 0.6), (0.3, 0.6), 0.8) + stay((0.3, 0.6), 2.0),
               confirmed_after_s=2.0), Expect(0, 0.5, 2.0)),
    tell("feet below the picture, zone on its border", walk((0.5, 0.6), (0.5, 1.1), 2.0) + stay((0.5, 1.1), 2.0),
         Expect(0, 0.4, 0.9), zone="apron"),
    tell("feet below the picture, beside the zone", stay((0.2, 1.1), 3.0), zone="apron"),
    tell("its middle is outside", stay((0.5, 0.42), 3.0), anchor="centre"),
    tell("only cars are meant", stay(MID, 3.0), labels=["vehicle"]),
    tell("becomes a car inside", Actor(stay(MID, 2.0) + relabel("car") + stay(MID, 2.0), "truck"),
         Expect(0, 0.0, 2.0), labels=["car"]),
    tell("within the schedule", stay(MID, 3.0), Expect(0, 0.0, 0.5), schedule="night", wall_start=NIGHT),
    tell("outside the schedule", stay(MID, 3.0), schedule="night", wall_start=NOON),
    tell("still inside when the schedule opens", stay(MID, 20.0), Expect(0, 10.0, 10.0), schedule="night",
         wall_start=datetime(2026, 3, 2, 21, 59, 50, tzinfo=UTC)),
    tell("inside only before the schedule opens", stay(MID, 5.0) + walk(MID, WEST, 1.0) + stay(WEST, 14.0),
         schedule="night", wall_start=datetime(2026, 3, 2, 21, 59, 50, tzinfo=UTC)),
    tell("disarmed, then armed again", stay(MID, 6.0), Expect(0, 4.0, 4.0),
         inputs=[Input("cam", "", "disarm", 0.0), Input("cam", "rule", "arm", 4.0)]),
]  # fmt: skip


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(scenario: Scenario, fps: float) -> None:
    check(run(KIND, CONFIG, scenario, fps), scenario.expected, fps)


@pytest.mark.parametrize("amplitude_px", [1.0, 3.0, 6.0])
def test_someone_who_stands_on_the_edge_does_not_enter_again_and_again(amplitude_px: float) -> None:
    story = walk(MID, EDGE, 1.0) + stay(EDGE, 600.0, tremble=amplitude_px)
    assert len(run(KIND, CONFIG, tell("trembles", story), 10.0)) == 1


def test_an_event_of_a_zone_has_no_direction() -> None:
    (event,) = run(KIND, CONFIG, tell("stays", stay(MID, 2.0)), 10.0)
    line = event.to_json()
    assert (line["zone"], "line" in line, "direction" in line) == ("yard", False, False)
    assert line["measured"] == {"enter_s": {"value": 0.5, "threshold": 0.5}}
    assert (line["started_at"], line["raised_at"]) == (None, None)


def test_an_object_the_gate_holds_is_still_inside() -> None:
    """Nothing moves, the detector is spared: the tracks say `held`, and the time goes on."""
    seen = frames([Actor(stay(MID, 3.0))], 5.0)
    held = [
        replace(frame, tracks=tuple(replace(track, state="held") for track in frame.tracks), looked=False)
        for frame in seen
    ]
    (event,) = play(make_engine(make_config(KIND, **CONFIG)), held)
    assert event.raised_s == pytest.approx(0.6, abs=0.2)


def test_seconds_without_effect_are_counted() -> None:
    shown = frames([Actor(stay(WEST, 9.5))], 10.0, wall_start=NOON)
    blind = [replace(frame, blind="camera-wide change" if 4.0 < frame.media_time_s <= 6.0 else None) for frame in shown]
    engine = make_engine(
        make_config(KIND, name="night", zone="yard", schedule="night"), make_config(KIND, name="day", zone="yard")
    )
    play(engine, blind, [Input("cam", "day", "disarm", 8.0), Input("cam", "gate", "beam", 1.0)])
    told = {
        rule: {why: round(s, 3) for why, s in reasons.items()}
        for rule, reasons in engine.counters.ineffective_s.items()
    }
    assert told == {
        "night": {"disarmed": 0.0, "schedule": 10.0, "blind": 0.0},
        "day": {"disarmed": 2.1, "schedule": 0.0, "blind": 2.0},
    }
    assert (engine.counters.inputs, engine.counters.inputs_unused) == (2, 1)


def test_a_visit_that_outlasts_the_night_is_told_each_time_it_is_forbidden_only_once() -> None:
    start = datetime(2026, 3, 3, 5, 59, 58, tzinfo=UTC)
    events = run(KIND, CONFIG, tell("stays", stay(MID, 10.0), schedule="night", wall_start=start), 10.0)
    assert [event.started_at for event in events] == [start]
    late = run(
        KIND, CONFIG, tell("stays", stay(MID, 10.0), schedule="night", wall_start=start + timedelta(seconds=2)), 10
    )
    assert late == []
