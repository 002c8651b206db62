"""Random lives of alerts, against a model that is simpler than the code: pure part and database agree with it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from api.alerts import Policy, act, joined, joins, opened
from api.desk import Desk
from api.errors import DeskError
from rules.types import RuleEvent
from tests.api.kit import open_desk
from tests.api.scenes import START, make_event

MODEL = {
    ("new", "acknowledge"): "acknowledged",
    ("new", "resolve"): "resolved",
    ("new", "false_alarm"): "false_alarm",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "false_alarm"): "false_alarm",
}


class Lives(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.clock = START
        self.desk = self._desk()
        self.at_s = 0.0
        self.number = 0
        self.events: list[RuleEvent] = []
        self.pure: list[Any] = []
        self.model: list[dict[str, Any]] = []

    def _desk(self) -> Desk:
        self.opened = ExitStack()
        return self.opened.enter_context(open_desk(self.path / "a.db", media_dir=self.path, now=self._now))

    def _now(self) -> datetime:
        return self.clock

    @rule(gap_s=st.sampled_from([0.0, 0.1, 7.5, 29.9, 30.0, 30.1, 90.0]))
    def event(self, gap_s: float) -> None:
        self.at_s += gap_s
        self.number += 1
        event = make_event(self.number, self.at_s, start_s=self.at_s)
        self.events.append(event)
        alert = self.desk.take(event)
        last = self.model[-1] if self.model else None
        tell = last and last["state"] in ("new", "acknowledged") and round(self.at_s - last["times"][-1], 3) <= 30
        if last and tell and round(self.at_s - last["times"][0], 3) <= 300:
            last["times"].append(self.at_s)
        else:
            self.model.append({"state": "new", "times": [self.at_s], "actions": 0})
        if self.pure and joins(self.pure[-1], event, Policy()):
            self.pure[-1] = joined(self.pure[-1], event)
        else:
            self.pure.append(opened(event))
        assert alert.alert_id == self.pure[-1].alert_id

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def event_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.events))
        before = self.desk.counts()
        assert event.event_id in self.desk.take(event).event_ids
        assert self.desk.counts() == before

    @precondition(lambda self: self.model)
    @rule(data=st.data(), action=st.sampled_from(["acknowledge", "resolve", "false_alarm"]), stale=st.booleans())
    def guard(self, data: st.DataObject, action: Any, stale: bool) -> None:
        at = data.draw(st.integers(0, len(self.model) - 1))
        self.clock += timedelta(seconds=1)
        model, pure = self.model[at], self.pure[at]
        target = None if stale else MODEL.get((model["state"], action))
        given_: dict[str, Any] = {"reason": "test" if action == "false_alarm" else None}
        given_["expected_version"] = pure.version + 1 if stale else pure.version
        if target is None:
            with pytest.raises(DeskError):
                act(pure, action, self.clock, **given_)
            with pytest.raises(DeskError):
                self.desk.act(pure.alert_id, action, **given_)
        else:
            self.pure[at] = act(pure, action, self.clock, **given_)
            self.desk.act(pure.alert_id, action, **given_)
            model["state"], model["actions"] = target, model["actions"] + 1

    @rule()
    def restart(self) -> None:
        self.opened.close()
        self.desk = self._desk()

    @invariant()
    def all_agree(self) -> None:
        if not hasattr(self, "desk"):
            return
        records = {record.alert.alert_id: record.alert for record in self.desk.list(limit=200).records}
        assert [records[alert.alert_id] for alert in self.pure] == self.pure
        assert len(records) == len(self.model)
        for alert, model in zip(self.pure, self.model, strict=True):
            assert alert.state == model["state"]
            assert len(alert.event_ids) == len(model["times"])
            assert alert.version == len(model["times"]) + model["actions"]
            assert (alert.acknowledged_at is None) == (alert.state == "new")
            assert (alert.closed_at is None) == (alert.state in ("new", "acknowledged"))
            assert (alert.reason is not None) == (alert.state == "false_alarm")

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.opened.close()
            self.folder.cleanup()


Lives.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True, database=None
)
TestLives = Lives.TestCase
