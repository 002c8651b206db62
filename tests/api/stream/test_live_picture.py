"""The live picture of a camera: it ends when the caller may no longer look, not some time later."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from api import routes_cameras
from api.access.limits import Limits, Rate
from api.access.users import UserChange
from api.app import create_app
from api.journal import SYSTEM
from api.schemas import PREFIX
from api.services import Services
from tests.api.access.conftest import PASSWORD, person
from tests.api.cameras import TwoCameras
from tests.api.kit import token_for
from tests.api.scenes import Site, serving

LIVE = f"{PREFIX}/cameras/north-gate/live"


@pytest.fixture
def cameras() -> Iterator[TwoCameras]:
    cameras = TwoCameras()
    yield cameras
    cameras.end()


def app_of(services: Services, cameras: TwoCameras, limits: Limits | None = None) -> FastAPI:
    app = create_app(services, site=Site(), version="1", limits=limits)
    app.state.cameras = cameras
    app.include_router(routes_cameras.router, prefix=PREFIX)
    return app


@contextmanager
def looking(address: str, headers: dict[str, str], query: str = "") -> Iterator[http.client.HTTPResponse]:
    """Somebody who has seen the first picture."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request("GET", LIVE + query, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"--gatewatch-picture")
        yield answer
    finally:
        connection.close()


def ended(answer: http.client.HTTPResponse, within_s: float = 5.0) -> bool:
    """Reads until the server ends the answer; False where it goes on."""
    over = threading.Event()

    def read() -> None:
        with suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while answer.read1(65536):
                pass
            over.set()

    threading.Thread(target=read, daemon=True).start()
    return over.wait(within_s)


def session_of(services: Services) -> dict[str, str]:
    login = services.accounts.sessions.log_in(person(services.accounts), PASSWORD, None)
    return {"Cookie": f"gatewatch_session={login.secret}"}


def disable(services: Services, name: str) -> None:
    services.accounts.users.change(name, UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=None)


def narrow(services: Services, name: str) -> None:
    services.accounts.users.change(name, UserChange(cameras=["lake"]), actor=SYSTEM, by=None, expected_version=None)


def reset(services: Services, name: str) -> None:
    services.accounts.users.reset_password(name, actor=SYSTEM)


@pytest.mark.parametrize("take_away", [disable, narrow, reset])
def test_it_ends_at_once_with_the_rights_of_the_session(
    services: Services, cameras: TwoCameras, take_away: Callable[[Services, str], Any]
) -> None:
    with (
        serving(app_of(services, cameras)) as address,
        looking(address, session_of(services), "?fps=0.1") as answer,  # It waits between two pictures.
    ):
        take_away(services, "wei.zhang")
        assert ended(answer)


def test_it_ends_at_once_with_the_token_and_with_no_others(services: Services, cameras: TwoCameras) -> None:
    token, other = token_for(services, "guard"), token_for(services, "guard")
    with (
        serving(app_of(services, cameras)) as address,
        looking(address, {"Authorization": f"Bearer {token}"}) as answer,
        looking(address, {"Authorization": f"Bearer {other}"}) as neighbour,
    ):
        services.accounts.tokens.revoke(token.split("_")[1], actor=SYSTEM, owner=None)
        assert ended(answer)
        assert not ended(neighbour, 0.3)


def test_who_lost_the_rights_cannot_go_on_by_asking_too_often(services: Services, cameras: TwoCameras) -> None:
    token = token_for(services, "guard")
    limits = Limits(requests=Rate(0.001, 100), strangers=Rate(0.001, 1))
    with (
        serving(app_of(services, cameras, limits)) as address,
        looking(address, {"Authorization": f"Bearer {token}"}) as answer,
    ):
        stranger = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
        for expected in (401, 429):
            stranger.request("GET", LIVE)
            refused = stranger.getresponse()
            refused.read()
            assert refused.status == expected
        stranger.close()
        disable(services, "guard1")
        assert ended(answer)
