"""loitering (徘徊滞留): an object has been in a zone for so long."""

from __future__ import annotations

from typing import ClassVar, Literal

from rules.base import PositiveSeconds, Seconds, Setting, ZoneRuleConfig
from rules.membership import Membership
from rules.visits import VisitRule


class LoiteringConfig(ZoneRuleConfig):
    """Parameters of loitering."""

    kind: Literal["loitering"] = "loitering"
    dwell_s: PositiveSeconds
    """Seconds in the zone, from the first sample inside, that make an event."""
    leave_s: Seconds = 1.0
    """Seconds seen outside before the object counts as having left."""
    gap_s: Seconds = 2.0
    """Seconds for which the object may be out of sight without having left."""


class Loitering(VisitRule[LoiteringConfig]):
    """One event per object and visit, when its dwell reaches the threshold."""

    kind = "loitering"
    title: ClassVar = {"en": "Loitering", "zh-CN": "徘徊滞留"}
    Config = LoiteringConfig

    def __init__(self, config: LoiteringConfig, setting: Setting) -> None:
        membership = Membership(setting.zones[config.zone], enter_s=0.0, leave_s=config.leave_s, gap_s=config.gap_s)
        super().__init__(config, setting, membership, "dwell_s", config.dwell_s)

    def memory_s(self) -> float:
        """An object may be unseen for `gap_s`."""
        return self.config.gap_s
