"""Arming on the page: the profile that the site is in, who set it, and switching it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.arming import DEFAULT_PROFILES, ArmedRule, ArmingPlan, Profile  # noqa: E402 - after the check for the driver
from api.journal import Actor  # noqa: E402
from api.services import Services, open_services  # noqa: E402
from tests.api.pages import Room, room  # noqa: E402
from tests.api.scenes import make_event  # noqa: E402

expect = playwright.expect
ZHAO = Actor("user", "zhao.min")
PLAN = ArmingPlan(
    profiles={**DEFAULT_PROFILES, "day": Profile("day", (("north-gate", "lawn"),))},
    rules={"north-gate": (ArmedRule("lawn-loitering", "lawn"), ArmedRule("road", "kerb"))},
)


@pytest.fixture
def services(database: str, media: Path) -> Iterator[Services]:
    with open_services(database, media_dir=media, arming=PLAN) as opened:
        opened.desk.take(make_event())
        yield opened


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services) -> Iterator[Room]:
    with room(browser, app, services) as opened:
        yield opened


def choose(page: playwright.Page, profile: str) -> None:
    page.locator("#profiles").get_by_text(profile, exact=True).click()


def test_a_supervisor_switches_the_profile_by_keyboard_and_a_guard_sees_it(desk_room: Room) -> None:
    chief = desk_room.guard("zhao.min", "supervisor", display_name="Zhao Min")
    guard = desk_room.guard("sun.li", "guard")
    for page in (chief, guard):
        expect(page.locator("#arming-button")).to_contain_text(re.compile("Profile.*Day.*by Gatewatch"))
        expect(page.locator("#connection")).to_have_text("Live")
    chief.keyboard.press("p")
    expect(chief.locator("#arming-rules")).to_have_text("1 of 2 rules are not armed: lawn-loitering (north-gate).")
    expect(chief.locator("#arming-confirm")).to_be_disabled()  # It is day already.
    for _ in range(3):
        chief.keyboard.press("ArrowDown")
    expect(chief.locator("#arming-then p")).to_have_text(
        ["Then all rules are armed.", "Alerts that are raised then are marked as drills."]
    )
    expect(chief.locator("#arming-confirm")).to_have_text("Switch to Drill")
    chief.keyboard.press("Enter")
    expect(chief.locator("#arming-button")).to_contain_text(re.compile("Drill.*by you"))
    # Sooner than by asking every few seconds.
    expect(guard.locator("#arming-button")).to_contain_text(re.compile("Drill.*by Zhao Min"), timeout=2000)
    expect(guard.locator("#toast")).to_have_text("Zhao Min set the profile: Drill")
    guard.locator("#arming-button").click()
    expect(guard.locator("#arming-drill")).to_have_text("Alerts that are raised now are marked as drills.")
    expect(guard.locator("#arming-profiles")).to_be_hidden()
    expect(guard.locator("#arming-confirm")).to_be_hidden()
    expect(guard.locator("#arming-single")).to_be_hidden()
    desk_room.services.arming.override("north-gate", "lawn", False, actor=ZHAO)
    expect(guard.locator("#exceptions")).to_contain_text("lawn (north-gate): disarmed by Zhao Min")  # While it is open.
    expect(guard.locator("#arming-button")).to_contain_text("1 exception")
    guard.keyboard.press("Enter")
    expect(guard.locator("#arming")).to_be_hidden()
    chief.locator("#arming-button").click()
    expect(chief.locator("#arming-confirm")).to_have_text("Stay with Drill, end the exceptions")
    chief.locator("#arming-confirm").click()
    expect(guard.locator("#arming-button")).not_to_contain_text("exception")
    state = desk_room.services.arming.state
    assert (state.profile.name, state.set_by, state.overrides) == ("drill", "zhao.min", ())


def test_two_at_once(desk_room: Room) -> None:
    page = desk_room.guard("li.wei", "supervisor")
    desk_room.user("zhao.min", "supervisor", display_name="Zhao Min")
    expect(page.locator("#arming-button")).to_contain_text("Day")
    page.locator("#arming-button").click()
    choose(page, "Holiday")
    desk_room.services.arming.set_profile("night", actor=ZHAO, expected_version=None)
    expect(page.locator("#arming-now")).to_contain_text("Profile Night, set by Zhao Min")
    page.locator("#arming-confirm").click()  # Chosen while it was day.
    expect(page.locator("#arming-changed")).to_contain_text("Zhao Min set the profile: Night")
    assert desk_room.services.arming.state.profile.name == "night"
    expect(page.locator("#arming-confirm")).to_have_text("Switch to Holiday")
    page.locator("#arming-confirm").click()  # Having read it.
    expect(page.locator("#arming-button")).to_contain_text("Holiday")
    assert desk_room.services.arming.state.set_by == "li.wei"


def test_single_rules_beside_the_profile(desk_room: Room) -> None:
    page = desk_room.guard("li.wei", "supervisor")
    desk_room.user("zhao.min", "supervisor", display_name="Zhao Min")
    expect(page.locator("#arming-button")).to_contain_text("Day")
    page.keyboard.press("p")
    page.locator("#arming-single summary").click()
    page.locator("#arming-rule").select_option("road (north-gate): armed")
    expect(page.locator("#arming-step")).to_have_text("Disarm")
    page.locator("#arming-step").click()
    expect(page.locator("#exceptions")).to_contain_text("road (north-gate): disarmed by you")
    expect(page.locator("#arming-step")).to_have_text("Arm")
    page.locator("#arming-rule").select_option("lawn-loitering (north-gate): not armed")
    desk_room.services.arming.override("north-gate", "lawn", True, actor=ZHAO)
    expect(page.locator("#arming-step")).to_have_text("Disarm")  # Armed by somebody else while it was chosen.
    page.locator("#arming-step").click()
    expect(page.locator("#arming-changed")).to_contain_text("Zhao Min armed lawn (north-gate)")
    assert desk_room.services.arming.disarmed() == {("north-gate", "road")}
    page.locator("#arming-step").click()  # Having read it.
    expect(page.locator("#arming-rules")).to_contain_text("2 of 2 rules are not armed")


def test_whoever_is_limited_to_cameras_cannot_set_what_is_for_all(desk_room: Room) -> None:
    page = desk_room.guard("li.wei", "supervisor", cameras=["north-gate"])
    page.select_option("header .language", "zh-CN")
    expect(page.locator("#arming-button")).to_contain_text(re.compile("布防模式.*日间.*系统"))
    page.keyboard.press("p")
    expect(page.locator("#arming-rules")).to_contain_text("共 2 条规则，其中 1 条未布防")
    expect(page.locator("#arming-profiles")).to_be_hidden()
    page.locator("#arming-step").click()
    expect(page.locator("#exceptions")).to_contain_text("全部规则（north-gate）：我临时布防")
    page.keyboard.press("Escape")
    expect(page.locator("#arming")).to_be_hidden()
