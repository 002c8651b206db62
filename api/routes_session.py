"""Log in, log out, choose a password, and say who calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.access.accounts import FIRST_USER, Accounts
from api.access.cookies import drop_session_cookie, set_session_cookie
from api.access.limits import Limiter, address_of
from api.access.oidc import OidcLogin
from api.access.oidc_settings import LOGOUT
from api.access.principal import Principal
from api.access.requiring import actor_of, origin_of, public, requires
from api.access.sessions import Login, principal_of_user
from api.errors import ForbiddenError
from api.failures import documented
from api.schemas_people import LoginIn, PasswordIn, SessionOut

router = APIRouter(prefix="/session", tags=["session"])

Caller = Annotated[Principal, requires(None)]


def accounts_of(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.services.accounts
    return accounts


@router.post("", operation_id="log_in", responses=documented(401, 413, 415, 422, 429, 503), dependencies=[public()])
def log_in(request: Request, response: Response, body: LoginIn) -> SessionOut:
    """Opens a session for a browser: the answer sets its cookie. Programs use tokens instead. Needs no log-in."""
    limiter: Limiter = request.app.state.limiter
    # A shift that comes in behind one address is no attack.
    with limiter.logins.counting("login_failed", address_of(request)):
        login = accounts_of(request).sessions.log_in(body.user, body.password, origin_of(request))
    return _opened(request, response, login)


@router.get("", operation_id="get_session", responses=documented(401, 429, 503))
def get_session(request: Request, response: Response, principal: Caller) -> SessionOut:
    """Who calls, what they may do, and what a page must send along with its writes."""
    response.headers["cache-control"] = "no-store"
    return _told(request, principal, getattr(request.state, "session", None))


@router.delete("", operation_id="log_out", status_code=204, responses=documented(401, 429, 503))
def log_out(request: Request, principal: Caller) -> Response:
    """Ends the session."""
    accounts_of(request).sessions.log_out(_session_of(request), actor_of(request, principal))
    answer = Response(status_code=204)
    drop_session_cookie(request, answer)
    return answer


@router.post("/password", operation_id="choose_password", responses=documented(401, 413, 415, 422, 429, 503))
def choose_password(request: Request, response: Response, body: PasswordIn, principal: Caller) -> SessionOut:
    """Gives oneself a new password, ends all sessions of this user and opens a new one."""
    _session_of(request)
    accounts = accounts_of(request)
    limiter: Limiter = request.app.state.limiter
    with limiter.logins.counting("wrong_password", address_of(request)):
        accounts.users.choose_password(
            principal.user, body.current_password, body.new_password,
            actor=actor_of(request, principal), site_name=request.app.state.site.name,
        )  # fmt: skip
    if principal.user == FIRST_USER:
        accounts.forget_first_password()
    return _opened(
        request, response, accounts.sessions.open_for(principal.user, origin_of(request), how="new password")
    )


def _session_of(request: Request) -> str:
    """Raises ForbiddenError for a token."""
    secret: str | None = getattr(request.state, "session", None)
    if secret is None:
        raise ForbiddenError("A token has no session: this is for those who logged in.", code="session_required")
    return secret


def _opened(request: Request, response: Response, login: Login) -> SessionOut:
    set_session_cookie(request, response, login)
    response.headers["cache-control"] = "no-store"
    return _told(request, principal_of_user(login.user), login.secret)


def _told(request: Request, principal: Principal, session: str | None) -> SessionOut:
    accounts = accounts_of(request)
    user = accounts.users.get(principal.user)
    oidc: OidcLogin | None = request.app.state.oidc
    elsewhere = session is not None and not user.local and oidc is not None and oidc.settings.logout
    return SessionOut(
        kind=principal.kind, user=principal.user, display_name=user.display_name,
        role=principal.role, permissions=sorted(principal.permissions),
        cameras=None if principal.cameras is None else sorted(principal.cameras), token_id=principal.token_id,
        csrf_token=None if session is None else accounts.sessions.csrf_token(session),
        logout_url=LOGOUT if elsewhere else None, must_change_password=principal.must_change_password,
    )  # fmt: skip
