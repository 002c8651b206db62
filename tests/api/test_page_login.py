"""Getting into the page: passwords, links, sessions that end, and who is who."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.access.limits import Limits, Rate  # noqa: E402 - after the check for the browser's driver
from api.alerts import Alert  # noqa: E402
from api.app import create_app  # noqa: E402
from api.journal import SYSTEM  # noqa: E402
from api.services import Services  # noqa: E402
from tests.api.pages import Room, room, shown, some_alerts, state_of  # noqa: E402
from tests.api.scenes import Site  # noqa: E402

expect = playwright.expect
OWN = "correct horse battery"


@pytest.fixture
def alerts(services: Services, media: Path, drawn_clip: Path) -> list[Alert]:
    return some_alerts(services, media, drawn_clip)


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services, alerts: list[Alert]) -> Iterator[Room]:
    assert alerts
    with room(browser, app, services) as opened:
        yield opened


def log_in(page: playwright.Page, user: str, password: str) -> None:
    page.fill("#user", user)
    page.fill("#password", password)
    page.keyboard.press("Enter")


def with_password(services: Services, name: str = "li.wei") -> str:
    services.accounts.users.create(name, "administrator", actor=SYSTEM, display_name=name.title())
    _, password = services.accounts.users.reset_password(name, actor=SYSTEM, must_change=False)
    return password


def end_sessions(services: Services, name: str) -> None:
    """As when a session has run out."""
    services.accounts.users.reset_password(name, actor=SYSTEM, must_change=False)


def test_the_first_log_in_ends_with_a_password_of_ones_own(desk_room: Room) -> None:
    _, once = desk_room.services.accounts.users.create("li.wei", "guard", actor=SYSTEM, display_name="Li Wei")
    page = desk_room.stranger()
    expect(page.locator("#user")).to_be_focused()
    assert page.locator("#user").get_attribute("autocomplete") == "username"
    assert page.locator("#password").get_attribute("autocomplete") == "current-password"
    page.keyboard.type("Li.Wei")
    page.keyboard.press("Tab")
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.locator("#log-in .form-error")).to_contain_text("User name or password is wrong")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#door")).to_be_visible()
    expect(page.locator("#desk")).to_be_hidden()
    log_in(page, "li.wei", once)
    expect(page.locator("#door-title")).to_have_text("Choose a new password")
    page.keyboard.type("li.wei")
    expect(page.locator("#password-rules .kept")).to_have_text("✓ at least five different characters (kept)")
    page.keyboard.press("Enter")
    expect(page.locator("#new-password .form-error")).to_have_text("Not yet: 12 to 256 characters.")
    page.fill("#password-1", "qwertyuiop12")
    page.fill("#password-2", "qwertyuiop12")
    page.keyboard.press("Enter")
    expect(page.locator("#new-password .form-error")).to_contain_text("among the first that are tried")
    page.fill("#password-1", OWN)
    page.fill("#password-2", OWN)
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("Li Wei · Guard")
    expect(page.locator("#list li")).to_have_count(3)
    page.locator("#log-out").click()
    log_in(page, "li.wei", OWN)
    expect(page.locator("#who")).to_have_text("Li Wei · Guard")


def test_a_link_fills_the_form_in_and_leaves_the_address_bar(desk_room: Room) -> None:
    password = desk_room.services.accounts.demo_login()
    page = desk_room.stranger(go=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url + (request.headers.get("referer") or "")))
    page.goto(f"{desk_room.address}#user=admin&password={password}")
    expect(page.locator("#password")).to_have_value(password)
    assert page.url == desk_room.address
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("admin · Administrator")
    assert not [url for url in asked if password in url]
    page.go_back()
    assert password not in page.url


def test_who_asks_too_often_is_told_to_wait(browser: playwright.Browser, services: Services) -> None:
    app = create_app(services, site=Site(language="zh-CN"), version="1", limits=Limits(logins=Rate(1 / 60, 1)))
    with room(browser, app, services) as opened:
        page = opened.stranger(locale="zh-CN")
        log_in(page, "li.wei", "x")
        expect(page.locator("#log-in .form-error")).to_contain_text("用户名或密码错误")
        page.keyboard.press("Enter")
        expect(page.locator("#log-in .form-error")).to_have_text("尝试次数过多。")
        expect(page.locator("#door-wait")).to_contain_text("后可以重试")
        expect(page.locator("#log-in button")).to_be_disabled()
        page.select_option("#door .language", "en")
        expect(page.locator("#door-title")).to_have_text("Log in")


def test_a_session_that_ends_while_a_verdict_is_typed(alerts: list[Alert], desk_room: Room) -> None:
    services = desk_room.services
    page = desk_room.stranger()
    log_in(page, "li.wei", with_password(services))
    shown(page, alerts[2])
    page.locator("#list li").nth(2).click()
    shown(page, alerts[0])
    page.locator("#do-resolve").click()
    page.locator("#reasons").get_by_text("Handled on site").click()
    page.fill("#note", "ladder taken away")

    def end_first(route: playwright.Route) -> None:
        # Ended any earlier, the page may notice by itself and cover the button.
        end_sessions(services, "li.wei")
        route.continue_()

    page.route("**/resolve", end_first, times=1)
    page.locator("#decide-confirm").click()
    expect(page.locator("#door-title")).to_have_text("Please log in again")
    expect(page.locator("#user")).to_have_value("li.wei")
    _, password = services.accounts.users.reset_password("li.wei", actor=SYSTEM, must_change=False)
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    expect(page.locator("#door")).to_be_hidden()
    state_of(page, "Resolved")
    shown(page, alerts[0])
    assert services.desk.get(alerts[0].alert_id).alert.note == "ladder taken away"
    expect(page.locator("#connection")).to_have_text("Live")


def test_the_next_guard_does_nothing_in_the_name_of_the_one_before(alerts: list[Alert], desk_room: Room) -> None:
    services = desk_room.services
    page = desk_room.stranger()
    log_in(page, "li.wei", with_password(services))
    shown(page, alerts[2])
    next_password = with_password(services, "zhao.min")
    end_sessions(services, "li.wei")
    page.keyboard.press("t")
    expect(page.locator("#door-title")).to_have_text("Please log in again")
    log_in(page, "zhao.min", next_password)
    expect(page.locator("#who")).to_contain_text("Zhao.Min")
    state_of(page, "New")
    assert services.desk.get(alerts[2].alert_id).alert.assignee is None


def test_another_tab_logged_in_anew(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    desk_room.log_in(page, "li.wei")  # The token of this page is that of the session before.
    page.keyboard.press("t")
    state_of(page, "With you")


def test_ones_own_password_is_changed_while_working(alerts: list[Alert], desk_room: Room) -> None:
    password = with_password(desk_room.services)
    page = desk_room.stranger()
    log_in(page, "li.wei", password)
    shown(page, alerts[2])
    page.locator("#who").click()
    page.locator("#new-password-cancel").click()
    page.locator("#who").click()
    page.fill("#old-password", "no")
    page.fill("#password-1", OWN)
    page.fill("#password-2", OWN)
    page.keyboard.press("Enter")
    expect(page.locator("#new-password .form-error")).to_have_text("The present password is wrong.")
    page.fill("#old-password", password)
    page.keyboard.press("Enter")
    expect(page.locator("#door")).to_be_hidden()
    page.keyboard.press("a")
    state_of(page, "Acknowledged")


def test_other_ways_to_log_in_are_offered(browser: playwright.Browser, app: FastAPI, services: Services) -> None:
    with room(browser, app, services) as opened:
        page = opened.stranger(go=False)
        options = {"password": True, "oidc": {"label": "Lakeside accounts", "url": "/api/v1/oidc/login"}}
        page.route("**/api/v1/session/options", lambda route: route.fulfill(json=options))
        page.goto(opened.address)
        link = page.locator("#elsewhere")
        expect(link).to_have_text("Log in with Lakeside accounts")
        assert link.get_attribute("href") == "/api/v1/oidc/login"
        page.select_option("#door .language", "zh-CN")
        expect(link).to_have_text("使用 Lakeside accounts 登录")
