"""What the live stream says of an entry."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from api.journal import Entry
from api.records import Record
from api.schemas import AlertOut, alert_out


class ActorOut(BaseModel):
    kind: str = Field(description="user, token, external or system.")
    name: str


class StreamEntryOut(BaseModel):
    """One thing that happened."""

    seq: int = Field(description="Its number in the journal; also the event's id.")
    at: datetime
    actor: ActorOut
    subject: str = Field(description="alert, incident, arming or external.")
    subject_id: str
    action: str
    version: int | None = Field(description="The subject's version afterwards, where it has one.")
    camera: str | None
    reason: str | None
    note: str | None
    details: dict[str, Any] | None = Field(description="Of arming and external events: what was set or taken.")
    alert: AlertOut | None = Field(
        description="Where it is about an alert: the alert as it was when this was sent, which may be newer than "
        "`version`; null where it is gone."
    )


def rendered_data(entry: Entry, record: Record | None) -> str:
    """The entry as JSON on one line; `record`: the alert that it is about."""
    return StreamEntryOut(
        seq=entry.seq,
        at=entry.at,
        actor=ActorOut(kind=entry.actor.kind, name=entry.actor.name),
        subject=entry.subject,
        subject_id=entry.subject_id,
        action=entry.action,
        version=entry.version,
        camera=entry.camera,
        reason=entry.reason,
        note=entry.note,
        details=dict(entry.body) if entry.subject in ("arming", "external") else None,
        alert=None if record is None else alert_out(record),
    ).model_dump_json()
