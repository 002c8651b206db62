"""What the API takes and gives, as JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.access.principal import Principal
from api.alerts import State
from api.lifecycle import Action, allowed_actions, response_of
from api.records import MediaState, Record
from rules.types import Severity

PREFIX = "/api/v1"

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
Note = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
SaidNote = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
"""A note that says something."""


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


class In(BaseModel):
    """A body: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class NothingIn(In):
    """No fields: `{}`."""


def _whole(value: object) -> object:
    # JSON knows one kind of number: 3.0 is an integer there.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = Annotated[int, Field(strict=True, ge=1, le=2**31), BeforeValidator(_whole)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**62), BeforeValidator(_whole)]
"""A whole number: neither a text nor true or false."""
Version = Annotated[
    _Whole | None,
    Field(
        description="The version that the caller looked at, unless `If-Match` says it; where things have moved on, "
        "nothing is done and 409 `stale_version` says so."
    ),
]


class InputIn(In):
    """A message from outside the picture, such as the authorisation of one passage."""

    camera: Name
    line: Name
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,63}$")] = Field(examples=["authorisation"])
    at: Moment | None = Field(
        default=None, description="When it happened, at most 24 h ago and 60 s ahead; left out: now."
    )


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


class ResponseOut(BaseModel):
    """Seconds from when the alert was raised; null: not yet, or not known."""

    seen: float | None
    acknowledged: float | None
    closed: float | None


class AlertOut(BaseModel):
    alert_id: str
    version: int
    camera: str | None = Field(description="null where it concerns no camera.")
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
    drill: bool = Field(description="Raised while the site was practising.")
    seen_at: datetime | None = Field(description="When a guard first opened it.")
    seen_by: str | None
    acknowledged_at: datetime | None = Field(description="The first acknowledgement; stays when it is reopened.")
    acknowledged_by: str | None
    assignee: str | None = Field(description="The user who has it in hand, or had it when it was closed.")
    closed_at: datetime | None = Field(description="Of the verdict that holds; null while it is open.")
    closed_by: str | None
    reopened: int = Field(description="How often a verdict was taken back.")
    reason: str | None = Field(description="Code of the verdict's reason; `GET /api/v1/reasons` has its label.")
    note: str | None = Field(description="What was said with the verdict.")
    response_s: ResponseOut
    incident_id: str | None = Field(description="The incident that it is part of.")
    allowed_actions: list[Action] = Field(
        description="What can be done with it now: by the caller, or, on a stream, by anybody."
    )
    media: MediaState = Field(description="Whether clips are still to come, are there, or will not come.")
    media_note: str | None
    snapshot_url: str | None
    clips: list[ClipOut]


class SiteOut(BaseModel):
    name: str
    timezone: str
    language: str


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    version: str
    alerts: dict[str, int] | None = Field(default=None, description="Number of alerts by state.")
    cameras: dict[str, int] | None = Field(
        default=None, description="How many cameras are `watched` and `connected`; left out where none is run."
    )


def alert_out(record: Record, principal: Principal | None = None) -> AlertOut:
    """`principal`: whose possible actions are listed; without one, everybody's."""
    return AlertOut(**alert_fields(record, principal))


def _actions(record: Record, principal: Principal | None) -> list[Action]:
    if principal is None:
        return list(allowed_actions(record.alert))
    may = principal.permissions
    if "alerts.handle" not in may:
        return []
    actions = allowed_actions(
        record.alert, principal.user, may_take="alerts.assign_others" in may, may_reopen="alerts.reopen" in may
    )
    return list(actions)


_HANDLING = (
    "drill", "seen_at", "seen_by", "acknowledged_at", "acknowledged_by", "assignee", "closed_at", "closed_by",
    "reopened", "reason", "note",
)  # fmt: skip


def alert_fields(record: Record, principal: Principal | None = None) -> dict[str, Any]:
    """What `AlertOut` is made of; its parts as dictionaries, which are validated in one go."""
    alert = record.alert
    response = response_of(alert, record.received_at)
    base = f"{PREFIX}/alerts/{quote(alert.alert_id, safe='')}"
    return {
        "alert_id": alert.alert_id,
        "version": alert.version,
        "camera": alert.camera or None,
        "rule": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity,
        "zone": alert.zone,
        "line": alert.line,
        "state": alert.state,
        "label": record.label,
        "event_ids": list(alert.event_ids),
        "media_time_s": {"start": round(alert.start_s, 3), "end": round(alert.end_s, 3)},
        "first_raised_s": round(alert.first_raised_s, 3),
        "started_at": alert.started_at,
        "raised_at": alert.first_raised_at,
        "ended_at": alert.ended_at,
        "received_at": record.received_at,
        "measured": record.measured,
        **{name: getattr(alert, name) for name in _HANDLING},
        "response_s": {"seen": response.seen, "acknowledged": response.acknowledged, "closed": response.closed},
        "incident_id": record.incident_id,
        "allowed_actions": _actions(record, principal),
        "media": record.media,
        "media_note": record.media_note,
        "snapshot_url": f"{base}/snapshot" if alert.snapshot else None,
        "clips": [
            {
                "part": part,
                "url": f"{base}/clip?part={part}",
                "original_url": f"{base}/clip/original?part={part}" if clip.original else None,
                "rendered": clip.original is not None,
                "from_s": clip.from_s,
                "to_s": clip.to_s,
                "shortfall_s": clip.shortfall_s,
            }
            for part, clip in enumerate(alert.clips, start=1)
        ],
    }
