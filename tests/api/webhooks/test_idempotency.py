"""A write that comes again with its key is done once, whatever happened in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from api.access.principal import permissions_of
from api.access.users import UserChange
from api.app import create_app
from api.journal import SYSTEM
from api.keys import SiteKeys
from api.services import Services, open_services
from api.storage.ledger import entries_after
from api.storage.tables_messages import IdempotencyRow
from tests.api.kit import ADDRESS, client_as, token_for
from tests.api.scenes import Site, make_event
from tests.api.webhooks.kit import quick

ALERT = "alert.north-gate.lawn-loitering.000001"
ACKNOWLEDGE = f"/api/v1/alerts/{ALERT}/acknowledge"
NOTES = f"/api/v1/alerts/{ALERT}/notes"
HOOK = {"name": "console", "url": "https://127.0.0.1:9443/x", "topics": ["alert.raised"]}


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


def actions(services: Services, subject: str = "alert") -> list[str]:
    with services.ledger.reading() as session:
        return [entry.action for entry in entries_after(session, 0, 1000) if entry.subject == subject]


@pytest.fixture
def guard(app: FastAPI, services: Services) -> TestClient:
    services.desk.take(make_event())
    return client_as(app, services, "guard")


def test_the_same_request_gets_the_same_answer_and_acts_once(guard: TestClient, services: Services) -> None:
    first = guard.post(ACKNOWLEDGE, json={"note": "on my way"}, headers=keyed("a-1"))
    again = guard.post(ACKNOWLEDGE, json={"note": "on my way"}, headers=keyed("a-1"))
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-content-type-options"] == "nosniff"
    assert actions(services).count("acknowledge") == 1
    assert guard.post(ACKNOWLEDGE, json={"note": "on my way"}).status_code == 409


@pytest.mark.parametrize(
    "change", [{"json": {"note": "other"}}, {"headers": {"if-match": '"1"'}}, {"url": NOTES}, {"params": {"x": "1"}}]
)
def test_another_request_may_not_use_the_key(guard: TestClient, change: dict[str, Any]) -> None:
    request: dict[str, Any] = {"url": ACKNOWLEDGE, "json": {"note": "mine"}}
    assert guard.post(**request, headers=keyed("a-1")).status_code == 200
    headers = keyed("a-1") | change.pop("headers", {})
    refused = guard.post(**(request | change), headers=headers)
    assert refused.status_code == (422 if "params" in change else 409), refused.text
    if refused.status_code == 409:
        assert refused.json()["error"]["code"] == "conflict"


def test_another_caller_may_use_the_same_key(guard: TestClient, app: FastAPI, services: Services) -> None:
    other = client_as(app, services, "guard")
    for client in (guard, other, guard):
        assert client.post(NOTES, json={"note": "looked"}, headers=keyed("shared")).status_code == 200
    assert actions(services).count("note") == 2


def test_what_was_refused_may_be_tried_again(guard: TestClient, app: FastAPI, services: Services) -> None:
    verdict = f"/api/v1/alerts/{ALERT}/claim"
    stale = guard.post(verdict, json={"version": 7}, headers=keyed("k"))
    assert stale.status_code == 409
    right = guard.post(verdict, json={"version": 1}, headers=keyed("k"))
    assert right.status_code == 200
    auditor = client_as(app, services, "auditor")
    assert auditor.post(NOTES, json={"note": "x"}, headers=keyed("k")).status_code == 403


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 129])
def test_an_unusable_key_is_refused_before_anything_is_done(guard: TestClient, services: Services, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    refused = guard.post(ACKNOWLEDGE, json={}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert "acknowledge" not in actions(services)


def test_while_the_first_is_under_way_the_second_is_told_so(guard: TestClient, services: Services) -> None:
    answers = []
    came = threading.Event()
    claim = services.idempotency.claim

    def claimed(*args: Any) -> None:
        claim(*args)
        came.set()

    guard.get("/api/v1/alerts")  # From now on it is known who calls, without a look into the database.
    services.idempotency.claim = claimed  # type: ignore[method-assign]
    with services.ledger.writing():
        thread = threading.Thread(
            target=lambda: answers.append(guard.post(ACKNOWLEDGE, json={}, headers=keyed("slow")))
        )
        thread.start()
        assert came.wait(10)
        second = guard.post(ACKNOWLEDGE, json={}, headers=keyed("slow"))
    thread.join()
    assert (second.status_code, second.json()["error"]["code"]) == (409, "request_in_progress")
    assert answers[0].status_code == 200
    assert guard.post(ACKNOWLEDGE, json={}, headers=keyed("slow")).content == answers[0].content


def test_many_at_once_act_once(guard: TestClient, services: Services) -> None:
    start = threading.Barrier(8)
    found: list[tuple[int, str]] = []

    def post() -> None:
        start.wait()
        answer = guard.post(NOTES, json={"note": "once"}, headers=keyed("many"))
        found.append((answer.status_code, answer.json().get("error", {}).get("code", "")))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {(200, ""), (409, "request_in_progress")}
    assert (200, "") in found
    assert actions(services).count("note") == 1


def test_a_secret_that_is_shown_once_is_kept_encrypted(app: FastAPI, services: Services) -> None:
    admin = client_as(app, services, "administrator")
    first = admin.post("/api/v1/webhooks", json=HOOK, headers=keyed("new-hook"))
    assert first.status_code == 201, first.text
    again = admin.post("/api/v1/webhooks", json=HOOK, headers=keyed("new-hook"))
    assert (again.status_code, again.content) == (201, first.content)
    secret = first.json()["secret"]
    with services.ledger.reading() as session:
        (row,) = session.scalars(select(IdempotencyRow)).all()
        assert row.answer is not None
        assert secret not in str((row.answer, row.did))
        assert secret not in str(entries_after(session, 0, 1000))
    services.idempotency._cipher = AESGCM(SiteKeys.ephemeral().derive("idempotency"))
    lost = admin.post("/api/v1/webhooks", json=HOOK, headers=keyed("new-hook"))
    assert (lost.status_code, lost.json()["error"]["code"]) == (409, "already_done")
    assert actions(services, "webhook") == ["created"]


def test_whoever_lost_a_camera_gets_no_old_answers_about_it(app: FastAPI, services: Services) -> None:
    services.desk.take(make_event())
    guard = client_as(app, services, "guard", ["car-park", "north-gate"])
    assert guard.post(NOTES, json={"note": "looked"}, headers=keyed("k")).status_code == 200
    assert guard.post(NOTES, json={"note": "looked"}, headers=keyed("k")).status_code == 200
    users = services.accounts.users
    users.change("guard1", UserChange(cameras=["car-park"]), actor=SYSTEM, by=None, expected_version=None)
    again = guard.post(NOTES, json={"note": "looked"}, headers=keyed("k"))
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_done")
    assert again.json()["error"]["details"]["did"] == []
    assert ALERT not in again.text
    assert guard.post(NOTES, json={"note": "looked"}, headers=keyed("new")).status_code == 404


def test_what_writes_nothing_is_done_once_too(services: Services) -> None:
    taken: list[object] = []
    app = create_app(services, site=Site(), version="1", on_input=taken.append)
    client = client_as(app, services, "supervisor")
    body = {"camera": "north-gate", "line": "barrier", "kind": "authorisation"}
    for _ in range(2):
        assert client.post("/api/v1/inputs", json=body, headers=keyed("badge-7")).status_code == 202
    assert len(taken) == 1


def test_a_key_is_forgotten_after_a_day(database: str, media: Path) -> None:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with open_services(database, media_dir=media, sending=quick(), now=lambda: moment) as services:
        services.desk.take(make_event())
        app = create_app(services, site=Site(), version="1")
        users, tokens = services.accounts.users, services.accounts.tokens
        users.create("li", "guard", actor=SYSTEM, cameras=None, provider=("https://login.test", "li"))
        _, token = tokens.create(
            "li", "test", actor=SYSTEM, cameras=None, expires_at=moment + timedelta(days=3),
            permissions=permissions_of("guard"),
        )  # fmt: skip
        guard = TestClient(app, base_url=ADDRESS, headers={"authorization": f"Bearer {token}"})
        for key in ("k", "other"):
            assert guard.post(NOTES, json={"note": "one"}, headers=keyed(key)).status_code == 200
        moment += timedelta(hours=23, minutes=59)
        assert guard.post(NOTES, json={"note": "two"}, headers=keyed("k")).status_code == 409
        moment += timedelta(minutes=1, seconds=1)
        for _ in range(2):
            assert guard.post(NOTES, json={"note": "two"}, headers=keyed("k")).status_code == 200
        assert actions(services).count("note") == 3
        with services.ledger.reading() as session:
            assert [row.key for row in session.scalars(select(IdempotencyRow))] == ["k"]


KILLED = """
import os, signal, sys
from pathlib import Path
from starlette.testclient import TestClient
from api.app import create_app
from api.services import open_services
from tests.api.scenes import Site

database, media, token, path, moment = sys.argv[1:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with open_services(database, media_dir=Path(media)) as services:
    if moment == "before the commit":
        services.ledger.before_commit(die)
    else:
        services.idempotency.finish = die
    client = TestClient(create_app(services, site=Site(), version="1"), base_url=%r)
    client.post(path, json={"note": "by radio"}, headers={
        "authorization": f"Bearer {token}", "idempotency-key": "radio-1"})
"""


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_kill_between_deed_and_answer_never_makes_the_repeat_act_twice(
    database: str, media: Path, moment: str
) -> None:
    with open_services(database, media_dir=media) as services:
        services.desk.take(make_event())
        token = token_for(services, "guard")
    script = KILLED % ADDRESS
    done = subprocess.run(
        [sys.executable, "-c", script, database, str(media), token, NOTES, moment],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_services(database, media_dir=media) as services:
        app = create_app(services, site=Site(), version="1")
        client = TestClient(app, base_url=ADDRESS, headers={"authorization": f"Bearer {token}"})
        assert actions(services).count("note") == (0 if moment == "before the commit" else 1)
        post: Callable[[], Any] = lambda: client.post(NOTES, json={"note": "by radio"}, headers=keyed("radio-1"))  # noqa: E731
        answers = [post(), post()]
        assert actions(services).count("note") == 1
        if moment == "before the commit":
            assert [answer.status_code for answer in answers] == [200, 200]
        else:
            for answer in answers:
                error = answer.json()["error"]
                assert (answer.status_code, error["code"]) == (409, "already_done")
                (did,) = error["details"]["did"]
                assert (did["subject"], did["subject_id"], did["action"]) == ("alert", ALERT, "note")


def test_the_page_names_every_answer(guard: TestClient) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/idempotency.md").read_text()
    for code in ("conflict", "request_in_progress", "already_done"):
        assert f"409 `{code}`" in page
    document = client_document(guard)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            taken = any(one.get("name") == "Idempotency-Key" for one in operation.get("parameters", []))
            writes = method in ("post", "put", "patch", "delete") and operation["security"] != []
            assert taken == writes, (method, path)


def client_document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    return found
