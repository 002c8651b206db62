"""Lists of alerts, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import StringConstraints

from api.access.principal import Principal
from api.access.requiring import requires
from api.alerts import State
from api.failures import documented
from api.listing import Listing
from api.records import Filters, Sort
from api.schemas import Moment, Name, alert_fields
from api.schemas_lists import AlertCountsOut, AlertListOut
from rules.types import Severity

router = APIRouter(prefix="/alerts", tags=["alerts"])

Reader = Annotated[Principal, requires("alerts.read")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True, pattern=r"^[^\x00-\x1f]+$")]
Names = Annotated[list[Name] | None, Query(max_length=200)]
ME = "me"


@dataclass(frozen=True)
class ListQuery:
    """Filters that lists and counts share; several values of one filter widen it, further filters narrow it."""

    state: Annotated[list[State] | None, Query(description="Any of these, as for every filter that is a list.")] = None
    severity: Annotated[list[Severity] | None, Query()] = None
    camera: Names = None
    rule: Names = None
    kind: Names = None
    zone: Names = None
    line: Names = None
    label: Names = None
    drill: Annotated[bool | None, Query(description="Raised while the site was practising, or not.")] = None
    assignee: Annotated[list[Name] | None, Query(max_length=200, description="Users; `me` is the caller.")] = None
    incident: Names = None
    reason: Annotated[list[Name] | None, Query(max_length=200, description="Codes of verdicts' reasons.")] = None
    since: Annotated[Moment | None, Query(description="Going on at or after; needs a time zone.")] = None
    until: Annotated[Moment | None, Query(description="Begun before; needs a time zone.")] = None
    text: Annotated[
        Text | None,
        Query(
            description="Part of the camera, rule, kind, zone, line, label, reason (also its label in each language), "
            "of a note or of what the source of an external event said. Case and width do not matter; two characters "
            "are enough, in every script."
        ),
    ] = None

    def filters_for(self, principal: Principal) -> Filters:
        assignees = self.assignee
        if assignees is not None:
            assignees = [principal.user if name == ME else name for name in assignees]
        return Filters(
            states=self.state, severities=self.severity, cameras=self.camera, rules=self.rule, kinds=self.kind,
            zones=self.zone, lines=self.line, labels=self.label, drill=self.drill, assignees=assignees,
            incidents=self.incident, reasons=self.reason, since=self.since, until=self.until, text=self.text,
        )  # fmt: skip


def listing_of(request: Request) -> Listing:
    listing: Listing = request.app.state.services.listing
    return listing


@router.get("", operation_id="list_alerts", responses=documented(401, 422, 429, 503))
def list_alerts(
    request: Request,
    principal: Reader,
    query: Annotated[ListQuery, Depends()],
    sort: Annotated[
        Sort,
        Query(
            description="`newest` and `oldest` by when they were raised; `severity`: critical first, then newest; "
            "`waiting`: open alerts alone, the one that waits longest first."
        ),
    ] = "newest",
    cursor: Annotated[
        str | None, Query(max_length=400, description="`next_cursor` of the page before, of the same filters and sort.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    total: Annotated[
        Literal["true", "false"], Query(description="`true`: also say how many there are; costs a little.")
    ] = "false",
) -> AlertListOut:
    """Alerts in pages. A page begins where the one before ended, whatever has arrived since."""
    page = listing_of(request).page(
        query.filters_for(principal), sort, cameras=principal.cameras, cursor=cursor, limit=limit,
        with_total=total == "true",
    )  # fmt: skip
    return AlertListOut.model_validate(
        {
            "items": [alert_fields(record, principal) for record in page.records],
            "next_cursor": page.next_cursor,
            "total": None if page.total is None else page.total.number,
            "total_is_exact": None if page.total is None else page.total.is_exact,
        }
    )


@router.get("/counts", operation_id="count_alerts", responses=documented(401, 422, 429, 503))
def count_alerts(request: Request, principal: Reader, query: Annotated[ListQuery, Depends()]) -> AlertCountsOut:
    """How many alerts there are by state, severity and camera, for the filters of the list.

    By state, severity, camera, rule, kind, zone, line and label all are counted, however many there are. With any other
    filter the newest 10,000 that match are; `total_is_exact` is false where there are more.
    """
    counts = listing_of(request).counts(query.filters_for(principal), cameras=principal.cameras)
    return AlertCountsOut(
        total=counts.total, total_is_exact=counts.is_exact, by_state=dict(counts.by_state),
        by_severity=dict(counts.by_severity), by_camera=dict(counts.by_camera),
    )  # fmt: skip
