"""The page in a real browser, over a real server and database: alerts, and what guards do with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.alerts import Alert  # noqa: E402 - after the check for the browser's driver
from api.journal import Actor  # noqa: E402
from api.services import Services  # noqa: E402
from tests.api.pages import NARROW, XSS, Room, room, shown, some_alerts, state_of, until  # noqa: E402
from tests.api.scenes import crossing, make_event  # noqa: E402

expect = playwright.expect


@pytest.fixture
def alerts(services: Services, media: Path, drawn_clip: Path) -> list[Alert]:
    return some_alerts(services, media, drawn_clip)


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services, alerts: list[Alert]) -> Iterator[Room]:
    assert alerts
    with room(browser, app, services) as opened:
        yield opened


def choose(page: playwright.Page, reason: str) -> None:
    page.locator("#reasons").get_by_text(reason, exact=True).click()
    page.locator("#decide-confirm").click()


def test_the_newest_alert_explains_itself(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    expect(page.locator("#list li")).to_have_count(3)
    row = page.locator("#list li").first
    for text in ("Loitering", "Critical", "dwell 34.2 s, limit 30 s", "Zone lawn", "2026-03-01 22:05:00", "2 events"):
        expect(row).to_contain_text(text)
    expect(page.locator("#site-name")).to_have_text("Lakeside Gardens")
    expect(page.locator("#list-count")).to_have_text("3 alerts")
    expect(page.locator("#states")).to_contain_text("To handle3")
    until(page, "document.querySelector('.snapshot').naturalWidth > 0")
    until(page, "document.querySelector('img.thumb').naturalWidth > 0")


def test_the_clip_starts_near_the_event_and_plays(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    until(page, "document.querySelector('video')?.currentTime === 2")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video')?.currentTime > 2.5")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video').paused")
    page.keyboard.press("e")
    until(page, "document.querySelector('video')?.currentTime === 2")


def test_what_is_said_of_footage(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    page.locator("#list li").nth(2).click()
    shown(page, alerts[0])
    evidence = page.locator("#evidence")
    expect(evidence).to_contain_text("Rendering for viewing")
    expect(evidence).to_contain_text("begins 2.3 s later than asked for")
    with page.expect_download() as download:
        page.get_by_text("Download original").click()
    assert Path(download.value.path()).read_bytes() == b"packets as they were"
    page.locator("#list li").nth(1).click()
    shown(page, alerts[1])
    expect(page.locator("#evidence")).to_contain_text("still being recorded")
    expect(page.locator("#side")).to_contain_text(XSS)
    expect(page.locator("#side")).to_contain_text("left to right")


def test_the_life_of_an_alert_by_mouse(alerts: list[Alert], desk_room: Room) -> None:
    desk_room.user("zhao.min", "guard", display_name="Zhao Min")
    page = desk_room.guard()
    shown(page, alerts[2])
    expect(page.locator("#do-release")).to_be_disabled()
    page.locator("#do-claim").click()
    state_of(page, "With you")
    page.locator("#do-note").click()
    page.locator("#note").fill(XSS)
    page.locator("#decide-confirm").click()
    expect(page.locator("#history")).to_contain_text(XSS)
    page.locator("#do-assign").click()
    expect(page.locator("#assignee")).to_contain_text("Zhao Min")
    page.locator("#assignee").select_option("zhao.min")
    page.locator("#decide-confirm").click()
    state_of(page, "With Zhao Min")
    page.locator("#do-release").click()
    state_of(page, "Acknowledged")
    page.locator("#do-resolve").click()
    page.locator("#decide-confirm").click()
    expect(page.locator("#decide-error")).to_have_text("Please choose a reason.")
    choose(page, "Intruder found")
    state_of(page, "Resolved")
    expect(page.locator("#do-claim")).to_be_disabled()
    page.locator("#do-reopen").click()
    page.locator("#note").fill("the wrong one")
    page.locator("#decide-confirm").click()
    state_of(page, "Acknowledged")
    history = page.locator("#history")
    for said in ("Taken by you", "you handed it to Zhao Min", "Let go by you", "Resolved by you: Intruder found",
                 "Reopened by you", "the wrong one"):  # fmt: skip
        expect(history).to_contain_text(said)
    assert desk_room.services.desk.get(alerts[2].alert_id).alert.reopened == 1


def test_a_guard_works_by_keyboard_alone(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    page.keyboard.press("a")
    state_of(page, "Acknowledged")
    page.keyboard.press("t")
    state_of(page, "With you")
    page.keyboard.press("j")
    shown(page, alerts[1])
    page.keyboard.press("d")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    state_of(page, "Drill")
    page.keyboard.press("ArrowDown")
    shown(page, alerts[0])
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    expect(page.locator("#decide-error")).to_have_text("Please choose a reason.")
    page.keyboard.press("ArrowUp")  # From the first reason round to the last one: other.
    page.keyboard.press("Enter")
    expect(page.locator("#decide-error")).to_contain_text("in the note")
    page.keyboard.type("a kite")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    state_of(page, "False alarm")
    record = desk_room.services.desk.get(alerts[0].alert_id).alert
    assert (record.state, record.reason, record.note, record.closed_by) == ("false_alarm", "other", "a kite", "li.wei")
    expect(page.locator("#side")).to_contain_text("a kite")
    expect(page.locator("#states")).to_contain_text("To handle1")
    page.keyboard.press("k")
    page.keyboard.press("k")
    shown(page, alerts[2])


def test_filters_and_counts(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    rows = page.locator("#list li")
    expect(rows).to_have_count(3)
    page.select_option("#filter-camera", "lake")
    expect(rows).to_have_count(1)
    page.select_option("#filter-camera", "")
    page.select_option("#filter-severity", "high")
    expect(rows).to_have_count(2)
    page.select_option("#filter-severity", "")
    page.fill("#filter-text", "kerb")
    expect(rows).to_have_count(1)
    expect(page.locator("#list-count")).to_have_text("1 alert")
    page.fill("#filter-text", "")
    page.select_option("#filter-time", "span")
    page.fill("#filter-since", "2026-03-01T22:04")  # On the clocks of the site.
    expect(rows).to_have_count(1)
    page.select_option("#filter-time", "hour")
    expect(page.locator("#empty")).to_have_text("No alerts in this selection.")
    page.select_option("#filter-time", "")
    expect(rows).to_have_count(3)
    page.check("#filter-mine")
    expect(rows).to_have_count(0)
    desk_room.services.desk.act(alerts[0].alert_id, "claim", actor=Actor("user", "li.wei"))
    expect(rows).to_have_count(1)
    page.uncheck("#filter-mine")
    page.locator("#states").get_by_text("In progress").click()
    expect(rows).to_have_count(1)
    expect(page.locator("#states [aria-pressed=true]")).to_have_text("In progress1")


def test_news_come_in_without_taking_focus_or_playback(alerts: list[Alert], desk_room: Room) -> None:
    page, desk = desk_room.guard(), desk_room.services.desk
    shown(page, alerts[2])
    expect(page.locator("#connection")).to_have_text("Live")
    until(page, "document.querySelector('video')?.currentTime === 2")
    page.evaluate(
        "document.querySelector('video').dataset.mark = 'same'; document.querySelector('#do-resolve').focus()"
    )
    page.evaluate("document.querySelector('video').loop = true; document.querySelector('video').play()")
    desk.take(crossing(9, 900.0))
    desk.take(make_event(9, 330.0))  # Joins the alert that is shown.
    expect(page.locator("#list li")).to_have_count(4, timeout=2000)  # Sooner than by asking every few seconds.
    expect(page.locator("#announce")).to_contain_text("New alert: Line crossing")
    expect(page.locator("#side")).to_contain_text("Events (3)")
    shown(page, alerts[2])
    assert page.evaluate("document.activeElement.id") == "do-resolve"
    assert page.evaluate("[document.querySelector('video').dataset.mark, document.querySelector('video').paused]") == [
        "same",
        False,
    ]


def test_nothing_is_missing_between_what_was_there_and_what_came_in_during_a_break(
    alerts: list[Alert], desk_room: Room
) -> None:
    assert alerts
    page, desk = desk_room.guard(), desk_room.services.desk
    rows = page.locator("#list li")
    expect(rows).to_have_count(3)
    page.route("**/api/v1/alerts?**", lambda route: route.abort())
    for number in range(10, 80):
        desk.take(crossing(number, 100.0 * number))
    expect(page.locator("#connection")).to_have_text("No connection")
    page.unroute("**/api/v1/alerts?**")
    expect(rows).to_have_count(50)  # More than a page holds: the list begins anew.
    page.locator("#more").click()
    expect(rows).to_have_count(73)
    expect(page.locator("#more")).to_be_hidden()
    desk.take(crossing(80, 8000.0))
    expect(rows).to_have_count(74)
    desk.take(crossing(1, 650.0, camera="gate"))  # Known late: more than a page of others is newer.
    expect(rows).to_have_count(75)
    shown_ids = page.evaluate("[...document.querySelectorAll('#list li')].map((row) => row.dataset.id)")
    assert shown_ids == [record.alert.alert_id for record in desk.list(limit=100).records]


def test_the_stream_and_the_server_go_away_and_come_back(alerts: list[Alert], desk_room: Room) -> None:
    assert alerts
    page, desk = desk_room.guard(), desk_room.services.desk
    expect(page.locator("#connection")).to_have_text("Live")
    page.route("**/api/v1/stream", lambda route: route.abort())
    page.reload()
    expect(page.locator("#connection")).to_have_text("Updates every few seconds")
    desk.take(crossing(9, 900.0))
    expect(page.locator("#list li")).to_have_count(4, timeout=8000)
    page.route("**/api/**", lambda route: route.abort())
    expect(page.locator("#offline")).to_contain_text("does not answer", timeout=8000)
    expect(page.locator("#connection")).to_have_text("No connection")
    expect(page.locator("#list li")).to_have_count(4)
    page.unroute("**/api/**")
    page.unroute("**/api/v1/stream")
    expect(page.locator("#connection")).to_have_text("Live", timeout=15000)
    expect(page.locator("#offline")).to_be_hidden()


def test_only_what_the_caller_may_see_and_do(alerts: list[Alert], desk_room: Room) -> None:
    guard = desk_room.guard("zhao.min", "guard", cameras=["lake"])
    shown(guard, alerts[1])
    expect(guard.locator("#list li")).to_have_count(1)
    expect(guard.locator("#states")).to_contain_text("New1")
    expect(guard.locator("#filter-camera option")).to_have_count(2)
    expect(guard.locator("#do-reopen")).to_have_count(0)
    desk_room.services.desk.take(make_event(9, 900.0))
    desk_room.services.desk.take(crossing(9, 900.0, camera="lake"))
    expect(guard.locator("#list li")).to_have_count(2)
    auditor = desk_room.guard("sun.li", "auditor")
    expect(auditor.locator("#list li")).to_have_count(5)
    expect(auditor.locator("#actions")).to_have_text("You can look at alerts here, but not handle them.")
    auditor.keyboard.press("a")
    auditor.keyboard.press("?")
    expect(auditor.locator("#key-list")).not_to_contain_text("Acknowledge")


def test_all_of_it_is_chinese_on_request(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard(locale="zh-CN")
    shown(page, alerts[2])
    expect(page.locator("html")).to_have_attribute("lang", "en")  # The site's language, until somebody chooses.
    page.select_option("header .language", "zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#list li").first).to_contain_text("停留 34.2 秒，阈值 30 秒")
    expect(page.locator("#detail-title")).to_have_text("徘徊")
    page.keyboard.press("t")
    state_of(page, "我处理中")
    page.locator("#do-false_alarm").click()
    expect(page.locator("#reasons")).to_contain_text("植物晃动")
    page.keyboard.press("Escape")
    words = page.evaluate(
        "[...document.querySelectorAll('button, label > span, h1, h2, h3, dt, legend, .badge, option, .note')]"
        ".filter((node) => !node.closest('.brand')).map((node) => node.textContent.trim()).filter((text) => text)"
    )
    untranslated = {text for text in words if not any(ord(character) > 0x2E80 for character in text)}
    keys = {"J ↓", "K ↑", "← →", "?", "/", "Esc", *"ATRFDHLNIOXEP"}
    assert {text for text in untranslated - keys if not text.startswith("2026-")} <= {"English", "lake", "north-gate"}
    page.reload()
    expect(page.locator("#list-title")).to_have_text("告警")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_narrow_screen_cuts_nothing_off(language: str, alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard(size=NARROW)
    shown(page, alerts[2])
    page.select_option("header .language", language)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    cut = page.evaluate(
        "[...document.querySelectorAll('button, .badge, select, .state-choice')].filter((node) => node.offsetParent"
        " && (node.scrollWidth > node.clientWidth + 1 || node.getBoundingClientRect().right > innerWidth))"
        ".map((node) => node.textContent)"
    )
    assert cut == []


def test_no_alerts_yet(browser: playwright.Browser, app: FastAPI, services: Services) -> None:
    with room(browser, app, services) as opened:
        page = opened.guard()
        expect(page.locator("#empty")).to_contain_text("No alerts yet")
        expect(page.locator("#detail")).to_contain_text("Choose an alert")
        page.keyboard.press("?")
        expect(page.locator("#help")).to_contain_text("Next alert")
        page.keyboard.press("Escape")
        page.locator("#states").get_by_text("Resolved").click()
        expect(page.locator("#empty")).to_contain_text("No alerts in this selection")
