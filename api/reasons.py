"""Why an alert was closed as it was: codes for programs, labels for guards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Verdict = Literal["resolved", "false_alarm", "drill"]
"""The states in which an alert is closed."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CODE_PATTERN = r"^[a-z][a-z0-9_]{0,31}$"


@dataclass(frozen=True, slots=True)
class Reason:
    """One answer to "why"."""

    code: str
    verdicts: tuple[Verdict, ...]
    """The verdicts that may have this reason."""
    label: Mapping[str, str]
    """What guards read, by language: `en`, `zh-CN`."""
    needs_note: bool = False
    """The code alone does not say enough."""


class Reasons:
    """The reasons of a site, in the order in which guards are shown them."""

    def __init__(self, reasons: Iterable[Reason]) -> None:
        """A later reason takes the place of an earlier one with its code. Raises ValueError where a verdict has none:
        nobody could give it."""
        self._by_code = {reason.code: reason for reason in reasons}
        without = [verdict for verdict in VERDICTS if not self.codes(verdict)]
        if without:
            raise ValueError(f"at least one reason for {without[0]}")

    def __iter__(self) -> Iterator[Reason]:
        return iter(self._by_code.values())

    def get(self, code: str | None, verdict: Verdict) -> Reason | None:
        """The reason of this code, if it may be given with the verdict."""
        reason = self._by_code.get(code) if code is not None else None
        return reason if reason is not None and verdict in reason.verdicts else None

    def codes(self, verdict: Verdict) -> Sequence[str]:
        """What may be given with the verdict."""
        return [reason.code for reason in self if verdict in reason.verdicts]


def _reason(code: str, verdicts: Sequence[Verdict], english: str, chinese: str, *, needs_note: bool = False) -> Reason:
    return Reason(code, tuple(verdicts), {"en": english, "zh-CN": chinese}, needs_note)


_NO_THREAT: tuple[Verdict, ...] = ("resolved", "false_alarm")
DEFAULT_REASONS: tuple[Reason, ...] = (
    _reason("intruder", ["resolved"], "Intruder found", "发现闯入人员"),
    _reason("police_called", ["resolved"], "Police called", "已报警"),
    _reason("handled_on_site", ["resolved"], "Handled on site", "现场已处置"),
    _reason("staff_member", _NO_THREAT, "Staff member", "工作人员"),
    _reason("resident", _NO_THREAT, "Resident", "住户"),
    _reason("visitor", _NO_THREAT, "Visitor", "访客"),
    _reason("delivery", _NO_THREAT, "Delivery", "快递或外卖"),
    _reason("authorised", _NO_THREAT, "Authorised person or vehicle", "已授权的人员或车辆"),
    _reason("animal", ["false_alarm"], "Animal", "动物"),
    _reason("lighting", ["false_alarm"], "Light, shadow or reflection", "光线、阴影或反光"),
    _reason("weather", ["false_alarm"], "Rain, snow or fog", "雨、雪或雾"),
    _reason("vegetation", ["false_alarm"], "Moving plants", "植物晃动"),
    _reason("wrong_object", ["false_alarm"], "Object wrongly recognised", "目标识别错误"),
    _reason("rule_setup", ["false_alarm"], "Zone, line or rule set up badly", "区域、警戒线或规则设置不当"),
    _reason("dirty_lens", ["false_alarm"], "Insect or dirt on the lens", "镜头有虫或污渍"),
    _reason("camera_moved", ["false_alarm"], "Camera was moved", "摄像机被移动"),
    _reason("exercise", ["drill"], "Exercise", "演练"),
    _reason("test", ["false_alarm", "drill"], "Test", "测试"),
    _reason("other", VERDICTS, "Other", "其他", needs_note=True),
)
"""What a site has that names none of its own."""


def reasons_of(own: Iterable[Reason] = (), *, with_defaults: bool = True) -> Reasons:
    """A site's own reasons, before those that every site has. Raises ValueError as `Reasons` does."""
    own = tuple(own)
    codes = {reason.code for reason in own}
    rest = [reason for reason in DEFAULT_REASONS if with_defaults and reason.code not in codes]
    return Reasons((*own, *rest))
