"""The service itself: health, the site, and messages from outside the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request

from api.errors import UnavailableError
from api.failures import documented
from api.routes_alerts import desk_of
from api.schemas import HealthOut, InputIn, InputOut, SiteOut

router = APIRouter()


@dataclass(frozen=True, slots=True)
class InputMessage:
    """An input as it came in; the front turns `at` into the camera's media time."""

    camera: str
    line: str
    kind: str
    at: datetime


InputSink = Callable[[InputMessage], None]
"""Hands an input to the camera's rules at once, without waiting.

Raises NotFoundError for an unknown camera or line, UnavailableError where nothing runs or the queue is full."""

CameraCount = Callable[[], tuple[int, int]]
"""(cameras watched, cameras of them that are connected)."""


@router.get("/health", operation_id="get_health", tags=["service"], responses=documented(503))
def get_health(request: Request) -> HealthOut:
    """Answers once the database can be read; `degraded` says that a camera is not watched."""
    counts = {str(state): number for state, number in desk_of(request).counts().items()}
    count: CameraCount | None = request.app.state.camera_count
    if count is None:
        return HealthOut(status="ok", version=request.app.version, alerts=counts)
    watched, connected = count()
    return HealthOut(
        status="ok" if connected == watched else "degraded",
        version=request.app.version,
        alerts=counts,
        cameras={"watched": watched, "connected": connected},
    )


@router.get("/site", operation_id="get_site", tags=["service"], responses=documented())
def get_site(request: Request) -> SiteOut:
    """The guarded property: its name, the time zone and the language in which it is shown."""
    site = request.app.state.site
    return SiteOut(name=site.name, timezone=str(site.timezone), language=site.language)


@router.post(
    "/inputs",
    operation_id="post_input",
    status_code=202,
    tags=["inputs"],
    responses=documented(404, 413, 415, 422, 503),
)
def post_input(request: Request, body: InputIn) -> InputOut:
    """Tells the rules of a line something, such as that one passage is authorised."""
    sink: InputSink | None = request.app.state.on_input
    if sink is None:
        raise UnavailableError("No camera is running here: there is nobody to take inputs.")
    sink(InputMessage(body.camera, body.line, body.kind, body.at or datetime.now(UTC)))
    return InputOut(accepted=True)
