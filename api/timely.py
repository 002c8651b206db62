"""Which moments a message from outside may speak of: clocks differ a little, and a message may be late by hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from api.errors import InvalidError

AHEAD = timedelta(seconds=60)
LATE = timedelta(hours=24)


def timely(at: datetime, now: datetime) -> bool:
    """Whether what is said to have happened then can be believed."""
    return now - LATE <= at <= now + AHEAD


def check_timely(at: datetime, now: datetime) -> None:
    """Raises InvalidError."""
    if not timely(at, now):
        raise InvalidError(
            f"at: expected a moment at most 24 h ago and at most 60 s ahead, found {at.isoformat()}; "
            f"it is {now.isoformat(timespec='seconds')}.",
            {"where": "at", "earliest": (now - LATE).isoformat(), "latest": (now + AHEAD).isoformat(),
             "found": at.isoformat()},
        )  # fmt: skip
