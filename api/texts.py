"""The words for kinds, states and measured values, in the languages of the product.

One file, `api/page/texts.json`, holds them for the drawn snapshots and for the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "zh-CN")


@cache
def texts(language: str) -> dict[str, Any]:
    """All texts of a language; an unknown one gives English."""
    everything: dict[str, dict[str, Any]] = json.loads(
        files("api").joinpath("page", "texts.json").read_text(encoding="utf-8")
    )
    return everything.get(language, everything["en"])


def word(language: str, group: str, key: str) -> str:
    """The word for a key of a group (`kind`, `severity`, ...); a key that nobody has named yet is made readable."""
    return str(texts(language)[group].get(key) or key.replace("_", " ").capitalize())


def number(value: float) -> str:
    """A measured value as people write it: 34.2, 30, 0.53, 12400."""
    # As the API and the files give it: rounding twice would let a snapshot say 0.59 beside a page that says 0.58.
    value = round(value, 3)
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def measured_words(language: str, measured: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Each condition in words: `dwell 34.2 s, limit 30 s`.

    `measured` as in `events.jsonl`: name -> {value, threshold}; the unit of an unknown name is read from its end.
    """
    book = texts(language)
    sentences = []
    for name, pair in measured.items():
        value, threshold = number(pair["value"]), number(pair["threshold"])
        template = book["measured"].get(name)
        stem, _, suffix = name.rpartition("_")
        unit = book["unit"].get(suffix, "") if stem else ""
        label = (stem if unit else name).replace("_", " ")
        template = template or book["measured_other"]
        sentences.append(template.format(name=label, value=value, threshold=threshold, unit=unit))
    return sentences


def moment_words(language: str, moment: datetime | None, media_time_s: float, timezone: tzinfo) -> str:
    """The wall time in the site's time zone, or, where it is unknown, how far into the recording."""
    time = time_words(moment, media_time_s, timezone)
    if moment is None:
        return str(texts(language)["picture"]["recording_time"]).format(time=time)
    local = moment.astimezone(timezone)
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d} {time} UTC{offset[:3]}:{offset[3:5]}"


def time_words(moment: datetime | None, media_time_s: float, timezone: tzinfo) -> str:
    """Only the time of day, `22:00:05.3`, or the time within the recording, `0:01:02.5`."""
    if moment is not None:
        local = moment.astimezone(timezone)
        return f"{local:%H:%M:%S}.{local.microsecond // 100_000}"
    tenths = round(media_time_s * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths % 600 / 10:04.1f}"
