"""The life cycle of an alert, every action in every state: where it leads, what it needs, what it never touches."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.alerts import STATES, Alert, joins, opened
from api.alerts import Policy as JoinPolicy
from api.errors import DeskError, ForbiddenError, InvalidError, StaleError, TransitionError
from api.lifecycle import ACTIONS, ALLOWED_FROM, VERDICT_OF, Action, Step, act, allowed_actions, response_of
from api.reasons import DEFAULT_REASONS, VERDICTS, Reason, reasons_of
from tests.api.scenes import START, make_event

T, F = TransitionError, ForbiddenError
SITUATIONS: dict[str, dict[str, Any]] = {
    "new": {"state": "new"},
    "acknowledged": {"state": "acknowledged", "acknowledged_at": START},
    "mine": {"state": "in_progress", "acknowledged_at": START, "assignee": "ann"},
    "another's": {"state": "in_progress", "acknowledged_at": START, "assignee": "bob"},
    "resolved": {"state": "resolved", "acknowledged_at": START, "closed_at": START, "reason": "intruder"},
    "false alarm, was bob's": {
        "state": "false_alarm", "acknowledged_at": START, "closed_at": START, "reason": "animal", "assignee": "bob",
    },
    "drill": {"state": "drill", "acknowledged_at": START, "closed_at": START, "reason": "exercise"},
}  # fmt: skip
ONWARD: dict[Action, list[Any]] = {
    # in the order of SITUATIONS: the state it leads to, the error that refuses it, "same" for no change of state
    "seen": ["same"] * 7,
    "acknowledge": ["acknowledged", T, T, T, T, T, T],
    "claim": ["in_progress", "in_progress", T, T, T, T, T],
    "assign": [F, F, "in_progress", F, T, T, T],
    "release": [T, T, "acknowledged", F, T, T, T],
    "resolve": ["resolved"] * 4 + [T] * 3,
    "false_alarm": ["false_alarm"] * 4 + [T] * 3,
    "drill": ["drill"] * 4 + [T] * 3,
    "reopen": [T, T, T, T, "acknowledged", "in_progress", "acknowledged"],
    "note": ["same"] * 7,
}
TABLE = [
    (action, situation, outcome)
    for action, outcomes in ONWARD.items()
    for situation, outcome in zip(SITUATIONS, outcomes, strict=True)
]
SAID: dict[Action, dict[str, Any]] = {
    "assign": {"assignee": "cem"}, "resolve": {"reason": "intruder"}, "false_alarm": {"reason": "animal"},
    "drill": {"reason": "exercise"}, "reopen": {"note": "look again"}, "note": {"note": "a fox"},
}  # fmt: skip
LATER = START + timedelta(minutes=2)
FACTS = (
    "alert_id", "run", "camera", "rule", "kind", "severity", "zone", "line", "event_ids", "start_s", "end_s",
    "first_raised_s", "started_at", "ended_at", "first_raised_at", "drill", "snapshot", "clips",
)  # fmt: skip


def alert_in(situation: str) -> Alert:
    return replace(opened(make_event()), **SITUATIONS[situation])


def step(action: Action, **changes: Any) -> Step:
    return Step(action, LATER, "ann", **SAID.get(action, {}) | changes)


def test_the_table_is_whole() -> None:
    assert set(ONWARD) == set(ACTIONS)
    assert {situation["state"] for situation in SITUATIONS.values()} == set(STATES)


@pytest.mark.parametrize(("action", "situation", "outcome"), TABLE, ids=[f"{a} when {s}" for a, s, _ in TABLE])
def test_every_action_from_every_state(action: Action, situation: str, outcome: Any) -> None:
    before = alert_in(situation)
    allowed = allowed_actions(before, "ann", may_take=False)
    if isinstance(outcome, type):
        with pytest.raises(DeskError) as caught:
            act(before, step(action))
        assert type(caught.value) is outcome
        assert before.alert_id in str(caught.value)
        assert action not in allowed
        return
    after = act(before, step(action))
    assert after.state == (before.state if outcome == "same" else outcome)
    assert after.version == before.version + (action != "seen")
    assert [getattr(after, name) for name in FACTS] == [getattr(before, name) for name in FACTS]
    assert (after.seen_at, after.seen_by) == (LATER, "ann"), "whoever does something with an alert has seen it"
    assert action in allowed
    closed = after.state in VERDICTS
    assert (after.closed_at is not None, after.reason is not None) == (closed, closed)
    if action not in ("seen", "note") and situation == "new":
        assert (after.acknowledged_at, after.acknowledged_by) == (LATER, "ann")
    if situation != "new":
        assert after.acknowledged_at == START, "the first acknowledgement stays"


def test_facts_are_all_that_no_action_writes() -> None:
    written = {
        "state", "version", "seen_at", "seen_by", "acknowledged_at", "acknowledged_by", "assignee", "closed_at",
        "closed_by", "reopened", "reason", "note",
    }  # fmt: skip
    assert {field.name for field in fields(Alert)} == {*FACTS} | written


def test_who_may_take_an_alert_out_of_other_hands() -> None:
    theirs = alert_in("another's")
    assert act(theirs, step("assign", may_take=True)).assignee == "cem"
    assert act(theirs, step("release", may_take=True)).assignee is None
    with pytest.raises(ForbiddenError, match="bob has it in hand") as caught:
        act(theirs, step("assign"))
    assert caught.value.details == {"permission": "alerts.assign_others", "assignee": "bob"}
    with pytest.raises(ForbiddenError, match="claim it first"):
        act(alert_in("new"), step("assign"))
    with pytest.raises(TransitionError, match="with bob already"):
        act(theirs, step("assign", assignee="bob", may_take=True))
    with pytest.raises(TransitionError, match="in_progress and with bob: it cannot be claimed") as refused:
        act(theirs, step("claim"))
    assert refused.value.details["assignee"] == "bob"
    assert act(theirs, step("resolve")).closed_by == "ann", "every open state takes a verdict, whoever has it"


def test_seen_is_recorded_once_and_is_no_new_version() -> None:
    once = act(alert_in("new"), step("seen"))
    again = act(once, Step("seen", LATER + timedelta(hours=1), "bob"))
    assert again is once
    assert (once.state, once.version) == ("new", 1)
    assert "seen" in allowed_actions(alert_in("new"))
    assert "seen" not in allowed_actions(once)


def test_stale_comes_before_everything_else() -> None:
    closed = alert_in("resolved")
    for action in ACTIONS:
        with pytest.raises(StaleError, match="expected version 7, found 1") as caught:
            act(closed, Step(action, LATER, "ann", expected_version=7))
        assert caught.value.details == {"expected": 7, "found": 1}


@pytest.mark.parametrize(
    ("action", "said", "words"),
    [
        ("resolve", {"reason": None}, "needs a reason, one of intruder"),
        ("resolve", {"reason": "animal"}, "found animal"),
        ("false_alarm", {"reason": "intruder"}, "found intruder"),
        ("drill", {"reason": "weather"}, "one of exercise, test, other, found weather"),
        ("false_alarm", {"reason": "other", "note": " \n"}, "reason other needs a note"),
        ("reopen", {"note": "  "}, "say why"),
        ("note", {"note": ""}, "needs a text"),
        ("assign", {"assignee": None, "may_take": True}, "say to whom"),
    ],
)
def test_what_must_be_said(action: Action, said: dict[str, Any], words: str) -> None:
    situation = "resolved" if action == "reopen" else "mine"
    with pytest.raises(InvalidError, match=words):
        act(alert_in(situation), step(action, **said))


def test_reopening_keeps_who_had_it_and_forgets_the_verdict() -> None:
    closed = act(act(opened(make_event()), step("claim")), step("resolve", note=" caught "))
    assert (closed.note, closed.reason, closed.closed_by, closed.assignee) == ("caught", "intruder", "ann", "ann")
    again = act(closed, Step("reopen", LATER + timedelta(hours=1), "sue", note="no, he was not"))
    assert (again.state, again.assignee, again.reopened) == ("in_progress", "ann", 1)
    assert (again.reason, again.note, again.closed_at, again.closed_by) == (None, None, None, None)
    assert joins(again, make_event(2, 12.0), JoinPolicy())
    assert not joins(closed, make_event(2, 12.0), JoinPolicy())
    assert act(again, step("drill")).reason == "exercise"


def test_response_times() -> None:
    alert = replace(opened(make_event(1, 10.0), "run1"))
    raised_at = alert.first_raised_at
    assert raised_at is not None
    came_in = raised_at + timedelta(seconds=1)

    def at(seconds: float, action: Action, **said: Any) -> None:
        nonlocal alert
        alert = act(alert, Step(action, raised_at + timedelta(seconds=seconds), "ann", **SAID.get(action, {}) | said))

    def times() -> tuple[float | None, ...]:
        response = response_of(alert, came_in)
        return response.seen, response.acknowledged, response.closed

    assert times() == (None, None, None)
    at(3.25, "seen")
    assert times() == (3.25, None, None)
    at(5, "acknowledge")
    at(60, "resolve")
    assert times() == (3.25, 5, 60)
    at(100, "reopen")
    assert times() == (3.25, 5, None)
    at(200, "false_alarm")
    assert times() == (3.25, 5, 200)
    recorded = replace(alert, run="")
    assert response_of(recorded, came_in).seen == 2.25, "out of a recording: from when it came in"


def test_a_drill_and_the_real_thing_do_not_mix() -> None:
    practice = opened(make_event(1, 10.0), drill=True)
    later = make_event(2, 12.0)
    assert not joins(practice, later, JoinPolicy())
    assert joins(practice, later, JoinPolicy(), drill=True)
    assert not joins(opened(make_event(1, 10.0)), later, JoinPolicy(), drill=True)


def test_a_site_names_its_own_reasons() -> None:
    dog = Reason("dog", ("resolved",), {"en": "Dog", "zh-CN": "狗"})
    other = Reason("other", VERDICTS, {"en": "Else", "zh-CN": "其他"})
    both = reasons_of([dog, other])
    assert both.codes("resolved")[:2] == ["dog", "other"]
    assert both.codes("resolved").count("other") == 1
    assert act(alert_in("new"), step("resolve", reason="other"), both).reason == "other", "ours needs no note"
    with pytest.raises(InvalidError, match="one of dog, other, found intruder"):
        act(alert_in("new"), step("resolve", reason="intruder"), reasons_of([dog, other], with_defaults=False))
    with pytest.raises(ValueError, match="at least one reason for false_alarm"):
        reasons_of([dog], with_defaults=False)


def test_every_reason_speaks_both_languages() -> None:
    for reason in DEFAULT_REASONS:
        assert reason.label["en"].isascii()
        assert any(ord(character) > 0x2E80 for character in reason.label["zh-CN"]), reason.code


def test_the_page_has_the_same_table() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    rows = {row[1]: row for row in re.findall(r"^\| (`(\w+)` \| `POST /[\w-]+` \| .*) \|$", text, re.MULTILINE)}
    assert list(rows) == list(ACTIONS)
    for action, (row, _) in rows.items():
        _, _, from_, _, needs = (cell.strip() for cell in row.split("|"))
        states = STATES if from_ == "any" else tuple(re.findall(r"`(\w+)`", from_))
        assert states == ALLOWED_FROM[action]
        assert ("version" in needs) == (action not in ("seen", "acknowledge", "note"))
        assert ("`reason`" in needs) == (action in VERDICT_OF)
