"""What a user gets out of the two hand-labelled clips, from the file to `events.jsonl`, held against their truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gatewatch.reanalyse import Options, reanalyse
from gatewatch.site import load_site

WHOLE = "[[0, 0], [1, 0], [1, 1], [0, 1]]"
CAR_PARK = """\
site: {{name: Car park, timezone: Asia/Shanghai}}
cameras:
  yard:
    source: car-detection.mp4
    detector: {detector}
    zones: {{all: {whole}}}
    lines: {{across: [[0.0, 0.5], [1.0, 0.5]]}}
    rules:
      - {{name: pass, kind: line_crossing, line: across, labels: [{label}]}}
      - {{name: anything, kind: intrusion, zone: all}}
"""
ROOM = """\
site: {{name: Room, timezone: Asia/Shanghai}}
cameras:
  room:
    source: one-by-one-person-detection.mp4
    analyse_fps: {fps}
    zones: {{all: {whole}}}
    rules:
      - {{name: visit, kind: intrusion, zone: all, labels: [person]}}
      - {{name: loiter, kind: loitering, zone: all, labels: [person], dwell_s: 15}}
"""
EDGE_S = 0.5
"""How exactly the truth was labelled by hand."""


@dataclass
class Clip:
    """The events of one re-analysis, by rule, and the clip's truth."""

    events: dict[str, list[dict[str, Any]]]
    truth: dict[str, Any]
    present: list[tuple[float, float]]
    """When the tracks had somebody or something."""

    def strays(self) -> list[tuple[float, float]]:
        """Times at which a track was where the truth has an empty stretch."""
        return [
            (start, end)
            for start, end in self.present
            for from_s, to_s in self.truth["empty"]
            if start < to_s - EDGE_S and end > from_s + EDGE_S
        ]


def analysed(text: str, name: str, footage: Path, truth: Path, folder: Path) -> Clip:
    import pyarrow.parquet as pq

    site = folder / "site.yaml"
    site.write_text(text, encoding="utf-8")
    out = folder / "out"
    reanalyse(load_site(site), [footage / name], Options(out=out, clips=False, quiet=True), say_line=lambda _: None)
    events: dict[str, list[dict[str, Any]]] = {}
    for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines():
        events.setdefault(json.loads(line)["rule"], []).append(json.loads(line))
    times: dict[int, list[float]] = {}
    rows = pq.read_table(out / "tracks.parquet").to_pydict()
    for track_id, time_s in zip(rows["track_id"], rows["media_time_s"], strict=True):
        times.setdefault(track_id, []).append(time_s)
    present = [(min(seen), max(seen)) for seen in times.values()]
    return Clip(events, json.loads((truth / "clips.json").read_text())[name], present)


@pytest.mark.parametrize(("detector", "label"), [("{weights: nanodet-g}", "vehicle"), ("motion", "object")])
def test_four_cars_pass_in_their_directions_and_nothing_else_is_there(
    detector: str, label: str, footage: Path, truth: Path, tmp_path: Path
) -> None:
    text = CAR_PARK.format(detector=detector, label=label, whole=WHOLE)
    clip = analysed(text, "car-detection.mp4", footage, truth, tmp_path)
    passes = clip.events["pass"]
    # Seen along the line, from left to right, its left side is the upper part of the picture.
    ways = {"top": "right_to_left", "bottom": "left_to_right"}
    assert [event["direction"] for event in passes] == [ways[car["towards"]] for car in clip.truth["passes"]]
    for event, car in zip(passes, clip.truth["passes"], strict=True):
        start_s, (from_s, to_s) = event["media_time_s"]["start"], car["visible"]
        assert from_s - EDGE_S <= start_s <= to_s + EDGE_S
        # The truth has the middle of the car, the event its lower edge: at most half a car apart.
        assert abs(start_s - car["crosses_y_0.5"]) <= 1.5
    assert len(clip.events["anything"]) == 4
    assert clip.strays() == []


@pytest.mark.parametrize("fps", [5, 3.3])
def test_six_visits_and_loitering_for_the_three_that_last(
    fps: float, footage: Path, truth: Path, tmp_path: Path
) -> None:
    text = ROOM.format(fps=fps, whole=WHOLE)
    clip = analysed(text, "one-by-one-person-detection.mp4", footage, truth, tmp_path)
    visits = [tuple(visit["visible"]) for visit in clip.truth["visits"]]
    starts = [event["media_time_s"]["start"] for event in clip.events["visit"]]
    assert starts == pytest.approx([from_s for from_s, _ in visits], abs=2 * EDGE_S)
    long = [from_s for from_s, to_s in visits if to_s - from_s > 15.0]
    assert len(long) == 3
    loiters = clip.events["loiter"]
    assert [event["media_time_s"]["start"] for event in loiters] == pytest.approx(long, abs=2 * EDGE_S)
    for event in loiters:
        dwell = event["measured"]["dwell_s"]
        assert dwell["threshold"] == 15.0 <= dwell["value"] <= 15.0 + 1 / fps + 0.001
    assert clip.strays() == []
