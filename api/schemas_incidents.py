"""Incidents, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from api.access.principal import Principal
from api.incidents import MAX_ALERTS, Incident, IncidentState
from api.schemas import AlertOut, In, Note, SaidNote, Version, alert_out
from api.schemas_alerts import NoteOut

Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*[^\s\x00-\x1f][^\x00-\x1f]*$")
]
_AlertIds = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00]*$")]],
    Field(min_length=1, max_length=MAX_ALERTS, description="Alerts that the caller sees, in no other incident."),
]


class IncidentIn(In):
    title: Title = Field(examples=["Intruder at the north fence"])
    alert_ids: _AlertIds
    note: Note | None = None


class IncidentAlertsIn(In):
    alert_ids: _AlertIds
    version: Version = None


class IncidentTitleIn(In):
    title: Title
    version: Version = None


class IncidentStateIn(In):
    version: Version = None
    note: Note | None = None


class IncidentNoteIn(In):
    note: SaidNote


class IncidentOut(BaseModel):
    """An incident as the caller may see it: alerts of other cameras are left out.

    Only who sees all of its alerts (`hidden_alerts` is 0) may change it.
    """

    incident_id: str
    version: int
    title: str
    state: IncidentState
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    closed_by: str | None
    alert_count: int
    cameras: list[str] = Field(description="The cameras of its alerts.")
    hidden_alerts: int = Field(description="How many more alerts it holds, of cameras that the caller does not see.")


class IncidentChangeOut(BaseModel):
    seq: int = Field(description="Of the journal's entry.")
    version: int = Field(description="Of the incident, afterwards.")
    action: str = Field(description="opened, changed, closed or note.")
    at: datetime
    actor_kind: str = Field(description="user, token, external or system.")
    actor: str | None
    note: str | None
    title: str | None = Field(description="The new title, where it was set.")
    state: IncidentState | None = Field(description="The new state, where it was set.")
    added: list[str] = Field(description="Alerts that were put in.")
    removed: list[str] = Field(description="Alerts that were taken out.")


class IncidentDetailOut(IncidentOut):
    alerts: list[AlertOut] = Field(description="Oldest first.")
    changes: list[IncidentChangeOut] = Field(description="Everything that was done with it, oldest first.")
    notes: list[NoteOut] = Field(description="Everything that was said about it, oldest first.")
    hidden_notes: int = Field(
        description="How many more there are: what was said while it held alerts that the caller does not see."
    )


class IncidentListOut(BaseModel):
    items: list[IncidentOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null at the end.")


def incident_out(incident: Incident) -> IncidentOut:
    return IncidentOut(**_fields(incident))


def incident_detail_out(incident: Incident, principal: Principal | None) -> IncidentDetailOut:
    changes = incident.changes or ()
    return IncidentDetailOut(
        **_fields(incident),
        hidden_notes=incident.hidden_notes,
        alerts=[alert_out(record, principal) for record in incident.alerts or ()],
        changes=[
            IncidentChangeOut(
                seq=c.seq,
                version=c.version,
                action=c.action,
                at=c.at,
                actor_kind=c.actor_kind,
                actor=c.actor,
                note=c.note,
                title=c.body.get("title"),
                state="open" if c.action == "opened" else c.body.get("state"),
                added=c.body.get("added") or c.body.get("alert_ids") or [],
                removed=c.body.get("removed", []),
            )
            for c in changes
        ],
        notes=[NoteOut(at=c.at, actor=c.actor, action=c.action, text=c.note) for c in changes if c.note],
    )


def _fields(incident: Incident) -> dict[str, Any]:
    names = IncidentOut.model_fields
    return {name: getattr(incident, name) for name in names} | {"cameras": list(incident.cameras)}
