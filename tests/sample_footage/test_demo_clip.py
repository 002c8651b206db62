"""The embedded clip: what it promises, and what the demo finds in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

import sample_footage

FOLDER = Path(sample_footage.__file__).parent
CLIP = FOLDER / "pedestrians.mp4"
START_S, RAISED_S = 1.0, 1.0
"""How far an event may lie from the expected one where the processor rounds differently."""


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def unmatched(found: Sequence[dict], expected: Sequence[dict]) -> tuple[list[dict], list[dict]]:
    """(expected events that were not found, found events that were not expected)."""
    rest, missing = [*found], []
    for one in expected:
        for other in rest:
            same = all(one[key] == other[key] for key in ("rule", "kind", "label"))
            times, others = one["media_time_s"], other["media_time_s"]
            if (
                same
                and abs(times["start"] - others["start"]) <= START_S
                and abs(times["raised"] - others["raised"]) <= RAISED_S
            ):
                rest.remove(other)
                break
        else:
            missing.append(one)
    return missing, rest


def test_the_clip_is_what_the_notice_says() -> None:
    assert CLIP.stat().st_size <= 4 * 1024 * 1024
    with av.open(str(CLIP)) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 768, 576)
        packets = [packet for packet in clip.demux(stream) if packet.size]
    assert len(packets) == 795
    keys = [float(packet.pts * packet.time_base) for packet in packets if packet.is_keyframe]
    assert keys == pytest.approx([2.0 * number for number in range(40)])


def test_it_shows_what_it_was_made_from(footage: Path) -> None:
    with av.open(str(CLIP)) as clip, av.open(str(footage / "vtest.avi")) as source:
        for number, (ours, theirs) in enumerate(zip(clip.decode(video=0), source.decode(video=0), strict=False)):
            if number % 40 == 0:
                difference = ours.to_ndarray(format="gray").astype(int) - theirs.to_ndarray(format="gray")
                assert abs(difference).mean() < 4.0
            if number == 160:
                break


def test_the_demo_finds_the_expected_events_without_knowing_them(tmp_path: Path) -> None:
    """The demo of a copy that has no expected events, so that they cannot be what it prints."""
    copy = tmp_path / "copy"
    for name in ("api", "gatewatch", "models", "pipeline", "rules", "sample_footage"):
        skipped = shutil.ignore_patterns("__pycache__", "expected_events.jsonl")
        shutil.copytree(FOLDER.parent / name, copy / name, ignore=skipped)
    shutil.copy(FOLDER.parent / "pyproject.toml", copy)
    out = tmp_path / "out"
    line = [sys.executable, "-m", "gatewatch", "demo", "--no-serve", "--out", str(out)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=copy, check=False)
    assert done.returncode == 0, done.stderr
    events = read(out / "events.jsonl")
    missing, unexpected = unmatched(events, read(FOLDER / "expected_events.jsonl"))
    assert not missing
    assert not unexpected
    assert all(f"  {event['rule']}  " in done.stdout for event in events)
    alerts = read(out / "alerts.jsonl")
    assert alerts
    assert all((out / str(alert[kind])).is_file() for alert in alerts for kind in ("clip", "snapshot"))
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["frames_detected_in_this_run"] == summary["frames_looked_at"] > 0
    assert not summary["resumed"]


def test_expected_events_are_told_apart() -> None:
    expected = read(FOLDER / "expected_events.jsonl")
    assert unmatched(expected, expected) == ([], [])
    assert unmatched(expected[1:], expected) == (expected[:1], [])
    late = [{**expected[0], "media_time_s": {"start": 60.0, "raised": 72.0}}, *expected[1:]]
    assert unmatched(late, expected) == (expected[:1], late[:1])
