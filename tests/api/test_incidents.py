"""Incidents: alerts that belong together, as guards and auditors meet them over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.desk import Desk
from api.services import Services
from api.storage.ledger import entries_after
from tests.api.kit import client_as
from tests.api.scenes import crossing, make_event
from tests.api.test_http import refused

INCIDENTS = "/api/v1/incidents"


@pytest.fixture
def guard(app: FastAPI, services: Services) -> TestClient:
    return client_as(app, services, "guard")


@pytest.fixture
def alerts(desk: Desk) -> list[str]:
    events = [make_event(1, 10.0), crossing(1, 20.0), make_event(2, 500.0, camera="south-gate")]
    return [desk.take(event).alert_id for event in events]


def opened(client: TestClient, alert_ids: list[str], **more: Any) -> dict[str, Any]:
    response = client.post(INCIDENTS, json={"title": "Man at the fence", "alert_ids": alert_ids} | more)
    assert response.status_code == 201, response.text
    return dict(response.json())


def test_alerts_become_an_incident(guard: TestClient, alerts: list[str]) -> None:
    made = opened(guard, alerts[:2], note=" two men ")
    path = f"{INCIDENTS}/{made['incident_id']}"
    assert [alert["alert_id"] for alert in made["alerts"]] == alerts[:2]
    assert (made["state"], made["version"], made["created_by"], made["alert_count"]) == ("open", 1, "guard1", 2)
    told = guard.get(f"/api/v1/alerts/{alerts[0]}").json()
    assert (told["incident_id"], told["version"], told["state"]) == (made["incident_id"], 2, "new")
    assert (told["changes"][-1]["action"], told["changes"][-1]["incident_id"]) == ("merged", made["incident_id"])
    added = guard.post(f"{path}/alerts", json={"alert_ids": [alerts[2], alerts[0]], "version": 1}).json()
    assert (added["version"], added["cameras"], added["changes"][-1]["added"]) == (
        2, ["north-gate", "south-gate"], [alerts[2]],
    )  # fmt: skip
    again = guard.post(f"{path}/alerts", json={"alert_ids": [alerts[2]], "version": 2}).json()
    assert again["version"] == 2, "what it has already changes nothing"
    out = guard.delete(f"{path}/alerts/{alerts[0]}", params={"version": 2}).json()
    assert ([alert["alert_id"] for alert in out["alerts"]], out["version"]) == (alerts[1:], 3)
    assert guard.get(f"/api/v1/alerts/{alerts[0]}").json()["incident_id"] is None
    named = guard.patch(path, json={"title": "Two men"}, headers={"if-match": '"3"'})
    assert (named.json()["title"], named.headers["etag"]) == ("Two men", '"4"')
    assert guard.post(f"{path}/notes", json={"note": "police came"}).json()["version"] == 5
    closed = guard.post(f"{path}/close", json={"version": 5, "note": "handed over"}).json()
    assert (closed["state"], closed["closed_by"]) == ("closed", "guard1")
    assert [(note["action"], note["text"]) for note in closed["notes"]] == [
        ("opened", "two men"), ("note", "police came"), ("closed", "handed over"),
    ]  # fmt: skip
    for way, status in (("alerts", "closed"), ("close", "closed")):
        body = {"version": 6} | ({"alert_ids": [alerts[0]]} if way == "alerts" else {})
        assert refused(guard.post(f"{path}/{way}", json=body), 409, "illegal_transition")["details"]["state"] == status
    assert guard.post(f"{path}/reopen", json={"version": 6}).json()["closed_at"] is None
    assert [change["action"] for change in guard.get(path).json()["changes"]] == [
        "opened", "changed", "changed", "changed", "note", "closed", "changed",
    ]  # fmt: skip


def test_an_alert_is_in_one_incident_at_most(guard: TestClient, alerts: list[str]) -> None:
    first, second = opened(guard, alerts[:1]), opened(guard, alerts[1:2])
    problem = refused(guard.post(INCIDENTS, json={"title": "x", "alert_ids": alerts[:1]}), 409, "conflict")
    assert problem["details"] == {"alert_id": alerts[0], "incident_id": first["incident_id"]}
    more = {"alert_ids": [alerts[2], alerts[0]], "version": 1}
    refused(guard.post(f"{INCIDENTS}/{second['incident_id']}/alerts", json=more), 409, "conflict")
    assert guard.get(f"/api/v1/alerts/{alerts[2]}").json()["incident_id"] is None, "all or nothing"
    last = guard.delete(f"{INCIDENTS}/{first['incident_id']}/alerts/{alerts[0]}", params={"version": 1})
    refused(last, 409, "conflict")
    other = guard.delete(f"{INCIDENTS}/{first['incident_id']}/alerts/{alerts[1]}", params={"version": 1})
    refused(other, 404, "not_found")


def test_writes_say_what_they_looked_at(guard: TestClient, alerts: list[str]) -> None:
    path = f"{INCIDENTS}/{opened(guard, alerts[:2])['incident_id']}"
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", path, {"title": "y"}),
        ("POST", f"{path}/alerts", {"alert_ids": alerts[2:]}),
        ("POST", f"{path}/close", {}),
        ("POST", f"{path}/reopen", {}),
    ]
    for method, address, body in writes:
        refused(guard.request(method, address, json=body), 428, "precondition_required")
        stale = refused(guard.request(method, address, json=body | {"version": 7}), 409, "stale_version")
        assert stale["details"] == {"expected": 7, "found": 1}
    refused(guard.delete(f"{path}/alerts/{alerts[0]}"), 428, "precondition_required")
    refused(guard.delete(f"{path}/alerts/{alerts[0]}", headers={"if-match": '"7"'}), 409, "stale_version")


def test_a_guard_of_one_camera_sees_its_part(
    app: FastAPI, services: Services, guard: TestClient, alerts: list[str]
) -> None:
    south = client_as(app, services, "guard", cameras=["south-gate"])
    hidden = opened(guard, alerts[:1])
    refused(south.get(f"{INCIDENTS}/{hidden['incident_id']}"), 404, "not_found")
    refused(south.post(f"{INCIDENTS}/{hidden['incident_id']}/notes", json={"note": "x"}), 404, "not_found")
    for ids in ([alerts[1]], [alerts[2], alerts[1]], ["nothing"]):
        refused(south.post(INCIDENTS, json={"title": "x", "alert_ids": ids}), 404, "not_found")
    shared = opened(guard, alerts[1:])
    path = f"{INCIDENTS}/{shared['incident_id']}"
    part = south.get(path)
    assert [alert["alert_id"] for alert in part.json()["alerts"]] == alerts[2:]
    assert (part.json()["alert_count"], part.json()["cameras"]) == (1, ["south-gate"])
    assert (part.json()["hidden_alerts"], part.json()["hidden_notes"]) == (1, 0)
    assert part.json()["changes"][0]["added"] == alerts[2:]
    assert "north-gate" not in part.text
    assert [one["incident_id"] for one in south.get(INCIDENTS).json()["items"]] == [shared["incident_id"]]
    assert south.get(INCIDENTS).json()["items"][0]["cameras"] == ["south-gate"]


def test_the_list_is_newest_first_in_pages(guard: TestClient, desk: Desk) -> None:
    made = [opened(guard, [desk.take(make_event(n, 1000.0 * n)).alert_id])["incident_id"] for n in range(1, 6)]
    guard.post(f"{INCIDENTS}/{made[0]}/close", json={"version": 1})
    seen, cursor = [], None
    for _ in range(3):
        page = guard.get(INCIDENTS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["incident_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (made[::-1], None)
    states = {state: guard.get(INCIDENTS, params={"state": state}).json()["items"] for state in ("open", "closed")}
    assert [len(states[state]) for state in ("open", "closed")] == [4, 1]
    refused(guard.get(INCIDENTS, params={"cursor": "x"}), 422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [{}, {"title": " "}, {"title": "x" * 201}, {"title": "a\nb"}, {"alert_ids": []}, {"alert_ids": ["a\0b"]}, {"x": 1}],
    ids=json.dumps,
)
def test_bodies_that_are_refused(guard: TestClient, alerts: list[str], body: dict[str, Any]) -> None:
    whole = {"title": "x", "alert_ids": alerts[:1]} | body if body else {}
    refused(guard.post(INCIDENTS, json=whole), 422, "invalid_request")


def test_who_may_do_what(app: FastAPI, services: Services, guard: TestClient, alerts: list[str]) -> None:
    auditor = client_as(app, services, "auditor")
    path = f"{INCIDENTS}/{opened(guard, alerts[:1])['incident_id']}"
    assert auditor.get(path).status_code == auditor.get(INCIDENTS).status_code == 200
    writes: list[Callable[[], Any]] = [
        lambda: auditor.post(INCIDENTS, json={"title": "x", "alert_ids": alerts[1:]}),
        lambda: auditor.post(f"{path}/notes", json={"note": "x"}),
        lambda: auditor.post(f"{path}/close", json={"version": 1}),
    ]
    for write in writes:
        refused(write(), 403, "forbidden")


def test_the_journal_says_it_on_both_sides(services: Services, guard: TestClient, alerts: list[str]) -> None:
    made = opened(guard, alerts[1:])
    guard.delete(f"{INCIDENTS}/{made['incident_id']}/alerts/{alerts[1]}", params={"version": 1})
    with services.ledger.reading() as session:
        entries = entries_after(session, 0, 1000, subjects=["alert", "incident"])
    told = [(e.subject, e.action, e.camera) for e in entries if e.action not in ("raised",)]
    assert told == [
        ("alert", "merged", "north-gate"), ("alert", "merged", "south-gate"), ("incident", "opened", None),
        ("alert", "unmerged", "north-gate"), ("incident", "changed", None),
    ]  # fmt: skip
