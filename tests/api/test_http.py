"""The HTTP API as clients and browsers meet it."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from api.alerts import Clip
from api.app import create_app
from api.desk import Desk
from api.errors import NotFoundError, UnavailableError
from api.routes_service import InputMessage
from api.services import Services
from tests.api.kit import client_as
from tests.api.scenes import Site, crossing, make_event, snapshot_of

V1 = "/api/v1"
ERRORS = {"error"}


@pytest.fixture
def alert_path(desk: Desk, media: Path, drawn_clip: Path) -> str:
    event = make_event(1, 10.0, rule="草坪")
    alert = desk.take(event)
    (media / "s.jpg").write_bytes(snapshot_of(event))
    (media / "c.mp4").write_bytes(drawn_clip.read_bytes())
    (media / "c.mkv").write_bytes(b"original bytes")
    desk.attach_media(alert.alert_id, snapshot="s.jpg", clips=[Clip("c.mp4", 7.0, 13.0, "c.mkv", 2.0)])
    return f"{V1}/alerts/{alert.alert_id}"


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == code
    assert response.headers["x-content-type-options"] == "nosniff"
    return dict(body["error"])


def test_one_alert_tells_its_whole_story(client: TestClient, alert_path: str) -> None:
    alert = client.get(alert_path).json()
    assert alert["measured"] == {"dwell_s": {"value": 34.23, "threshold": 30.0}}
    assert (alert["events"][0]["zone"], alert["events"][0]["path"][0]) == ("lawn", [6.0, 0.2, 0.7])
    assert (alert["raised_at"], alert["media_time_s"]) == ("2026-03-01T14:00:10Z", {"start": 6.0, "end": 10.0})
    assert alert["allowed_actions"] == [
        "seen", "acknowledge", "claim", "assign", "resolve", "false_alarm", "drill", "note",
    ]  # fmt: skip
    assert alert["response_s"] == {"seen": None, "acknowledged": None, "closed": None}
    assert [(c["action"], c["version"]) for c in alert["changes"]] == [("raised", 1), ("evidence", 1)]
    (clip,) = alert["clips"]
    assert (clip["rendered"], clip["shortfall_s"], clip["from_s"]) == (True, 2.0, 7.0)
    for url in (alert["snapshot_url"], clip["url"], clip["original_url"]):
        assert client.get(url).status_code == 200


def test_pages_of_the_list_join_up(client: TestClient, desk: Desk) -> None:
    for n in range(1, 8):
        desk.take(make_event(n, 40.0 * n))
    seen, cursor = [], None
    for _ in range(4):
        page = client.get(f"{V1}/alerts", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["first_raised_s"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [280, 240, 200, 160, 120, 80, 40]
    assert cursor is None


def test_filters_of_the_list(client: TestClient, desk: Desk) -> None:
    desk.take(make_event(1, 10.0))
    road = desk.take(crossing(1, 100.0))
    desk.act(road.alert_id, "resolve", reason="intruder")

    def rules(**params: Any) -> list[str]:
        return [item["rule"] for item in client.get(f"{V1}/alerts", params=params).json()["items"]]

    assert rules(state=["resolved", "false_alarm"]) == ["road"]
    assert rules(severity="high") == ["lawn-loitering"]
    assert rules(since="2026-03-01T22:01:00+08:00") == ["road"]
    assert rules(camera="other") == []
    for bad in ({"state": "gone"}, {"limit": 0}, {"since": "2026-03-01T22:01:00"}, {"cursor": "abc"}, {"cursor": "é"}):
        refused(client.get(f"{V1}/alerts", params=bad), 422, "invalid_request")


def test_moments_of_the_list_are_forgiven_a_plus_and_refused_beyond_the_calendar(
    client: TestClient, desk: Desk
) -> None:
    desk.take(make_event(1, 10.0))
    bare = client.get(f"{V1}/alerts?since=2026-03-01T21:00:00+08:00")
    assert len(bare.json()["items"]) == 1, "a + that nobody encoded arrives as a space"
    for edge in ("since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-12:00"):
        refused(client.get(f"{V1}/alerts?{edge}"), 422, "invalid_request")


def test_a_method_that_no_route_has_is_called_so(client: TestClient, alert_path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        refused(client.request(method, alert_path), 405, "method_not_allowed")


def test_an_alert_is_handled(client: TestClient, alert_path: str) -> None:
    done = client.post(f"{alert_path}/acknowledge", json={})
    assert (done.status_code, done.json()["state"], done.json()["version"]) == (200, "acknowledged", 2)
    problem = refused(client.post(f"{alert_path}/acknowledge", json={}), 409, "illegal_transition")
    assert problem["details"] == {
        "state": "acknowledged",
        "action": "acknowledge",
        "allowed": ["claim", "assign", "resolve", "false_alarm", "drill", "note"],
    }
    refused(client.post(f"{alert_path}/resolve", json={"version": 1, "reason": "intruder"}), 409, "stale_version")
    for body in ({}, {"reason": "other"}, {"reason": "boring"}, {"reason": "intruder"}, {"reason": "animal", "x": 1}):
        refused(client.post(f"{alert_path}/false-alarm", json=body | {"version": 2}), 422, "invalid_request")
    fox = {"reason": "animal", "note": "fox", "version": 2}
    closed = client.post(f"{alert_path}/false-alarm", json=fox).json()
    assert (closed["state"], closed["reason"], closed["note"], closed["allowed_actions"]) == (
        "false_alarm", "animal", "fox", ["reopen", "note"],
    )  # fmt: skip
    assert [change["action"] for change in closed["changes"]][-2:] == ["acknowledge", "false_alarm"]
    assert [(note["action"], note["text"]) for note in closed["notes"]] == [("false_alarm", "fox")]


def test_a_shift_of_two_guards_and_their_supervisor(services: Services, app: FastAPI, alert_path: str) -> None:
    ann, bob, sue = (client_as(app, services, role) for role in ("guard", "guard", "supervisor"))
    auditor = client_as(app, services, "auditor")
    seen = ann.post(f"{alert_path}/seen", json={})
    assert (seen.headers["etag"], seen.json()["seen_by"], seen.json()["state"]) == ('"1"', "guard1", "new")
    assert bob.post(f"{alert_path}/seen", json={}).json()["seen_by"] == "guard1"
    claimed = ann.post(f"{alert_path}/claim", json={}, headers={"if-match": seen.headers["etag"]})
    assert (claimed.json()["assignee"], claimed.headers["etag"]) == ("guard1", '"2"')
    late = refused(bob.post(f"{alert_path}/claim", json={"version": 1}), 409, "stale_version")
    assert late["details"] == {"expected": 1, "found": 2}
    assert bob.get(alert_path).json()["allowed_actions"] == ["resolve", "false_alarm", "drill", "note"]
    refused(bob.post(f"{alert_path}/release", json={"version": 2}), 403, "forbidden")
    to = [user["name"] for user in ann.get(f"{alert_path}/assignees").json()["items"]]
    assert to == ["guard1", "guard2", "supervisor1"], "nobody who may only look"
    handed = ann.post(f"{alert_path}/assign", json={"assignee": "guard2", "note": "my shift ends", "version": 2})
    assert (handed.json()["assignee"], handed.json()["notes"][0]["text"]) == ("guard2", "my shift ends")
    assert bob.post(f"{alert_path}/notes", json={"note": "on my way"}).status_code == 200
    closed = bob.post(f"{alert_path}/resolve", json={"reason": "police_called", "version": 4}).json()
    assert (closed["state"], closed["closed_by"], closed["version"]) == ("resolved", "guard2", 5)
    refused(bob.post(f"{alert_path}/reopen", json={"version": 5, "note": "again"}), 403, "forbidden")
    refused(sue.post(f"{alert_path}/reopen", json={"version": 5, "note": " "}), 422, "invalid_request")
    again = sue.post(f"{alert_path}/reopen", json={"version": 5, "note": "wrong gate"}).json()
    assert (again["state"], again["assignee"], again["reopened"], again["reason"]) == ("in_progress", "guard2", 1, None)
    released = sue.post(f"{alert_path}/release", json={"version": 6}).json()
    assert (released["state"], released["assignee"]) == ("acknowledged", None)
    assert sue.post(f"{alert_path}/drill", json={"version": 7, "reason": "exercise"}).json()["state"] == "drill"
    told = auditor.get(alert_path).json()
    assert [(c["action"], c["state"]) for c in told["changes"] if c["state"]] == [
        ("seen", "new"), ("claim", "in_progress"), ("assign", "in_progress"), ("note", "in_progress"),
        ("resolve", "resolved"), ("reopen", "in_progress"), ("release", "acknowledged"), ("drill", "drill"),
    ]  # fmt: skip
    assert told["allowed_actions"] == []
    refused(auditor.post(f"{alert_path}/notes", json={"note": "x"}), 403, "forbidden")


def test_two_guards_at_once(services: Services, app: FastAPI, desk: Desk) -> None:
    clients = [client_as(app, services, "guard") for _ in range(2)]
    for n in range(1, 6):
        alert = desk.take(make_event(n, 1000.0 * n))
        together = threading.Barrier(2)

        def claim(client: TestClient, path: str, together: threading.Barrier) -> Any:
            together.wait(10)
            return client.post(f"{path}/claim", json={}, headers={"if-match": '"1"'})

        with ThreadPoolExecutor(2) as pool:
            tries = [pool.submit(claim, client, f"{V1}/alerts/{alert.alert_id}", together) for client in clients]
            won, lost = sorted((one.result() for one in tries), key=lambda answer: answer.status_code)
        assert won.status_code == 200, won.text
        assert refused(lost, 409, "stale_version")["details"] == {"expected": 1, "found": 2}


def test_a_write_says_what_it_looked_at(client: TestClient, alert_path: str) -> None:
    bodies = {
        "claim": {}, "assign": {"assignee": "administrator1"}, "release": {}, "resolve": {"reason": "intruder"},
        "false-alarm": {"reason": "animal"}, "drill": {"reason": "test"}, "reopen": {"note": "x"},
    }  # fmt: skip
    for name, body in bodies.items():
        refused(client.post(f"{alert_path}/{name}", json=body), 428, "precondition_required")
        stale = refused(
            client.post(f"{alert_path}/{name}", json=body, headers={"if-match": '"9"'}), 409, "stale_version"
        )
        assert stale["details"] == {"expected": 9, "found": 1}, "stale, even where it would be illegal, too"
    for tag in ("1", '"1", "2"', '"x"', '"-1"', ""):
        refused(client.post(f"{alert_path}/claim", json={}, headers={"if-match": tag}), 422, "invalid_request")
    weak = client.post(f"{alert_path}/claim", json={}, headers={"if-match": 'W/"9"'})
    refused(weak, 409, "stale_version")
    both = client.post(f"{alert_path}/claim", json={"version": 2}, headers={"if-match": '"1"'})
    refused(both, 422, "invalid_request")
    assert client.post(f"{alert_path}/claim", json={}, headers={"if-match": "*"}).status_code == 200
    assert client.get(alert_path).headers["etag"] == '"2"'


def test_other_cameras_alerts_are_not_there(services: Services, app: FastAPI, alert_path: str) -> None:
    guard = client_as(app, services, "guard", cameras=["south-gate"])
    refused(guard.get(alert_path), 404, "not_found")
    for media in ("snapshot", "clip", "clip/original"):
        refused(guard.get(f"{alert_path}/{media}"), 404, "not_found")
        assert guard.head(f"{alert_path}/{media}").status_code == 404
    for name, body in (("seen", {}), ("acknowledge", {}), ("claim", {"version": 1}), ("notes", {"note": "x"})):
        refused(guard.post(f"{alert_path}/{name}", json=body), 404, "not_found")
    refused(guard.get(f"{alert_path}/assignees"), 404, "not_found")
    assert guard.get(f"{V1}/alerts").json()["items"] == []


def test_reasons_are_told_in_both_languages(client: TestClient) -> None:
    reasons = {reason["code"]: reason for reason in client.get(f"{V1}/reasons").json()["items"]}
    assert reasons["animal"] == {
        "code": "animal", "verdicts": ["false_alarm"], "label": {"en": "Animal", "zh-CN": "动物"}, "needs_note": False,
    }  # fmt: skip
    assert reasons["other"]["needs_note"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "not_found"),
        (f"{V1}/alerts/none", 404, "not_found"),
        (f"{V1}/alerts/none/clip", 404, "not_found"),
        (f"{V1}/alerts/" + "x" * 500, 422, "invalid_request"),
        (f"{V1}/alerts/../../etc/passwd", 404, "not_found"),
        (f"{V1}/alerts/%2e%2e%2f%2e%2e%2fetc%2fpasswd/snapshot", 404, "not_found"),
        ("/page/..%2f..%2fapp.py", 404, "not_found"),
    ],
)
def test_what_is_not_there(client: TestClient, path: str, status: int, code: str) -> None:
    refused(client.get(path), status, code)


def test_methods_that_are_not_allowed(client: TestClient) -> None:
    for path, allowed in (
        ("health", "GET, HEAD"),
        ("incidents/x", "GET, HEAD, PATCH"),
        ("session", "DELETE, GET, HEAD, POST"),
    ):
        response = client.put(f"{V1}/{path}", json={})
        refused(response, 405, "method_not_allowed")
        assert response.headers["allow"] == allowed


def test_a_fault_of_ours_keeps_the_shape_and_hides_its_cause(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(desk, "get", fail)
    response = client.get(f"{V1}/alerts/any")
    refused(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


class TestForeignPages:
    def test_another_host_name_gets_nothing(self, client: TestClient) -> None:
        for host in ("evil.example", "evil.example:8400", "127.0.0.1.evil.example", "", "[::1].evil"):
            refused(client.get(f"{V1}/alerts", headers={"host": host}), 400, "bad_host")
        for host in ("localhost", "LOCALHOST:1", "[::1]:8400", "127.0.0.1"):
            assert client.get(f"{V1}/health", headers={"host": host}).status_code == 200

    def test_another_origin_may_not_write(self, client: TestClient, alert_path: str) -> None:
        for headers in (
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"origin": "http://127.0.0.1:9999"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            refused(client.post(f"{alert_path}/resolve", json={}, headers=headers), 403, "foreign_origin")
        assert client.get(alert_path).json()["state"] == "new"
        own = {"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}
        assert client.post(f"{alert_path}/acknowledge", json={}, headers=own).status_code == 200

    def test_a_form_cannot_write(self, client: TestClient, alert_path: str) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
            headers = {"content-type": kind} if kind else {}
            refused(client.post(f"{alert_path}/resolve", content=b"{}", headers=headers), 415, "unsupported_media_type")

    def test_bodies_have_an_end(self, client: TestClient, alert_path: str) -> None:
        headers = {"content-type": "application/json"}
        refused(client.post(f"{alert_path}/resolve", content=b" " * 70_000, headers=headers), 413, "content_too_large")
        refused(client.post(f"{alert_path}/resolve", content=b"{", headers=headers), 422, "invalid_request")


class TestClips:
    def test_ranges(self, client: TestClient, alert_path: str, drawn_clip: Path) -> None:
        whole = drawn_clip.read_bytes()
        size = len(whole)
        for wanted, part, told in (
            ("bytes=0-99", whole[:100], f"bytes 0-99/{size}"),
            ("bytes=100-", whole[100:], f"bytes 100-{size - 1}/{size}"),
            ("bytes=-10", whole[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
            (f"bytes=0-{size + 50}", whole, f"bytes 0-{size - 1}/{size}"),
            (f"bytes=-{size + 50}", whole, f"bytes 0-{size - 1}/{size}"),
        ):
            response = client.get(f"{alert_path}/clip", headers={"range": wanted})
            assert (response.status_code, response.headers["content-range"]) == (206, told)
            assert response.content == part
            assert response.headers["content-length"] == str(len(part))

    @pytest.mark.parametrize("wanted", ["bytes=5-2", "lines=1-2", "bytes=a-b", "bytes", "bytes=-", "bytes=0-1,5-6"])
    def test_ranges_that_are_ignored(self, client: TestClient, alert_path: str, drawn_clip: Path, wanted: str) -> None:
        response = client.get(f"{alert_path}/clip", headers={"range": wanted})
        assert (response.status_code, len(response.content)) == (200, drawn_clip.stat().st_size)

    def test_ranges_behind_the_end(self, client: TestClient, alert_path: str, drawn_clip: Path) -> None:
        size = drawn_clip.stat().st_size
        for wanted in (f"bytes={size}-", "bytes=-0"):
            response = client.get(f"{alert_path}/clip", headers={"range": wanted})
            refused(response, 416, "range_not_satisfiable")
            assert response.headers["content-range"] == f"bytes */{size}"

    def test_if_range_and_if_none_match(self, client: TestClient, alert_path: str) -> None:
        etag = client.head(f"{alert_path}/clip").headers["etag"]
        part = {"range": "bytes=0-9"}
        assert client.get(f"{alert_path}/clip", headers=part | {"if-range": etag}).status_code == 206
        assert client.get(f"{alert_path}/clip", headers=part | {"if-range": '"old"'}).status_code == 200
        beyond = {"range": "bytes=99999999-", "if-range": '"old"'}
        assert client.get(f"{alert_path}/clip", headers=beyond).status_code == 200
        again = client.get(f"{alert_path}/clip", headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")

    def test_head_tells_without_sending(self, client: TestClient, alert_path: str, drawn_clip: Path) -> None:
        response = client.head(f"{alert_path}/clip")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == str(drawn_clip.stat().st_size)
        assert (response.headers["content-type"], response.headers["accept-ranges"]) == ("video/mp4", "bytes")

    def test_the_original_is_a_download(self, client: TestClient, alert_path: str) -> None:
        response = client.get(f"{alert_path}/clip/original")
        assert response.content == b"original bytes"
        assert response.headers["content-disposition"] == 'attachment; filename="c.mkv"'
        assert response.headers["content-type"] == "video/x-matroska"

    def test_a_clip_that_was_deleted(self, client: TestClient, alert_path: str, media: Path) -> None:
        (media / "c.mp4").unlink()
        refused(client.get(f"{alert_path}/clip"), 404, "not_found")


def test_snapshots_come_in_small_too(client: TestClient, alert_path: str) -> None:
    whole = client.get(f"{alert_path}/snapshot")
    small = client.get(f"{alert_path}/snapshot", params={"width": 100})
    assert (whole.headers["content-type"], small.headers["content-type"]) == ("image/jpeg", "image/jpeg")
    assert Image.open(io.BytesIO(whole.content)).width == 320
    assert Image.open(io.BytesIO(small.content)).width == 100
    unchanged = {"if-none-match": small.headers["etag"]}
    assert client.get(f"{alert_path}/snapshot", params={"width": 100}, headers=unchanged).status_code == 304
    refused(client.get(f"{alert_path}/snapshot", params={"width": 1}), 422, "invalid_request")


class TestInputs:
    BODY: ClassVar[dict[str, Any]] = {
        "camera": "north-gate",
        "line": "barrier",
        "kind": "authorisation",
    }

    def test_nobody_to_take_them(self, client: TestClient) -> None:
        response = client.post(f"{V1}/inputs", json=self.BODY)
        refused(response, 503, "unavailable")
        assert int(response.headers["retry-after"]) > 0

    def test_they_reach_the_front(self, services: Services) -> None:
        taken: list[InputMessage] = []

        def take(message: InputMessage) -> None:
            if message.camera == "unknown":
                raise NotFoundError("There is no camera unknown.")
            if message.camera == "busy":
                raise UnavailableError("The camera's queue is full.")
            taken.append(message)

        app = create_app(services, site=Site(), version="1.2.3", on_input=take)
        with client_as(app, services, "integrator") as client:
            at = datetime.now(UTC) - timedelta(hours=23)
            response = client.post(f"{V1}/inputs", json=self.BODY | {"at": at.isoformat()})
            assert (response.status_code, response.json()) == (202, {"accepted": True})
            refused(client.post(f"{V1}/inputs", json=self.BODY | {"camera": "unknown"}), 404, "not_found")
            refused(client.post(f"{V1}/inputs", json=self.BODY | {"camera": "busy"}), 503, "unavailable")
            refused(client.post(f"{V1}/inputs", json=self.BODY | {"at": "2026-03-01T22:00:00"}), 422, "invalid_request")
            refused(client.post(f"{V1}/inputs", json=self.BODY | {"extra": 1}), 422, "invalid_request")
            for off, kind in ((timedelta(hours=-25), "authorisation"), (timedelta(minutes=2), "arm")):
                wrong = self.BODY | {"kind": kind, "at": (datetime.now(UTC) + off).isoformat()}
                answer = client.post(f"{V1}/inputs", json=wrong)
                refused(answer, 422, "invalid_request")
                message = answer.json()["error"]["message"]
                limits = "at: expected a moment at most 24 h ago and at most 60 s ahead"
                assert message.startswith(f"{limits}, found {wrong['at']}")
        (message,) = taken
        assert (message.camera, message.at) == ("north-gate", at)


def test_health_and_site(client: TestClient, desk: Desk) -> None:
    desk.take(make_event())
    health = client.get(f"{V1}/health").json()
    assert (health["status"], health["version"], health["alerts"]) == ("ok", "1.2.3", {"new": 1})
    assert client.get(f"{V1}/site").json() == {
        "name": "Lakeside Gardens", "timezone": "Asia/Shanghai", "language": "en",
    }  # fmt: skip


def test_the_document_is_enough_for_a_client(client: TestClient) -> None:
    document = client.get(f"{V1}/openapi.json").json()
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))
    assert "HTTPValidationError" not in json.dumps(document)
    for path in document["paths"].values():
        for operation in path.values():
            if operation["operationId"].startswith("head_"):
                continue
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorOut"}
                elif status not in ("204", "303", "304"):
                    assert answer["content"], operation["operationId"]


def test_the_page_and_its_policy(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("app.js", "view.js", "words.js", "style.css", "texts.json", "icon.svg"):
        response = client.get(f"/page/{path}")
        assert response.status_code == 200, path
        assert response.headers["content-type"] not in ("text/plain", "application/octet-stream")
