"""Committed golden numbers: what a benchmark must not fall behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.footage import BenchError

GOLDEN = Path(__file__).with_name("golden.json")


def compare(results: dict[str, Any], golden: Path = GOLDEN, *, short: bool = False) -> list[str]:
    """One sentence for each number that is worse than its limit; numbers that were not measured are passed over.

    The file maps a path into the results (`accuracy/gatewatch/MOTA`) to `at_least` or `at_most`, under `limits` for
    whole runs and under `short_limits` for the short form, which sees other frames and a noisier clock. Raises
    BenchError where the file is missing or none of its numbers was measured: then nothing was compared.
    """
    try:
        limits: dict[str, dict[str, float]] = json.loads(golden.read_text(encoding="utf-8"))[
            "short_limits" if short else "limits"
        ]
    except OSError as error:
        raise BenchError(f"{golden}: golden numbers cannot be read ({error.strerror}).") from None
    measured = {path: value for path in limits if (value := lookup(results, path)) is not None}
    if not measured:
        raise BenchError(f"{golden}: none of its numbers was measured, so nothing was compared.")
    worse = []
    for path, value in measured.items():
        low, high = limits[path].get("at_least"), limits[path].get("at_most")
        if low is not None and value < low:
            worse.append(f"{path} is {value:g}, expected at least {low:g}")
        if high is not None and value > high:
            worse.append(f"{path} is {value:g}, expected at most {high:g}")
    return worse


def lookup(results: dict[str, Any], path: str) -> float | None:
    """The number at a path of keys joined by `/`, or None."""
    node: Any = results
    for key in path.split("/"):
        if not isinstance(node, dict) or key not in node:
            return None
        node = node[key]
    return float(node) if isinstance(node, int | float) else None
