"""One alert in full, and what is said with the actions on it, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.access.principal import Principal
from api.alerts import State
from api.reasons import CODE_PATTERN, Verdict
from api.records import Change, Record
from api.schemas import AlertOut, In, MeasuredOut, Note, SaidNote, Version, alert_fields
from rules.types import Direction, Severity

ReasonCode = Annotated[
    str,
    StringConstraints(pattern=CODE_PATTERN),
    Field(description="One of `GET /api/v1/reasons` that may go with the verdict.", examples=["animal"]),
]
UserName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]


class ActionIn(In):
    version: Version = None
    note: Note | None = None


class AcknowledgeIn(ActionIn):
    pass


class SeenIn(In):
    pass


class AssignIn(ActionIn):
    assignee: UserName = Field(description="The user who takes it; see `GET .../assignees`.")


class VerdictIn(ActionIn):
    reason: ReasonCode
    note: Note | None = Field(default=None, description="Required where the reason needs one.")


class ReopenIn(In):
    version: Version = None
    note: SaidNote = Field(description="Why the verdict is taken back.")


class NoteIn(In):
    note: SaidNote


class AssigneeOut(BaseModel):
    name: str
    display_name: str


class AssigneesOut(BaseModel):
    items: list[AssigneeOut]


class ReasonLabel(BaseModel):
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    en: str
    zh_cn: str = Field(alias="zh-CN")


class ReasonOut(BaseModel):
    code: str
    verdicts: list[Verdict] = Field(description="The verdicts that may have it.")
    label: ReasonLabel
    needs_note: bool


class ReasonsOut(BaseModel):
    items: list[ReasonOut] = Field(description="In the order in which they are shown to guards.")


class EventTime(BaseModel):
    start: float
    raised: float


class EventOut(BaseModel):
    """A rule fired; a line of `events.jsonl`."""

    id: str
    camera: str | None
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
    text: str | None = Field(default=None, description="What the source of an external event said.")
    at_given: datetime | None = Field(
        default=None,
        description="What the source's clock said, where it was more than 24 h behind or 60 s ahead: then the event's "
        "times are those of its receipt.",
    )


class ChangeOut(BaseModel):
    seq: int = Field(description="Of the journal's entry; 0: from before there was a journal.")
    version: int = Field(description="Of the alert, afterwards.")
    action: str = Field(description="What was done or happened: `raised`, `joined`, `evidence`, `claim`, `merged`, ...")
    at: datetime
    actor_kind: str = Field(description="user, token, external or system.")
    actor: str | None
    reason: str | None
    note: str | None
    state: State | None = Field(description="The alert's afterwards, where the action was a guard's.")
    assignee: str | None
    event_ids: list[str] = Field(description="Of `raised` and `joined`: the events that came in.")
    incident_id: str | None = Field(description="Of `merged` and `unmerged`.")


class NoteOut(BaseModel):
    at: datetime
    actor: str | None
    action: str = Field(description="With what it was said: `note`, or another action.")
    text: str


class AlertDetailOut(AlertOut):
    events: list[EventOut]
    changes: list[ChangeOut] = Field(description="Everything that happened to it, oldest first.")
    notes: list[NoteOut] = Field(description="Everything that was said about it, oldest first.")


def alert_detail_out(record: Record, principal: Principal | None = None) -> AlertDetailOut:
    changes = record.changes or ()
    notes = [NoteOut(at=c.at, actor=c.actor, action=c.action, text=c.note) for c in changes if c.note]
    return AlertDetailOut(
        **alert_fields(record, principal),
        events=[EventOut.model_validate(body) for body in record.events or ()],
        changes=[_change_out(change) for change in changes],
        notes=notes,
    )


def _change_out(change: Change) -> ChangeOut:
    body = change.body
    return ChangeOut(
        seq=change.seq,
        version=change.version,
        action=change.action,
        at=change.at,
        actor_kind=change.actor_kind,
        actor=change.actor,
        reason=change.reason,
        note=change.note,
        state=body.get("to"),
        assignee=body.get("assignee"),
        event_ids=sorted(body.get("events_sha256", ())),
        incident_id=body.get("incident_id"),
    )
