"""How a route says who may call it: `principal: Annotated[Principal, requires("alerts.read")]`.

Every route has exactly one guard: `requires(...)`, or `public()` for the few that nobody needs to log in for.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from api.access.authenticate import SignedIn
from api.access.limits import Limiter, address_of, caller_of
from api.access.principal import Authenticator, Permission, Principal
from api.errors import ForbiddenError, NotAuthenticatedError
from api.idempotency import claim_for
from api.journal import Actor
from api.strictness import refuse_what_is_wrong


class Requires:
    """The dependency; `permission` is read by the permission matrix and by the OpenAPI document. None: any caller who
    is logged in, also one who must still choose a password."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Raises NotAuthenticatedError, ForbiddenError or TooManyRequestsError, then InvalidError for what no route
        takes, or what `claim_for` raises."""
        connection.state.guarded = True
        limiter: Limiter = connection.app.state.limiter
        try:
            principal = await _principal_of(connection)
        except NotAuthenticatedError:
            limiter.strangers.take(address_of(connection))
            raise
        limiter.requests.take(caller_of(principal))
        connection.state.principal = principal
        self._check(principal)
        refuse_what_is_wrong(connection)
        await claim_for(connection, principal)
        return principal

    async def still(self, connection: HTTPConnection) -> Principal:
        """Who listens or looks already and may go on; asking is no request of theirs, so that no limit stands before
        the answer. Raises NotAuthenticatedError or ForbiddenError."""
        principal = await _principal_of(connection)
        self._check(principal)
        return principal

    def _check(self, principal: Principal) -> None:
        if self.permission is not None:
            _check(principal, self.permission)


class Public:
    """The dependency of a route that anybody may call."""

    async def __call__(self, connection: HTTPConnection) -> None:
        """Raises TooManyRequestsError, or InvalidError for what no route takes."""
        connection.state.guarded = True
        limiter: Limiter = connection.app.state.limiter
        limiter.strangers.take(address_of(connection))
        refuse_what_is_wrong(connection)


class Within:
    """Marks a WebSocket whose first message may say who calls: the route itself asks for the permission then."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, connection: HTTPConnection) -> None:
        """Raises TooManyRequestsError: a socket is open before it is known whose it is. InvalidError for what the
        route does not take."""
        limiter: Limiter = connection.app.state.limiter
        limiter.strangers.take(address_of(connection))
        refuse_what_is_wrong(connection)


async def guard_first(connection: HTTPConnection) -> None:
    """Asks the guard of the route that was meant, unless it was asked: a body that is no JSON is found out before.

    Raises as the guard does, so that whoever may not call the route hears that and nothing else.
    """
    route = connection.scope.get("route")
    if not isinstance(route, APIRoute) or getattr(connection.state, "guarded", False):
        return
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Requires | Public):
            await dependency.call(connection)


def requires(permission: Permission | None) -> Any:
    """For `Annotated[Principal, requires(...)]` of a route, HTTP or WebSocket."""
    return Depends(Requires(permission))


def guarded_within(permission: Permission) -> Any:
    """For `dependencies=[guarded_within(...)]` of a WebSocket that lets nobody hear anything without it."""
    return Depends(Within(permission))


def public() -> Any:
    """For `dependencies=[public()]` of a route that is open to all; docs/access.md lists them."""
    return Depends(Public())


def principal_if_any(connection: HTTPConnection) -> Principal | None:
    """Who calls a public route, where that can be told and needs no new password first."""
    authenticator: Authenticator = connection.app.state.authenticator
    try:
        principal = authenticator.principal_of(connection)
    except (NotAuthenticatedError, ForbiddenError):
        return None
    return None if principal.must_change_password else principal


def origin_of(connection: HTTPConnection) -> str | None:
    """The client's address as the journal keeps it; behind a proxy it is what the proxy says."""
    host = connection.client.host if connection.client else None
    return None if host is None else "".join(c for c in host[:64] if c.isprintable())


def actor_of(connection: HTTPConnection, principal: Principal) -> Actor:
    """Who the journal says it was, with the client's address."""
    return principal.actor(origin_of(connection))


async def _principal_of(connection: HTTPConnection) -> Principal:
    authenticator: Authenticator = connection.app.state.authenticator
    # What is remembered needs no thread, which costs more than the look itself.
    kept = authenticator.kept(connection) if isinstance(authenticator, SignedIn) else None
    return kept if kept is not None else await run_in_threadpool(authenticator.principal_of, connection)


def _check(principal: Principal, permission: Permission) -> None:
    if principal.must_change_password:
        raise ForbiddenError(
            "Choose a password of your own first.", {"needed": "new_password"}, code="password_change_required"
        )
    if permission not in principal.permissions:
        raise ForbiddenError(
            f"This needs the permission {permission}, which the caller does not have.",
            {"permission": permission, "role": principal.role},
        )
