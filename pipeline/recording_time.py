"""When a recording began: from its file name, else from its container. Never from the file's modification time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Literal

from pipeline.source import StreamInfo

How = Literal["file name", "container", "unknown"]

_MOMENT = re.compile(
    r"""
    (?<!\d)
    (?P<year>(?:19[89]|20\d)\d) (?P<d1>[-_.年]?) (?P<month>\d\d) [-_.月]? (?P<day>\d\d) 日?
    (?P<between>[T\s_.-]{0,3})
    (?P<hour>\d\d) [-_.:h时]? (?P<minute>\d\d) [-_.:m分]? (?P<second>\d\d) [s秒]?
    (?:[.,](?P<fraction>\d{3,6})(?!\d) | -(?P<micro>\d{6})(?!\d) | (?P<milli>\d{3})(?!\d))?
    (?P<zone>\s?(?:Z|UTC)(?![A-Za-z]) | \+\d\d[:.-]?(?:\d\d)?(?!\d) | -\d\d[:.-]?\d\d(?!\d))?
    (?!\d)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def recording_start(path: str | Path, info: StreamInfo | None, zone: tzinfo) -> tuple[datetime | None, How]:
    """UTC of a recording's first picture and where it was read, or (None, "unknown").

    A time in the file's name (`20240131_235959`, `2024-01-31T23-59-59Z`, `2024-01-31 23.59.59`, a recorder's
    `ch01_20240131235959_20240201005959`) is in the site's time zone `zone`, unless it ends in Z, UTC or an offset; the
    first one in the name counts. Else the container's creation time.
    """
    named = time_in_name(Path(path).stem, zone)
    if named is not None:
        return named, "file name"
    if info is not None and info.creation_time is not None:
        return info.creation_time, "container"
    return None, "unknown"


def time_in_name(name: str, zone: tzinfo) -> datetime | None:
    """UTC of the first date with a time of day in a file name, or None."""
    at = 0
    while match := _MOMENT.search(name, at):
        moment = _moment(match, zone)
        if moment is not None:
            return moment
        at = match.start() + 1
    return None


def _moment(match: re.Match[str], zone: tzinfo) -> datetime | None:
    part = match.groupdict()
    fraction = part["fraction"] or part["micro"] or part["milli"] or "0"
    try:
        moment = datetime(
            int(part["year"]), int(part["month"]), int(part["day"]),
            int(part["hour"]), int(part["minute"]), int(part["second"]), int(fraction.ljust(6, "0")),
            tzinfo=_zone(part["zone"], part["between"]) or zone,
        )  # fmt: skip
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None, between: str) -> tzinfo | None:
    """The offset written behind a time; None where there is none or it is something else (a part number)."""
    if text is None:
        return None
    text = text.strip()
    if text.upper() in ("Z", "UTC"):
        return UTC
    digits = re.sub(r"\D", "", text)
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 14 or minutes not in (0, 15, 30, 45) or (text[0] == "-" and "T" not in between.upper()):
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
