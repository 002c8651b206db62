"""Webhooks over HTTP: who may do what, what is shown once, and what is never shown."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.services import Services
from api.storage.ledger import entries_after
from tests.api.kit import client_as
from tests.api.scenes import make_event
from tests.api.webhooks.kit import Receiver, is_genuine
from tests.api.webhooks.test_delivery import until

HOOKS = "/api/v1/webhooks"
BODY = {"name": "Console 控制台", "url": "https://127.0.0.1:9443/keys/T0P", "topics": ["alert.*", "alert.raised"]}


@pytest.fixture
def admin(app: FastAPI, services: Services) -> TestClient:
    return client_as(app, services, "administrator")


def made(client: TestClient, **changes: object) -> dict[str, object]:
    answer = client.post(HOOKS, json=BODY | changes)
    assert answer.status_code == 201, answer.text
    hook: dict[str, object] = answer.json()["webhook"]
    return hook


def test_a_webhook_is_made_changed_and_removed(admin: TestClient) -> None:
    answer = admin.post(HOOKS, json=BODY)
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    hook, secret = answer.json()["webhook"], answer.json()["secret"]
    assert secret.startswith("gws_")
    assert len(secret) > 40
    assert (hook["name"], hook["topics"], hook["cameras"], hook["enabled"]) == (
        "Console 控制台", ["alert.*", "alert.raised"], None, True,
    )  # fmt: skip
    address = f"{HOOKS}/{hook['webhook_id']}"
    got = admin.get(address)
    assert (got.json(), got.headers["etag"]) == (hook, '"1"')
    changed = admin.patch(address, json={"topics": ["incident.*"], "enabled": False}, headers={"if-match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["version"], changed.json()["disabled_why"]) == (2, "asked")
    assert changed.json()["url"] == BODY["url"]
    assert admin.patch(address, json={"enabled": True}).status_code == 428
    stale = admin.patch(address, json={"enabled": True, "version": 1})
    assert (stale.status_code, stale.json()["error"]["details"]) == (409, {"expected": 1, "found": 2})
    assert admin.delete(address).status_code == 428
    assert admin.delete(address, headers={"if-match": '"2"'}).status_code == 204
    assert admin.get(address).status_code == 404
    assert admin.get(HOOKS).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "change",
    [{"topics": []}, {"topics": ["alert.raise"]}, {"topics": ["*"]}, {"url": "https://"}, {"name": ""},
     {"url": "http://192.0.2.1/x"}, {"cameras": [""]}, {"cameras": []}, {"secret": "mine"}, {"url": "https://[fd00::1]/"}],
)  # fmt: skip
def test_what_is_not_acceptable_is_refused(admin: TestClient, change: dict[str, object]) -> None:
    assert admin.post(HOOKS, json=BODY | change).status_code == 422
    assert admin.patch(f"{HOOKS}/{made(admin)['webhook_id']}", json={"version": 1} | change).status_code == 422


def test_pages_of_webhooks_messages_and_deliveries(admin: TestClient, services: Services, target: Receiver) -> None:
    hooks = [made(admin, name=str(n), url=target.url) for n in range(3)]
    first = admin.get(HOOKS, params={"limit": 2}).json()
    second = admin.get(HOOKS, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["name"] for one in (*first["items"], *second["items"])] == ["0", "1", "2"]
    assert second["next_cursor"] is None
    for n in range(1, 4):
        services.desk.take(make_event(n, 1000.0 * n))
    address = f"{HOOKS}/{hooks[0]['webhook_id']}"
    assert admin.get(address).json()["pending"] == 3
    waiting = admin.get(f"{address}/messages", params={"state": "pending", "limit": 2}).json()
    rest = admin.get(f"{address}/messages", params={"limit": 2, "cursor": waiting["next_cursor"]}).json()
    seqs = [one["body"]["seq"] for one in (*waiting["items"], *rest["items"])]
    assert len(seqs) == 3
    assert seqs == sorted(seqs, reverse=True)
    services.webhooks.start()
    for hook in hooks:
        until(services, str(hook["webhook_id"]), pending=0)
    log = admin.get(f"{address}/deliveries", params={"limit": 2}).json()
    older = admin.get(f"{address}/deliveries", params={"limit": 2, "cursor": log["next_cursor"]}).json()
    assert [(one["delivered"], one["status"]) for one in (*log["items"], *older["items"])] == [(True, 204)] * 3
    assert admin.get(f"{address}/deliveries", params={"cursor": "x"}).status_code == 422
    one = log["items"][0]["message_id"]
    assert admin.post(f"{address}/messages/{one}/replay", json={}).json() == {"replayed": 1}
    assert admin.post(f"{address}/messages/msg_0/replay", json={}).status_code == 404
    assert admin.post(f"{address}/replay", json={}).json() == {"replayed": 0}
    assert len([got for got in target.wait(10) if got.message_id == one]) == 2


def test_an_integrator_stays_within_its_cameras_and_learns_nothing_about_people(
    app: FastAPI, services: Services, admin: TestClient
) -> None:
    ours = client_as(app, services, "integrator", cameras=["gate-1", "gate-2"])
    everywhere = made(admin)
    elsewhere = made(admin, cameras=["gate-1", "gate-3"])
    security = made(admin, cameras=["gate-1"], topics=["session.login_failed"])
    hook = made(ours, cameras=["gate-2"])
    assert made(ours)["cameras"] == ["gate-1", "gate-2"]
    assert ours.post(HOOKS, json=BODY | {"cameras": ["gate-3"]}).status_code == 404
    refused = ours.post(HOOKS, json=BODY | {"topics": ["user.*"]})
    assert (refused.status_code, refused.json()["error"]["details"]["permission"]) == (403, "journal.read")
    for unseen in (everywhere, elsewhere):
        assert ours.get(f"{HOOKS}/{unseen['webhook_id']}").status_code == 404
        answer = ours.patch(f"{HOOKS}/{unseen['webhook_id']}", json={"version": 1, "enabled": False})
        assert answer.status_code == 404
    listed = [one["webhook_id"] for one in ours.get(HOOKS).json()["items"]]
    assert hook["webhook_id"] in listed
    assert everywhere["webhook_id"] not in listed
    for path, body in (("secret", {"version": 1}), ("test", {}), ("replay", {})):
        answer = ours.post(f"{HOOKS}/{security['webhook_id']}/{path}", json=body)
        assert answer.status_code == 403
    taken = ours.patch(f"{HOOKS}/{security['webhook_id']}", json={"version": 1, "url": "https://127.0.0.1:9443/mine"})
    assert taken.status_code == 403
    wider = ours.patch(f"{HOOKS}/{hook['webhook_id']}", json={"version": 1, "cameras": ["gate-3"]})
    assert wider.status_code == 404


def test_what_a_webhook_was_told_before_it_was_narrowed_is_not_for_others(
    app: FastAPI, services: Services, admin: TestClient
) -> None:
    hook = made(admin, topics=["alert.raised", "token.*"])
    address = f"{HOOKS}/{hook['webhook_id']}"
    services.desk.take(make_event(1))
    services.desk.take(make_event(2, camera="gate-3"))
    ours = client_as(app, services, "integrator", ["north-gate"])  # The webhook hears of this token.
    assert admin.patch(address, json={"version": 1, "cameras": ["north-gate"]}).status_code == 200
    assert len(admin.get(f"{address}/messages").json()["items"]) == 3
    assert [one["body"]["camera"] for one in ours.get(f"{address}/messages").json()["items"]] == ["north-gate"]
    assert admin.patch(address, json={"version": 2, "topics": ["alert.raised"]}).status_code == 200
    (mine,) = ours.get(f"{address}/messages").json()["items"]
    hidden = [one["message_id"] for one in admin.get(f"{address}/messages").json()["items"] if one != mine]
    for message_id in hidden:
        assert ours.post(f"{address}/messages/{message_id}/replay", json={}).status_code == 404
    assert ours.patch(address, json={"version": 3, "url": "https://127.0.0.1:9443/mine"}).status_code == 200
    states = {one["message_id"]: one["state"] for one in admin.get(f"{address}/messages").json()["items"]}
    assert states == {mine["message_id"]: "pending"} | dict.fromkeys(hidden, "dropped")


@pytest.mark.parametrize(("role", "reads"), [("guard", False), ("supervisor", False), ("auditor", True)])
def test_others_may_at_most_read(app: FastAPI, services: Services, admin: TestClient, role: str, reads: bool) -> None:
    hook = made(admin)
    other = client_as(app, services, role)  # type: ignore[arg-type]
    assert other.get(HOOKS).status_code == (200 if reads else 403)
    assert other.get(f"{HOOKS}/{hook['webhook_id']}/messages").status_code == (200 if reads else 403)
    assert other.post(HOOKS, json=BODY).status_code == 403
    assert other.post(f"{HOOKS}/{hook['webhook_id']}/secret", json={"version": 1}).status_code == 403


def test_secrets_are_shown_once_and_lie_nowhere(
    admin: TestClient,
    services: Services,
    target: Receiver,
    database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    services.webhooks.start()
    answer = admin.post(HOOKS, json=BODY | {"url": f"{target.url}/P4TH"}, headers={"idempotency-key": "k"}).json()
    address = f"{HOOKS}/{answer['webhook']['webhook_id']}"
    rotated = admin.post(f"{address}/secret", json={"version": 1}, headers={"idempotency-key": "k2"}).json()
    assert rotated["secret"] != answer["secret"]
    services.desk.take(make_event())
    (one,) = target.wait(1)
    assert is_genuine(rotated["secret"], one, services.ledger.now().timestamp())
    until(services, answer["webhook"]["webhook_id"], pending=0)
    shown = [admin.get(f"{address}{path}").text for path in ("", "/messages", "/deliveries")]
    with services.ledger.reading() as session:
        journal = json.dumps([entry.body for entry in entries_after(session, 0, 1000)], default=str)
    assert "P4TH" not in journal
    kept = b"".join(path.read_bytes() for path in Path(database).parent.glob("alerts.db*"))
    for secret in (answer["secret"], rotated["secret"]):
        assert secret not in "".join(shown)
        assert secret not in journal
        assert secret not in caplog.text
        assert secret.encode() not in one.body
        assert secret.encode() not in kept
