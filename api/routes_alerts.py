"""One alert: look at it, handle it. (Lists are in `api.routes_lists`.)"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.desk import Desk
from api.failures import documented
from api.lifecycle import Action
from api.schemas_alerts import (
    AcknowledgeIn,
    ActionIn,
    AlertDetailOut,
    AssigneeOut,
    AssigneesOut,
    AssignIn,
    NoteIn,
    ReopenIn,
    SeenIn,
    VerdictIn,
    alert_detail_out,
)
from api.versions import IfMatch, etag, expected_version

router = APIRouter(prefix="/alerts", tags=["alerts"])

AlertId = Annotated[str, Path(max_length=400, description="As the list gives it; percent-encoded in the address.")]
Reader = Annotated[Principal, requires("alerts.read")]
Handler = Annotated[Principal, requires("alerts.handle")]
_READ = documented(401, 404, 422, 429, 503)
_WRITE = documented(401, 404, 409, 413, 415, 422, 428, 429, 503)
_UNGUARDED = documented(401, 404, 409, 413, 415, 422, 429, 503)
"""Of writes that cannot undo anybody's: they need no version."""


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


@router.get("/{alert_id}", operation_id="get_alert", responses=_READ)
def get_alert(request: Request, response: Response, alert_id: AlertId, principal: Reader) -> AlertDetailOut:
    """One alert with its events and everything that happened to it. `ETag` is its version."""
    record = desk_of(request).get(alert_id, principal)
    response.headers["etag"] = etag(record.alert.version)
    return alert_detail_out(record, principal)


@router.get("/{alert_id}/assignees", operation_id="list_assignees", responses=_READ)
def list_assignees(request: Request, alert_id: AlertId, principal: Handler) -> AssigneesOut:
    """Who could take the alert: users who may handle alerts and see its camera."""
    found = desk_of(request).assignees(alert_id, principal)
    return AssigneesOut(items=[AssigneeOut(name=name, display_name=shown) for name, shown in found])


@router.post("/{alert_id}/seen", operation_id="mark_seen", responses=_UNGUARDED)
def mark_seen(
    request: Request,
    response: Response,
    alert_id: AlertId,
    body: SeenIn,  # noqa: ARG001 - it is empty, but must be JSON
    principal: Handler,
) -> AlertDetailOut:
    """A guard opened it. The first time is recorded; nothing else changes, its version included."""
    return _done(request, response, principal, alert_id, "seen")


@router.post("/{alert_id}/acknowledge", operation_id="acknowledge_alert", responses=_UNGUARDED)
def acknowledge_alert(
    request: Request, response: Response, alert_id: AlertId, body: AcknowledgeIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """Somebody looks after it. Only a new alert can be acknowledged."""
    version = expected_version(if_match, body.version, required=False)
    return _done(request, response, principal, alert_id, "acknowledge", note=body.note, expected=version)


@router.post("/{alert_id}/claim", operation_id="claim_alert", responses=_WRITE)
def claim_alert(
    request: Request, response: Response, alert_id: AlertId, body: ActionIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """The caller takes it in hand. A new alert is acknowledged in the same step."""
    version = expected_version(if_match, body.version)
    return _done(request, response, principal, alert_id, "claim", note=body.note, expected=version)


@router.post("/{alert_id}/assign", operation_id="assign_alert", responses=_WRITE)
def assign_alert(
    request: Request, response: Response, alert_id: AlertId, body: AssignIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """Hands it over to another user who may handle it. Whoever has it in hand may do so; others need
    `alerts.assign_others`."""
    version = expected_version(if_match, body.version)
    return _done(
        request, response, principal, alert_id, "assign", note=body.note, assignee=body.assignee, expected=version
    )


@router.post("/{alert_id}/release", operation_id="release_alert", responses=_WRITE)
def release_alert(
    request: Request, response: Response, alert_id: AlertId, body: ActionIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """Nobody has it in hand any more; it stays acknowledged. Another's needs `alerts.assign_others`."""
    version = expected_version(if_match, body.version)
    return _done(request, response, principal, alert_id, "release", note=body.note, expected=version)


@router.post("/{alert_id}/resolve", operation_id="resolve_alert", responses=_WRITE)
def resolve_alert(
    request: Request, response: Response, alert_id: AlertId, body: VerdictIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """It is dealt with. A new alert is acknowledged in the same step."""
    return _verdict(request, response, principal, alert_id, "resolve", body, if_match)


@router.post("/{alert_id}/false-alarm", operation_id="mark_false_alarm", responses=_WRITE)
def mark_false_alarm(
    request: Request, response: Response, alert_id: AlertId, body: VerdictIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """It should not have been raised. A new alert is acknowledged in the same step."""
    return _verdict(request, response, principal, alert_id, "false_alarm", body, if_match)


@router.post("/{alert_id}/drill", operation_id="mark_drill", responses=_WRITE)
def mark_drill(
    request: Request, response: Response, alert_id: AlertId, body: VerdictIn, principal: Handler,
    if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """It was an exercise. A new alert is acknowledged in the same step."""
    return _verdict(request, response, principal, alert_id, "drill", body, if_match)


@router.post("/{alert_id}/reopen", operation_id="reopen_alert", responses=_WRITE)
def reopen_alert(
    request: Request, response: Response, alert_id: AlertId, body: ReopenIn,
    principal: Annotated[Principal, requires("alerts.reopen")], if_match: IfMatch = None,
) -> AlertDetailOut:  # fmt: skip
    """Takes the verdict back; the note says why. It goes back to whoever had it in hand."""
    version = expected_version(if_match, body.version)
    return _done(request, response, principal, alert_id, "reopen", note=body.note, expected=version)


@router.post("/{alert_id}/notes", operation_id="add_alert_note", responses=_UNGUARDED)
def add_alert_note(
    request: Request, response: Response, alert_id: AlertId, body: NoteIn, principal: Handler
) -> AlertDetailOut:
    """Adds a note, whatever the state. Notes are never changed or taken away."""
    return _done(request, response, principal, alert_id, "note", note=body.note)


def _verdict(
    request: Request, response: Response, principal: Principal, alert_id: str, action: Action, body: VerdictIn,
    if_match: str | None,
) -> AlertDetailOut:  # fmt: skip
    version = expected_version(if_match, body.version)
    return _done(request, response, principal, alert_id, action, reason=body.reason, note=body.note, expected=version)


def _done(
    request: Request, response: Response, principal: Principal, alert_id: str, action: Action, *,
    reason: str | None = None, note: str | None = None, assignee: str | None = None, expected: int | None = None,
) -> AlertDetailOut:  # fmt: skip
    record = desk_of(request).act(
        alert_id, action, reason=reason, note=note, assignee=assignee, expected_version=expected,
        actor=actor_of(request, principal), principal=principal,
    )  # fmt: skip
    response.headers["etag"] = etag(record.alert.version)
    return alert_detail_out(record, principal)
