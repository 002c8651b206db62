"""Where recordings stand in time, and the inputs that belong to them."""

# ruff: noqa: E501 - the sentences are compared as they are printed, unbroken

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatewatch.errors import RecordingsError
from gatewatch.inputs import load_inputs
from gatewatch.plan import Part, Plan, _placed, make_plan
from gatewatch.site import load_site
from pipeline.source import StreamInfo
from tests.gatewatch.conftest import Piece

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
INFO = StreamInfo(768, 576, "h264", 60.0, None, 25.0, False)


def part(name: str, begins_s: float | None, duration_s: float | None = 60.0, source: str = "file name") -> Part:
    start = None if begins_s is None else NOON + timedelta(seconds=begins_s)
    return Part(Path(name), replace(INFO, duration_s=duration_s), start, source if start else "unknown")


PLACES = [
    # name, parts, start of all, offsets
    ("known starts place them", [part("a", 0), part("b", 100)], NOON, [0.0, 100.0]),
    ("unknown starts follow end to end", [part("a", None), part("b", None)], None, [0.0, None]),
    ("an unknown one among known follows", [part("a", 0), part("b", None), part("c", 300)], NOON, [0.0, None, 300.0]),
    ("coarse clocks may overlap a little", [part("a", 0), part("b", 59)], NOON, [0.0, 59.0]),
    (
        "--started-at corrects the clock of all names",
        [part("a", 0), part("b", 100)],
        NOON + timedelta(hours=1),
        [0.0, 100.0],
    ),
    (
        "--started-at and an own start of another kind",
        [part("a", None), part("b", 100)],
        NOON,
        [0.0, 100.0],
    ),
]


@pytest.mark.parametrize(("parts", "start", "offsets"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_places(parts: list[Part], start: datetime | None, offsets: list[float | None]) -> None:
    assert [placed.offset_s for placed in _placed(parts, start)] == offsets


def test_recordings_that_overlap_are_refused() -> None:
    with pytest.raises(RecordingsError) as refused:
        _placed([part("a.mp4", 0), part("b.mp4", 30)], NOON)
    assert str(refused.value) == (
        "b.mp4: expected a recording that begins after a.mp4 ends, found one that begins 30.0 s earlier (by its file name)."
    )


@pytest.fixture
def plan(piece: Piece) -> Plan:
    return make_plan(load_site(piece.site), [piece.recording], camera=None, started_at="2024-05-01T12:00:00Z")


def test_inputs_come_in_order_of_time_whatever_their_clock(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "inputs.jsonl"
    lines = [
        {"line": "road", "kind": "authorisation", "at": "2024-05-01T20:00:09+08:00"},
        {"line": "road", "kind": "authorisation", "at": 2.5},
        {"camera": "view1", "line": "", "kind": "disarm", "at": "2024-05-01T20:00:04"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n", encoding="utf-8")
    assert [(one.kind, one.at) for one in load_inputs(path, plan)] == [
        ("authorisation", 2.5), ("disarm", 4.0), ("authorisation", 9.0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "expected a JSON object, found text that is not JSON."),
        ("[1]", "expected a JSON object, found [1]."),
        ('{"lane": "road", "kind": "authorisation", "at": 1}', 'expected the keys at, camera, kind, line, found lane (did you mean "line"?).'),
        ('{"line": "raod", "kind": "authorisation", "at": 1}', 'line: expected a line, zone or rule of view1, found "raod" (did you mean "road"?).'),
        ('{"line": "road", "at": 1}', "kind: expected text, found nothing."),
        ('{"line": "road", "kind": "authorisation"}', "at: expected seconds of media time or a moment such as 2024-05-01T22:10:05+08:00, found nothing."),
        ('{"line": "road", "kind": "authorisation", "at": NaN}', "at: expected seconds of media time or a moment such as 2024-05-01T22:10:05+08:00, found nan."),
        ('{"camera": "veiw1", "line": "road", "kind": "authorisation", "at": 1}', 'camera: expected one of view1, found "veiw1" (did you mean "view1"?).'),
    ],
)  # fmt: skip
def test_malformed_inputs(plan: Plan, tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "inputs.jsonl"
    path.write_text('{"line": "road", "kind": "authorisation", "at": 1}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(RecordingsError) as refused:
        load_inputs(path, plan)
    assert str(refused.value) == f"{path}:2: {sentence}"
