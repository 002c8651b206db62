"""When a rule is in effect: windows of the wall clock at the site.

A window belongs to the day on which it begins: `{days: [fri], from: "22:00", to: "06:00"}` ends on Saturday morning.
`from` equal to `to` is a whole day. Windows follow the clock on the site's wall: in the hour that daylight saving
repeats a window is open both times, and times that it skips do not happen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rules.types import RuleError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


class Window(BaseModel):
    """A span of the wall clock on some days of the week."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    """Days on which the window begins."""
    from_: str = Field(alias="from")
    """Time of day when it begins, "HH:MM", on the site's wall clock."""
    to: str
    """Time of day when it ends, "HH:MM" or "24:00"; at or before `from` it ends on the next day."""

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _clock(cls, value: object) -> object:
        if not isinstance(value, str) or not _CLOCK.fullmatch(value):
            raise ValueError(f'expected a time of day in quotes, such as "06:00" or "22:30", found {value!r}')
        return value

    def is_open(self, weekday: int, minute: int) -> bool:
        """At this weekday (0 is Monday) and minute of the day?"""
        begin, end = _minutes(self.from_) % 1440, _minutes(self.to)
        if DAYS[weekday] in self.days and minute >= begin and (begin >= end or minute < end):
            return True
        return begin >= end and minute < end and DAYS[weekday - 1] in self.days


class Schedule:
    """Windows in a site's time zone; open where any of them is."""

    def __init__(self, windows: Sequence[Window], timezone: ZoneInfo) -> None:
        self._windows = tuple(windows)
        self._timezone = timezone
        self._minute: int | None = None
        self._open = False

    def is_open(self, moment: datetime) -> bool:
        """At this moment? Raises RuleError where the moment has no time zone."""
        if moment.tzinfo is None:
            raise RuleError(f"a schedule needs a moment in UTC, found {moment.isoformat()} without a time zone")
        # Windows and changes of the clock begin on whole minutes, so one answer holds for a minute.
        minute = int(moment.timestamp() // 60)
        if minute != self._minute:
            local = datetime.fromtimestamp(minute * 60, UTC).astimezone(self._timezone)
            self._minute = minute
            self._open = any(w.is_open(local.weekday(), local.hour * 60 + local.minute) for w in self._windows)
        return self._open


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
