"""tailgating (尾随): more objects pass a barrier line than may.

Without authorisations, an object that crosses within `headway_s` of another one in the same direction tailgates. With
`authorisation: event`, each crossing uses up one authorisation received from `valid_s` before it to `GRACE_S` after it
(readers report late), the oldest first; a crossing that finds none is an event, whatever its headway.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import ClassVar, Literal

from rules.base import EPSILON_S, Finding, LineRuleConfig, PositiveSeconds, Rule, Setting, View
from rules.crossing import Crossed, Crossings
from rules.types import Direction, Input, Measured

SETTLE_S = 0.5
GRACE_S = 0.5
"""An authorisation may come this much after its crossing: no later than the crossing is decided."""
LATE_S = 10.0
"""A crossing is decided at most this long after it happened; then it has its place among the others."""


class TailgatingConfig(LineRuleConfig):
    """Parameters of tailgating."""

    kind: Literal["tailgating"] = "tailgating"
    headway_s: PositiveSeconds = 3.0
    """Two crossings in one direction within so many seconds are tailgating."""
    authorisation: Literal["none", "event"] = "none"
    """`event`: every crossing beyond the authorisations received is an event, whatever its headway."""
    valid_s: PositiveSeconds = 10.0
    """Seconds for which an authorisation holds."""


@dataclass(slots=True)
class _Passage:
    at_s: float
    object_id: int
    direction: Direction
    crossed: Crossed
    fired: bool = False

    @property
    def order(self) -> tuple[float, int]:
        return self.at_s, self.object_id


class Tailgating(Rule[TailgatingConfig]):
    """One event per object that passes too close behind another one, or without authorisation."""

    kind = "tailgating"
    title: ClassVar = {"en": "Tailgating", "zh-CN": "尾随"}
    Config = TailgatingConfig

    def __init__(self, config: TailgatingConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self._crossings = Crossings(setting.lines[config.line], SETTLE_S)
        self._passages: list[_Passage] = []
        """In order of time."""
        self._received: list[float] = []
        """Times of authorisations, in order, used or not."""
        self._unused: list[float] = []

    def receive(self, message: Input) -> bool:
        """Takes authorisations, where they are asked for."""
        if message.kind != "authorisation" or self.config.authorisation != "event":
            return False
        bisect.insort(self._received, message.at)
        bisect.insort(self._unused, message.at)
        return True

    def update(self, view: View) -> list[Finding]:
        """Passages that turned out to be too many at this frame."""
        findings: list[Finding] = []
        for crossed in self._crossings.update(view):
            if self.config.direction not in ("both", crossed.direction) or not self.wants(crossed.label):
                continue
            passage = _Passage(crossed.at_s, crossed.object_id, crossed.direction, crossed)
            bisect.insort(self._passages, passage, key=lambda one: one.order)
            if self.config.authorisation == "event":
                findings += self._without_authorisation(passage, view)
            else:
                findings += self._too_close(passage, view)
        self._drop_old(view.time_s)
        return findings

    def forget(self, object_id: int) -> None:
        """Drops what is kept of the object; its passage stays until its headway is over."""
        self._crossings.forget(object_id)

    def state_size(self) -> int:
        """How many objects, passages and authorisations are kept."""
        return self._crossings.state_size() + len(self._passages) + len(self._received) + len(self._unused)

    def _too_close(self, passage: _Passage, view: View) -> list[Finding]:
        """The passage itself, and the one behind it where that was decided earlier."""
        findings: list[Finding] = []
        same_way = [one for one in self._passages if one.direction == passage.direction]
        place = same_way.index(passage)
        behind = next((one for one in same_way[place + 1 :] if one.object_id != passage.object_id), None)
        for second in (passage, behind):
            if second is None or second.fired or not view.effective(second.at_s):
                continue
            ahead = same_way[: same_way.index(second)]
            first = next((one for one in reversed(ahead) if one.object_id != second.object_id), None)
            if first is None or second.at_s - first.at_s > self.config.headway_s + EPSILON_S:
                continue
            second.fired = True
            headway = Measured(second.at_s - first.at_s, self.config.headway_s)
            findings.append(self._finding(second, {"headway_s": headway}, (first.object_id,)))
        return findings

    def _without_authorisation(self, passage: _Passage, view: View) -> list[Finding]:
        from_s, to_s = passage.at_s - self.config.valid_s - EPSILON_S, passage.at_s + GRACE_S + EPSILON_S
        usable = next((at for at in self._unused if from_s <= at <= to_s), None)
        if usable is not None:
            self._unused.remove(usable)
            return []
        if not view.effective(passage.at_s):
            return []
        passage.fired = True
        passages = sum(from_s <= one.at_s <= passage.at_s for one in self._passages)
        authorisations = sum(from_s <= at <= to_s for at in self._received)
        return [self._finding(passage, {"crossings": Measured(passages, authorisations)}, ())]

    @staticmethod
    def _finding(passage: _Passage, measured: dict[str, Measured], others: tuple[int, ...]) -> Finding:
        return Finding(
            passage.object_id, passage.at_s, {**measured, **passage.crossed.measured}, passage.direction, others
        )

    def _drop_old(self, time_s: float) -> None:
        config = self.config
        span_s = config.valid_s if config.authorisation == "event" else config.headway_s
        oldest = time_s - span_s - LATE_S
        while self._passages and self._passages[0].at_s < oldest:
            del self._passages[0]
        for times in (self._received, self._unused):
            while times and times[0] < oldest:
                del times[0]
