"""Puts the HTTP API and the review page together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Protocol

from fastapi import APIRouter, Depends, FastAPI

from api import (
    contract,
    failures,
    idempotency,
    routes_alerts,
    routes_arming,
    routes_external,
    routes_incidents,
    routes_journal,
    routes_lists,
    routes_media,
    routes_oidc,
    routes_page,
    routes_reasons,
    routes_response_times,
    routes_service,
    routes_session,
    routes_stream,
    routes_stream_ws,
    routes_tokens,
    routes_users,
    routes_webhooks,
)
from api.access.authenticate import SignedIn
from api.access.doubts import Doubts
from api.access.limits import Limiter, Limits
from api.access.oidc import OidcLogin
from api.access.oidc_settings import OidcSettings
from api.access.principal import Authenticator
from api.access.requiring import public
from api.contract import Api
from api.guard import LOCAL_HOSTS, Guard
from api.routes_service import CameraCount, InputSink
from api.schemas import PREFIX
from api.services import Services
from api.strictness import AnswerHeaders, HeadAsGet, only_what_is_known


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
    limits: Limits | None = None,
) -> FastAPI:
    """The application over these services, which it neither opens nor closes.

    `version` is the product's, as health and the OpenAPI document tell it. `on_input` takes what arrives at `POST
    /api/v1/inputs`; without one that answers 503. `camera_count` tells health how many cameras are watched and
    connected. `authenticator`: by default the users, sessions and tokens of `services`. `oidc`: a provider at which
    people can log in, too. `allowed_hosts`: the names (without port) by which clients may call it. `limits`: how
    often one caller may ask.
    """
    app = Api(
        title="Gatewatch",
        version=version,
        openapi_url=None,  # A guarded route tells it.
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
    app.state.doubts = Doubts(services.ledger)
    app.state.camera_count = camera_count
    app.state.limiter = Limiter(limits or Limits())
    app.state.oidc = None if oidc is None else OidcLogin(oidc, services.ledger.keys, now=services.ledger.now)
    api = APIRouter(prefix=PREFIX)
    for module in (
        routes_lists, routes_response_times, routes_alerts, routes_incidents, routes_reasons, routes_media,
        routes_journal,
        contract, routes_oidc, routes_session, routes_users, routes_tokens, routes_service,
        routes_stream, routes_stream_ws, routes_arming, routes_external, routes_webhooks,
    ):  # fmt: skip
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(routes_page.router, dependencies=[public()])
    idempotency.install(app, services.idempotency)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, hosts=allowed_hosts)
    app.add_middleware(AnswerHeaders)
    failures.install(app)
    return app
