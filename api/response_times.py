"""How fast guards were over a period: from raised to seen, to acknowledged, to closed. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from api.lifecycle import Response

Grouping = Literal["rule", "camera", "site"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
MAX_ALERTS = 200_000
"""Of one summary."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds; None where there are none. `count`: how many alerts got there at all."""

    count: int
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the alerts of one rule of a camera, of one camera, or of the site (what is not grouped by is None)."""

    camera: str | None
    rule: str | None
    alerts: int
    seen: Percentiles
    acknowledged: Percentiles
    closed: Percentiles


@dataclass(slots=True)
class _Gathered:
    alerts: int = 0
    seconds: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("d") for _ in range(3)))


def summarised(alerts: Iterable[tuple[str, str, Response]], grouping: Grouping) -> list[Summary]:
    """`alerts`: camera (empty: none), rule, and how fast it was. By camera and rule, in their order."""
    groups: dict[tuple[str | None, str | None], _Gathered] = {}
    for camera, rule, response in alerts:
        key = (None if grouping == "site" else camera, rule if grouping == "rule" else None)
        group = groups.setdefault(key, _Gathered())
        group.alerts += 1
        for seconds, value in zip(group.seconds, (response.seen, response.acknowledged, response.closed), strict=True):
            if value is not None:
                seconds.append(value)
    return [
        Summary(camera or None, rule, group.alerts, *map(percentiles, group.seconds))
        for (camera, rule), group in sorted(groups.items(), key=lambda item: (item[0][0] or "", item[0][1] or ""))
    ]


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """By nearest rank: each is a time that was measured."""
    ranked = sorted(seconds)

    def at(percent: int) -> float | None:
        return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)] if ranked else None

    return Percentiles(len(ranked), at(50), at(90), at(95), at(100))
