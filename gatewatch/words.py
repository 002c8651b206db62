"""What the commands say while they work, in the site's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from api.texts import measured_words, moment_words, word
from rules.types import RuleEvent

_TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "analysing": "Analysing",
        "evidence": "Snapshots and clips",
        "times": "{speed:.1f}x real time",
        "left": "about {time} left",
        "resumed": "Going on with what an earlier run left here.",
        "stopped": "Stopped at {time} of the footage; the same command goes on from there.",
        "stopped_afresh": "Stopped at {time} of the footage.",
        "done": "{alerts} from {events} in {footage} of footage, analysed in {wall} ({speed:.1f}x real time).",
        "results": "Results: {path}",
        "joined": "(joins the alert above)",
        "page": "Look at the alerts: {address}  (Ctrl-C ends)",
        "page_gone": "Stopped serving.",
        "separator": "; ",
    },
    "zh-CN": {
        "analysing": "正在分析",
        "evidence": "抓拍与录像片段",
        "times": "实时的 {speed:.1f} 倍",
        "left": "约剩 {time}",
        "resumed": "接着上次未完成的分析继续。",
        "stopped": "已在录像的 {time} 处停止；再次运行同一命令即可继续。",
        "stopped_afresh": "已在录像的 {time} 处停止。",
        "done": "{footage} 录像中有 {events} 个事件，合为 {alerts} 条告警；分析用时 {wall}（实时的 {speed:.1f} 倍）。",
        "results": "结果：{path}",
        "joined": "（并入上一告警）",
        "page": "查看告警：{address}（按 Ctrl-C 结束）",
        "page_gone": "服务已停止。",
        "separator": "；",
    },
}


def say(language: str, key: str, **values: object) -> str:
    """A sentence of the front door."""
    return _TEXTS.get(language, _TEXTS["en"])[key].format(**values)


def clock(seconds: float) -> str:
    """`0:01:19`; below a minute `12.3 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def event_line(event: RuleEvent, language: str, timezone: ZoneInfo, *, joins: bool) -> str:
    """One line for one event: time, severity, camera, rule, label and what was measured."""
    measured = {name: {"value": m.value, "threshold": m.threshold} for name, m in event.measured.items()}
    label = word(language, "label", event.label)
    values = say(language, "separator").join(
        [label if language != "en" else label.lower(), *measured_words(language, measured)]
    )
    parts = [
        moment_words(language, event.raised_at, event.raised_s, timezone),
        word(language, "severity", event.severity),
        event.camera,
        event.rule,
        values,
    ]
    return "  ".join([*parts, say(language, "joined")] if joins else parts)


def _count(language: str, number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if language == "en" else str(number)


def done_line(language: str, facts: Mapping[str, Any]) -> str:
    """The last word of a re-analysis, from its summary."""
    return say(
        language,
        "done",
        alerts=_count(language, facts["alerts"], "alert"),
        events=_count(language, facts["events"], "event"),
        footage=clock(facts["footage_s"]),
        wall=clock(facts["wall_s"]),
        speed=facts["times_real_time"],
    )
