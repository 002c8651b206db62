"""What a running site adds to the desk: pictures of cameras, events from outside, arming that outlives a restart."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.live.kit import PASSWORD, SAMPLE, Running, until

SECRET = "a-secret-of-the-panel"
SITE = f"""\
site: {{name: Lakeside, timezone: Asia/Shanghai}}
detector: motion
clips: {{pre_s: 1, post_s: 1}}
arming:
  profiles:
    quiet: {{disarm: {{yard: all}}}}
external:
  panel:
    secret: ${{PANEL_SECRET}}
    events:
      panic_button: {{do: alert, severity: critical, camera: yard}}
      fire_panel: {{do: alert, severity: critical}}
      barrier_opened: {{do: authorise, camera: yard, line: gate}}
      closing_time: {{do: profile, profile: quiet}}
cameras:
  yard:
    source: "{SAMPLE}"
    analyse_fps: 5
    zones: {{all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}}
    lines: {{gate: [[0.30, 0.30], [0.22, 0.48]]}}
    rules:
      - {{name: movement, kind: intrusion, zone: all, labels: [object]}}
      - {{name: tailgate, kind: tailgating, line: gate, labels: [object], authorisation: event, valid_s: 120}}
  roof:
    source: "rtsp://guard:${{ROOF_PASSWORD}}@127.0.0.1:1/roof"
"""


def start(tmp_path: Path) -> Running:
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    return Running(site, tmp_path / "data", {"PANEL_SECRET": SECRET, "ROOF_PASSWORD": PASSWORD})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    one = start(folder)
    try:
        until(lambda: one.camera("yard")["connected"], 60, "the camera")
        yield one
    finally:
        one.kill()


def fetch(running: Running, path: str) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(f"{running.address}api/v1/{path}", headers=running._headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def tell(running: Running, event: dict[str, Any], *, source: str = "panel", secret: str = SECRET) -> tuple[int, Any]:
    body, timestamp = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json", "x-gatewatch-timestamp": timestamp,
        "x-gatewatch-signature": f"sha256={signature}",
    }  # fmt: skip
    request = urllib.request.Request(f"{running.address}api/v1/external/{source}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_camera_shows_its_newest_picture(running: Running) -> None:
    status, headers, analysed = fetch(running, "cameras/yard/frame")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert headers["x-gatewatch-taken-at"].endswith("Z")
    _, _, small = fetch(running, "cameras/yard/frame?width=100")
    _, _, full = fetch(running, "cameras/yard/frame?full=true")
    widths = [Image.open(io.BytesIO(jpeg)).width for jpeg in (small, analysed, full)]
    assert widths[0] == 100
    assert widths[0] < widths[1] < widths[2] == 768


def test_a_live_picture_is_a_row_of_new_pictures(running: Running) -> None:
    status, headers, body = fetch(running, "cameras/yard/live?pictures=3&fps=5")
    assert status == 200
    assert headers["content-type"] == "multipart/x-mixed-replace; boundary=gatewatch-picture"
    times = [line.partition(b": ")[2] for line in body.split(b"\r\n") if line.startswith(b"x-gatewatch-taken-at")]
    assert len(times) == 3
    assert times == sorted(set(times))
    assert body.count(b"\xff\xd8\xff") == 3
    until(lambda: not list((running.data / ".live").glob(".*.part")), 5)


def test_no_picture_says_why_without_the_password(running: Running) -> None:
    for what in ("frame", "live"):
        status, _, body = fetch(running, f"cameras/roof/{what}")
        assert status == 503
        assert b"roof" in body
        assert PASSWORD.encode() not in body
        assert fetch(running, f"cameras/none/{what}")[0] == 404
    assert json.loads(fetch(running, "cameras/yard")[2])["connected"] is True
    assert PASSWORD not in running.said


def test_a_panic_button_raises_an_alert_with_the_cameras_pictures(running: Running) -> None:
    event = {"event_id": "p-1", "kind": "panic_button", "text": "Desk 2"}
    status, taken = tell(running, event)
    assert (status, taken["did"], taken["duplicate"]) == (202, "alert", False)
    assert tell(running, event)[1] == taken | {"duplicate": True}

    def ready() -> Any:
        alert = running.get(f"api/v1/alerts/{taken['alert_id']}")
        return alert if alert["media"] != "pending" and alert["snapshot_url"] else None

    alert = until(ready, 30, "the clip of the alert")
    assert (alert["media"], alert["severity"], alert["kind"]) == ("ready", "critical", "panic_button")
    assert fetch(running, alert["snapshot_url"].removeprefix("/api/v1/"))[0] == 200
    status, fire = tell(running, {"event_id": "f-1", "kind": "fire_panel"})
    assert status == 202
    assert running.get(f"api/v1/alerts/{fire['alert_id']}")["media"] == "missing"


def test_an_authorisation_reaches_the_line(running: Running) -> None:
    before = running.camera("yard")["inputs"]
    assert tell(running, {"event_id": "b-1", "kind": "barrier_opened"})[0] == 202
    until(lambda: running.camera("yard")["inputs"] == before + 1, 10, "the input")


def test_who_does_not_sign_rightly_is_refused_alike(running: Running) -> None:
    event = {"event_id": "x", "kind": "panic_button"}
    wrong, unknown = tell(running, event, secret="wrong"), tell(running, event, source="nobody")
    assert wrong == unknown
    assert wrong[0] == 401
    status, answer = tell(running, {"event_id": "x", "kind": "flood"})
    assert (status, answer["error"]["code"]) == (422, "invalid_request")


def test_arming_outlives_a_restart_and_workers_are_told(running: Running, folder: Path) -> None:
    assert tell(running, {"event_id": "c-1", "kind": "closing_time"})[0] == 202
    status, armed = running.post("api/v1/arming/overrides", {"camera": "yard", "target": "gate", "armed": True})
    assert status == 200
    expected = [("movement", False), ("tailgate", True)]
    assert [(rule["rule"], rule["armed"]) for rule in armed["rules"]] == expected
    assert running.post("api/v1/inputs", {"camera": "yard", "line": "nothing", "kind": "disarm"})[0] == 404
    assert running.stop() == 0
    again = start(folder)
    try:
        armed = again.get("api/v1/arming")
        assert (armed["profile"], armed["set_by"]) == ("quiet", "panel")
        assert [(rule["rule"], rule["armed"]) for rule in armed["rules"]] == expected
        until(lambda: again.camera("yard")["inputs"] == 1, 60, "the disarming of the one rule")
        told = again.get("api/v1/stream?last_event_id=0&follow=false&subject=arming&subject=external").decode()
        for event in ("external.received", "external.refused", "arming.profile", "arming.override"):
            assert f"event: {event}\n" in told, event
        assert again.stop() == 0
    finally:
        again.kill()
