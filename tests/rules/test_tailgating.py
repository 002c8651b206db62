from __future__ import annotations

import pytest

from rules.types import Input
from tests.rules.scenes import NIGHT, NOON, Actor, Expect, Scenario, Story, check, lost, run, stay, switch, tell, walk

KIND = "tailgating"
CONFIG = {"line": "gate", "headway_s": 3}
CARD = {"line": "gate", "authorisation": "event", "valid_s": 5}

WEST, EAST = (0.3, 0.6), (0.7, 0.6)
OUT, BACK = "right_to_left", "left_to_right"


def over(enters_s: float = 0.0, label: str = "car") -> Actor:
    """Crosses 2 s after it enters."""
    return Actor(walk(WEST, EAST, 4.0), label, enters_s)


def back(enters_s: float = 0.0) -> Actor:
    return Actor(walk(EAST, WEST, 4.0), "car", enters_s)


def card(at: float) -> Input:
    return Input("cam", "gate", "authorisation", at)


def turn() -> Story:
    return walk(WEST, EAST, 2.0) + walk(EAST, WEST, 2.0) + walk(WEST, EAST, 2.0)


SCENARIOS: list[Scenario] = [
    tell("one car", over()),
    tell("two cars 2 s apart", [over(), over(2.0)], Expect(1, 4.0, 4.5, OUT)),
    tell("two cars 4 s apart", [over(), over(4.0)]),
    tell("two side by side", [over(), Actor(walk((0.3, 0.8), (0.7, 0.8), 4.0), "car", 0.2)], Expect(1, 2.2, 2.7, OUT)),
    tell("three cars in a row: two tailgate", [over(), over(2.0), over(4.0)],
         Expect(1, 4.0, 4.5, OUT), Expect(2, 6.0, 6.5, OUT)),
    tell("the other way is another row", [over(), back(1.0)]),
    tell("only the other way is watched", [over(), over(2.0)], direction=BACK),
    tell("one car to and fro does not tailgate itself", Actor(turn(), "car"), headway_s=10),
    tell("a person behind a car, cars are meant", [over(), over(2.0, "person")], labels=["vehicle"]),
    tell("a truck behind a car, cars are meant", [over(), over(2.0, "truck")], labels=["car"]),
    tell("id switch on the line is one car", Actor(walk(WEST, (0.5, 0.6), 2.0) + switch()
         + walk((0.5, 0.6), EAST, 2.0), "car")),
    tell("the first is lost on the line, the second is seen first",
         [Actor(walk(WEST, (0.51, 0.6), 2.1) + lost(2.0) + stay((0.56, 0.6), 1.0), "car"), over(1.0)],
         Expect(1, 3.0, 3.5, OUT)),
    tell("outside the schedule", [over(), over(2.0)], schedule="night", wall_start=NOON),
    tell("within the schedule", [over(), over(2.0)], Expect(1, 4.0, 4.5, OUT), schedule="night", wall_start=NIGHT),
    tell("a card, one car", over(), inputs=[card(1.0)], **CARD),
    tell("no card, one car", over(), Expect(0, 2.0, 2.5, OUT), **CARD),
    tell("one card, two cars", [over(), over(2.0)], Expect(1, 4.0, 4.5, OUT), inputs=[card(1.0)], **CARD),
    tell("two cards, two cars", [over(), over(2.0)], inputs=[card(1.0), card(1.5)], **CARD),
    tell("one card, two cars far apart", [over(), over(4.0)], Expect(1, 6.0, 6.5, OUT), inputs=[card(1.5)], **CARD),
    tell("the card is too old", over(6.0), Expect(0, 8.0, 8.5, OUT), inputs=[card(1.0)], **CARD),
    tell("the reader reports a moment late", over(), inputs=[card(2.3)], **CARD),
    tell("the card comes after the car", over(), Expect(0, 2.0, 2.5, OUT), inputs=[card(4.0)], **CARD),
    tell("a card for another line", over(), Expect(0, 2.0, 2.5, OUT),
         inputs=[Input("cam", "corner", "authorisation", 1.0)], **CARD),
]  # fmt: skip


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(scenario: Scenario, fps: float) -> None:
    check(run(KIND, CONFIG, scenario, fps), scenario.expected, fps)


def test_a_tailgater_is_told_with_the_one_it_followed() -> None:
    (event,) = run(KIND, CONFIG, tell("two", [over(), over(2.0)]), 10.0)
    assert event.track_ids == (200, 100)
    headway = event.measured["headway_s"]
    assert (headway.value, headway.threshold) == (pytest.approx(2.0), 3.0)


def test_crossings_are_counted_against_authorisations() -> None:
    (event,) = run(KIND, CARD, tell("two", [over(), over(2.0)], inputs=[card(1.0)]), 10.0)
    crossings = event.measured["crossings"]
    assert (crossings.value, crossings.threshold) == (2, 1)


def test_a_passage_that_is_decided_late_still_has_its_place_in_the_row() -> None:
    """The first car is lost just behind the line and counts only later than the second: that one followed it."""
    first = Actor(walk(WEST, (0.52, 0.6), 2.2) + lost(3.0), "car")
    events = run(KIND, CONFIG, tell("late", [first, Actor(walk(WEST, (0.9, 0.6), 1.5), "car", 2.0)]), 10.0)
    assert [(event.track_ids[0], round(event.start_s, 1)) for event in events] == [(200, 2.5)]
    assert events[0].raised_s >= 3.0
