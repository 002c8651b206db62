"""Alerts: list them, look at one, handle one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from api.alerts import State
from api.desk import Desk
from api.failures import documented
from api.records import Filters, Position
from api.schemas import (
    AcknowledgeIn,
    AlertDetailOut,
    AlertListOut,
    FalseAlarmIn,
    Moment,
    Name,
    ResolveIn,
    alert_detail_out,
    alert_out,
)
from rules.types import Severity

router = APIRouter(prefix="/alerts", tags=["alerts"])

AlertId = Annotated[str, Path(max_length=400, description="As the list gives it; percent-encoded in the address.")]
_WRITE_ERRORS = documented(404, 409, 413, 415, 422, 503)


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


@router.get("", operation_id="list_alerts", responses=documented(422, 503))
def list_alerts(
    request: Request,
    state: Annotated[list[State] | None, Query(description="Any of these.")] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    camera: Annotated[list[Name] | None, Query()] = None,
    rule: Annotated[list[Name] | None, Query()] = None,
    kind: Annotated[list[Name] | None, Query()] = None,
    since: Annotated[Moment | None, Query(description="Going on at or after; needs a time zone.")] = None,
    until: Annotated[Moment | None, Query(description="Begun before; needs a time zone.")] = None,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AlertListOut:
    """Alerts, newest first. Filters narrow; several values of one filter widen it."""
    filters = Filters(state, severity, camera, rule, kind, since, until)
    after = None if cursor is None else Position.of_cursor(cursor)
    page = desk_of(request).list(filters, after=after, limit=limit)
    return AlertListOut(
        items=[alert_out(record) for record in page.records],
        next_cursor=None if page.next is None else page.next.cursor(),
    )


@router.get("/{alert_id}", operation_id="get_alert", responses=documented(404, 422, 503))
def get_alert(request: Request, alert_id: AlertId) -> AlertDetailOut:
    """One alert with its events and what was done with it."""
    return alert_detail_out(desk_of(request).get(alert_id))


@router.post("/{alert_id}/acknowledge", operation_id="acknowledge_alert", responses=_WRITE_ERRORS)
def acknowledge_alert(request: Request, alert_id: AlertId, body: AcknowledgeIn) -> AlertDetailOut:
    """Somebody looks after it. Only a new alert can be acknowledged."""
    record = desk_of(request).act(alert_id, "acknowledge", note=body.note, expected_version=body.version)
    return alert_detail_out(record)


@router.post("/{alert_id}/resolve", operation_id="resolve_alert", responses=_WRITE_ERRORS)
def resolve_alert(request: Request, alert_id: AlertId, body: ResolveIn) -> AlertDetailOut:
    """It was real and is dealt with. A new alert is acknowledged in the same step."""
    record = desk_of(request).act(alert_id, "resolve", note=body.note, expected_version=body.version)
    return alert_detail_out(record)


@router.post("/{alert_id}/false-alarm", operation_id="mark_false_alarm", responses=_WRITE_ERRORS)
def mark_false_alarm(request: Request, alert_id: AlertId, body: FalseAlarmIn) -> AlertDetailOut:
    """It was no threat; the reason is mandatory. A new alert is acknowledged in the same step."""
    record = desk_of(request).act(
        alert_id, "false_alarm", reason=body.reason, note=body.note, expected_version=body.version
    )
    return alert_detail_out(record)
