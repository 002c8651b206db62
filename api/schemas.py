"""What the API takes and gives, as JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.alerts import Action, Reason, State, allowed_actions
from api.records import MediaState, Record
from rules.types import Direction, Severity

PREFIX = "/api/v1"

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
Note = Annotated[str, StringConstraints(max_length=2000)]


def _unplussed(value: object) -> object:
    # An unencoded + of an address arrives as a space.
    return re.sub(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$", r"\1+\2", value) if isinstance(value, str) else value


def _in_calendar(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment must lie within the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_unplussed), AfterValidator(_in_calendar)]
"""A moment with a time zone, which UTC can express too."""


class ErrorBody(BaseModel):
    code: str = Field(description="For programs; stays the same between versions.", examples=["not_found"])
    message: str = Field(description="One sentence for people.")
    details: dict[str, Any] = Field(description="What the sentence says, for programs.")


class ErrorOut(BaseModel):
    """Every answer that is not a success has this shape."""

    error: ErrorBody


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _whole(value: object) -> object:
    # JSON knows one kind of number: 3.0 is an integer there.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = Annotated[int, Field(strict=True, ge=1, le=2**31), BeforeValidator(_whole)]
Version = Annotated[
    _Whole | None,
    Field(
        description="The version that the caller looked at; where the alert has moved on, nothing is done and 409 "
        "`stale_version` says so. Left out: whatever the version."
    ),
]


class AcknowledgeIn(_In):
    version: Version = None
    note: Note | None = None


class ResolveIn(_In):
    version: Version = None
    note: Note | None = None


class FalseAlarmIn(_In):
    reason: Reason
    version: Version = None
    note: Note | None = Field(default=None, description="Required where the reason is `other`.")


class InputIn(_In):
    """A message from outside the picture, such as the authorisation of one passage."""

    camera: Name
    line: Name
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,63}$")] = Field(examples=["authorisation"])
    at: Moment | None = Field(default=None, description="When it happened; left out: now.")


class InputOut(BaseModel):
    accepted: bool


class MediaTime(BaseModel):
    """Seconds from the start of the camera's run."""

    start: float
    end: float


class MeasuredOut(BaseModel):
    value: float
    threshold: float


class ClipOut(BaseModel):
    part: int = Field(description="From 1; a long situation has several.")
    url: str
    original_url: str | None = Field(description="What the camera sent, where `url` is a rendering of it.")
    rendered: bool = Field(description="True where the clip is not a bit-identical copy of the camera's pictures.")
    from_s: float = Field(description="media_time_s of its first frame.")
    to_s: float | None
    shortfall_s: float = Field(description="Seconds of pre-roll that were not to be had.")


class AlertOut(BaseModel):
    alert_id: str
    version: int
    camera: str
    rule: str
    kind: str
    severity: Severity
    zone: str | None
    line: str | None
    state: State
    label: str
    event_ids: list[str]
    media_time_s: MediaTime
    first_raised_s: float = Field(description="media_time_s at which the first event was raised.")
    started_at: datetime | None = Field(description="UTC; null where the start of the recording is unknown.")
    raised_at: datetime | None
    ended_at: datetime | None
    received_at: datetime
    measured: dict[str, MeasuredOut] = Field(description="Of the event that opened the alert.")
    acknowledged_at: datetime | None
    closed_at: datetime | None
    reason: Reason | None
    note: str | None
    allowed_actions: list[Action]
    media: MediaState = Field(description="Whether clips are still to come, are there, or will not come.")
    media_note: str | None
    snapshot_url: str | None
    clips: list[ClipOut]


class EventTime(BaseModel):
    start: float
    raised: float


class EventOut(BaseModel):
    """A rule fired; a line of `events.jsonl`."""

    id: str
    camera: str
    rule: str
    kind: str
    severity: Severity
    zone: str | None = None
    line: str | None = None
    direction: Direction | None = None
    label: str
    track_ids: list[int]
    media_time_s: EventTime
    started_at: datetime | None
    raised_at: datetime | None
    recording: str | None
    recording_time_s: float | None
    measured: dict[str, MeasuredOut]
    path: list[tuple[float, float, float]] = Field(description="media_time_s, x, y of the anchor; 0..1 of the picture.")
    versions: dict[str, str]


class ChangeOut(BaseModel):
    version: int
    action: Action
    at: datetime
    actor: str | None
    reason: str | None
    note: str | None


class AlertDetailOut(AlertOut):
    events: list[EventOut]
    changes: list[ChangeOut]


class AlertListOut(BaseModel):
    items: list[AlertOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null at the end.")


class SiteOut(BaseModel):
    name: str
    timezone: str
    language: str


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    version: str
    alerts: dict[str, int] = Field(description="Number of alerts by state.")
    cameras: dict[str, int] | None = Field(
        default=None, description="How many cameras are `watched` and `connected`; null where none is run."
    )


def alert_out(record: Record) -> AlertOut:
    return AlertOut(**_fields(record))


def alert_detail_out(record: Record) -> AlertDetailOut:
    changes = [
        ChangeOut(version=c.version, action=c.action, at=c.at, actor=c.actor, reason=c.reason, note=c.note)
        for c in record.changes or ()
    ]
    events = [EventOut.model_validate(body) for body in record.events or ()]
    return AlertDetailOut(**_fields(record), events=events, changes=changes)


def _fields(record: Record) -> dict[str, Any]:
    alert = record.alert
    base = f"{PREFIX}/alerts/{quote(alert.alert_id, safe='')}"
    return {
        "alert_id": alert.alert_id,
        "version": alert.version,
        "camera": alert.camera,
        "rule": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity,
        "zone": alert.zone,
        "line": alert.line,
        "state": alert.state,
        "label": record.label,
        "event_ids": list(alert.event_ids),
        "media_time_s": MediaTime(start=round(alert.start_s, 3), end=round(alert.end_s, 3)),
        "first_raised_s": round(alert.first_raised_s, 3),
        "started_at": alert.started_at,
        "raised_at": alert.first_raised_at,
        "ended_at": alert.ended_at,
        "received_at": record.received_at,
        "measured": {name: MeasuredOut(**pair) for name, pair in record.measured.items()},
        "acknowledged_at": alert.acknowledged_at,
        "closed_at": alert.closed_at,
        "reason": alert.reason,
        "note": alert.note,
        "allowed_actions": list(allowed_actions(alert.state)),
        "media": record.media,
        "media_note": record.media_note,
        "snapshot_url": f"{base}/snapshot" if alert.snapshot else None,
        "clips": [
            ClipOut(
                part=part,
                url=f"{base}/clip?part={part}",
                original_url=f"{base}/clip/original?part={part}" if clip.original else None,
                rendered=clip.original is not None,
                from_s=clip.from_s,
                to_s=clip.to_s,
                shortfall_s=clip.shortfall_s,
            )
            for part, clip in enumerate(alert.clips, start=1)
        ],
    }
