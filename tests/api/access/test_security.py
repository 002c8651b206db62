"""What somebody would try who wants in, or wants more than is theirs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import text
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.access.accounts import Accounts
from api.access.authenticate import COOKIE
from api.access.users import UserChange
from api.journal import SYSTEM
from api.services import Services, open_services
from tests.api.access.conftest import PASSWORD, V1, Clock, browser_of, code_of, log_in, person
from tests.api.kit import ADDRESS, client_as
from tests.api.whole import Whole, whole_site

NASTY = [
    "' OR 1=1 --", "1; DROP TABLE alert;--", "\" OR \"\"=\"", "%' UNION SELECT password_hash FROM user_account --",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "../../../../etc/passwd",
    "..\\..\\windows\\win.ini", "/etc/passwd", "file:///etc/passwd", "${jndi:ldap://x}", "{{7*7}}", "%00",
    "\r\nset-cookie: x=1", "\ud83d\ude00" * 40, "a" * 5000, "-1", "9" * 40, "NaN", "null", "[]", "true",
]  # fmt: skip
LEAKS = ("root:", "Traceback", "sqlite3", "psycopg", "SELECT ", "argon2", "site-packages", '.py"')


class TestSessions:
    def test_a_session_that_somebody_planted_is_not_taken_over(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts)
        with browser_of(app) as client:
            client.cookies.set(COOKIE, "planted", domain="127.0.0.1")
            secret = log_in(client).cookies[COOKIE]
            assert secret != "planted"
            second = log_in(client).cookies[COOKIE]
            assert second != secret, "each log-in is a session of its own"
            assert len(second) >= 43, "256 bits"
        planted = {"cookie": f"{COOKIE}=planted"}
        with TestClient(app, base_url=ADDRESS, headers=planted) as attacker:
            assert code_of(attacker.get(f"{V1}/session")) == (401, "session_over")

    def test_its_cookie_is_for_this_server_s_pages_alone(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts)
        with browser_of(app) as client:
            said = log_in(client).headers["set-cookie"]
            assert {part.strip().lower() for part in said.split(";")[1:]} >= {
                "httponly", "samesite=strict", "path=/", "max-age=86400",
            }  # fmt: skip
            assert "secure" not in said.lower()
        with TestClient(app, base_url="https://127.0.0.1:8400") as client:
            assert "; secure" in log_in(client).headers["set-cookie"].lower()

    def test_writes_need_the_token_of_this_very_session(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts, role="supervisor")
        person(accounts, "other", "supervisor")
        with browser_of(app) as client, browser_of(app) as other:
            of_other = log_in(other, "other").json()["csrf_token"]
            own = log_in(client).json()["csrf_token"]
            body = {"name": "x", "permissions": ["alerts.read"], "expires_at": "2026-03-02T00:00:00Z"}
            for wrong in ("", of_other, own[:-1], own.upper(), "é"):
                answer = client.post(f"{V1}/tokens", json=body, headers={"x-csrf-token": wrong.encode()})
                assert code_of(answer) == (403, "csrf_token_required")
            del client.headers["x-csrf-token"]
            assert code_of(client.delete(f"{V1}/session")) == (403, "csrf_token_required")
            assert client.get(f"{V1}/tokens").json()["items"] == []
            own_header = {"x-csrf-token": own}
            assert client.post(f"{V1}/tokens", json=body, headers=own_header).status_code == 201
            foreign = own_header | {"origin": "http://evil.example"}
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                answer = client.request(method, f"{V1}/session", headers=foreign)
                assert code_of(answer) == (403, "foreign_origin")

    def test_a_foreign_page_cannot_log_anybody_in(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts)
        body = {"user": "wei.zhang", "password": PASSWORD}
        with browser_of(app) as client:
            for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
                assert code_of(client.post(f"{V1}/session", json=body, headers=headers)) == (403, "foreign_origin")
            form = client.post(f"{V1}/session", data=body)
            assert code_of(form) == (415, "unsupported_media_type")


def everything_stored(services: Services) -> str:
    """All rows of all tables, as text."""
    with services.ledger.reading() as session:
        connection = session.connection()
        names = connection.dialect.get_table_names(connection)
        return "\n".join(str(tuple(row)) for name in names for row in session.execute(text(f'SELECT * FROM "{name}"')))


def test_no_secret_is_stored_logged_or_told(
    app: FastAPI, services: Services, accounts: Accounts, caplog: pytest.LogCaptureFixture, media: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    person(accounts, role="supervisor")
    with browser_of(app) as client, client_as(app, services, "administrator") as chief:
        log_in(client, password="a wrong password that somebody typed")
        log_in(client, "a password in the wrong field", "x")
        log_in(client)
        body = {"name": "x", "permissions": ["alerts.read"], "expires_at": "2026-03-02T00:00:00Z"}
        made = chief.post(f"{V1}/users", json={"user": "li.na", "role": "guard"})
        once = made.json()["one_time_password"]
        token = client.post(f"{V1}/tokens", json=body).json()["token"]
        csrf, secret = client.headers["x-csrf-token"], client.cookies[COOKIE]
        told = chief.get(f"{V1}/users").text + chief.get(f"{V1}/journal").text + chief.get(f"{V1}/tokens?all=true").text
    stored = everything_stored(services)
    assert "login_failed" in stored
    secrets = (PASSWORD, "a wrong password", "a password in the", once, token, token.split("_", 2)[2], secret, csrf)
    for one in secrets:
        assert one not in stored
        assert one not in caplog.text
        assert one not in told
    assert "$argon2id$" in stored
    assert "argon2" not in told
    assert not [path for path in media.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole_site(tmp_path_factory.mktemp("whole")) as site:
        yield site


def test_nothing_that_is_written_into_an_address_does_harm(whole: Whole) -> None:
    before = counted(whole.services)
    with TestClient(
        whole.app, base_url=ADDRESS, headers={"authorization": f"Bearer {whole.token}"}, raise_server_exceptions=False
    ) as client:
        for where in readable(whole):
            answer = client.get(where)
            assert answer.status_code < 500, (where, answer.text)
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.headers["content-type"].startswith(("application/json", "text/")):
                leaks = [leak for leak in LEAKS if leak in answer.text and leak not in unquote(where)]
                assert not leaks, (where, answer.text)
            assert "x" not in answer.cookies
    assert counted(whole.services) == before


def readable(whole: Whole) -> Iterator[str]:
    """Every path and query parameter of every route that reads, with everything nasty in it."""
    for context in iter_route_contexts(whole.app.routes):
        route = context.original_route
        if (
            not isinstance(route, APIRoute)
            or "GET" not in (context.methods or ())
            or "oidc" in str(context.path_format)
        ):
            continue
        path = str(context.path_format)
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if path.endswith("/live"):
            continue
        filled = path.format(**whole.known)
        for nasty in NASTY:
            given = quote(nasty.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), safe="")
            for name in names:
                yield path.format(**(dict(whole.known) | {name: given}))
            for query in route.dependant.query_params:
                ending = "&follow=false" if path.endswith("/stream") else ""
                yield f"{filled}?{query.alias}={given}{ending}"


def counted(services: Services) -> dict[str, int]:
    with services.ledger.reading() as session:
        connection = session.connection()
        return {
            name: session.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for name in connection.dialect.get_table_names(connection)
        }


def test_nothing_that_is_written_into_a_body_does_harm(app: FastAPI, services: Services) -> None:
    with client_as(app, services, "administrator") as client:
        for nasty in NASTY:
            clean = nasty.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            for path, body in (
                ("session", {"user": clean, "password": clean}),
                ("users", {"user": clean, "role": clean}),
                ("users", {"user": "li.na", "role": "guard", "cameras": [clean]}),
                ("tokens", {"name": clean, "permissions": [clean], "expires_at": clean}),
            ):
                answer = client.post(f"{V1}/{path}", json=body)
                assert answer.status_code in (201, 401, 403, 409, 422, 429), (path, nasty, answer.text)
                assert not [leak for leak in LEAKS if leak in answer.text]


def test_what_is_shown_of_people_is_text_and_nothing_else(app: FastAPI, services: Services) -> None:
    with client_as(app, services, "administrator") as client:
        name = "<script>alert(1)</script>"
        client.post(f"{V1}/users", json={"user": "li.na", "role": "guard", "display_name": name})
        told = client.get(f"{V1}/users/li.na")
        assert (told.json()["display_name"], told.headers["content-type"]) == (name, "application/json")
        for bad in ("two\nlines", "nul\x00", "\x1b[31mred"):
            answer = client.post(f"{V1}/users", json={"user": "x1", "role": "guard", "display_name": bad})
            assert answer.status_code == 422


class TestRequests:
    def test_headers_cannot_be_smuggled_in(self, app: FastAPI, services: Services) -> None:
        with client_as(app, services, "administrator") as client:
            for given in ("x%0d%0aset-cookie:%20a=b", "x%0aset-cookie:a=b", "%E5%98%8A%E5%98%8Dset-cookie:a=b"):
                for path in (f"{V1}/users/{given}", f"{V1}/alerts/{given}", f"/{given}", f"/page/{given}"):
                    answer = client.get(path)
                    assert answer.status_code in (404, 422)
                    assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize(
        "given",
        ["Bearer", "Bearer ", "bearer gw__", "Bearer gw_" + "x" * 9000, "Bearer gw_é_ü", "Bearer gw_' OR 1=1_x",
         "Token x", "Bearer a b c", "Basic OjpB", "Bearer gw_%00_x"],
    )  # fmt: skip
    def test_credentials_that_are_none(self, app: FastAPI, given: str) -> None:
        with browser_of(app) as client:
            answer = client.get(f"{V1}/alerts", headers={"authorization": given.encode("latin-1")})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            answer = client.get(f"{V1}/alerts", headers={"cookie": f"{COOKIE}={given}".encode("latin-1")})
            assert answer.status_code == 401

    def test_bodies_that_are_huge_deep_or_none(self, app: FastAPI, services: Services) -> None:
        deep = "[" * 30_000 + "]" * 30_000
        headers = {"content-type": "application/json"}
        with client_as(app, services, "administrator") as client, browser_of(app) as stranger:
            for path in ("users", "tokens", "session", "alerts/none/acknowledge"):
                for content, statuses in (
                    (b"x" * 70_000, (413,)),
                    (deep.encode(), (400, 422)),
                    (json.dumps({"a": "b"}).encode() * 2, (422,)),
                    (b"\xff\xfe{}", (400, 422)),
                    (b'{"user": NaN}', (422,)),
                    (b"", (422,)),
                ):
                    answer = client.post(f"{V1}/{path}", content=content, headers=headers)
                    assert answer.status_code in statuses, (path, content[:20], answer.text)
                    assert stranger.post(f"{V1}/{path}", content=content, headers=headers).status_code < 500

    def test_answers_say_how_browsers_must_treat_them(self, app: FastAPI, services: Services) -> None:
        with client_as(app, services, "guard") as client, browser_of(app) as stranger:
            for answer in (client.get(f"{V1}/session"), stranger.get(f"{V1}/session"), stranger.get("/")):
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert answer.headers["x-frame-options"] == "DENY"
                assert answer.headers["referrer-policy"] == "no-referrer"
            assert client.get(f"{V1}/session").headers["cache-control"] == "no-store"
            assert stranger.get(f"{V1}/session").headers["cache-control"] == "no-store"
            assert client.get(f"{V1}/alerts").headers["cache-control"] == "no-store"


def test_the_journal_says_who_did_what_to_whom(app: FastAPI, services: Services, accounts: Accounts) -> None:
    with client_as(app, services, "administrator") as chief:
        chief.post(f"{V1}/users", json={"user": "li.na", "role": "guard"})
        chief.patch(f"{V1}/users/li.na", json={"disabled": True, "version": 1})
        items: list[dict[str, Any]] = chief.get(f"{V1}/journal", params={"subject": "user", "limit": 2}).json()["items"]
    assert [(item["action"], item["subject_id"], item["actor"].split("/")[0]) for item in items] == [
        ("disabled", "li.na", "administrator1"), ("created", "li.na", "administrator1"),
    ]  # fmt: skip
    assert accounts.users.get("li.na").disabled
    assert accounts.users.create("zhao", "guard", actor=SYSTEM)[0].name == "zhao"


class TestWebSockets:
    PATH = f"{ADDRESS.replace('http', 'ws')}{V1}/stream/ws"

    @pytest.fixture
    def cookie(self, accounts: Accounts) -> dict[str, str]:
        person(accounts)
        return {"cookie": f"{COOKIE}={accounts.sessions.open_for('wei.zhang', None, how='test').secret}"}

    def test_a_session_listens_from_its_own_page(self, app: FastAPI, cookie: dict[str, str]) -> None:
        own = cookie | {"origin": ADDRESS}
        with browser_of(app) as client, client.websocket_connect(self.PATH, headers=own) as socket:
            assert '"hello"' in socket.receive_text()

    def test_but_from_no_other(self, app: FastAPI, cookie: dict[str, str]) -> None:
        with browser_of(app) as client:
            for origin in ("http://evil.example", "null", f"{ADDRESS}.evil.example"):
                with pytest.raises(WebSocketDenialResponse) as refused:
                    self.listen(client, cookie | {"origin": origin})
                assert refused.value.status_code == 403
            with pytest.raises(WebSocketDisconnect) as closed:
                self.listen(client, cookie)
            assert closed.value.code == 4403
            with pytest.raises(WebSocketDenialResponse) as refused:
                self.listen(client, cookie | {"host": "evil.example"})
            assert refused.value.status_code == 400

    def listen(self, client: TestClient, headers: dict[str, str]) -> None:
        with client.websocket_connect(self.PATH, headers=headers) as socket:
            socket.receive_text()


def test_what_another_process_changes_counts_within_ten_seconds(
    app: FastAPI, accounts: Accounts, clock: Clock, database: str, media: Path
) -> None:
    person(accounts)
    with browser_of(app) as client:
        log_in(client)
        assert client.get(f"{V1}/alerts").status_code == 200
        with open_services(database, media_dir=media, now=clock) as beside:
            users = beside.accounts.users
            users.change("wei.zhang", UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=None)
        clock.later(seconds=10)
        assert code_of(client.get(f"{V1}/alerts")) == (401, "session_over")
