"""`gatewatch run` as its users meet it: real RTSP, real footage, the real detector, real processes that get killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.api.kit import open_desk
from tests.conftest import ROOT
from tests.gatewatch.conftest import cut
from tests.live.kit import PASSWORD, SAMPLE, Running, alive, until
from tests.rtsp import RtspCamera

SITE = """\
site: {{name: Lakeside, timezone: Asia/Shanghai, language: en}}
detector: {{input_px: 320, min_score: 0.4}}
clips: {{pre_s: 1, post_s: 1}}
cameras:
  gate:
    source: "{gate}"
    analyse_fps: 5
    zones: {{all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}}
    lines: {{west-road: [[0.30, 0.30], [0.22, 0.48]]}}
    rules:
      - {{name: anybody, kind: intrusion, zone: all, labels: [person], severity: high, cooldown_s: 1}}
      - {{name: tailgate, kind: tailgating, line: west-road, labels: [person], authorisation: event, valid_s: 120}}
  yard:
    source: "{main}"
    analyse: "{sub}"
    analyse_fps: 3
    detector: motion
    zones: {{all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}}
    rules:
      - {{name: movement, kind: intrusion, zone: all, labels: [object]}}
  pond:
    source: "rtsp://guard:${{POND_PASSWORD}}@127.0.0.1:1/pond"
    detector: motion
  roof:
    source: "rtsp://guard:${{GATE_PASSWORD}}@127.0.0.1:1/roof"
    detector: motion
"""


def shrunk(source: Path, target: Path) -> Path:
    """The same pictures at half the size, as a camera's second stream."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream: Any = made.add_stream("libx264", rate=Fraction(10), width=384, height=288, pix_fmt="yuv420p")
        stream.options = {"preset": "ultrafast", "bf": "0"}
        stream.codec_context.gop_size = 10
        for index, picture in enumerate(given.decode(video=0)):
            small = picture.reformat(384, 288, "yuv420p")
            small.pts, small.time_base = index, Fraction(1, 10)
            made.mux(stream.encode(small))
        made.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspCamera]:
    """Ten seconds in which three people cross the road."""
    folder = tmp_path_factory.mktemp("streams")
    shrunk(cut(SAMPLE, folder / "main.mp4", 62.0, 72.0), folder / "sub.mp4")
    camera = RtspCamera(folder)
    camera.start()
    yield camera
    camera.kill()


@pytest.fixture(scope="module")
def site(streams: RtspCamera, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.yaml"
    main, sub = streams.url("main.mp4"), streams.url("sub.mp4")
    path.write_text(SITE.format(gate=main, main=main, sub=sub), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def running(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One run that the tests of this file look at in turn, and mistreat."""
    run = Running(site, tmp_path_factory.mktemp("run") / "data", {"GATE_PASSWORD": PASSWORD})
    yield run
    run.kill()


def ready(run: Running, **filters: str) -> dict[str, Any]:
    """The oldest alert whose clip is there."""
    return until(
        lambda: next((a for a in reversed(run.alerts(**filters)) if a["media"] == "ready" and a["snapshot_url"]), None),
        60, f"an alert with a clip for {filters}; {run.said}",
    )  # fmt: skip


def test_authorisations_reach_the_rule_that_waits_for_them(running: Running) -> None:
    until(lambda: running.camera("gate")["analysed"] > 0, 60, "the first frame")
    authorisation = {"camera": "gate", "line": "west-road", "kind": "authorisation"}
    assert running.post("api/v1/inputs", authorisation) == (202, {"accepted": True})
    assert running.post("api/v1/inputs", {**authorisation, "camera": "moon"})[0] == 404
    assert running.post("api/v1/inputs", {**authorisation, "line": "moon"})[0] == 404
    assert running.post("api/v1/inputs", {**authorisation, "at": "2124-01-01T00:00:00Z"})[0] == 422
    # Three people cross, one was let in.
    alert = ready(running, rule="tailgate")
    assert alert["measured"]["crossings"] == {"value": 2.0, "threshold": 1.0}
    gate = running.camera("gate")
    assert (gate["inputs"], gate["inputs_unused"]) == (1, 0)


def test_alerts_come_with_a_snapshot_and_a_clip_of_the_cameras_own_pictures(running: Running) -> None:
    alert = ready(running, rule="anybody")
    assert alert["label"] == "person"
    snapshot = cv2.imdecode(np.frombuffer(running.get(alert["snapshot_url"]), np.uint8), cv2.IMREAD_COLOR)
    assert snapshot.shape[1] == 768
    assert snapshot.shape[0] > 576
    pictures, width, codec = played(running, alert)
    assert (width, codec) == (768, "h264")
    clip = alert["clips"][0]
    assert clip["from_s"] <= alert["media_time_s"]["start"]
    assert clip["to_s"] >= alert["first_raised_s"] + 0.9
    assert pictures == pytest.approx((clip["to_s"] - clip["from_s"]) * 10, abs=2)


def test_two_streams_analyse_the_small_one_and_keep_the_large_one(running: Running) -> None:
    alert = ready(running, rule="movement")
    assert running.camera("yard")["width_px"] == 384
    snapshot = cv2.imdecode(np.frombuffer(running.get(alert["snapshot_url"]), np.uint8), cv2.IMREAD_COLOR)
    assert snapshot.shape[1] == 768
    assert played(running, alert)[1] == 768
    clip = alert["clips"][0]
    assert clip["from_s"] <= alert["media_time_s"]["start"] + 0.3
    assert clip["to_s"] > alert["first_raised_s"] + 0.5


def test_cameras_that_cannot_be_reached_are_said_and_stop_nobody(running: Running) -> None:
    pond = until(lambda: (c := running.camera("pond"))["failures"] >= 2 and c, 30, "two attempts")
    assert not pond["connected"]
    assert "POND_PASSWORD" in pond["reason"]
    roof = running.camera("roof")
    assert "guard:***@127.0.0.1" in roof["reason"]
    assert roof["blind_s"] > 1
    health = running.get("api/v1/health")
    assert health["status"] == "degraded"
    assert health["cameras"] == {"watched": 4, "connected": 2}
    metrics = running.get("metrics").decode()
    assert 'gatewatch_camera_connected{camera="gate"} 1.0' in metrics
    assert 'gatewatch_camera_connected{camera="pond"} 0.0' in metrics
    assert running.camera("gate")["analysed_fps"] > 1


def test_a_camera_that_dies_comes_back_and_its_time_goes_on(running: Running, streams: RtspCamera) -> None:
    before = running.camera("gate")
    streams.kill()
    lost = until(lambda: (c := running.camera("gate"))["reason"] and c, 30, "the loss")
    assert not lost["connected"]
    streams.start()
    back = until(lambda: (c := running.camera("gate"))["analysed"] > lost["analysed"] and c, 60, "the return")
    assert back["connected"]
    assert back["reconnects"] == before["reconnects"] + 1
    assert back["media_time_s"] > before["media_time_s"]
    assert back["blind_s"] > before["blind_s"]
    assert "gate: rtsp://guard:***@" in running.said


def test_a_worker_that_is_killed_is_started_again_while_the_api_answers(running: Running) -> None:
    first = running.worker()
    known = {alert["alert_id"] for alert in running.alerts(rule="anybody")}
    os.kill(first["pid"], signal.SIGKILL)
    down = until(lambda: not (w := running.worker())["running"] and w, 10, "the loss")
    assert running.get("api/v1/health")["cameras"]["connected"] == 0
    assert "camera process ended" in running.camera("gate")["reason"]
    assert down["restarts"] == first["restarts"]
    second = until(lambda: (w := running.worker())["running"] and w["pid"] != first["pid"] and w, 30, "the restart")
    assert second["restarts"] == first["restarts"] + 1
    assert second["events"] >= first["events"]
    until(
        lambda: [a for a in running.alerts(rule="anybody") if a["alert_id"] not in known and a["media"] == "ready"],
        60, f"an alert of the new worker; {running.said}",
    )  # fmt: skip
    # Every alert has its clip, or says why not.
    for alert in running.alerts():
        assert alert["media"] != "missing" or alert["media_note"]


def test_sigterm_ends_everything_and_secrets_were_never_said(running: Running) -> None:
    everything = str([running.get(f"api/v1/{path}") for path in ("cameras", "alerts", "health", "site")])
    family = running.family()
    assert len(family) >= 2
    assert running.stop(signal.SIGTERM) == 0, running.said
    until(lambda: not alive(family), 10, f"the end of {family}")
    assert running.lines[-1] == "Stopped.\n"
    assert "Traceback" not in running.said
    everything += running.said
    for file in running.data.rglob("*.db"):
        everything += file.read_bytes().decode("latin-1")
    assert PASSWORD not in everything
    with open_desk(running.data / "gatewatch.db", media_dir=running.data) as desk:
        records = desk.list(limit=200).records
    assert records
    assert all(record.media != "pending" for record in records)
    # Whole files only: nothing is left half written.
    assert not [path for path in running.data.rglob("*.part")]


def test_workers_end_by_themselves_when_the_api_process_is_killed(site: Path, tmp_path: Path) -> None:
    run = Running(site, tmp_path / "data", {})
    try:
        worker = until(lambda: (w := run.worker())["threads"] and w["pid"], 30, "the worker")
        family = run.family()
        assert worker in family
        run.process.kill()
        run.process.wait()
        until(lambda: not alive(family), 20, f"the end of {family}")
    finally:
        run.kill()


FILE_SITE = """\
site: {{name: Lakeside, timezone: Asia/Shanghai, language: zh-CN}}
detector: {detector}
cameras:
  gate:
    source: {file}
    analyse_fps: 2
    zones: {{all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}}
    rules: [{{name: movement, kind: intrusion, zone: all}}]
"""


def file_site(folder: Path, detector: str = "motion") -> Path:
    file = cut(SAMPLE, folder / "cam.mp4", 62.0, 66.0)
    (folder / "site.yaml").write_text(FILE_SITE.format(file=file.name, detector=detector), encoding="utf-8")
    return folder / "site.yaml"


def test_a_recording_plays_as_a_camera_and_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    run = Running(file_site(tmp_path), tmp_path / "data", {})
    try:
        # Four seconds of footage that begin again and again, at their own pace.
        gate = until(lambda: (c := run.camera("gate"))["reconnects"] >= 1 and c["connected"] and c, 40, run.said)
        assert 4 < gate["media_time_s"] + 1 < 20
        assert 5 < gate["fps"] < 15
        assert "gate：已连接。" in run.said
        family, worker = run.family(), run.worker()["pid"]
        os.kill(worker, signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        until(lambda: "正在停止" in run.said, 10, run.said)
        assert run.stop(signal.SIGINT) == 130
        until(lambda: not alive(family), 10, f"the end of {family}")
    finally:
        run.kill()


def test_weights_that_cannot_be_used_end_the_run_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    site = file_site(tmp_path, "{weights: broken.onnx}")
    done = subprocess.run(
        [sys.executable, "-m", "gatewatch", "run", str(site), "--data", str(tmp_path / "data"), "--port", "0"],
        cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore"}, text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "broken.onnx" in last
    assert "Traceback" not in done.stderr


def played(run: Running, alert: dict[str, Any]) -> tuple[int, int, str]:
    """(pictures, width, codec) of an alert's first clip, every picture decoded."""
    path = run.data.parent / "played.mp4"
    path.write_bytes(run.get(alert["clips"][0]["url"]))
    with av.open(str(path)) as clip:
        video = clip.streams.video[0]
        return sum(1 for _ in clip.decode(video)), video.width, video.codec_context.name
