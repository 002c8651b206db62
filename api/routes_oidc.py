"""Log-in at an OpenID provider, and which ways to log in there are."""

from __future__ import annotations

import logging
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from api.access.cookies import set_session_cookie
from api.access.oidc import FLOW_S, LOCAL_PATH, OidcLogin, admit, note_refusal
from api.access.oidc_settings import CALLBACK
from api.access.requiring import origin_of, public
from api.errors import DeskError, NotFoundError, UnavailableError
from api.failures import SECURITY_HEADERS, answer_of, documented
from api.schemas import PREFIX
from api.services import Services
from api.strictness import OTHER_PARAMETERS

router = APIRouter(tags=["session"], dependencies=[public()])

FLOW_COOKIE = "gatewatch_oidc"
_FLOW_PATH = f"{PREFIX}/oidc"
_WORDS = {
    "en": ("Log-in failed", "Back to the log-in page"),
    "zh-CN": ("登录失败", "返回登录页面"),
}
_REDIRECT: dict[int | str, dict[str, Any]] = {
    303: {
        "description": "To the provider, or from it back into Gatewatch.",
        "headers": {"Location": {"required": True, "schema": {"type": "string"}, "description": "Where to go on."}},
    }
}
_log = logging.getLogger(__name__)
_SHORT = Query(max_length=2048, description="Given by the provider.")


class OidcOptionOut(BaseModel):
    label: str = Field(description="What the provider is called on the button.", examples=["Lakeside accounts"])
    url: str = Field(description="Where to send the browser.", examples=[f"{_FLOW_PATH}/login"])


class SessionOptionsOut(BaseModel):
    """How people can log in here."""

    password: bool = Field(description="Local users can log in with name and password.")
    oidc: OidcOptionOut | None = Field(description="Log-in at an OpenID provider; null where none is set up.")


@router.get("/session/options", operation_id="get_session_options", responses=documented(429))
def get_session_options(request: Request) -> SessionOptionsOut:
    """Which ways to log in there are; for the log-in page, needs no log-in."""
    oidc: OidcLogin | None = request.app.state.oidc
    option = None if oidc is None else OidcOptionOut(label=oidc.settings.label, url=f"{_FLOW_PATH}/login")
    return SessionOptionsOut(password=True, oidc=option)


@router.get(
    "/oidc/login",
    operation_id="begin_oidc_login",
    status_code=303,
    response_class=Response,
    responses=_REDIRECT | documented(404, 422, 429, 503),
)
def begin_oidc_login(
    request: Request,
    return_to: Annotated[
        str, Query(max_length=400, pattern=LOCAL_PATH, description="A path of this server to go to afterwards.")
    ] = "/",
) -> Response:
    """Sends a browser to the OpenID provider. Needs no log-in. A browser gets a page where that fails."""
    try:
        url, cookie = _login_of(request).begin(f"{request.url.scheme}://{request.headers['host']}{CALLBACK}", return_to)
    except DeskError as error:
        return _failed(request, error)
    answer = RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})
    _set_flow_cookie(request, answer, cookie, FLOW_S)
    return answer


@router.get(
    "/oidc/callback",
    operation_id="finish_oidc_login",
    openapi_extra={OTHER_PARAMETERS: "ignored"},  # Providers add some of their own.
    status_code=303,
    response_class=Response,
    responses=_REDIRECT | documented(401, 403, 404, 422, 429, 503),
)
def finish_oidc_login(
    request: Request,
    state: Annotated[str | None, _SHORT] = None,
    code: Annotated[str | None, _SHORT] = None,
    iss: Annotated[str | None, _SHORT] = None,
    error: Annotated[str | None, _SHORT] = None,
) -> Response:
    """Where the OpenID provider sends the browser back: opens a session and goes on to where it was headed. Needs no
    log-in. A browser gets a page where that fails."""
    given = {"state": state, "code": code, "iss": iss, "error": error}
    services: Services = request.app.state.services
    try:
        login = _login_of(request)
        identity, return_to = login.finish(
            request.cookies.get(FLOW_COOKIE), {name: value for name, value in given.items() if value is not None}
        )
        session = admit(services.accounts, identity, origin_of(request))
    except DeskError as failure:
        note_refusal(services.accounts, failure, origin_of(request))
        answer = _failed(request, failure)
    else:
        answer = RedirectResponse(return_to, status_code=303, headers={"cache-control": "no-store"})
        set_session_cookie(request, answer, session)
    _set_flow_cookie(request, answer, "", 0)
    return answer


@router.get(
    "/oidc/logout",
    operation_id="end_oidc_session",
    status_code=303,
    response_class=Response,
    responses=_REDIRECT | documented(404, 422, 429),
)
def end_oidc_session(request: Request) -> Response:
    """Sends a browser that has logged out here to the OpenID provider, to log out there, too; back to the log-in page
    where the provider offers that not, or cannot be reached. Needs no log-in, and ends no session here.
    """
    login = _login_of(request)
    try:
        url = login.end(f"{request.url.scheme}://{request.headers['host']}/")
    except UnavailableError as error:
        _log.warning("nobody was logged out at the OpenID provider: %s", error)
        url = None
    return RedirectResponse(url or "/", status_code=303, headers={"cache-control": "no-store"})


def _login_of(request: Request) -> OidcLogin:
    """Raises NotFoundError where no provider is set up."""
    oidc: OidcLogin | None = request.app.state.oidc
    if oidc is None:
        raise NotFoundError("No OpenID provider is set up here: log in with a local password.")
    return oidc


def _set_flow_cookie(request: Request, answer: Response, value: str, max_age_s: int) -> None:
    # Lax, unlike the session's: the provider's page sends the browser back here.
    answer.set_cookie(
        FLOW_COOKIE, value, max_age=max_age_s, path=_FLOW_PATH, httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def _failed(request: Request, error: DeskError) -> Response:
    """The error for programs; for a browser, a page that leads back to the log-in."""
    if "text/html" not in request.headers.get("accept", ""):
        return answer_of(error)
    language = request.app.state.site.language
    title, back = _WORDS.get(language, _WORDS["en"])
    page = (
        f'<!doctype html><html lang="{escape(language)}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} - Gatewatch</title><h1>{title}</h1><p>{escape(str(error))}</p>"
        f'<p><code>{escape(error.code)}</code></p><p><a href="/">{back}</a></p></html>'
    )
    return HTMLResponse(page, error.status, headers={"cache-control": "no-store", **SECURITY_HEADERS})
