"""Every route is called by everybody: what the permission matrix allows goes through, all else is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.access.authenticate import COOKIE
from api.access.principal import MEANINGS, PERMISSIONS, PERMISSIONS_OF, ROLES, SITE_WIDE, Permission, Role
from api.access.users import UserChange
from api.journal import SYSTEM
from api.services import Services
from gatewatch.docs_access import ANYBODY_KNOWN, PAGE, PAGE_FILES, PUBLIC, UNGUARDED, Guarded, guarded_routes, page
from tests.api.kit import ADDRESS, token_for
from tests.api.whole import CAMERA, Whole, whole_site

PUBLIC_ROUTES = {
    "GET /", "GET /api/v1/health", "GET /api/v1/oidc/callback", "GET /api/v1/oidc/login",
    "GET /api/v1/oidc/logout", "POST /api/v1/session",
    "GET /api/v1/session/options", "POST /api/v1/external/{source}",
}  # fmt: skip
"""All that strangers reach, but for the files of the page."""
ENDLESS = {"/api/v1/stream": {"follow": "false"}, "/api/v1/cameras/{camera}/live": {"pictures": "1"}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole_site(tmp_path_factory.mktemp("whole")) as site:
        yield site


@pytest.fixture(scope="module")
def routes(whole: Whole) -> list[Guarded]:
    found = guarded_routes(whole.app)
    # What ends a session comes last: the others need it.
    return sorted(found, key=lambda route: (route.path.endswith("/session") and route.method == "DELETE", route))


@dataclass(frozen=True)
class Caller:
    name: str
    headers: dict[str, str]
    permissions: frozenset[Permission]
    known: bool = True
    """Has a credential that holds."""
    must_change: bool = False


def session_of(services: Services, name: str) -> dict[str, str]:
    sessions = services.accounts.sessions
    secret = sessions.open_for(name, None, how="test").secret
    return {"cookie": f"{COOKIE}={secret}", "x-csrf-token": sessions.csrf_token(secret), "origin": ADDRESS}


def by_role(services: Services, role: Role) -> Caller:
    name = f"matrix-{role}"
    services.accounts.users.create(name, role, actor=SYSTEM, provider=("https://login.test", name))
    return Caller(role, session_of(services, name), PERMISSIONS_OF[role])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def limited(services: Services) -> Caller:
    """Sees another camera than the one of all that there is."""
    name = "matrix-limited"
    services.accounts.users.create(
        name, "supervisor", actor=SYSTEM, cameras=["roof"], provider=("https://login.test", name)
    )
    return Caller("limited to a camera", session_of(services, name), PERMISSIONS_OF["supervisor"] - SITE_WIDE)


def narrow(services: Services) -> Caller:
    token = token_for(services, "administrator", permissions=["site.read"])
    return Caller("token for one thing", bearer(token), frozenset({"site.read"}))


def newcomer(services: Services) -> Caller:
    services.accounts.users.create("matrix-newcomer", "administrator", actor=SYSTEM)
    headers = session_of(services, "matrix-newcomer")
    return Caller("with a one-time password", headers, PERMISSIONS_OF["administrator"], must_change=True)


def strangers(services: Services) -> Iterator[Caller]:
    nothing: frozenset[Permission] = frozenset()
    accounts = services.accounts

    def stranger(name: str, headers: dict[str, str]) -> Caller:
        return Caller(name, headers, nothing, known=False)

    yield stranger("anonymous", {})
    yield stranger("password in the header", {"authorization": "Basic YWRtaW46YWRtaW4="})
    token = token_for(services, "administrator")
    yield stranger("another secret", bearer(token[:-4] + "AAAA"))
    accounts.tokens.revoke(token.split("_")[1], actor=SYSTEM, owner=None)
    yield stranger("revoked token", bearer(token))
    name = "matrix-disabled"
    accounts.users.create(name, "administrator", actor=SYSTEM, provider=("https://login.test", name))
    tokens = accounts.tokens
    expires_at = services.ledger.now() + timedelta(days=1)
    _, of_disabled = tokens.create(name, "test", permissions=["alerts.read"], expires_at=expires_at, actor=SYSTEM)
    session = session_of(services, name)
    accounts.users.change(name, UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=1)
    yield stranger("disabled user's session", session)
    yield stranger("disabled user's token", bearer(of_disabled))
    yield stranger("made-up session", {"cookie": f"{COOKIE}=AAAA", "x-csrf-token": "00"})


def test_every_route_has_a_guard_and_the_public_ones_are_known(routes: list[Guarded]) -> None:
    assert not [route for route in routes if route.needs == UNGUARDED], "each route has exactly one guard"
    public = {f"{route.method} {route.path}" for route in routes if route.needs == PUBLIC and route.method != "HEAD"}
    assert {name for name in public if not name.startswith(f"GET {PAGE_FILES}")} == PUBLIC_ROUTES
    assert len(routes) > 70
    assert sum(route.method == "WEBSOCKET" for route in routes) >= 1


@pytest.mark.parametrize("who", [*ROLES, "limited", "narrow", "newcomer"])
def test_who_is_known_may_do_what_the_matrix_says(whole: Whole, routes: list[Guarded], who: str) -> None:
    services = whole.services
    caller = {"limited": limited, "narrow": narrow, "newcomer": newcomer}[who](services) if who not in ROLES else (
        by_role(services, who)  # type: ignore[arg-type] # it is one of ROLES
    )  # fmt: skip
    wrong = [found for route in routes if (found := complaint(whole, route, caller))]
    assert not wrong, "\n".join(wrong)


def test_strangers_get_only_what_is_public(whole: Whole, routes: list[Guarded]) -> None:
    for caller in strangers(whole.services):
        wrong = [found for route in routes if (found := complaint(whole, route, caller))]
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("body", [b'{"reason": ', b"[" * 60_000, b'"\xff\xfe"', b"[]", b"NaN", b'{"x": "\\ud800"}'])
def test_what_is_wrong_with_a_body_is_told_to_those_who_may_send_it(
    whole: Whole, routes: list[Guarded], body: bytes
) -> None:
    writes = [route for route in routes if route.method in ("POST", "PUT", "PATCH", "DELETE") and route.needs != PUBLIC]
    assert len(writes) > 25
    headers = {"content-type": "application/json", "idempotency-key": "1"}
    narrow = token_for(whole.services, "guard", permissions=["site.read"])
    callers = ((401, "www-authenticate", {}), (403, "content-type", bearer(narrow)))
    with TestClient(whole.app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False) as client:
        for route in writes:
            path = re.sub(r"\{(\w+)\}", lambda found: whole.known[found[1]], route.path)
            for status, header, credentials in callers:
                if status == 403 and route.needs == ANYBODY_KNOWN:
                    continue
                answer = client.request(route.method, path, content=body, headers=credentials, params={"unknown": "1"})
                assert answer.status_code == status, (route, answer.text)
                assert header in answer.headers


def test_a_body_that_is_no_json_is_still_explained(whole: Whole) -> None:
    token = bearer(token_for(whole.services, "administrator"))
    headers = {"content-type": "application/json"} | token
    with TestClient(whole.app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False) as client:
        for body, status in ((b'{"title": ', 422), (b'"\xff"', 400)):
            answer = client.post("/api/v1/incidents", content=body)
            assert answer.status_code == status, answer.text
        assert client.post("/api/v1/session", content=b"{").status_code == 422


def test_an_expired_token_is_nobody_s(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_for(whole.services, "administrator")
    ledger = whole.services.ledger
    with TestClient(whole.app, base_url=ADDRESS, headers=bearer(token)) as client:
        assert client.get("/api/v1/site").status_code == 200
        later = ledger.now() + timedelta(days=1, seconds=1)
        monkeypatch.setattr(whole.app.state.authenticator, "_now", lambda: later)
        monkeypatch.setattr(ledger, "now", lambda: later)
        answer = client.get("/api/v1/site")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == "Bearer"


def complaint(whole: Whole, route: Guarded, caller: Caller) -> str | None:
    """What is wrong with how this route answers this caller; None where all is well."""
    path = re.sub(r"\{(\w+)\}", lambda found: whole.known[found[1]], route.path)
    if route.method == "WEBSOCKET":
        status, error = handshake(whole, path, caller)
    else:
        with TestClient(
            whole.app, base_url=ADDRESS, headers=dict(caller.headers), raise_server_exceptions=False
        ) as client:
            body = {} if route.method in ("POST", "PUT", "PATCH") else None
            answer = client.request(
                route.method, path, json=body, params=ENDLESS.get(route.path), follow_redirects=False
            )
            status = answer.status_code
            json_body = route.method != "HEAD" and answer.headers.get("content-type") == "application/json"
            error = answer.json().get("error", {}) if status >= 400 and json_body else {}
    expected = expectation(route, caller)
    by_guard = status == 401 or (status == 403 and "role" in error.get("details", {}))
    by_guard = by_guard or error.get("code") == "password_change_required"
    if expected == 200:
        # The answer to an empty request may be anything but a refusal of the guard, or a failure.
        public_refusal = route.needs == PUBLIC and status == 401
        fine = status < 500 or error.get("code") == "unavailable"
        ok = fine and (public_refusal or not by_guard)
    else:
        ok = status == expected and (by_guard or route.method == "HEAD")
    return None if ok else f"{caller.name}: {route.method} {route.path} ({route.needs}): {status} {error}"


def expectation(route: Guarded, caller: Caller) -> int:
    if route.needs == PUBLIC:
        return 200
    if not caller.known:
        return 401
    if route.needs == ANYBODY_KNOWN:
        return 200
    return 403 if caller.must_change or route.needs not in caller.permissions else 200


def handshake(whole: Whole, path: str, caller: Caller) -> tuple[int, dict[str, Any]]:
    """(status, details as of a guard) of a WebSocket: it closes with 4000 and the status, or says something."""
    with TestClient(whole.app, base_url=ADDRESS, headers=dict(caller.headers)) as client:
        try:
            with client.websocket_connect(f"{ADDRESS.replace('http', 'ws')}{path}") as socket:
                if not caller.headers:
                    socket.send_text('{"token": "gw_0000_none"}')
                socket.receive_text()
                return 200, {}
        except WebSocketDenialResponse as refused:
            return refused.status_code, refused.json()["error"]
        except WebSocketDisconnect as closed:
            return closed.code - 4000, {"details": {"role": ""}}


def test_the_page_says_what_the_code_does() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "make it anew: python -m gatewatch.docs_access"


def test_the_matrix_gives_no_more_than_is_needed() -> None:
    assert set(MEANINGS) == set(PERMISSIONS)
    assert PERMISSIONS_OF["administrator"] == set(PERMISSIONS)
    for role in ("guard", "supervisor", "auditor", "integrator"):
        assert not PERMISSIONS_OF[role] & {"users.write", "tokens.all"}
    assert not PERMISSIONS_OF["auditor"] & {p for p in PERMISSIONS if p.endswith((".write", ".handle", ".live"))}


def test_alerts_of_other_cameras_are_not_there(whole: Whole) -> None:
    headers = limited_headers(whole.services)
    with TestClient(whole.app, base_url=ADDRESS, headers=headers) as client:
        assert client.get("/api/v1/alerts").json()["items"] == []
        assert [item["camera"] for item in client.get("/api/v1/cameras").json()["items"]] == []
        known = whole.known
        for path in (
            f"alerts/{known['alert_id']}", f"alerts/{known['alert_id']}/snapshot", f"alerts/{known['alert_id']}/clip",
            f"alerts/{known['alert_id']}/clip/original", f"incidents/{known['incident_id']}", f"cameras/{CAMERA}",
            f"cameras/{CAMERA}/frame",
        ):  # fmt: skip
            assert client.get(f"/api/v1/{path}").status_code == 404, path
        for path in (f"alerts/{known['alert_id']}/acknowledge", f"incidents/{known['incident_id']}/notes"):
            answer = client.post(f"/api/v1/{path}", json={"note": "x"})
            assert answer.status_code == 404, path
        said = {"camera": CAMERA, "line": "barrier", "kind": "authorisation"}
        assert client.post("/api/v1/inputs", json=said).status_code == 404


def limited_headers(services: Services) -> dict[str, str]:
    return bearer(token_for(services, "supervisor", cameras=["roof"]))
