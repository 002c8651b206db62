"""The comparison with golden numbers fails when it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.footage import BenchError
from benchmarks.golden import GOLDEN, compare, lookup

RESULTS = {"accuracy": {"gatewatch": {"MOTA": 0.9, "IDF1": 0.7}}, "speed": {"ratio": 1.2}}


def golden(folder: Path, **limits: dict[str, float]) -> Path:
    path = folder / "golden.json"
    path.write_text(json.dumps({"limits": limits}))
    return path


def test_worse_numbers_are_named(tmp_path: Path) -> None:
    limits = {
        "accuracy/gatewatch/MOTA": {"at_least": 0.88},
        "accuracy/gatewatch/IDF1": {"at_least": 0.82},
        "speed/ratio": {"at_most": 1.15},
        "still/ratio": {"at_most": 0.1},
    }
    assert compare(RESULTS, golden(tmp_path, **limits)) == [
        "accuracy/gatewatch/IDF1 is 0.7, expected at least 0.82",
        "speed/ratio is 1.2, expected at most 1.15",
    ]


def test_no_comparison_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="nothing was compared"):
        compare(RESULTS, golden(tmp_path, **{"still/ratio": {"at_most": 0.1}}))
    with pytest.raises(BenchError, match="cannot be read"):
        compare(RESULTS, tmp_path / "absent.json")


def test_lookup_goes_by_keys_with_dots() -> None:
    assert lookup({"events": {"3.3": {"f1": 0.9}}}, "events/3.3/f1") == 0.9
    assert lookup({"events": {}}, "events/3.3/f1") is None


def test_committed_limits_are_limits() -> None:
    content = json.loads(GOLDEN.read_text())
    for kind in ("limits", "short_limits"):
        assert {path.split("/")[0] for path in content[kind]} == {
            "accuracy", "events", "speed", "still", "stream", "desk",
        }  # fmt: skip
        assert all(set(limit) & {"at_least", "at_most"} for limit in content[kind].values())


def test_the_short_form_has_its_own_limits(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    limits = {"limits": {"speed/ratio": {"at_most": 1.1}}, "short_limits": {"speed/ratio": {"at_most": 1.3}}}
    path.write_text(json.dumps(limits))
    assert compare(RESULTS, path, short=True) == []
    assert compare(RESULTS, path) == ["speed/ratio is 1.2, expected at most 1.1"]
