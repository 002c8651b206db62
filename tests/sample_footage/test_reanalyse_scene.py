"""A synthetic scene as an H.264 recording through `gatewatch reanalyse`, seen by its motion alone.

No model of everyday objects knows drawn cars; `detector: motion` needs to know none. All results are synthetic.
"""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from PIL import Image

from gatewatch.cli import run
from sample_footage.scenes import HEIGHT_PX, WIDTH_PX, ramp
from sample_footage.scenes_draw import write_video

SITE = """\
site: {name: Drawn ramp, timezone: Asia/Shanghai, language: zh-CN}
detector: motion
clips: {pre_s: 2, post_s: 2}
cameras:
  ramp:
    source: ramp.mp4
    analyse_fps: 10
    lines: {line: [[0.5, 0.5], [0.5, 0.9]]}
    rules:
      - {name: passages, kind: line_crossing, line: line, labels: [object]}
      - {name: tailgate, kind: tailgating, line: line, labels: [object], headway_s: 3, direction: right_to_left}
      - {name: unpaid, kind: tailgating, line: line, labels: [object], authorisation: event, valid_s: 5}
"""


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_drawn_cars_pass_and_tailgate_with_clips_and_snapshots(tmp_path: Path) -> None:
    scene, out = ramp(), tmp_path / "out"
    write_video(scene, tmp_path / "ramp.mp4")
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    inputs = [{"line": "line", "kind": "authorisation", "at": at_s} for at_s in scene.authorised_s]
    (tmp_path / "inputs.jsonl").write_text("\n".join(map(json.dumps, inputs)), encoding="utf-8")
    arguments = [tmp_path / "site.yaml", tmp_path / "ramp.mp4", "--out", out, "--inputs", tmp_path / "inputs.jsonl"]
    assert run(["reanalyse", *map(str, arguments)]) == 0

    events = lines_of(out / "events.jsonl")
    found = {
        rule: [(event["direction"], event["media_time_s"]["start"]) for event in events if event["rule"] == rule]
        for rule in ("passages", "tailgate", "unpaid")
    }
    truth = scene.crossings()
    assert [direction for direction, _ in found["passages"]] == [one.direction for one in truth]
    assert [at_s for _, at_s in found["passages"]] == pytest.approx([one.at_s for one in truth], abs=0.2)
    for rule in ("tailgate", "unpaid"):
        assert [at_s for _, at_s in found[rule]] == pytest.approx([truth[1].at_s], abs=0.2)
    (close,) = (event for event in events if event["rule"] == "tailgate")
    headway_s = truth[1].at_s - truth[0].at_s
    assert close["measured"]["headway_s"]["value"] == pytest.approx(headway_s, abs=0.2)

    alerts = [alert for alert in lines_of(out / "alerts.jsonl") if alert["kind"] == "tailgating"]
    assert len(alerts) == 2
    for alert in alerts:
        with Image.open(out / alert["snapshot"]) as picture:
            assert picture.width == WIDTH_PX
            # The bright second car has just crossed; its first track had ended at the edge of the picture.
            assert min(picture.convert("RGB").getpixel((390, 305))) > 180
        with av.open(str(out / alert["clip"])) as clip:
            stream = clip.streams.video[0]
            assert (stream.codec_context.name, stream.height) == ("h264", HEIGHT_PX)
            assert sum(1 for _ in clip.decode(stream)) >= 40
