from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.rules.scenes import (
    Actor,
    Expect,
    Scenario,
    check,
    frames,
    lost,
    make_config,
    make_engine,
    play,
    run,
    stay,
    switch,
    tell,
    walk,
)

KIND = "loitering"
CONFIG = {"zone": "yard", "dwell_s": 30}

WEST, EAST, MID = (0.2, 0.6), (0.8, 0.6), (0.5, 0.6)


def out(seconds: float):
    """Goes out of the yard and comes back; outside for so long."""
    return walk(MID, (0.3, 0.6), 1.0) + stay((0.3, 0.6), seconds - 1.0) + walk((0.3, 0.6), MID, 1.0)


SCENARIOS: list[Scenario] = [
    tell("walks straight through", walk(WEST, EAST, 4.0)),
    tell("stays 31 s of 30", stay(MID, 31.0), Expect(0, 0.0, 30.0)),
    tell("stays 29 s of 30", stay(MID, 29.0)),
    tell("walks in, stays", walk(WEST, MID, 3.0) + stay(MID, 31.0), Expect(0, 2.0, 32.0)),
    tell("walks about inside", walk(MID, (0.42, 0.5), 10.0) + walk((0.42, 0.5), (0.58, 0.7), 25.0),
         Expect(0, 0.0, 30.0)),
    tell("stays 29 s, leaves 10 s, back for 29 s", stay(MID, 29.0) + out(10.0) + stay(MID, 28.0)),
    tell("stays 20 s, steps out 0.8 s, back: dwell goes on",
         stay(MID, 20.0) + walk(MID, (0.36, 0.6), 0.6) + walk((0.36, 0.6), (0.36, 0.6), 0.48)
         + walk((0.36, 0.6), MID, 0.6) + stay(MID, 12.0), Expect(0, 0.0, 30.0)),
    tell("gone outside when the time is up",
         stay(MID, 29.0) + walk(MID, (0.36, 0.6), 0.7) + stay((0.36, 0.6), 5.0)),
    tell("lost behind a van 1.5 s", stay(MID, 20.0) + lost(1.5) + stay(MID, 12.0), Expect(0, 0.0, 30.0)),
    tell("lost when the time is up, found 1 s later", stay(MID, 29.5) + lost(1.5) + stay(MID, 5.0),
         Expect(0, 0.0, 31.0)),
    tell("lost for 1.9 s of 2", stay(MID, 20.0) + lost(1.9) + stay(MID, 12.0), Expect(0, 0.0, 30.0)),
    tell("lost for 4 s between two visits long enough", stay(MID, 31.0) + lost(4.0) + stay(MID, 31.0),
         Expect(0, 0.0, 30.0), Expect(0, 35.0, 65.0)),
    tell("lost for 4 s of 2: begins anew", stay(MID, 20.0) + lost(4.0) + stay(MID, 29.0)),
    tell("lost for 4 s of 2: then long enough", stay(MID, 20.0) + lost(4.0) + stay(MID, 31.0), Expect(0, 24.0, 54.0)),
    tell("lost for 4 s of 5", stay(MID, 20.0) + lost(4.0) + stay(MID, 10.0), Expect(0, 0.0, 30.0), gap_s=5),
    tell("another id after 4 s of 5", stay(MID, 20.0) + lost(4.0) + switch() + stay(MID, 10.0),
         Expect(0, 0.0, 30.0), gap_s=5),
    tell("track breaks three times", stay(MID, 10.0) + switch() + stay(MID, 8.0) + lost(1.0) + switch()
         + stay((0.51, 0.6), 8.0) + lost(0.5) + switch() + stay((0.5, 0.62), 6.0), Expect(0, 0.0, 30.0)),
    tell("stays for ever: one event", stay(MID, 200.0), Expect(0, 0.0, 30.0)),
    tell("two visits long enough: two events", stay(MID, 31.0) + out(5.0) + stay(MID, 32.0),
         Expect(0, 0.0, 30.0), Expect(0, 36.5, 66.5)),
    tell("two people, each their own time", [stay(MID, 35.0), Actor(stay((0.42, 0.5), 29.0), enters_s=2.0)],
         Expect(0, 0.0, 30.0)),
    tell("known late: dwell starts at the first look", Actor(stay(MID, 31.0), confirmed_after_s=3.0),
         Expect(0, 0.0, 30.0)),
    tell("a bag is not a person", Actor(stay(MID, 31.0), "backpack"), labels=["person"]),
    tell("already long there when the schedule opens", stay(MID, 50.0), Expect(0, 40.0, 40.0), schedule="night",
         wall_start=datetime(2026, 3, 2, 21, 59, 20, tzinfo=UTC)),
    tell("the time is up after the schedule opened", stay(MID, 50.0), Expect(0, 10.0, 30.0), schedule="night",
         wall_start=datetime(2026, 3, 2, 21, 59, 50, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize("fps", [5.0, 25.0])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(scenario: Scenario, fps: float) -> None:
    check(run(KIND, CONFIG, scenario, fps), scenario.expected, fps)


def test_dropped_frames_change_nothing_but_precision() -> None:
    """Dwell is elapsed media time: with two frames out of three missing in bursts the event stays where it was."""
    shown = [f for f in frames([Actor(stay(MID, 40.0))], 10.0) if f.index % 7 in (0, 1) or f.index > 350]
    (event,) = play(make_engine(make_config(KIND, **CONFIG)), shown)
    assert (event.start_s, event.raised_s) == (0.0, pytest.approx(30.0, abs=0.6))
    assert event.measured["dwell_s"].value >= event.measured["dwell_s"].threshold == 30


def test_a_long_stay_keeps_a_short_path() -> None:
    (event,) = run(KIND, {"zone": "yard", "dwell_s": 300}, tell("stays", stay(MID, 301.0)), 25.0)
    assert len(event.path) <= 100
    assert event.path[0][0] == 0.0
    recent = [t for t, _, _ in event.path if t > event.raised_s - 2.0]
    assert len(recent) >= 10
