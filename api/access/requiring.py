"""How a route says who may call it: `principal: Annotated[Principal, requires("alerts.read")]`.

Every route has exactly one guard: `requires(...)`, or `public()` for the few that nobody needs to log in for.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.access.principal import Authenticator, Permission, Principal
from api.errors import ForbiddenError, NotAuthenticatedError
from api.journal import Actor


class Requires:
    """The dependency; `permission` is read by the permission matrix and by the OpenAPI document. None: any caller who
    is logged in, also one who must still choose a password."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    def __call__(self, connection: HTTPConnection) -> Principal:
        """Raises NotAuthenticatedError or ForbiddenError."""
        authenticator: Authenticator = connection.app.state.authenticator
        principal = authenticator.principal_of(connection)
        connection.state.principal = principal
        if self.permission is None:
            return principal
        if principal.must_change_password:
            raise ForbiddenError(
                "Choose a password of your own first.", {"needed": "new_password"}, code="password_change_required"
            )
        if self.permission not in principal.permissions:
            raise ForbiddenError(
                f"This needs the permission {self.permission}, which the caller does not have.",
                {"permission": self.permission, "role": principal.role},
            )
        return principal


class Public:
    """The dependency of a route that anybody may call."""

    def __call__(self, connection: HTTPConnection) -> None:
        pass


def requires(permission: Permission | None) -> Any:
    """For `Annotated[Principal, requires(...)]` of a route, HTTP or WebSocket."""
    return Depends(Requires(permission))


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
