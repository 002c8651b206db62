"""RuleEvent -> Alert: grouping and cooldown. Pure: no clock, no files, no database.

Alerts are immutable values; every step returns a new one. `group` folds a whole re-analysis, `joins`, `opened` and
`joined` are the single steps that the live desk takes against its database. What guards do with an alert lies in
`api.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from api.reasons import VERDICTS, Verdict
from rules.types import RuleEvent, Severity, utc_text

OpenState = Literal["new", "acknowledged", "in_progress"]
State = Literal[OpenState, Verdict]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
OPEN_STATES: tuple[OpenState, ...] = get_args(OpenState)
STATES: tuple[State, ...] = (*OPEN_STATES, *VERDICTS)
EXTERNAL = "external"
"""The run of what came from outside the pictures: it has no media clock, only wall time."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When an event joins an alert."""

    cooldown_s: float = 30.0
    cooldowns: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(camera, rule) -> cooldown_s, for the rules that state their own."""
    alert_max_s: float = 300.0

    def cooldown_of(self, camera: str, rule: str) -> float:
        return self.cooldowns.get((camera, rule), self.cooldown_s)


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of footage of an alert; paths are relative to the media folder, with forward slashes."""

    path: str
    """What a browser plays."""
    from_s: float
    """`media_time_s` of the first frame."""
    to_s: float | None = None
    original: str | None = None
    """The packets as the camera sent them, where `path` is a rendering of them."""
    shortfall_s: float = 0.0
    """Seconds of the wanted pre-roll that were not to be had."""

    def to_json(self) -> dict[str, Any]:
        return {
            "clip": self.path,
            "clip_original": self.original,
            "clip_from_s": round(self.from_s, 3),
            "clip_to_s": None if self.to_s is None else round(self.to_s, 3),
            "clip_shortfall_s": round(self.shortfall_s, 3),
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """What a guard handles: one or more events of one rule, with a life cycle."""

    alert_id: str
    camera: str
    """Empty where it concerns no camera."""
    rule: str
    kind: str
    severity: Severity
    zone: str | None
    line: str | None
    state: State
    event_ids: tuple[str, ...]
    start_s: float
    """`media_time_s` of the earliest start of its events."""
    end_s: float
    """`media_time_s` at which its last event was raised."""
    first_raised_s: float
    started_at: datetime | None
    ended_at: datetime | None
    first_raised_at: datetime | None
    run: str = ""
    """The run whose clock the media times follow; empty in a re-analysis."""
    version: int = 1
    """Grows by one with every event that joins and with everything that is done with it, but opening it to look."""
    drill: bool = False
    """Raised while the site was practising."""
    seen_at: datetime | None = None
    seen_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    assignee: str | None = None
    """The user who has it in hand, or had it last."""
    closed_at: datetime | None = None
    """Of the verdict that holds now; None while it is open."""
    closed_by: str | None = None
    reopened: int = 0
    """How often a verdict was taken back."""
    reason: str | None = None
    """The code that was given with the verdict."""
    note: str | None = None
    """What was said with the verdict."""
    snapshot: str | None = None
    clips: tuple[Clip, ...] = ()

    def with_media(self, *, snapshot: str | None = None, clips: Sequence[Clip] | None = None) -> Alert:
        """The alert with its snapshot or its clips set; what is left out stays as it was."""
        return replace(
            self,
            snapshot=self.snapshot if snapshot is None else snapshot,
            clips=self.clips if clips is None else tuple(clips),
        )

    def to_json(self) -> dict[str, Any]:
        """The alert as the line of `alerts.jsonl`, keys in the documented order.

        `clip` and the `clip_*` keys speak of the first clip; `more_clips` holds the others of a long situation.
        """
        first = self.clips[0].to_json() if self.clips else {}
        return {
            "alert_id": self.alert_id,
            "camera": self.camera or None,
            "rule": self.rule,
            "kind": self.kind,
            "severity": self.severity,
            **({"zone": self.zone} if self.line is None else {"line": self.line}),
            "state": self.state,
            "event_ids": list(self.event_ids),
            "media_time_s": {"start": round(self.start_s, 3), "end": round(self.end_s, 3)},
            "started_at": utc_text(self.started_at),
            "ended_at": utc_text(self.ended_at),
            "clip": first.get("clip"),
            "snapshot": self.snapshot,
            "clip_original": first.get("clip_original"),
            "clip_from_s": first.get("clip_from_s"),
            "clip_to_s": first.get("clip_to_s"),
            "clip_shortfall_s": first.get("clip_shortfall_s"),
            "more_clips": [clip.to_json() for clip in self.clips[1:]],
        }


def alert_id_of(event_id: str, run: str = "") -> str:
    """The id of the alert that this event opens: the same event of the same run always gives the same id."""
    return f"alert.{run}.{event_id}" if run else f"alert.{event_id}"


def opened(event: RuleEvent, run: str = "", *, drill: bool = False) -> Alert:
    """A new alert of this one event."""
    return Alert(
        alert_id=alert_id_of(event.event_id, run),
        camera=event.camera,
        rule=event.rule,
        kind=event.kind,
        severity=event.severity,
        zone=event.zone,
        line=event.line,
        state="new",
        event_ids=(event.event_id,),
        start_s=event.start_s,
        end_s=event.raised_s,
        first_raised_s=event.raised_s,
        started_at=event.started_at,
        ended_at=event.raised_at,
        first_raised_at=event.raised_at,
        run=run,
        drill=drill,
    )


def joins(alert: Alert, event: RuleEvent, policy: Policy, run: str = "", *, drill: bool = False) -> bool:
    """Whether the event belongs to this alert: same rule, still open, within cooldown and length, both or neither of
    them of a drill.

    Within one run media times are compared; an alert of an earlier run (before a restart) is compared by wall time,
    and where that is unknown the event does not join. What comes from outside has wall time only.
    """
    same_thing = (alert.camera, alert.rule, alert.kind, alert.zone, alert.line) == (
        event.camera, event.rule, event.kind, event.zone, event.line
    )  # fmt: skip
    if not same_thing or alert.drill != drill or alert.state not in OPEN_STATES:
        return False
    if alert.run == run != EXTERNAL:
        since_last, since_first = event.raised_s - alert.end_s, event.raised_s - alert.first_raised_s
    elif event.raised_at is not None and alert.ended_at is not None and alert.first_raised_at is not None:
        since_last = (event.raised_at - alert.ended_at).total_seconds()
        since_first = (event.raised_at - alert.first_raised_at).total_seconds()
    else:
        return False
    # To the millisecond, so that 30 s is 30 s whatever the fractions that the times were added up from.
    cooldown_s = policy.cooldown_of(event.camera, event.rule)
    return round(abs(since_last), 3) <= cooldown_s and round(since_first, 3) <= policy.alert_max_s


def joined(alert: Alert, event: RuleEvent, run: str = "") -> Alert:
    """The alert grown by this event; an event that it has already changes nothing."""
    if event.event_id in alert.event_ids and alert.run == run:
        return alert
    grown = replace(
        alert,
        event_ids=(*alert.event_ids, event.event_id),
        severity=max(alert.severity, event.severity, key=SEVERITIES.index),
        started_at=_earliest(alert.started_at, event.started_at),
        ended_at=_latest(alert.ended_at, event.raised_at),
        version=alert.version + 1,
    )
    if alert.run != run:  # The media clocks differ: the alert keeps the times of the run that opened it.
        return grown
    return replace(grown, start_s=min(alert.start_s, event.start_s), end_s=max(alert.end_s, event.raised_s))


def group(events: Iterable[RuleEvent], policy: Policy | None = None) -> list[Alert]:
    """The alerts that a guard would get from these events, in the order in which they open.

    `events` in the order of `events.jsonl` of one re-analysis.
    """
    policy = policy or Policy()
    alerts: list[Alert] = []
    latest: dict[tuple[str, str], int] = {}
    for event in events:
        key = (event.camera, event.rule)
        at = latest.get(key)
        if at is not None and joins(alerts[at], event, policy):
            alerts[at] = joined(alerts[at], event)
        else:
            latest[key] = len(alerts)
            alerts.append(opened(event))
    return alerts


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [moment for moment in (one, other) if moment is not None]
    return min(known) if known else None


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [moment for moment in (one, other) if moment is not None]
    return max(known) if known else None
