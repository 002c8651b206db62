"""Events from outside: signed webhooks in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.access.requiring import origin_of, public
from api.external import External, Happened, Taken
from api.failures import documented
from api.schemas_external import ExternalEventIn, ExternalEventOut

router = APIRouter(tags=["inputs"])

TIMESTAMP, SIGNATURE = "X-Gatewatch-Timestamp", "X-Gatewatch-Signature"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ExternalEventIn.model_json_schema()}},
    }
}


@router.post(
    "/external/{source}",
    operation_id="post_external_event",
    status_code=202,
    dependencies=[public()],
    openapi_extra=_BODY,
    responses=documented(401, 409, 413, 415, 422, 429, 503),
)
async def post_external_event(
    request: Request,
    source: Annotated[str, Path(max_length=64, description="A source of the site file.")],
    timestamp: Annotated[
        str | None, Header(alias=TIMESTAMP, description="Seconds since 1970, at most 5 minutes off.")
    ] = None,
    signature: Annotated[
        str | None,
        Header(
            alias=SIGNATURE,
            description="`sha256=` and, in hex, HMAC-SHA256 with the source's secret over the timestamp, a dot and the "
            "body as it is sent.",
        ),
    ] = None,
) -> ExternalEventOut:
    """Takes an event of a source that the site file names, and does what that says: raises an alert, authorises a
    passage, arms, disarms, or sets a profile. An event that comes again (same `event_id`) does nothing and is answered
    as the first; with another `kind` or `text` it is another event, and the id is refused (409).

    No log-in: the signature says who it is. An unknown source, a wrong signature and an old timestamp get the same 401.
    """
    external: External = request.app.state.services.external
    body, origin = await request.body(), origin_of(request)

    def take() -> Taken:
        known = external.check(source, timestamp, signature, body, origin=origin)
        said = _read(body)
        return external.take(known, Happened(said.event_id, said.kind, said.at, said.text), origin=origin)

    taken = await run_in_threadpool(take)
    return ExternalEventOut(
        duplicate=taken.duplicate, did=taken.did, at=taken.at, at_replaced=taken.at_replaced, alert_id=taken.alert_id
    )


def _read(body: bytes) -> ExternalEventIn:
    """Only looked at once it is known who sent it."""
    try:
        return ExternalEventIn.model_validate_json(body)
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(problems) from None
