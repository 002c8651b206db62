"""The page in real browsers: guards who work on the same alerts and incidents, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.access.principal import Role  # noqa: E402 - after the check for the browser's driver
from api.alerts import Alert  # noqa: E402
from api.desk import ExternalEvent  # noqa: E402
from api.journal import Actor  # noqa: E402
from api.services import Services  # noqa: E402
from tests.api.pages import Room, room, shown, some_alerts, state_of  # noqa: E402
from tests.api.scenes import START  # noqa: E402

expect = playwright.expect


@pytest.fixture
def alerts(services: Services, media: Path, drawn_clip: Path) -> list[Alert]:
    return some_alerts(services, media, drawn_clip)


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services, alerts: list[Alert]) -> Iterator[Room]:
    assert alerts
    with room(browser, app, services) as opened:
        yield opened


def test_two_guards_at_once(alerts: list[Alert], desk_room: Room) -> None:
    one, other = desk_room.guard(), desk_room.guard("zhao.min", "guard", display_name="Zhao Min")
    shown(one, alerts[2])
    shown(other, alerts[2])
    one.locator("#do-resolve").click()
    one.locator("#note").fill("seen on site")
    one.locator("#reasons").get_by_text("Handled on site").click()
    other.keyboard.press("t")
    state_of(other, "With you")
    state_of(one, "With Zhao Min")  # Behind the dialog, without reload.
    one.locator("#decide-confirm").click()
    expect(one.locator("#decide-changed")).to_contain_text("Taken by Zhao Min")
    assert desk_room.services.desk.get(alerts[2].alert_id).alert.state == "in_progress"
    expect(one.locator("#note")).to_have_value("seen on site")
    one.locator("#decide-confirm").click()  # Having read it, he stays with his verdict.
    state_of(one, "Resolved")
    state_of(other, "Resolved")
    expect(other.locator("#history")).to_contain_text("seen on site")


def test_a_step_that_came_too_late_says_who_was_faster(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    page.route("**/api/v1/stream", lambda route: route.abort())
    page.route("**/api/v1/alerts**", lambda route: route.abort() if route.request.method == "GET" else route.fallback())
    page.reload()
    page.unroute("**/api/v1/alerts**")
    shown(page, alerts[2])
    desk = desk_room.services.desk
    # Told to the page only when it tries: the live stream is cut, and the next look is seconds away.
    desk.act(alerts[2].alert_id, "false_alarm", reason="animal", actor=Actor("user", "zhao.min"))
    page.locator("#do-claim").click()
    expect(page.locator("#decide-changed")).to_contain_text("Marked as false alarm by zhao.min: Animal")
    expect(page.locator("#decide-confirm")).to_be_disabled()
    page.keyboard.press("Escape")
    state_of(page, "False alarm")


def test_alerts_are_put_together(alerts: list[Alert], desk_room: Room) -> None:
    page = desk_room.guard()
    shown(page, alerts[2])
    page.keyboard.press("x")
    page.locator("#list li").nth(1).hover()
    page.locator("#list li").nth(1).locator(".mark").click()
    expect(page.locator("#marked-count")).to_have_text("2 marked")
    shown(page, alerts[2])
    page.locator("#marked-incident").click()
    page.locator("#incident-title").fill("Night of the fox")
    page.keyboard.press("Enter")
    section = page.locator("#incident-of-alert")
    expect(section).to_contain_text("Night of the fox")
    expect(section.locator("li")).to_have_count(2)
    page.locator("#list li").nth(2).click()
    shown(page, alerts[0])
    page.keyboard.press("i")
    page.locator("#incident-which").select_option(index=1)
    page.locator("#incident-confirm").click()
    expect(section.locator("li")).to_have_count(3)
    page.locator("#do-take_out").click()
    expect(page.locator("#do-incident")).to_be_enabled()
    page.locator("#list li").nth(0).click()
    shown(page, alerts[2])
    page.locator("#do-close_incident").click()
    expect(section).to_contain_text("Closed")


def test_an_incident_gets_another_title_and_two_guards_do_not_lose_each_others(
    alerts: list[Alert], desk_room: Room
) -> None:
    incidents, ids = desk_room.services.incidents, [alerts[2].alert_id]
    incident_id = incidents.create("Somebody", ids, actor=Actor("user", "zhao.min")).incident_id
    desk_room.user("zhao.min", "guard", display_name="Zhao Min")
    page = desk_room.guard()
    section = page.locator("#incident-of-alert")
    page.locator("#do-edit_title").click()
    expect(page.locator("#rename-title")).to_have_value("Somebody")
    page.keyboard.type(" ")
    page.keyboard.press("Enter")
    expect(page.locator("#rename-error")).to_have_text("Please give the incident a title.")
    page.keyboard.type("Two at the fence")
    page.keyboard.press("Enter")
    expect(section).to_contain_text("Two at the fence")
    page.locator("#do-edit_title").click()
    page.locator("#rename-title").fill("Three at the fence")
    incidents.rename(incident_id, "Nobody", expected_version=None, actor=Actor("user", "zhao.min"))
    expect(section).to_contain_text("Nobody")  # Behind the dialog, without reload.
    page.keyboard.press("Enter")
    expect(page.locator("#rename-changed")).to_contain_text("Zhao Min gave it the title: Nobody")
    assert incidents.get(incident_id).title == "Nobody"
    expect(page.locator("#rename-title")).to_have_value("Three at the fence")
    page.keyboard.press("Enter")  # Having read it.
    expect(section).to_contain_text("Three at the fence")
    assert incidents.get(incident_id).title == "Three at the fence"


@pytest.mark.parametrize("role", ["guard", "auditor"])  # Who may not see users, and who may not handle alerts.
def test_people_are_called_by_their_names_in_the_list_too(role: Role, alerts: list[Alert], desk_room: Room) -> None:
    desk_room.user("zhao.min", "guard", display_name="Zhao Min")
    for alert in alerts:
        desk_room.services.desk.act(alert.alert_id, "claim", actor=Actor("user", "zhao.min"))
    asked: list[str] = []
    page = desk_room.stranger(go=False)
    page.on("request", lambda request: asked.append(request.url))
    desk_room.user("sun.li", role)
    desk_room.log_in(page, "sun.li")
    page.goto(desk_room.address)
    expect(page.locator("#list .state-in_progress")).to_have_text(["With Zhao Min"] * 3)
    state_of(page, "With Zhao Min")
    assert len([url for url in asked if "/assignees" in url or "/users" in url]) == 1


def test_what_a_source_says_stands_on_its_alert(alerts: list[Alert], desk_room: Room) -> None:
    desk, page = desk_room.services.desk, desk_room.guard()
    button = ExternalEvent("panel", "1", "panic_button", "critical", START + timedelta(hours=9), text="Door 7")
    seven = desk.raise_external(button)
    page.locator(f"[id='row-{seven.alert_id}']").click()
    expect(page.locator("#detail-title")).to_have_text("Panic button: Door 7")
    desk.raise_external(replace(button, event_id="2", at=button.at + timedelta(seconds=9)))
    nine = desk.raise_external(replace(button, event_id="3", at=button.at + timedelta(seconds=12), text="Door 9"))
    expect(page.locator("#side")).to_contain_text("Events (2)")
    expect(page.locator("#side .events li")).to_contain_text(["Door 7", "Door 7"])
    page.locator(f"[id='row-{nine.alert_id}']").click()
    expect(page.locator("#detail-title")).to_have_text("Panic button: Door 9")
    assert len(alerts) == 3
