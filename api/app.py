"""Puts the HTTP API and the review page together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse

from api import (
    failures,
    routes_alerts,
    routes_incidents,
    routes_journal,
    routes_media,
    routes_oidc,
    routes_page,
    routes_reasons,
    routes_service,
    routes_stream,
    routes_stream_ws,
)
from api.access.authenticate import SignedIn
from api.access.oidc import OidcLogin
from api.access.oidc_settings import OidcSettings
from api.access.principal import Authenticator, Principal
from api.access.requiring import public, requires
from api.guard import LOCAL_HOSTS, Guard
from api.routes_service import CameraCount, InputSink
from api.schemas import PREFIX
from api.services import Services
from api.strictness import HeadAsGet, StrictTransport, only_what_is_known

DESCRIPTION = """\
Alerts of a guarded site: list them, look at their pictures and clips, handle them.

Every answer that is not a success has the shape `{"error": {"code", "message", "details"}}`. Moments are ISO 8601 in
UTC; `media_time_s` are seconds from the start of the camera's run. Requests that change something are JSON.
"""


class SiteFacts(Protocol):
    """What the API tells about the site; `gatewatch.site.Site` is one."""

    @property
    def name(self) -> str: ...
    @property
    def timezone(self) -> tzinfo: ...
    @property
    def language(self) -> str: ...


def create_app(
    services: Services,
    *,
    site: SiteFacts,
    version: str,
    on_input: InputSink | None = None,
    camera_count: CameraCount | None = None,
    authenticator: Authenticator | None = None,
    oidc: OidcSettings | None = None,
    allowed_hosts: Sequence[str] = LOCAL_HOSTS,
) -> FastAPI:
    """The application over these services, which it neither opens nor closes.

    `version` is the product's, as health and the OpenAPI document tell it. `on_input` takes what arrives at
    `POST /api/v1/inputs`; without one that answers 503. `camera_count` tells health how many cameras are watched and
    connected. `authenticator`: by default the users, sessions and tokens of `services`. `oidc`: a
    provider at which people can log in, too. `allowed_hosts`: the
    names (without port) by which clients may call it.
    """
    app = FastAPI(
        title="Gatewatch",
        version=version,
        description=DESCRIPTION,
        openapi_url=None,  # A guarded route below tells it.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(only_what_is_known)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    app.state.desk = services.desk
    app.state.site = site
    app.state.on_input = on_input
    app.state.authenticator = authenticator or SignedIn(services.accounts)
    app.state.camera_count = camera_count
    app.state.oidc = None if oidc is None else OidcLogin(oidc, services.ledger.keys, now=services.ledger.now)
    api = APIRouter(prefix=PREFIX)
    for module in (
        routes_alerts, routes_incidents, routes_reasons, routes_media, routes_journal,
        routes_oidc, routes_service, routes_stream, routes_stream_ws,
    ):  # fmt: skip
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(routes_page.router, dependencies=[public()])
    _tell_document(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, hosts=allowed_hosts)
    app.add_middleware(StrictTransport)
    failures.install(app)
    return app


def _tell_document(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/openapi.json", include_in_schema=False)
    def get_document(_: Annotated[Principal, requires(None)]) -> JSONResponse:
        return JSONResponse(app.openapi())
