"""The service itself: health, the site, and messages from outside the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request

from api.access.principal import Principal
from api.access.requiring import actor_of, principal_if_any, public, requires
from api.errors import NotFoundError, UnavailableError
from api.failures import documented
from api.schemas import HealthOut, InputIn, InputOut, SiteOut
from api.services import Services
from api.timely import check_timely

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


@router.get(
    "/health",
    operation_id="get_health",
    tags=["service"],
    responses=documented(429, 503),
    dependencies=[public()],
    response_model_exclude_none=True,
)
def get_health(request: Request) -> HealthOut:
    """Answers once the database can be read; `degraded` says that a camera is not watched. Needs no log-in; the numbers
    are for those who may see all cameras."""
    services: Services = request.app.state.services
    services.accounts.check()
    count: CameraCount | None = request.app.state.camera_count
    watched, connected = count() if count is not None else (0, 0)
    health = HealthOut(status="ok" if connected == watched else "degraded", version=request.app.version)
    principal = principal_if_any(request)
    if principal is not None and principal.cameras is None:
        if "alerts.read" in principal.permissions:
            health.alerts = {str(state): number for state, number in services.desk.counts().items()}
        if count is not None and "cameras.read" in principal.permissions:
            health.cameras = {"watched": watched, "connected": connected}
    return health


@router.get("/site", operation_id="get_site", tags=["service"], responses=documented(401, 429))
def get_site(request: Request, _: Annotated[Principal, requires("site.read")]) -> SiteOut:
    """The guarded property: its name, the time zone and the language in which it is shown."""
    site = request.app.state.site
    return SiteOut(name=site.name, timezone=str(site.timezone), language=site.language)


@router.post(
    "/inputs",
    operation_id="post_input",
    status_code=202,
    tags=["inputs"],
    responses=documented(401, 404, 413, 415, 422, 429, 503),
)
def post_input(request: Request, body: InputIn, principal: Annotated[Principal, requires("inputs.write")]) -> InputOut:
    """Tells the rules of a line something, such as that one passage is authorised. `arm` and `disarm` are overrides of
    the profile, as in `POST /arming/overrides`; their `line` may be a rule or zone, too."""
    sink: InputSink | None = request.app.state.on_input
    if sink is None:
        raise UnavailableError("No camera is running here: there is nobody to take inputs.")
    if not principal.sees(body.camera):
        raise NotFoundError(f"There is no camera {body.camera}.")
    services: Services = request.app.state.services
    now = services.ledger.now()
    at = body.at or now
    check_timely(at, now)
    if body.kind in ("arm", "disarm"):
        services.arming.override(body.camera, body.line, body.kind == "arm", actor=actor_of(request, principal))
        return InputOut(accepted=True)
    sink(InputMessage(body.camera, body.line, body.kind, at))
    return InputOut(accepted=True)
