"""Events against true events: which belong together, and what that makes of precision, recall and delay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rules.types import RuleEvent

EARLY_S = 1.0
"""An event may come this much before its true counterpart (an interpolated time, a nearer sample)."""
WINDOWS_S = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Score:
    """Counts of one comparison. Every event that has no true counterpart is a false alarm, second ones too."""

    true: int
    found: int
    matched: int
    delay_median_s: float
    delay_p95_s: float

    @property
    def precision(self) -> float:
        """1 where nothing was raised: then nothing was raised wrongly."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """1 where there was nothing to find."""
        return self.matched / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def to_json(self) -> dict[str, float]:
        """Rounded to what is significant with some hundred events."""
        return {
            "true": self.true,
            "found": self.found,
            "matched": self.matched,
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
            "delay_median_s": round(self.delay_median_s, 2),
            "delay_p95_s": round(self.delay_p95_s, 2),
        }


def score_events(true: Sequence[RuleEvent], found: Sequence[RuleEvent], late_s: float) -> Score:
    """Pairs events of one rule and direction, each at most once, whose times of being raised differ by -1 to +late_s.

    As many pairs as possible are made, among these the closest in time.
    """
    delays: list[float] = []
    true_by, found_by = _raised_by_rule(true), _raised_by_rule(found)
    for key in sorted(true_by.keys() & found_by.keys(), key=str):
        delays += _pair_delays(true_by[key], found_by[key], late_s)
    return Score(
        true=len(true),
        found=len(found),
        matched=len(delays),
        delay_median_s=median(delays) if delays else 0.0,
        delay_p95_s=float(np.percentile(delays, 95)) if delays else 0.0,
    )


def worst_rules(true: Sequence[RuleEvent], found: Sequence[RuleEvent], late_s: float) -> Mapping[str, str]:
    """Rules with mistakes: name -> "matched/true/found", for whoever looks for the reason."""
    report = {}
    for rule in sorted({event.rule for event in (*true, *found)}):
        mine = [event for event in true if event.rule == rule]
        theirs = [event for event in found if event.rule == rule]
        score = score_events(mine, theirs, late_s)
        if not score.true == score.found == score.matched:
            report[rule] = f"{score.matched}/{score.true}/{score.found}"
    return report


def _raised_by_rule(events: Iterable[RuleEvent]) -> dict[tuple[str, str | None], NDArray[np.float64]]:
    times: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for event in events:
        times[event.rule, event.direction].append(event.raised_s)
    return {key: np.array(sorted(values)) for key, values in times.items()}


def _pair_delays(true_s: NDArray[np.float64], found_s: NDArray[np.float64], late_s: float) -> list[float]:
    delay = found_s[None, :] - true_s[:, None]
    allowed = (delay >= -EARLY_S - 1e-6) & (delay <= late_s + 1e-6)
    # A forbidden pair costs more than all allowed ones together: the number of pairs comes first.
    rows, columns = linear_sum_assignment(np.where(allowed, np.abs(delay), 1e4))
    return [float(delay[r, c]) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]
