"""What the commands say while they work, in the site's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from api.texts import measured_words, moment_words, time_words, word
from rules.types import RuleEvent

DAMAGE_SHOWN = 5
"""Places of damage that a line names."""

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
        "damaged": "{name}: damaged; {count} packets or pictures could not be decoded, around {times} into it, and "
        "what they showed was not looked at.",
        "and_more": "and later",
        "inputs_unused": "{unused} of {inputs} inputs had no effect: no rule there takes their kind, or they came "
        "after the end.",
        "results": "Results: {path}",
        "joined": "(joins its open alert)",
        "joined_since": "(joins the alert of {since})",
        "page_link": "Look at the alerts (user and password are filled in):\n  {link}",
        "page_login": "Or open {address} and log in: user {user}, password {password}",
        "page_file": "Look at the alerts: {address}  user {user}; this demo's password is the second line of {path}",
        "page_end": "Ctrl-C ends.",
        "page_gone": "Stopped serving.",
        "separator": "; ",
        "list": ", ",
        "seconds": "{number} s",
    },
    "zh-CN": {
        "analysing": "正在分析",
        "evidence": "抓拍与录像片段",
        "times": "实时的 {speed:.1f} 倍",
        "left": "约剩 {time}",
        "resumed": "接着上次未完成的分析继续。",
        "stopped": "已在录像的 {time}处停止；再次运行同一命令即可继续。",
        "stopped_afresh": "已在录像的 {time}处停止。",
        "done": "{footage}的录像中有 {events} 个事件，合为 {alerts} 条告警；分析用时 {wall}（实时的 {speed:.1f} 倍）。",
        "damaged": "{name}：文件有损坏，{count} 个数据包或画面无法解码（约在 {times}处），其中的内容未被分析。",
        "and_more": "等",
        "inputs_unused": "{inputs} 条输入中有 {unused} 条未起作用：没有规则接受该类型，或时间在录像结束之后。",
        "results": "结果：{path}",
        "joined": "（并入尚未结束的告警）",
        "joined_since": "（并入 {since} 的告警）",
        "page_link": "查看告警（用户名和密码已填好）：\n  {link}",
        "page_login": "或打开 {address} 登录：用户名 {user}，密码 {password}",
        "page_file": "查看告警：{address} 用户名 {user}；本次演示的密码在此文件的第二行：{path}",
        "page_end": "按 Ctrl-C 结束。",
        "page_gone": "服务已停止。",
        "separator": "；",
        "list": "、",
        "seconds": "{number} 秒",
    },
}


def say(language: str, key: str, **values: object) -> str:
    """A sentence of the front door."""
    return _TEXTS.get(language, _TEXTS["en"])[key].format(**values)


def clock(language: str, seconds: float) -> str:
    """`0:01:19`; below a minute `12.3 s`."""
    if seconds < 60:
        return say(language, "seconds", number=f"{seconds:.1f}")
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def counted(language: str, number: int, what: str) -> str:
    """`1 alert`, `2 alerts`; the number alone where the sentence names the thing itself (Chinese)."""
    return f"{number} {what}{'' if number == 1 else 's'}" if language == "en" else str(number)


def event_line(
    event: RuleEvent, language: str, timezone: ZoneInfo, *, joins: bool, first: RuleEvent | None = None
) -> str:
    """One line for one event: time, severity, camera, rule, label and what was measured.

    `first`: the first event of the alert that it joins, where that is known.
    """
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
    if joins and first is not None:
        parts.append(say(language, "joined_since", since=time_words(first.raised_at, first.raised_s, timezone)))
    elif joins:
        parts.append(say(language, "joined"))
    return "  ".join(parts)


def damage_line(language: str, name: str, count: int, times_s: Sequence[float]) -> str:
    """Where a recording could not be decoded; `times_s` are seconds into it."""
    shown = [clock(language, time_s) for time_s in times_s[:DAMAGE_SHOWN]]
    if len(times_s) > DAMAGE_SHOWN:
        shown.append(say(language, "and_more"))
    return say(language, "damaged", name=name, count=count, times=say(language, "list").join(shown))


def done_line(language: str, facts: Mapping[str, Any]) -> str:
    """The last word of a re-analysis, from its summary."""
    return say(
        language,
        "done",
        alerts=counted(language, facts["alerts"], "alert"),
        events=counted(language, facts["events"], "event"),
        footage=clock(language, facts["footage_s"]),
        wall=clock(language, facts["wall_s"]),
        speed=facts["times_real_time"],
    )
