"""Until there is a log-in: whoever can call may do everything."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from api.access.principal import PERMISSIONS_OF, Principal


class Everybody:
    def principal_of(self, connection: HTTPConnection) -> Principal:  # noqa: ARG002 - the protocol's
        return Principal("user", "operator", "administrator", PERMISSIONS_OF["administrator"])
