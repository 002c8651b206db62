"""The cookie that holds a browser's session."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

from api.access.authenticate import COOKIE
from api.access.sessions import ABSOLUTE, Login


def set_session_cookie(request: HTTPConnection, answer: Response, login: Login) -> None:
    """For this server's own pages alone: no script reads it, no other site's page sends it. Clocks may differ."""
    answer.set_cookie(
        COOKIE, login.secret, max_age=int(ABSOLUTE.total_seconds()), path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def drop_session_cookie(request: HTTPConnection, answer: Response) -> None:
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")
