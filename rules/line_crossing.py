"""line_crossing (越线): an object crosses a directed line."""

from __future__ import annotations

from typing import ClassVar, Literal

from rules.base import Finding, LineRuleConfig, Rule, Seconds, Setting, View
from rules.crossing import Crossings


class LineCrossingConfig(LineRuleConfig):
    """Parameters of line_crossing."""

    kind: Literal["line_crossing"] = "line_crossing"
    settle_s: Seconds = 0.5
    """Seconds on the far side before a crossing counts; coming back within them cancels it."""


class LineCrossing(Rule[LineCrossingConfig]):
    """One event per object and crossing."""

    kind = "line_crossing"
    title: ClassVar = {"en": "Line crossing", "zh-CN": "越线"}
    Config = LineCrossingConfig

    def __init__(self, config: LineCrossingConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self._crossings = Crossings(setting.lines[config.line], config.settle_s)

    def update(self, view: View) -> list[Finding]:
        """Crossings in the watched direction that count from this frame on."""
        return [
            Finding(crossed.object_id, crossed.at_s, crossed.measured, crossed.direction)
            for crossed in self._crossings.update(view)
            if self.config.direction in ("both", crossed.direction)
            and self.wants(crossed.label)
            and view.effective(crossed.at_s)
        ]

    def forget(self, object_id: int) -> None:
        """Drops what is kept of the object."""
        self._crossings.forget(object_id)

    def state_size(self) -> int:
        """How many objects are kept."""
        return self._crossings.state_size()
