"""Guards in real browsers, before a real server, for the tests of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from api.access.authenticate import COOKIE
from api.access.principal import Role
from api.alerts import Alert, Clip
from api.journal import SYSTEM
from api.services import Services
from tests.api.scenes import crossing, make_event, serving, snapshot_of

WIDE = {"width": 1366, "height": 768}
NARROW = {"width": 480, "height": 900}
XSS = "<img src=x onerror=alert(1)>"
# The browser says of every request that was refused or cut that it was; what the page makes of it is tested.
EXPECTED = "Failed to load resource: "


@dataclass
class Room:
    """A monitoring room: the server, and the guards' browsers."""

    browser: Browser
    services: Services
    address: str
    said: list[str] = field(default_factory=list)
    """What pages said on their consoles, by the content security policy least of all."""
    _open: list[Any] = field(default_factory=list)

    def user(self, name: str, role: Role, **options: Any) -> None:
        """Somebody who logs in elsewhere, so that no test waits for a password."""
        provider = ("https://login.test", name)
        self.services.accounts.users.create(name, role, actor=SYSTEM, provider=provider, **options)

    def guard(self, name: str = "li.wei", role: Role = "administrator", **options: Any) -> Page:
        """This person's page, logged in; `size`, `locale`: of the browser."""
        size, locale = options.pop("size", WIDE), options.pop("locale", "en-GB")
        self.user(name, role, **options)
        page = self.stranger(size=size, locale=locale, go=False)
        self.log_in(page, name)
        page.goto(self.address)
        expect(page.locator("#desk")).to_be_visible()
        return page

    def log_in(self, page: Page, name: str) -> None:
        login = self.services.accounts.sessions.open_for(name, None, how="test")
        page.context.add_cookies([{"name": COOKIE, "value": login.secret, "url": self.address}])

    def stranger(self, *, size: dict[str, int] = WIDE, locale: str = "en-GB", go: bool = True) -> Page:
        context = self.browser.new_context(viewport=size, locale=locale)  # type: ignore[arg-type] # a ViewportSize
        self._open.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        if go:
            page.goto(self.address)
        return page

    def close(self) -> None:
        for context in self._open:
            context.close()

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc


@contextmanager
def room(browser: Browser, app: FastAPI, services: Services) -> Iterator[Room]:
    """Ends with a look at what the pages said."""
    with serving(app) as address:
        opened = Room(browser, services, address)
        try:
            yield opened
        finally:
            opened.close()
    assert [text for text in opened.said if not text.startswith(EXPECTED)] == []


def some_alerts(services: Services, media: Path, clip: Path) -> list[Alert]:
    """Oldest first: a rendered clip with a shortfall; a line crossing without a clip; two events in one alert."""
    desk = services.desk
    (media / "c.mp4").write_bytes(clip.read_bytes())
    (media / "c.mkv").write_bytes(b"packets as they were")
    first = desk.take(make_event(1, 100.0))
    second = desk.take(crossing(1, 200.0, rule=XSS, camera="lake"))
    desk.take(make_event(2, 300.0))
    third = desk.take(make_event(3, 310.0, severity="critical"))
    for event, alert in ((make_event(1, 100.0), first), (make_event(2, 300.0), third)):
        (media / f"{alert.alert_id}.jpg").write_bytes(snapshot_of(event))
    desk.attach_media(
        first.alert_id, snapshot=f"{first.alert_id}.jpg", clips=[Clip("c.mp4", 97.0, 103.0, "c.mkv", 2.3)]
    )
    desk.attach_media(third.alert_id, snapshot=f"{third.alert_id}.jpg", clips=[Clip("c.mp4", 297.0, 303.0)])
    return [first, second, third]


def shown(page: Page, alert: Alert) -> None:
    expect(page.locator("#detail")).to_have_attribute("data-id", alert.alert_id)


def state_of(page: Page, text: str) -> None:
    expect(page.locator("#detail-head .badges")).to_contain_text(text)


def until(page: Page, expression: str, within_s: float = 10.0) -> None:
    """Waits until the expression holds. (The page's policy forbids Playwright's own way, which evaluates text.)"""
    deadline = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never became true: {expression}"
        page.wait_for_timeout(50)
