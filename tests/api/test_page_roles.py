"""The page in a real browser, as every role: what the role forbids is not there, and no step is answered 403."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.access.principal import PERMISSIONS_OF, ROLES, Permission, Role  # noqa: E402 - after the check for the driver
from api.alerts import Alert  # noqa: E402
from api.arming import ArmedRule, ArmingPlan  # noqa: E402
from api.journal import Actor  # noqa: E402
from api.services import Services, open_services  # noqa: E402
from tests.api.pages import Room, room, shown, some_alerts  # noqa: E402

expect = playwright.expect
TOKEN = Actor("token", "zhao.min/c8b60126db37d930")
OFFERS: dict[str, Permission] = {
    **dict.fromkeys(
        ("#do-acknowledge", "#do-claim", "#do-resolve", "#do-false_alarm", "#do-drill", "#do-assign", "#do-release",
         "#do-note"),
        "alerts.handle",
    ),
    "#do-reopen": "alerts.reopen",
    **dict.fromkeys(
        ("#do-incident", "#do-edit_title", "#do-take_out", "#do-close_incident", "#row-mark .mark"), "incidents.write"
    ),
    "#arming-profiles": "arming.write",
    "#arming-single": "arming.write",
}  # fmt: skip
"""What is to be offered, and what it needs; written without the page's own table."""
KEYS = "xatrfdhlnio"


@pytest.fixture
def services(database: str, media: Path) -> Iterator[Services]:
    plan = ArmingPlan(rules={"north-gate": (ArmedRule("lawn-loitering", "lawn"),)})
    with open_services(database, media_dir=media, arming=plan) as opened:
        yield opened


@pytest.fixture
def alerts(services: Services, media: Path, drawn_clip: Path) -> list[Alert]:
    return some_alerts(services, media, drawn_clip)


@pytest.fixture
def desk_room(browser: playwright.Browser, app: FastAPI, services: Services, alerts: list[Alert]) -> Iterator[Room]:
    services.incidents.create("Two at the fence", [alerts[0].alert_id, alerts[2].alert_id], actor=TOKEN)
    with room(browser, app, services) as opened:
        yield opened


def offered(page: playwright.Page, selector: str) -> bool:
    return bool(page.locator(selector.replace("#row-mark", "#list li:first-child")).first.is_visible())


@pytest.mark.parametrize("role", ROLES)
def test_what_is_offered_is_what_the_matrix_allows(role: Role, alerts: list[Alert], desk_room: Room) -> None:
    refused, written = [], []
    page = desk_room.stranger(go=False)
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    page.on("request", lambda request: written.append(request.url) if request.method not in ("GET", "HEAD") else None)
    desk_room.user("sun.li", role)
    desk_room.log_in(page, "sun.li")
    page.goto(desk_room.address)
    shown(page, alerts[2])
    expect(page.locator("#incident-of-alert")).to_contain_text("Two at the fence")
    page.locator("#list li").first.hover()
    found = {selector for selector in OFFERS if not selector.startswith("#arming") and offered(page, selector)}
    page.keyboard.press("p")
    expect(page.locator("#arming-now")).to_be_visible()
    found |= {selector for selector in OFFERS if selector.startswith("#arming") and offered(page, selector)}
    page.keyboard.press("Escape")
    assert found == {selector for selector, needs in OFFERS.items() if needs in PERMISSIONS_OF[role]}
    for key in KEYS:
        page.keyboard.press(key)
        if page.locator("dialog[open]").count():
            page.keyboard.press("Escape")
    expect(page.locator("#marked")).to_be_visible(visible="incidents.write" in PERMISSIONS_OF[role])
    page.keyboard.press("?")
    words = page.locator("#key-list")
    expect(words).to_be_visible()
    for word, needs in (("Mark", "incidents.write"), ("Acknowledge", "alerts.handle"), ("Reopen", "alerts.reopen")):
        assert (word.lower() in words.inner_text().lower()) == (needs in PERMISSIONS_OF[role]), word
    assert bool(written) == ("alerts.handle" in PERMISSIONS_OF[role])
    assert refused == []


def test_who_sees_an_incident_in_part_is_offered_no_change_of_it(alerts: list[Alert], desk_room: Room) -> None:
    incidents = desk_room.services.incidents
    (held,) = incidents.list().incidents
    incidents.add(held.incident_id, [alerts[1].alert_id], actor=TOKEN)
    page = desk_room.guard("sun.li", "guard", cameras=["lake"])
    shown(page, alerts[1])
    section = page.locator("#incident-of-alert")
    expect(section.locator("li")).to_have_count(1)
    expect(section).to_contain_text("It also holds 2 alerts that you may not see.")
    expect(section.locator("#do-edit_title, #do-take_out, #do-close_incident")).to_have_count(0)


@pytest.mark.parametrize(
    ("role", "english", "chinese"),
    [
        ("guard", "Acknowledged by Zhao Min (by token)", "Zhao Min（通过令牌）"),
        ("auditor", "Acknowledged by Zhao Min (by token c8b60126db37d930)", "Zhao Min（通过令牌 c8b60126db37d930）"),
    ],
)
def test_what_a_token_did_is_put_down_to_its_owner(
    role: Role, english: str, chinese: str, alerts: list[Alert], desk_room: Room
) -> None:
    desk_room.user("zhao.min", "guard", display_name="Zhao Min")
    desk_room.services.desk.act(alerts[2].alert_id, "acknowledge", actor=TOKEN)
    page = desk_room.guard("sun.li", role)
    shown(page, alerts[2])
    expect(page.locator("#history")).to_contain_text(english)
    page.locator("#desk select.language").select_option("zh-CN")
    expect(page.locator("#history")).to_contain_text(chinese)
    if role == "guard":
        expect(page.locator("#desk")).not_to_contain_text(TOKEN.name.partition("/")[2])
