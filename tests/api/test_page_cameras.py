"""The cameras on the page, where some are run: how each is, its picture, and its live picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api import routes_cameras  # noqa: E402 - after the check for the browser's driver
from api.schemas import PREFIX  # noqa: E402
from api.services import Services  # noqa: E402
from tests.api.cameras import TwoCameras  # noqa: E402
from tests.api.pages import Room, room, until  # noqa: E402

expect = playwright.expect


@pytest.fixture
def cameras(app: FastAPI) -> Iterator[TwoCameras]:
    run = app.state.cameras = TwoCameras()
    app.include_router(routes_cameras.router, prefix=PREFIX)
    yield run
    run.end()


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services, cameras: TwoCameras) -> Iterator[Room]:
    assert cameras
    with room(browser, app, services) as opened:
        yield opened


def true_soon(step: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while not step() and time.monotonic() < deadline:
        time.sleep(0.05)
    return step()


def test_cameras_are_shown_with_their_pictures(desk_room: Room, cameras: TwoCameras) -> None:
    page = desk_room.guard()
    tiles = page.locator(".camera-tile")
    expect(tiles).to_have_count(2)
    expect(page.locator("#cameras-button")).to_have_text("Cameras 1/2")
    expect(tiles.nth(0)).to_contain_text("north-gate")
    expect(tiles.nth(0)).to_contain_text("Connected")
    expect(tiles.nth(1)).to_contain_text("No picture")
    until(page, "document.querySelector('.camera-frame').naturalWidth > 0")
    tiles.nth(0).click()
    until(page, "document.querySelector('#camera-picture img')?.naturalWidth === 320")
    cameras.width = 640
    until(page, "document.querySelector('#camera-picture img').naturalWidth === 640")
    page.keyboard.press("Escape")
    # Nobody looks any more: the server sends no more.
    assert true_soon(lambda: cameras.view.watching("north-gate") == 0)
    tiles.nth(1).click()
    expect(page.locator("#camera-picture")).to_have_text("There is no live picture now.")
    page.keyboard.press("Escape")
    page.locator("#cameras-button").click()
    expect(page.locator("#cameras")).to_be_hidden()
    page.reload()
    expect(page.locator("#cameras-button")).to_be_visible()
    expect(page.locator("#cameras")).to_be_hidden()


def test_a_limited_guard_sees_their_own_cameras_alone(desk_room: Room) -> None:
    page = desk_room.guard("zhao.min", "guard", cameras=["lake"])
    expect(page.locator(".camera-tile")).to_have_count(1)
    expect(page.locator(".camera-tile")).to_contain_text("lake")
