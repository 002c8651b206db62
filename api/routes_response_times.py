"""How fast guards were."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from api.access.principal import Principal
from api.access.requiring import requires
from api.errors import InvalidError
from api.failures import documented
from api.response_times import Grouping
from api.routes_alerts import desk_of
from api.schemas import Moment

router = APIRouter(prefix="/alerts", tags=["alerts"])

DEFAULT_PERIOD = timedelta(days=1)


class PercentilesOut(BaseModel):
    """Seconds from when the alerts were raised, by nearest rank; null where no alert got there."""

    count: int = Field(description="How many alerts got there.")
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    max_s: float | None


class ResponseSummaryOut(BaseModel):
    camera: str | None = Field(description="null where alerts are not grouped by it, or concern none.")
    rule: str | None
    alerts: int
    seen: PercentilesOut
    acknowledged: PercentilesOut = Field(description="Of the first acknowledgement.")
    closed: PercentilesOut = Field(description="Of the verdict that holds.")


class ResponseTimesOut(BaseModel):
    since: datetime
    until: datetime
    items: list[ResponseSummaryOut]


@router.get("/response-times", operation_id="get_response_times", responses=documented(401, 422, 429, 503))
def get_response_times(
    request: Request,
    _: Annotated[Principal, requires("metrics.read")],
    since: Annotated[Moment | None, Query(description="Raised at or after; left out: a day before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Raised before; left out: now.")] = None,
    by: Annotated[
        Grouping, Query(description="One summary for each rule of each camera, each camera, or all.")
    ] = "rule",
    drill: Annotated[bool, Query(description="Alerts that were raised while the site was practising.")] = False,
) -> ResponseTimesOut:
    """How long it took from raised to seen, to acknowledged and to closed: percentiles over the alerts of a period."""
    end = until or request.app.state.services.ledger.now()
    try:
        begin = since or end - DEFAULT_PERIOD
    except OverflowError:
        begin = datetime.min.replace(tzinfo=UTC)
    if begin >= end:
        raise InvalidError(
            f"since: expected a moment before until, found {begin.isoformat()}.",
            {"since": begin.isoformat(), "until": end.isoformat()},
        )
    summaries = desk_of(request).response_times(begin, end, grouping=by, drill=drill)
    items = [ResponseSummaryOut.model_validate(asdict(summary)) for summary in summaries]
    return ResponseTimesOut(since=begin, until=end, items=items)
