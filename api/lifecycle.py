"""What guards do with an alert, and what comes of it. Pure: no clock, no database.

    new -> acknowledged -> in_progress -> resolved | false_alarm | drill

Every open state takes a verdict; a verdict is taken back by reopening. What the rule saw is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from api.alerts import OPEN_STATES, STATES, Alert, State
from api.errors import ForbiddenError, InvalidError, StaleError, TransitionError
from api.reasons import VERDICTS, Reasons, Verdict, reasons_of

Action = Literal[
    "seen", "acknowledge", "claim", "assign", "release", "resolve", "false_alarm", "drill", "reopen", "note",
]  # fmt: skip
ACTIONS: tuple[Action, ...] = get_args(Action)
VERDICT_OF: Mapping[Action, Verdict] = {"resolve": "resolved", "false_alarm": "false_alarm", "drill": "drill"}
"""The actions that close an alert."""

_UNASSIGNED: tuple[State, ...] = ("new", "acknowledged")
ALLOWED_FROM: Mapping[Action, tuple[State, ...]] = {
    "seen": STATES,
    "acknowledge": ("new",),
    "claim": _UNASSIGNED,
    "assign": OPEN_STATES,
    "release": ("in_progress",),
    "resolve": OPEN_STATES,
    "false_alarm": OPEN_STATES,
    "drill": OPEN_STATES,
    "reopen": VERDICTS,
    "note": STATES,
}
_DONE: Mapping[Action, str] = {
    "acknowledge": "acknowledged", "claim": "claimed", "assign": "handed over", "release": "released",
    "resolve": "resolved", "false_alarm": "closed as a false alarm", "drill": "closed as a drill", "reopen": "reopened",
}  # fmt: skip
_DEFAULT = reasons_of()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does with an alert."""

    action: Action
    at: datetime
    """UTC."""
    by: str
    """The user's name."""
    reason: str | None = None
    """Code; mandatory with a verdict."""
    note: str | None = None
    assignee: str | None = None
    """Of `assign`: to whom."""
    expected_version: int | None = None
    """The version that was looked at; None: whatever the version."""
    may_take: bool = False
    """Whether an alert that somebody else has in hand may be handed over or released."""


def act(alert: Alert, step: Step, reasons: Reasons = _DEFAULT) -> Alert:
    """The alert after this step; the same alert where it changes nothing (seen before).

    A verdict, a claim or a hand-over of a new alert acknowledges it in the same step; whoever does something with an
    alert has seen it. Raises StaleError where the alert is not at the expected version (whatever else is wrong),
    TransitionError where its state does not allow the action, ForbiddenError where somebody else has it in hand,
    InvalidError where reason, note or assignee are missing or unknown.
    """
    _check(alert, step)
    note = (step.note or "").strip() or None
    touched = alert if alert.seen_at else replace(alert, seen_at=step.at, seen_by=step.by)
    if step.action == "seen":
        return touched
    touched = replace(touched, version=alert.version + 1)
    if step.action == "note":
        if note is None:
            raise InvalidError("A note needs a text.", {"field": "note"})
        return touched
    if step.action == "reopen":
        if note is None:
            raise InvalidError("To reopen an alert, say why in a note.", {"field": "note"})
        state: State = "in_progress" if alert.assignee else "acknowledged"
        return replace(
            touched, state=state, closed_at=None, closed_by=None, reason=None, note=None, reopened=alert.reopened + 1
        )
    if alert.acknowledged_at is None:
        touched = replace(touched, acknowledged_at=step.at, acknowledged_by=step.by)
    verdict = VERDICT_OF.get(step.action)
    if verdict is not None:
        _check_reason(verdict, step.reason, note, reasons)
        return replace(touched, state=verdict, closed_at=step.at, closed_by=step.by, reason=step.reason, note=note)
    return _in_hand(touched, step)


def _in_hand(alert: Alert, step: Step) -> Alert:
    if step.action == "claim":
        return replace(alert, state="in_progress", assignee=step.by)
    if step.action == "assign":
        if not step.assignee:
            raise InvalidError("To hand an alert over, say to whom.", {"field": "assignee"})
        return replace(alert, state="in_progress", assignee=step.assignee)
    return replace(alert, state="acknowledged", assignee=None)


def _check(alert: Alert, step: Step) -> None:
    if step.expected_version is not None and step.expected_version != alert.version:
        raise StaleError(
            f"Alert {alert.alert_id} has changed: expected version {step.expected_version}, found {alert.version}.",
            {"expected": step.expected_version, "found": alert.version},
        )
    if alert.state not in ALLOWED_FROM[step.action]:
        details: dict[str, Any] = {
            "state": alert.state, "action": step.action, "allowed": list(allowed_actions(alert)),
        }  # fmt: skip
        held = f" and with {alert.assignee}" if alert.state == "in_progress" else ""
        if held:
            details["assignee"] = alert.assignee
        raise TransitionError(
            f"Alert {alert.alert_id} is {alert.state}{held}: it cannot be {_DONE[step.action]}.", details
        )
    if step.action in ("assign", "release") and not step.may_take and alert.assignee != step.by:
        held = f"{alert.assignee} has it in hand" if alert.assignee else "claim it first"
        raise ForbiddenError(
            f"Alert {alert.alert_id} is not yours to be {_DONE[step.action]}: {held}.",
            {"permission": "alerts.assign_others", "assignee": alert.assignee},
        )
    if step.action == "assign" and alert.state == "in_progress" and alert.assignee == step.assignee:
        raise TransitionError(
            f"Alert {alert.alert_id} is with {alert.assignee} already.",
            {"state": alert.state, "action": step.action, "allowed": list(allowed_actions(alert)),
             "assignee": alert.assignee},
        )  # fmt: skip


def _check_reason(verdict: Verdict, code: str | None, note: str | None, reasons: Reasons) -> None:
    reason = reasons.get(code, verdict)
    if reason is None:
        known = reasons.codes(verdict)
        raise InvalidError(
            f"The verdict {verdict} needs a reason, one of {', '.join(known)}, found {code or 'none'}.",
            {"field": "reason", "verdict": verdict, "expected": list(known), "found": code},
        )
    if reason.needs_note and note is None:
        raise InvalidError(
            f"The reason {reason.code} needs a note that says more.", {"field": "note", "reason": reason.code}
        )


def allowed_actions(
    alert: Alert, by: str | None = None, *, may_take: bool = True, may_reopen: bool = True
) -> tuple[Action, ...]:
    """What can be done with the alert now; with a name, by this user."""
    found = []
    for action, states in ALLOWED_FROM.items():
        if alert.state not in states or (action == "seen" and alert.seen_at is not None):
            continue
        others = by is not None and alert.assignee != by and not may_take
        if (action in ("assign", "release") and others) or (action == "reopen" and not may_reopen):
            continue
        found.append(action)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Response:
    """Seconds from when an alert was raised; None: not yet, or not known."""

    seen: float | None
    acknowledged: float | None
    closed: float | None
    """The verdict that holds; None while it is open again."""


def response_of(alert: Alert, received_at: datetime) -> Response:
    """How fast guards were. An alert out of a recording could not be answered before it came in."""
    raised_at = alert.first_raised_at if alert.run and alert.first_raised_at else received_at
    return response_since(raised_at, alert.seen_at, alert.acknowledged_at, alert.closed_at)


def response_since(
    raised_at: datetime, seen_at: datetime | None, acknowledged_at: datetime | None, closed_at: datetime | None
) -> Response:
    """The moments as seconds; a clock that was set back in between gives 0."""

    def since(moment: datetime | None) -> float | None:
        return None if moment is None else round(max(0.0, (moment - raised_at).total_seconds()), 3)

    return Response(since(seen_at), since(acknowledged_at), since(closed_at))
