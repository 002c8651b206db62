"""Moments that people write on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def from_text(text: str, site_zone: ZoneInfo) -> datetime | None:
    """UTC of an ISO 8601 date and time, or None; without an offset it is the site's wall clock."""
    text = text.strip()
    if not re.search(r"\d[T ]\d", text):
        return None  # a date alone is no moment
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=site_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
