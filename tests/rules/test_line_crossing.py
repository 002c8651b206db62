from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.rules.scenes import (
    NIGHT,
    NOON,
    Actor,
    Expect,
    Scenario,
    Story,
    check,
    lost,
    relabel,
    run,
    stay,
    switch,
    tell,
    walk,
)

KIND = "line_crossing"
CONFIG = {"line": "gate"}

WEST, EAST = (0.3, 0.6), (0.7, 0.6)
OUT, BACK = "right_to_left", "left_to_right"  # The line runs down the picture: its left hand is the picture's right.


def over(seconds: float = 4.0) -> Story:
    return walk(WEST, EAST, seconds)


def back(seconds: float = 4.0) -> Story:
    return walk(EAST, WEST, seconds)


SCENARIOS: list[Scenario] = [
    tell("walks straight across", over(), Expect(0, 2.0, 2.5, OUT)),
    tell("walks across the other way", back(), Expect(0, 2.0, 2.5, BACK)),
    tell("only the other way is watched", over(), direction=BACK),
    tell("this way is watched", over(), Expect(0, 2.0, 2.5, OUT), direction=OUT),
    tell(
        "crosses, waits, comes back: two events",
        over() + stay(EAST, 2.0) + back(),
        Expect(0, 2.0, 2.5, OUT),
        Expect(0, 8.0, 8.5, BACK),
    ),
    tell("steps across for 0.4 s of 0.5", walk(WEST, (0.52, 0.6), 2.2) + walk((0.52, 0.6), WEST, 2.2)),
    tell(
        "steps across for 0.6 s of 0.5",
        walk(WEST, (0.53, 0.6), 2.3) + walk((0.53, 0.6), WEST, 2.3),
        Expect(0, 2.0, 2.5, OUT),
        Expect(0, 2.6, 3.1, BACK),
    ),
    tell(
        "across for 0.56 s, between two looks of a slow camera",
        walk(WEST, (0.528, 0.6), 2.28) + walk((0.528, 0.6), WEST, 2.28),
        Expect(0, 2.0, 2.5, OUT),
        Expect(0, 2.56, 3.06, BACK),
    ),
    tell(
        "crosses, goes on, comes back a hand's breadth over the line",
        over() + walk(EAST, (0.495, 0.6), 2.05) + stay((0.495, 0.6), 2.0),
        Expect(0, 2.0, 2.5, OUT),
        Expect(0, 6.0, 6.5, BACK),
    ),
    tell(
        "crosses, comes back a hand's breadth over the line at once, stays there",
        walk(WEST, (0.505, 0.6), 2.05) + stay((0.505, 0.6), 1.0) + stay((0.495, 0.6), 9.0),
        Expect(0, 2.0, 2.5, OUT),
        Expect(0, 3.05, 8.05, BACK),
    ),
    tell("no settling asked for", over(), Expect(0, 2.0, 2.0, OUT), settle_s=0),
    tell("track ends 0.2 s past the line", walk(WEST, (0.52, 0.6), 2.2), Expect(0, 2.0, 2.2, OUT)),
    tell("runs past the line's end", walk((0.3, 0.95), (0.7, 0.95), 4.0)),
    tell("runs across at 8 widths a second", walk((0.1, 0.6), (0.9, 0.6), 0.1) + stay((0.9, 0.6), 2.0),
         Expect(0, 0.05, 0.55, OUT)),
    tell("walks along the line, a step beside it", walk((0.48, 0.3), (0.48, 0.9), 6.0)),
    tell("stands on the line and trembles", walk(WEST, (0.5, 0.6), 2.0) + stay((0.5, 0.6), 60.0, tremble=4.0),
         direction=BACK),
    tell("lost before, found after the line", walk(WEST, (0.45, 0.6), 1.5) + lost(1.0) + walk((0.55, 0.6), EAST, 1.5),
         Expect(0, 2.0, 2.5, OUT)),
    tell("id switch on the line", walk(WEST, (0.5, 0.6), 2.0) + switch() + walk((0.5, 0.6), EAST, 2.0),
         Expect(0, 2.0, 2.5, OUT)),
    tell("id switch just after the line",
         walk(WEST, (0.52, 0.6), 2.2) + lost(0.3) + switch() + walk((0.55, 0.6), EAST, 1.5),
         Expect(0, 2.0, 2.5, OUT)),
    tell("lost before the line, another id after it",
         walk(WEST, (0.46, 0.6), 1.6) + lost(0.8) + switch() + walk((0.54, 0.6), EAST, 1.6),
         Expect(0, 2.0, 2.5, OUT)),
    tell("the tracker was sure only after the line", Actor(over(), confirmed_after_s=3.0), Expect(0, 2.0, 3.0, OUT)),
    tell("two people, two events", [over(), Actor(over(), enters_s=0.4)],
         Expect(0, 2.0, 2.5, OUT), Expect(1, 2.4, 2.9, OUT)),
    tell("a car where people are meant", Actor(over(), "car"), labels=["person"]),
    tell("a truck where cars are meant", Actor(over(), "truck"), labels=["car"]),
    tell("a car that was taken for a truck at first", Actor(
        walk(WEST, (0.45, 0.6), 1.5) + relabel("car") + walk((0.45, 0.6), EAST, 2.5), "truck"),
         Expect(0, 2.0, 2.5, OUT), labels=["car"]),
    tell("around the corner of an angled line: both legs crossed",
         walk((0.35, 0.4), (0.35, 0.6), 1.0) + walk((0.35, 0.6), (0.65, 0.6), 3.0),
         Expect(0, 0.5, 1.0, BACK), Expect(0, 2.5, 3.0, OUT), line="corner"),
    tell("within the schedule", over(), Expect(0, 2.0, 2.5, OUT), schedule="night", wall_start=NIGHT),
    tell("outside the schedule", over(), schedule="night", wall_start=NOON),
    tell("crossed a moment before the schedule ended", over(), Expect(0, 2.0, 2.5, OUT), schedule="night",
         wall_start=datetime(2026, 3, 3, 5, 59, 57, 800000, tzinfo=UTC)),
    tell("crossed a moment before the schedule began", over(), schedule="night",
         wall_start=datetime(2026, 3, 2, 21, 59, 57, 800000, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(scenario: Scenario, fps: float) -> None:
    check(run(KIND, CONFIG, scenario, fps), scenario.expected, fps)


@pytest.mark.parametrize("amplitude_px", [1.0, 3.0, 6.0])
def test_someone_who_stands_on_the_line_does_not_cross_it_again_and_again(amplitude_px: float) -> None:
    story = walk(WEST, (0.5, 0.6), 2.0) + stay((0.5, 0.6), 600.0, tremble=amplitude_px)
    assert len(run(KIND, CONFIG, tell("trembles", story), 10.0)) <= 1


def test_an_event_explains_itself() -> None:
    (event,) = run(KIND, CONFIG, tell("walks", over(), wall_start=NIGHT), 10.0)
    assert event.event_id == "cam.rule.000001"
    line = event.to_json()
    assert line["line"] == "gate"
    assert line["direction"] == OUT
    assert "zone" not in line
    assert line["measured"]["settle_s"] == {"value": 0.5, "threshold": 0.5}
    assert line["started_at"] == "2026-03-02T23:00:02.000Z"
    assert line["raised_at"] == "2026-03-02T23:00:02.500Z"
    assert line["versions"] == {"gatewatch": "0", "rule": "line_crossing/1", "weights_sha256": "w"}
    times = [t for t, _, _ in event.path]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert times[-1] == event.raised_s
    assert event.path[-1][1:] == pytest.approx((0.55, 0.6))
