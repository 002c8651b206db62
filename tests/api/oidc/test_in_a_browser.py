"""The way of a real browser: the button, the provider's site, back to the page, logged in, and out at both."""

from __future__ import annotations

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")

from api.access.oidc_settings import OidcSettings  # noqa: E402 - after the check for the browser's driver
from api.app import create_app  # noqa: E402
from api.services import Services  # noqa: E402
from tests.api.oidc.provider import CLIENT, SECRET, provider  # noqa: E402
from tests.api.scenes import Site, serving  # noqa: E402

expect = playwright.expect


def test_the_button_leads_in_a_refusal_back_and_logging_out_there(
    browser: playwright.Browser, services: Services
) -> None:
    with provider() as there:
        # By another name than ours: to the browser another site, whose links bring no strict cookie along.
        there.issuer = there.issuer.replace("127.0.0.1", "localhost")
        there.logout = "logout"
        oidc = OidcSettings(
            issuer=there.issuer, client_id=CLIENT, client_secret=SECRET, roles={"gw-guards": "guard"}, label="Lakeside",
            logout=True,
        )  # fmt: skip
        app = create_app(services, site=Site(), version="1.2.3", oidc=oidc)
        with serving(app) as address:
            page = browser.new_page()
            there.claims["groups"] = []
            page.goto(address)
            page.get_by_text("Lakeside").click()
            expect(page.locator("h1")).to_have_text("Log-in failed")
            page.get_by_text("Back to the log-in page").click()
            there.claims["groups"] = ["gw-guards"]
            page.get_by_text("Lakeside").click()
            expect(page.locator("#site-name")).to_have_text("Lakeside Gardens")
            expect(page.get_by_text("张伟").first).to_be_visible()
            page.reload()
            expect(page.locator("#site-name")).to_have_text("Lakeside Gardens")
            page.locator("#log-out").click()
            expect(page.get_by_text("Log in with Lakeside")).to_be_visible()
            assert there.requests["logout"] == 1
            page.close()
