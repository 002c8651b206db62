"""Random shifts of several guards, against a model that is simpler than the code.

After every step the desk, its counts, its incidents and its journal say what the model says, and the chain holds.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from api.access.principal import PERMISSIONS_OF, Principal, Role
from api.alerts import SEVERITIES
from api.desk import Desk
from api.errors import (
    ConflictError,
    DeskError,
    ForbiddenError,
    NotFoundError,
    StaleError,
    TransitionError,
)
from api.incidents import Incidents
from api.journal import GENESIS, SYSTEM, canonical, hash_of
from api.services import Services, open_services
from api.storage.ledger import entry_of, head_of
from api.storage.tables import AlertCountRow, AlertFacetRow, AlertRow
from api.storage.tables_journal import JournalRow
from rules.types import RuleEvent
from tests.api.scenes import START, make_event

OPEN, CLOSED = ("new", "acknowledged", "in_progress"), ("resolved", "false_alarm", "drill")
CAMERAS = ("north-gate", "south-gate")
STAFF: dict[str, tuple[Role, frozenset[str] | None]] = {
    "ann": ("guard", None),
    "bob": ("guard", None),
    "cem": ("guard", frozenset({"south-gate"})),
    "sue": ("supervisor", None),
}
VERDICTS = {"resolve": "resolved", "false_alarm": "false_alarm", "drill": "drill"}
SAID: dict[str, dict[str, str]] = {
    "resolve": {"reason": "intruder"}, "false_alarm": {"reason": "animal"}, "drill": {"reason": "test"},
    "reopen": {"note": "not so"}, "note": {"note": "a word"},
}  # fmt: skip
ACTIONS = ["seen", "acknowledge", "claim", "assign", "release", *VERDICTS, "reopen", "note"]


def principal(name: str) -> Principal:
    role, cameras = STAFF[name]
    return Principal("user", name, role, PERMISSIONS_OF[role], cameras)


def sees(name: str, camera: str) -> bool:
    cameras = STAFF[name][1]
    return cameras is None or camera in cameras


class Shift(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = START
        self.at_s = 0.0
        self.number = 0
        self.practising = False
        self.events: list[RuleEvent] = []
        self.model: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        self.services = self._services()
        for name, (role, cameras) in STAFF.items():
            shown = None if cameras is None else sorted(cameras)
            self.services.accounts.users.create(
                name, role, actor=SYSTEM, cameras=shown, provider=("https://login.test", name)
            )

    def _services(self) -> Services:
        self.opened = ExitStack()
        path = Path(self.folder.name)
        return self.opened.enter_context(open_services(path / "a.db", media_dir=path, now=lambda: self.clock))

    @property
    def desk(self) -> Desk:
        return self.services.desk

    @property
    def book(self) -> Incidents:
        return self.services.incidents

    # What cameras bring

    @rule(
        gap_s=st.sampled_from([0.1, 7.5, 30.0, 30.1, 90.0]), camera=st.sampled_from(CAMERAS),
        severity=st.sampled_from(SEVERITIES),
    )  # fmt: skip
    def event(self, gap_s: float, camera: str, severity: str) -> None:
        self.at_s += gap_s
        self.number += 1
        event = make_event(self.number, self.at_s, start_s=self.at_s, camera=camera, severity=severity)
        self.events.append(event)
        alert = self.desk.take(event, drill=self.practising)
        last = next((one for one in reversed(self.model) if one["camera"] == camera), None)
        joins = (
            last is not None
            and last["state"] in OPEN
            and last["practice"] == self.practising
            and round(self.at_s - last["times"][-1], 3) <= 30
            and round(self.at_s - last["times"][0], 3) <= 300
        )
        if last is not None and joins:
            last["times"].append(self.at_s)
            last["version"] += 1
            last["severity"] = max(last["severity"], severity, key=SEVERITIES.index)
            assert alert.alert_id == last["id"]
        else:
            self.model.append(
                {"id": alert.alert_id, "camera": camera, "state": "new", "times": [self.at_s], "version": 1,
                 "assignee": None, "seen": None, "acknowledged": None, "closed": None, "reopened": 0, "incident": None,
                 "practice": self.practising, "severity": severity}
            )  # fmt: skip

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def event_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.events))
        with self.services.ledger.reading() as session:
            before = head_of(session)
        assert event.event_id in self.desk.take(event, drill=self.practising).event_ids
        with self.services.ledger.reading() as session:
            assert head_of(session) == before

    @rule()
    def begin_or_end_a_drill(self) -> None:
        self.practising = not self.practising

    # What guards do

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(), action=st.sampled_from(ACTIONS), who=st.sampled_from([*STAFF]),
        to=st.sampled_from([*STAFF]), stale=st.sampled_from([False, False, False, True]),
    )  # fmt: skip
    def guard(self, data: st.DataObject, action: Any, who: str, to: str, stale: bool) -> None:
        model = self.model[data.draw(st.integers(0, len(self.model) - 1))]
        self.clock += timedelta(seconds=1)
        said: dict[str, Any] = {**SAID.get(action, {}), "principal": principal(who)}
        said["actor"] = principal(who).actor("192.0.2.7")
        said["expected_version"] = model["version"] + 1 if stale else model["version"]
        if action == "assign":
            said["assignee"] = to
        refusal = self._refusal(model, action, who, to, stale)
        if refusal is not None:
            with pytest.raises(DeskError) as caught:
                self.desk.act(model["id"], action, **said)
            assert isinstance(caught.value, refusal)
            if refusal is StaleError:
                assert caught.value.details == {"expected": said["expected_version"], "found": model["version"]}
            return
        self.desk.act(model["id"], action, **said)
        self._follow(model, action, who, to)

    def _refusal(self, model: dict[str, Any], action: str, who: str, to: str, stale: bool) -> type[DeskError] | None:
        state, assignee = model["state"], model["assignee"]
        if not sees(who, model["camera"]):
            return NotFoundError
        if stale:
            return StaleError
        possible = {
            "acknowledge": state == "new", "claim": state in ("new", "acknowledged"), "assign": state in OPEN,
            "release": state == "in_progress", "reopen": state in CLOSED,
        } | dict.fromkeys(VERDICTS, state in OPEN)  # fmt: skip
        if not possible.get(action, True):
            return TransitionError
        if action in ("assign", "release") and who != "sue" and assignee != who:
            return ForbiddenError
        if action == "assign" and state == "in_progress" and assignee == to:
            return TransitionError
        return DeskError if action == "assign" and not sees(to, model["camera"]) else None

    def _follow(self, model: dict[str, Any], action: str, who: str, to: str) -> None:
        model["seen"] = model["seen"] or (self.clock, who)
        if action == "seen":
            return
        model["version"] += 1
        if action == "note":
            return
        if action == "reopen":
            model["state"] = "in_progress" if model["assignee"] else "acknowledged"
            model["closed"] = None
            model["reopened"] += 1
            return
        model["acknowledged"] = model["acknowledged"] or (self.clock, who)
        if action in VERDICTS:
            model["state"], model["closed"] = VERDICTS[action], (self.clock, who, SAID[action]["reason"])
        else:
            assignee = {"claim": who, "assign": to}.get(action)
            model["assignee"] = assignee
            model["state"] = "in_progress" if assignee else "acknowledged"

    @precondition(lambda self: self.model)
    @rule(data=st.data(), who=st.sampled_from([*STAFF]))
    def merge(self, data: st.DataObject, who: str) -> None:
        chosen = data.draw(st.lists(st.sampled_from(range(len(self.model))), min_size=1, max_size=3, unique=True))
        alerts = [self.model[at] for at in chosen]
        ids = [one["id"] for one in alerts]
        if not all(sees(who, one["camera"]) for one in alerts):
            with pytest.raises(NotFoundError):
                self.book.create("Night", ids, principal=principal(who))
        elif any(one["incident"] is not None for one in alerts):
            with pytest.raises(ConflictError, match="already"):
                self.book.create("Night", ids, principal=principal(who))
        else:
            made = self.book.create("Night", ids, principal=principal(who))
            self.incidents.append({"id": made.incident_id, "version": 1})
            for one in alerts:
                one["incident"] = made.incident_id
                one["version"] += 1

    @precondition(lambda self: any(one["incident"] for one in self.model))
    @rule(data=st.data(), stale=st.booleans())
    def take_out(self, data: st.DataObject, stale: bool) -> None:
        alert = data.draw(st.sampled_from([one for one in self.model if one["incident"]]))
        incident = next(one for one in self.incidents if one["id"] == alert["incident"])
        alone = sum(one["incident"] == incident["id"] for one in self.model) == 1
        version = incident["version"] + stale
        if stale or alone:
            with pytest.raises(StaleError if stale else ConflictError):
                self.book.remove(incident["id"], alert["id"], expected_version=version, principal=principal("ann"))
            return
        self.book.remove(incident["id"], alert["id"], expected_version=version, principal=principal("ann"))
        incident["version"] += 1
        alert["version"] += 1
        alert["incident"] = None

    @rule()
    def restart(self) -> None:
        self.opened.close()
        self.services = self._services()

    # What must be so after every step

    @invariant()
    def desk_and_model_agree(self) -> None:
        if not hasattr(self, "services"):
            return
        records = {record.alert.alert_id: record for record in self.desk.list(limit=200).records}
        assert len(records) == len(self.model)
        for model in self.model:
            record = records[model["id"]]
            alert = record.alert
            assert (alert.state, alert.version, alert.assignee) == (model["state"], model["version"], model["assignee"])
            assert len(alert.event_ids) == len(model["times"])
            assert (alert.seen_at and (alert.seen_at, alert.seen_by)) == model["seen"]
            assert (alert.acknowledged_at and (alert.acknowledged_at, alert.acknowledged_by)) == model["acknowledged"]
            assert (alert.closed_at and (alert.closed_at, alert.closed_by, alert.reason)) == model["closed"]
            assert (alert.reopened, alert.drill) == (model["reopened"], model["practice"])
            assert record.incident_id == model["incident"]
        assert dict(Counter(one["state"] for one in self.model)) == self.desk.counts()
        with self.services.ledger.reading() as session:
            cells = session.execute(
                select(AlertFacetRow.camera, AlertCountRow.state, AlertCountRow.severity, AlertCountRow.number)
                .join(AlertFacetRow, AlertFacetRow.seq == AlertCountRow.facet_seq)
                .where(AlertCountRow.number != 0)
            )
            counted = {(camera, state, severity): number for camera, state, severity, number in cells}
        assert counted == Counter((one["camera"], one["state"], one["severity"]) for one in self.model)
        for incident in self.incidents:
            told = self.book.get(incident["id"])
            assert told.version == incident["version"]
            members = {record.alert.alert_id for record in told.alerts or ()}
            assert members == {one["id"] for one in self.model if one["incident"] == incident["id"]}

    @invariant()
    def journal_holds(self) -> None:
        if not hasattr(self, "services"):
            return
        with self.services.ledger.reading() as session:
            previous, seq, newest, digests = GENESIS, 0, {}, {}
            for row in session.scalars(select(JournalRow).order_by(JournalRow.seq)):
                entry = entry_of(row)
                assert (entry.seq, entry.prev_hash) == (seq + 1, previous)
                assert hash_of(entry, row.body) == entry.hash
                previous, seq = entry.hash, entry.seq
                if entry.subject == "alert":
                    newest[entry.subject_id] = entry
                    digests |= entry.body.get("events_sha256", {})
            assert head_of(session) == (seq, previous)
            for alert in session.scalars(select(AlertRow)):
                assert (newest[alert.alert_id].seq, newest[alert.alert_id].version) == (
                    alert.journal_seq, alert.version,
                )  # fmt: skip
                for event in alert.events:
                    assert digests[event.event_id] == hashlib.sha256(canonical(event.body).encode()).hexdigest()

    def teardown(self) -> None:
        if hasattr(self, "services"):
            self.opened.close()
            self.folder.cleanup()


Shift.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, derandomize=True, database=None
)
TestShift = Shift.TestCase
