"""Log-in at a real OpenID provider on a socket, and everything that must not let anybody in."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.testclient import TestClient

from api.access.authenticate import COOKIE
from api.access.oidc import user_name_of
from api.access.oidc_settings import LOGOUT, OidcSettings
from api.access.users import UserChange
from api.app import create_app
from api.journal import SYSTEM
from api.services import Services
from api.storage.ledger import entries_after
from tests.api.oidc.provider import CLIENT, SECRET, FakeProvider, base64_url, provider, unsigned
from tests.api.scenes import Site

V1 = "/api/v1"
LOGIN = f"{V1}/oidc/login"
ROLES = {"gw-admins": "administrator", "gw-guards": "guard", "gw-auditors": "auditor"}


@pytest.fixture
def there() -> Iterator[FakeProvider]:
    with provider() as running:
        yield running


def settings(there: FakeProvider, **changes: Any) -> OidcSettings:
    values = {"issuer": there.issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": ROLES, "label": "社区账号"}
    return OidcSettings(**values | changes)


def browser_of(services: Services, oidc: OidcSettings | None, address: str = "http://127.0.0.1:8400") -> TestClient:
    app = create_app(services, site=Site(), version="1.2.3", oidc=oidc)
    return TestClient(app, base_url=address, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def browser(services: Services, there: FakeProvider) -> Iterator[TestClient]:
    with browser_of(services, settings(there)) as client:
        yield client


def back_from_provider(browser: TestClient, start: str = LOGIN) -> str:
    """Goes to the provider, and gives the path with which it sends the browser back."""
    away = browser.get(start)
    assert away.status_code == 303, away.text
    returned = httpx2.get(away.headers["location"])
    assert returned.status_code == 303
    parts = urlsplit(returned.headers["location"])
    return f"{parts.path}?{parts.query}"


def log_in(browser: TestClient, start: str = LOGIN) -> Any:
    return browser.get(back_from_provider(browser, start))


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert "gatewatch_session" not in answer.cookies
    return dict(answer.json()["error"])


def test_somebody_logs_in_and_is_who_the_provider_says(
    browser: TestClient, services: Services, there: FakeProvider
) -> None:
    answer = log_in(browser, f"{LOGIN}?return_to=/%23alerts")
    assert (answer.status_code, answer.headers["location"]) == (303, "/#alerts")
    cookie = next(text for text in answer.headers.get_list("set-cookie") if text.startswith("gatewatch_session="))
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie
    assert browser.get(f"{V1}/alerts").status_code == 200
    user = services.accounts.users.of_provider(there.issuer, "248289761001")
    assert user is not None
    assert (user.name, user.display_name, user.role, user.cameras, user.local) == (
        "wei.zhang", "张伟", "guard", None, False,
    )  # fmt: skip
    with services.ledger.reading() as session:
        entries = entries_after(session, 0, 10)
    assert [(e.subject, e.action, e.actor.kind) for e in entries if e.subject != "journal"] == [
        ("user", "created", "external"), ("session", "login", "user"),
    ]  # fmt: skip
    assert entries[-1].body["how"] == "oidc"
    assert SECRET not in str(entries)


def test_logging_out_goes_on_to_the_provider_where_that_is_wanted(services: Services, there: FakeProvider) -> None:
    there.logout = "logout?realm=site"
    with browser_of(services, settings(there, logout=True)) as browser:
        log_in(browser)
        session = browser.get(f"{V1}/session").json()
        assert session["logout_url"] == LOGOUT
        browser.delete(f"{V1}/session", headers={"x-csrf-token": session["csrf_token"]})
        away = browser.get(LOGOUT)
        assert away.status_code == 303
        parts = urlsplit(away.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{there.issuer}/logout"
        assert parse_qs(parts.query) == {
            "realm": ["site"], "client_id": [CLIENT], "post_logout_redirect_uri": ["http://127.0.0.1:8400/"],
        }  # fmt: skip
    own = settings(there, logout=True, redirect_uri="https://gate.example.com/api/v1/oidc/callback")
    with browser_of(services, own) as browser:
        assert "=https%3A%2F%2Fgate.example.com%2F" in browser.get(LOGOUT).headers["location"]


def test_who_is_not_to_be_logged_out_at_the_provider_stays_here(services: Services, there: FakeProvider) -> None:
    there.logout = "logout"
    with browser_of(services, settings(there)) as browser:
        log_in(browser)
        assert browser.get(f"{V1}/session").json()["logout_url"] is None
        assert browser.get(LOGOUT).headers["location"] == "/"
    there.logout = ""
    with browser_of(services, settings(there, logout=True)) as browser:
        assert browser.get(LOGOUT).headers["location"] == "/"
        services.accounts.users.create("local", "guard", actor=SYSTEM)
        secret = services.accounts.sessions.open_for("local", None, how="test").secret
        browser.cookies.set(COOKIE, secret)
        assert browser.get(f"{V1}/session").json()["logout_url"] is None
    there.broken = True
    with browser_of(services, settings(there, logout=True)) as browser:
        assert browser.get(LOGOUT).headers["location"] == "/"
    with browser_of(services, None) as browser:
        assert browser.get(LOGOUT).status_code == 404


def test_role_and_name_follow_the_provider_at_each_log_in(
    browser: TestClient, services: Services, there: FakeProvider
) -> None:
    log_in(browser)
    there.claims |= {"groups": "gw-auditors", "name": "Zhang Wei", "preferred_username": "renamed"}
    assert log_in(browser).status_code == 303
    (user,) = services.accounts.users.list()
    assert (user.name, user.display_name, user.role) == ("wei.zhang", "Zhang Wei", "auditor")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_keys_may_change_at_any_time(browser: TestClient, there: FakeProvider, algorithm: str) -> None:
    assert log_in(browser).status_code == 303
    there.rotate(algorithm)
    assert log_in(browser).status_code == 303
    assert there.requests["jwks"] == 2
    there.rotate(algorithm)  # Once more in the same moment: keys are not asked for at every stranger's word.
    assert refused(log_in(browser), 401, "oidc_refused")["details"]["problem"] == "signature"
    assert there.requests["jwks"] == 2
    assert there.requests["openid-configuration"] == 1


def spoiled(**changes: Any) -> Any:
    def spoil(_: dict[str, Any], claims: dict[str, Any]) -> None:
        claims.update({name: change(claims) if callable(change) else change for name, change in changes.items()})
        for name in [name for name, value in claims.items() if value is None]:
            del claims[name]

    return spoil


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "another"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"aud": "another"}, "aud"),
    ({"aud": [CLIENT, "another"]}, "azp"),
    ({"azp": "another"}, "azp"),
    ({"iss": "https://evil.test"}, "iss"),
    ({"iss": None}, "iss"),
    ({"exp": lambda claims: claims["iat"] - 120}, "exp"),
    ({"exp": None}, "exp"),
    ({"iat": lambda claims: claims["iat"] + 600}, "iat"),
    ({"iat": lambda claims: claims["iat"] - 3600}, "iat"),
    ({"sub": None}, "sub"),
    ({"sub": 7}, "sub"),
    ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
]


def test_a_token_that_says_the_wrong_thing_lets_nobody_in(
    browser: TestClient, services: Services, there: FakeProvider
) -> None:
    for changes, problem in WRONG:
        there.spoil = spoiled(**changes)
        assert refused(log_in(browser), 401, "oidc_refused")["details"]["problem"] == problem, changes
    assert services.accounts.users.list() == []


def signed_with_secret(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A MAC under what is no secret, or is one that others know too."""
    content = ".".join(base64_url(json.dumps(part).encode()) for part in ({**header, "alg": "HS256"}, claims))
    return f"{content}.{base64_url(hmac.digest(key, content.encode(), 'sha256'))}"


def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(browser: TestClient, there: FakeProvider) -> None:
    foreign = ECKey.generate_key("P-256", {"kid": there.key.kid})
    public = there.key.as_pem(private=False)
    forgeries = [
        unsigned,
        lambda header, claims: jwt.encode(header, claims, foreign, ["ES256"]),
        lambda header, claims: there.signed(header, claims)[:-4] + "AAAA",
        lambda header, claims: there.signed(header, claims).replace(".", "", 1),
        lambda header, claims: signed_with_secret(header, claims, public),
        lambda header, claims: signed_with_secret(header, claims, SECRET.encode()),
    ]
    for forgery in forgeries:
        there.sign = forgery
        assert refused(log_in(browser), 401, "oidc_refused")["details"]["problem"] == "signature"


def test_an_answer_counts_once_and_in_the_browser_that_asked(
    browser: TestClient, services: Services, there: FakeProvider
) -> None:
    back = back_from_provider(browser)
    with browser_of(services, settings(there)) as stranger:
        refused(stranger.get(back), 400, "oidc_expired")
    cookie = browser.cookies["gatewatch_oidc"]
    assert browser.get(back).status_code == 303
    browser.cookies.clear()
    headers = {"cookie": f"gatewatch_oidc={cookie}"}
    refused(browser.get(back, headers=headers), 400, "oidc_expired")  # the state was used
    other = back_from_provider(browser)
    used_code = parse_qs(urlsplit(back).query)["code"][0]
    state = parse_qs(urlsplit(other).query)["state"][0]
    error = refused(browser.get(f"{V1}/oidc/callback?state={state}&code={used_code}"), 401, "oidc_refused")
    assert error["details"] == {"provider_error": "invalid_grant"}


def test_an_answer_without_its_state_is_not_taken(browser: TestClient, there: FakeProvider) -> None:
    for query in ("", "code=x", "state=&code=x", "state=another&code=x", "state=another&error=access_denied"):
        back_from_provider(browser)
        refused(browser.get(f"{V1}/oidc/callback?{query}"), 400, "oidc_expired")
    assert "token" not in there.requests


def test_a_forged_or_stale_cookie_is_not_taken(browser: TestClient, there: FakeProvider) -> None:
    back = back_from_provider(browser)
    cookie = browser.cookies["gatewatch_oidc"]
    for forged in (cookie[:-3] + "AAA", "e30", "a.b.c.d.e"):
        browser.cookies.clear()
        refused(browser.get(back, headers={"cookie": f"gatewatch_oidc={forged}"}), 400, "oidc_expired")
    assert "token" not in there.requests


def test_who_is_refused_by_the_provider_hears_so(browser: TestClient) -> None:
    away = browser.get(LOGIN)
    state = parse_qs(urlsplit(away.headers["location"]).query)["state"][0]
    error = refused(browser.get(f"{V1}/oidc/callback?state={state}&error=access_denied"), 401, "oidc_refused")
    assert error["details"] == {"provider_error": "access_denied"}


def test_another_providers_answer_is_refused(browser: TestClient) -> None:
    answer = browser.get(f"{back_from_provider(browser)}&iss=https://evil.test")
    assert refused(answer, 401, "oidc_refused")["details"] == {"problem": "iss"}


def test_without_a_mapped_role_nobody_comes_in(browser: TestClient, services: Services, there: FakeProvider) -> None:
    for groups in ([], ["staff"], "gw-guard", None, {"gw-guards": True}, 7):
        there.claims["groups"] = groups
        error = refused(log_in(browser), 403, "oidc_no_role")
        assert "is mapped to a role here" in error["message"]
    assert services.accounts.users.list() == []
    with services.ledger.reading() as session:
        last = entries_after(session, 0, 20)[-1]
    assert (last.subject, last.action, last.body) == ("session", "login_failed", {"how": "oidc", "why": "oidc_no_role"})


def test_a_disabled_user_stays_out(browser: TestClient, services: Services) -> None:
    log_in(browser)
    (user,) = services.accounts.users.list()
    users = services.accounts.users
    users.change(user.name, UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=user.version)
    assert browser.get(f"{V1}/alerts").status_code == 401
    browser.cookies.clear()
    refused(log_in(browser), 401, "login_failed")


def test_a_local_user_of_the_same_name_is_somebody_else(browser: TestClient, services: Services) -> None:
    services.accounts.users.create("wei.zhang", "administrator", actor=SYSTEM)
    assert log_in(browser).status_code == 303
    assert [(user.name, user.role) for user in services.accounts.users.list()] == [
        ("wei.zhang", "administrator"), ("wei.zhang-2", "guard"),
    ]  # fmt: skip


def test_cameras_and_roles_may_come_from_anywhere_in_the_claims(services: Services, there: FakeProvider) -> None:
    there.claims = {"sub": "1", "realm": {"roles": ["gw-guards"]}, "email": "wei@lakeside.example"}
    there.more = {"sub": "1", "cams": "north-gate, lobby"}
    with browser_of(services, settings(there, role_claim="realm.roles", cameras_claim="cams")) as browser:
        assert log_in(browser).status_code == 303
        there.more = {"sub": "1", "cams": ["*"]}
        log_in(browser)
        there.more = {"sub": "2", "cams": ["*"]}
        refused(log_in(browser), 401, "oidc_refused")
        there.more = {"sub": "1"}
        refused(log_in(browser), 403, "oidc_no_cameras")
    (user,) = services.accounts.users.list()
    assert (user.name, user.cameras) == ("wei@lakeside.example", None)
    with services.ledger.reading() as session:
        (created,) = [e for e in entries_after(session, 0, 10) if (e.subject, e.action) == ("user", "created")]
    assert created.body["cameras"] == ["lobby", "north-gate"]


def test_nobody_is_sent_elsewhere(browser: TestClient) -> None:
    for place in (
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
    ):
        assert browser.get(LOGIN, params={"return_to": place}).status_code == 422, place
    # Percent signs stay as they are: a path of ours, however odd.
    assert log_in(browser, f"{LOGIN}?return_to=/%2509/evil.test").headers["location"] == "/%09/evil.test"


def test_a_provider_that_does_not_answer_leaves_the_local_log_in(services: Services, there: FakeProvider) -> None:
    there.broken = True
    with browser_of(services, settings(there)) as browser:
        error = refused(browser.get(LOGIN), 503, "oidc_unavailable")
        assert error["details"]["issuer"] == there.issuer
        page = browser.get(LOGIN, headers={"accept": "text/html,*/*"})
        assert page.status_code == 503
        assert page.headers["content-type"].startswith("text/html")
        assert "log in with a local password" in page.text
        assert 'href="/"' in page.text
        there.broken = False
        assert log_in(browser).status_code == 303


def test_a_provider_that_names_another_issuer_is_not_believed(services: Services, there: FakeProvider) -> None:
    # The same server by another name: its document says who it takes itself for.
    wrong = there.issuer.replace("127.0.0.1", "localhost")
    with browser_of(services, settings(there, issuer=wrong)) as browser:
        refused(browser.get(LOGIN), 503, "oidc_misconfigured")


def test_the_page_is_told_which_ways_there_are(services: Services, browser: TestClient) -> None:
    assert browser.get(f"{V1}/session/options").json() == {
        "password": True, "oidc": {"label": "社区账号", "url": LOGIN},
    }  # fmt: skip
    with browser_of(services, None) as other:
        assert other.get(f"{V1}/session/options").json() == {"password": True, "oidc": None}
        refused(other.get(LOGIN), 404, "not_found")


def test_under_tls_all_cookies_are_secure(services: Services, there: FakeProvider) -> None:
    with browser_of(services, settings(there), "https://127.0.0.1:8400") as browser:
        away = browser.get(LOGIN)
        assert "Secure" in away.headers["set-cookie"]
        back = urlsplit(httpx2.get(away.headers["location"]).headers["location"])
        assert (back.scheme, back.netloc) == ("https", "127.0.0.1:8400")
        answer = browser.get(f"{back.path}?{back.query}")
        assert all("Secure" in cookie for cookie in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    ("given", "made"),
    [("Wei.Zhang", "wei.zhang"), ("张伟", "user"), ("Ünal Çelik", "unal-celik"), ("a" * 80, "a" * 64), ("..", "user")],
)
def test_names_are_made_fit_for_users(given: str, made: str) -> None:
    assert user_name_of(given) == made


def test_clocks_may_differ_a_little(browser: TestClient, there: FakeProvider) -> None:
    there.spoil = spoiled(iat=int(time.time()) + 20, exp=int(time.time()) - 20)
    assert log_in(browser).status_code == 303
