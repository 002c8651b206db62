"""`gatewatch demo`: the embedded clip, analysed now."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from gatewatch.cli import run
from gatewatch.demo import CLIP


@pytest.mark.slow
def test_the_demo_analyses_afresh_and_finds_alerts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert files("sample_footage").joinpath(CLIP).is_file(), "the embedded clip is missing"
    out = tmp_path / "out"
    assert run(["demo", "--no-serve", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    alerts = [json.loads(line) for line in (out / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    events = [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert alerts
    assert all((out / alert["clip"]).is_file() and (out / alert["snapshot"]).is_file() for alert in alerts)
    assert all(f"  {event['rule']}  " in printed for event in events)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["frames_detected_in_this_run"] == summary["frames_looked_at"] > 0
    assert not summary["resumed"]
