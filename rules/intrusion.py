"""intrusion (区域入侵): an object is inside a zone, however it got there."""

from __future__ import annotations

from typing import ClassVar, Literal

from rules.base import Seconds, Setting, ZoneRuleConfig
from rules.membership import Membership
from rules.visits import VisitRule


class IntrusionConfig(ZoneRuleConfig):
    """Parameters of intrusion."""

    kind: Literal["intrusion"] = "intrusion"
    enter_s: Seconds = 0.5
    """Seconds inside before the object counts as being in the zone."""
    leave_s: Seconds = 1.0
    """Seconds seen outside before the object counts as having left."""


class Intrusion(VisitRule[IntrusionConfig]):
    """One event per object and visit."""

    kind = "intrusion"
    title: ClassVar = {"en": "Intrusion", "zh-CN": "区域入侵"}
    Config = IntrusionConfig

    def __init__(self, config: IntrusionConfig, setting: Setting) -> None:
        membership = Membership(setting.zones[config.zone], enter_s=config.enter_s, leave_s=config.leave_s)
        super().__init__(config, setting, membership, "enter_s", config.enter_s)
