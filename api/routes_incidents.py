"""Incidents: put alerts together, follow them, close them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.failures import documented
from api.incidents import Incident, Incidents, IncidentState
from api.records import Position
from api.routes_alerts import AlertId
from api.schemas_incidents import (
    IncidentAlertsIn,
    IncidentDetailOut,
    IncidentIn,
    IncidentListOut,
    IncidentNoteIn,
    IncidentStateIn,
    IncidentTitleIn,
    incident_detail_out,
    incident_out,
)
from api.versions import IfMatch, etag, expected_version

router = APIRouter(prefix="/incidents", tags=["incidents"])

IncidentId = Annotated[str, Path(max_length=64, description="As the list gives it.")]
Reader = Annotated[Principal, requires("alerts.read")]
Writer = Annotated[Principal, requires("incidents.write")]
_WRITE = documented(401, 404, 409, 413, 415, 422, 428, 429, 503)
_UNGUARDED = documented(401, 404, 409, 413, 415, 422, 429, 503)


def incidents_of(request: Request) -> Incidents:
    incidents: Incidents = request.app.state.services.incidents
    return incidents


@router.get("", operation_id="list_incidents", responses=documented(401, 422, 429, 503))
def list_incidents(
    request: Request,
    principal: Reader,
    state: Annotated[IncidentState | None, Query(description="Only these.")] = None,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> IncidentListOut:
    """Incidents, newest first: those with an alert of a camera that the caller sees."""
    after = None if cursor is None else Position.of_cursor(cursor)
    page = incidents_of(request).list(state=state, after=after, limit=limit, principal=principal)
    return IncidentListOut(
        items=[incident_out(incident) for incident in page.incidents],
        next_cursor=None if page.next is None else page.next.cursor(),
    )


@router.post("", operation_id="create_incident", status_code=201, responses=_UNGUARDED)
def create_incident(request: Request, response: Response, body: IncidentIn, principal: Writer) -> IncidentDetailOut:
    """Puts alerts together. An alert is in one incident at most."""
    incident = incidents_of(request).create(
        body.title, body.alert_ids, note=body.note, actor=actor_of(request, principal), principal=principal
    )
    return _told(response, incident, principal)


@router.get("/{incident_id}", operation_id="get_incident", responses=documented(401, 404, 422, 429, 503))
def get_incident(request: Request, response: Response, incident_id: IncidentId, principal: Reader) -> IncidentDetailOut:
    """One incident with its alerts and everything that was done with it. `ETag` is its version."""
    return _told(response, incidents_of(request).get(incident_id, principal), principal)


@router.patch("/{incident_id}", operation_id="rename_incident", responses=_WRITE)
def rename_incident(
    request: Request, response: Response, incident_id: IncidentId, body: IncidentTitleIn, principal: Writer,
    if_match: IfMatch = None,
) -> IncidentDetailOut:  # fmt: skip
    """Gives it another title."""
    incident = incidents_of(request).rename(
        incident_id, body.title, expected_version=expected_version(if_match, body.version),
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    return _told(response, incident, principal)


@router.post("/{incident_id}/alerts", operation_id="add_incident_alerts", responses=_WRITE)
def add_incident_alerts(
    request: Request, response: Response, incident_id: IncidentId, body: IncidentAlertsIn, principal: Writer,
    if_match: IfMatch = None,
) -> IncidentDetailOut:  # fmt: skip
    """Adds alerts to an open incident; those that it has already stay."""
    incident = incidents_of(request).add(
        incident_id, body.alert_ids, expected_version=expected_version(if_match, body.version),
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    return _told(response, incident, principal)


@router.delete("/{incident_id}/alerts/{alert_id}", operation_id="remove_incident_alert", responses=_WRITE)
def remove_incident_alert(
    request: Request, response: Response, incident_id: IncidentId, alert_id: AlertId, principal: Writer,
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None, if_match: IfMatch = None,
) -> IncidentDetailOut:  # fmt: skip
    """Takes an alert out of an open incident, which keeps at least one; the alert itself stays as it is."""
    incident = incidents_of(request).remove(
        incident_id, alert_id, expected_version=expected_version(if_match, version),
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    return _told(response, incident, principal)


@router.post("/{incident_id}/notes", operation_id="add_incident_note", responses=_UNGUARDED)
def add_incident_note(
    request: Request, response: Response, incident_id: IncidentId, body: IncidentNoteIn, principal: Writer
) -> IncidentDetailOut:
    """Adds a note. Notes are never changed or taken away."""
    incident = incidents_of(request).note(
        incident_id, body.note, actor=actor_of(request, principal), principal=principal
    )
    return _told(response, incident, principal)


@router.post("/{incident_id}/close", operation_id="close_incident", responses=_WRITE)
def close_incident(
    request: Request, response: Response, incident_id: IncidentId, body: IncidentStateIn, principal: Writer,
    if_match: IfMatch = None,
) -> IncidentDetailOut:  # fmt: skip
    """Closes it; its alerts stay as they are."""
    incident = incidents_of(request).close(
        incident_id, note=body.note, expected_version=expected_version(if_match, body.version),
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    return _told(response, incident, principal)


@router.post("/{incident_id}/reopen", operation_id="reopen_incident", responses=_WRITE)
def reopen_incident(
    request: Request, response: Response, incident_id: IncidentId, body: IncidentStateIn, principal: Writer,
    if_match: IfMatch = None,
) -> IncidentDetailOut:  # fmt: skip
    """Opens a closed incident again."""
    incident = incidents_of(request).reopen(
        incident_id, note=body.note, expected_version=expected_version(if_match, body.version),
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    return _told(response, incident, principal)


def _told(response: Response, incident: Incident, principal: Principal) -> IncidentDetailOut:
    response.headers["etag"] = etag(incident.version)
    return incident_detail_out(incident, principal)
