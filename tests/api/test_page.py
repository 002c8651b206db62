"""The review page in a real browser, over a real server and database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.alerts import Alert, Clip
from api.app import create_app
from api.desk import Desk
from api.services import Services
from tests.api.scenes import Site, crossing, make_event, serving, snapshot_of

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")
XSS = "<img src=x onerror=alert(1)>"


@pytest.fixture
def alerts(desk: Desk, media: Path, drawn_clip: Path) -> list[Alert]:
    """Oldest first: a rendered clip with a shortfall; a line crossing without a clip; two events in one alert."""
    (media / "c.mp4").write_bytes(drawn_clip.read_bytes())
    (media / "c.mkv").write_bytes(b"packets as they were")
    first = desk.take(make_event(1, 100.0))
    second = desk.take(crossing(1, 200.0, rule=XSS))
    desk.take(make_event(2, 300.0))
    third = desk.take(make_event(3, 310.0, severity="critical"))
    for event, alert in ((make_event(1, 100.0), first), (make_event(2, 300.0), third)):
        (media / f"{alert.alert_id}.jpg").write_bytes(snapshot_of(event))
    desk.attach_media(
        first.alert_id, snapshot=f"{first.alert_id}.jpg", clips=[Clip("c.mp4", 97.0, 103.0, "c.mkv", 2.3)]
    )
    desk.attach_media(third.alert_id, snapshot=f"{third.alert_id}.jpg", clips=[Clip("c.mp4", 297.0, 303.0)])
    return [first, second, third]


@pytest.fixture
def page(browser: playwright.Browser, app: FastAPI) -> Iterator[playwright.Page]:
    """The page, opened; nothing may be said on the console, by the policy least of all."""
    with serving(app) as address:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        opened = context.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        opened.goto(address)
        yield opened
        context.close()
    assert said == []


def shown(page: playwright.Page, alert: Alert) -> None:
    playwright.expect(page.locator("#detail")).to_have_attribute("data-id", alert.alert_id)


def until(page: playwright.Page, expression: str, within_s: float = 10.0) -> None:
    """Waits until the expression holds. (The page's policy forbids Playwright's own way, which evaluates text.)"""
    deadline = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never became true: {expression}"
        page.wait_for_timeout(50)


def state_of(page: playwright.Page, text: str) -> None:
    playwright.expect(page.locator("#detail-head .badges")).to_contain_text(text)


def test_the_newest_alert_explains_itself(alerts: list[Alert], page: playwright.Page) -> None:
    shown(page, alerts[2])
    playwright.expect(page.locator("#list li")).to_have_count(3)
    row = page.locator("#list li").first
    for text in ("Loitering", "Critical", "dwell 34.2 s, limit 30 s", "Zone lawn", "2026-03-01 22:05:00", "2 events"):
        playwright.expect(row).to_contain_text(text)
    playwright.expect(page.locator("#site-name")).to_have_text("Lakeside Gardens")
    playwright.expect(page.locator("#open-count")).to_have_text("3 to handle")
    until(page, "document.querySelector('.snapshot').naturalWidth > 0")
    until(page, "document.querySelector('img.thumb').naturalWidth > 0")


def test_the_clip_starts_near_the_event_and_plays(alerts: list[Alert], page: playwright.Page) -> None:
    shown(page, alerts[2])
    until(page, "document.querySelector('video')?.currentTime === 2")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video')?.currentTime > 2.5")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video').paused")
    page.keyboard.press("e")
    until(page, "document.querySelector('video')?.currentTime === 2")


def test_a_guard_works_by_keyboard_alone(alerts: list[Alert], page: playwright.Page, desk: Desk) -> None:
    shown(page, alerts[2])
    page.keyboard.press("a")
    state_of(page, "Acknowledged")
    assert desk.get(alerts[2].alert_id).alert.state == "acknowledged"
    page.keyboard.press("j")
    shown(page, alerts[1])
    page.keyboard.press("r")
    state_of(page, "Resolved")
    page.keyboard.press("ArrowDown")
    shown(page, alerts[0])
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#false-alarm-error")).to_have_text("Please choose a reason.")
    page.keyboard.press("ArrowUp")  # From the first reason round to the last one: other.
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#false-alarm-error")).to_contain_text("in the note")
    page.keyboard.type("a kite")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    state_of(page, "False alarm")
    record = desk.get(alerts[0].alert_id).alert
    assert (record.state, record.reason, record.note) == ("false_alarm", "other", "a kite")
    playwright.expect(page.locator("#side")).to_contain_text("a kite")
    playwright.expect(page.locator("#open-count")).to_have_text("1 to handle")
    page.keyboard.press("k")
    page.keyboard.press("k")
    shown(page, alerts[2])


def test_what_is_said_of_footage(alerts: list[Alert], page: playwright.Page) -> None:
    page.locator("#list li").nth(2).click()
    shown(page, alerts[0])
    evidence = page.locator("#evidence")
    playwright.expect(evidence).to_contain_text("Rendering for viewing")
    playwright.expect(evidence).to_contain_text("begins 2.3 s later than asked for")
    with page.expect_download() as download:
        page.get_by_text("Download original").click()
    assert Path(download.value.path()).read_bytes() == b"packets as they were"
    page.locator("#list li").nth(1).click()
    shown(page, alerts[1])
    playwright.expect(page.locator("#evidence")).to_contain_text("still being recorded")
    playwright.expect(page.locator("#side")).to_contain_text(XSS)
    playwright.expect(page.locator("#side")).to_contain_text("left to right")


def test_all_of_it_is_chinese_on_request(alerts: list[Alert], page: playwright.Page) -> None:
    shown(page, alerts[2])
    page.select_option("#language", "zh-CN")
    playwright.expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    playwright.expect(page.locator("#list li").first).to_contain_text("停留 34.2 秒，阈值 30 秒")
    playwright.expect(page.locator("#detail-title")).to_have_text("徘徊")
    page.locator("#do-false_alarm").click()
    playwright.expect(page.locator("#reasons")).to_contain_text("植物晃动")
    page.keyboard.press("Escape")
    words = page.evaluate(
        "[...document.querySelectorAll('button, label > span, h1, h2, h3, dt, legend, .badge, option, .note')]"
        ".map((node) => node.textContent.trim()).filter((text) => text)"
    )
    untranslated = [text for text in words if not any(ord(character) > 0x2E80 for character in text)]
    assert set(untranslated) <= {"English", "J ↓", "K ↑", "A", "R", "F", "E", "← →", "?", "Esc"}
    page.reload()
    playwright.expect(page.locator("#list-title")).to_have_text("告警")


def test_news_come_in_without_taking_focus_or_playback(alerts: list[Alert], page: playwright.Page, desk: Desk) -> None:
    shown(page, alerts[2])
    until(page, "document.querySelector('video')?.currentTime === 2")
    page.evaluate(
        "document.querySelector('video').dataset.mark = 'same'; document.querySelector('#do-resolve').focus()"
    )
    page.evaluate("document.querySelector('video').loop = true; document.querySelector('video').play()")
    desk.take(crossing(9, 900.0))
    desk.take(make_event(9, 330.0))  # Joins the alert that is shown.
    playwright.expect(page.locator("#list li")).to_have_count(4)
    playwright.expect(page.locator("#announce")).to_contain_text("New alert: Line crossing")
    playwright.expect(page.locator("#side")).to_contain_text("Events (3)")
    shown(page, alerts[2])
    assert page.evaluate("document.activeElement.id") == "do-resolve"
    assert page.evaluate("[document.querySelector('video').dataset.mark, document.querySelector('video').paused]") == [
        "same",
        False,
    ]


def test_an_alert_that_another_guard_closed(alerts: list[Alert], page: playwright.Page, desk: Desk) -> None:
    shown(page, alerts[2])
    page.route("**/api/v1/alerts?*", lambda route: route.abort())  # The page does not know yet.
    desk.act(alerts[2].alert_id, "resolve")
    page.unroute("**/api/v1/alerts?*")
    state_of(page, "Resolved")
    playwright.expect(page.locator("#do-acknowledge")).to_be_disabled()


def test_no_alerts_yet(page: playwright.Page) -> None:
    playwright.expect(page.locator("#empty")).to_contain_text("No alerts yet")
    playwright.expect(page.locator("#detail")).to_contain_text("Choose an alert")
    page.keyboard.press("?")
    playwright.expect(page.locator("#help")).to_contain_text("Next alert")
    page.keyboard.press("Escape")
    page.select_option("#filter-state", "resolved")
    playwright.expect(page.locator("#empty")).to_contain_text("No alerts in this selection")


def test_the_server_goes_away_and_comes_back(
    browser: playwright.Browser, services: Services, alerts: list[Alert]
) -> None:
    assert alerts
    with serving(create_app(services, site=Site(), version="1.2.3")) as address:
        page = browser.new_page()
        page.goto(address)
        playwright.expect(page.locator("#connection")).to_have_text("Connected")
        page.route("**/api/**", lambda route: route.abort())
        playwright.expect(page.locator("#offline")).to_contain_text("does not answer")
        playwright.expect(page.locator("#connection")).to_have_text("No connection")
        playwright.expect(page.locator("#list li")).to_have_count(3)
        page.unroute("**/api/**")
        playwright.expect(page.locator("#connection")).to_have_text("Connected")
        playwright.expect(page.locator("#offline")).to_be_hidden()
        page.close()
