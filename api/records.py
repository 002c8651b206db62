"""What the desk tells about its alerts: the alert, and what storage knows beside it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from api.alerts import Alert, State
from api.errors import InvalidError
from rules.types import Severity

MediaState = Literal["pending", "ready", "missing"]
NO_CAMERA = "It concerns no camera."
"""Why no clip will come, of an alert from outside."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to an alert or an incident, as the journal has it."""

    seq: int
    """Of the journal's entry; 0: from before there was a journal."""
    version: int
    action: str
    at: datetime
    actor_kind: str
    actor: str | None
    reason: str | None
    note: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """An alert in storage."""

    alert: Alert
    label: str
    measured: Mapping[str, Mapping[str, float]]
    """Of the event that opened it."""
    received_at: datetime
    media: MediaState
    """Whether snapshot and clip are still to come, are there, or will not come."""
    media_note: str | None
    """Why they are missing."""
    events: tuple[Mapping[str, Any], ...] | None = None
    """Lines of `events.jsonl`; only where one alert was asked for."""
    changes: tuple[Change, ...] | None = None
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which alerts; within one filter any value will do, None means all."""

    states: Sequence[State] | None = None
    severities: Sequence[Severity] | None = None
    cameras: Sequence[str] | None = None
    rules: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    since: datetime | None = None
    """Alerts that were going on at or after this moment; those of unknown time are left out."""
    until: datetime | None = None
    """Alerts that began before this moment; those of unknown time are left out."""
    zones: Sequence[str] | None = None
    lines: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    assignees: Sequence[str] | None = None
    """Names of users."""
    incidents: Sequence[str] | None = None
    drill: bool | None = None
    """Raised while the site was practising, or not."""
    text: str | None = None
    """Part of a name (camera, rule, zone, line), a label, a reason or what was said; case and width do not matter."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list of alerts, newest first: after the alert with these keys."""

    sort_at: datetime
    seq: int
    severity: Severity | None = None
    """Where the list is sorted by severity: the one that it has come to."""

    def cursor(self) -> str:
        """The place as an opaque text for clients."""
        text = json.dumps([self.sort_at.isoformat(), self.seq])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def of_cursor(cls, cursor: str) -> Position:
        """Raises InvalidError where the text was not made by `cursor`."""
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            moment, seq = json.loads(text)
            if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**63:
                raise ValueError("seq")
            return cls(datetime.fromisoformat(moment).astimezone(UTC), seq)
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
            raise InvalidError("The cursor is not one that this list gave out.", {"cursor": cursor[:200]}) from None


@dataclass(frozen=True, slots=True)
class ListPage:
    records: tuple[Record, ...]
    next: Position | None
    """Where the list goes on, or None at its end."""


Sort = Literal["newest", "oldest", "severity", "waiting"]
"""newest and oldest by when they were first raised; severity: critical first, then newest; waiting: open alerts alone,
the one that has waited longest first."""


@dataclass(frozen=True, slots=True)
class Total:
    number: int
    is_exact: bool
    """False: there are more."""


@dataclass(frozen=True, slots=True)
class Counts:
    total: int
    by_state: Mapping[str, int]
    by_severity: Mapping[str, int]
    by_camera: Mapping[str, int]
    """What concerns no camera is under the empty name."""
    is_exact: bool = True
    """False: there are more, which are older; each number is at least this."""
