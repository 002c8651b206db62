"""The list of alerts: filters, orders, cursors, counts. Thread-safe; every method is one look at the database."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from api.alerts import SEVERITIES
from api.errors import InvalidError
from api.journal import canonical
from api.reasons import Reasons
from api.records import Counts, Filters, Position, Record, Sort, Total
from api.storage import listing
from api.storage.facets import folded
from api.storage.ledger import Ledger

TOTAL_CAP = 1000
"""Up to here lists are counted one by one."""
COUNTS_CAP = 10_000
"""Up to here alerts are counted by what they are, where no table knows their number."""


@dataclass(frozen=True, slots=True)
class Page:
    records: Sequence[Record]
    next_cursor: str | None
    total: Total | None


class Listing:
    def __init__(self, ledger: Ledger, reasons: Reasons) -> None:
        self._ledger = ledger
        self._labels = [(reason.code, [folded(t) for t in (reason.code, *reason.label.values())]) for reason in reasons]

    def page(
        self,
        filters: Filters,
        sort: Sort = "newest",
        *,
        cameras: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 50,
        with_total: bool = False,
    ) -> Page:
        """Up to `limit` alerts of `cameras` (None: all), after this cursor of the same list.

        Raises InvalidError for a cursor of another list, UnavailableError.
        """
        of = _fingerprint(filters, sort)
        after = None if cursor is None else _position(cursor, of, sort)
        within = limited(filters, cameras)
        with self._ledger.reading() as session:
            found = listing.page(session, within, sort, after, limit, reasons_with=self._reasons_with)
            total = None
            if with_total:
                total = listing.total(session, within, sort, TOTAL_CAP, reasons_with=self._reasons_with)
        return Page(found.records, None if found.next is None else _cursor(found.next, of), total)

    def counts(self, filters: Filters, *, cameras: frozenset[str] | None = None) -> Counts:
        """By state, severity and camera; exact where only names, states and severities are asked for, else up to the
        `COUNTS_CAP` newest."""
        with self._ledger.reading() as session:
            return listing.counts(session, limited(filters, cameras), COUNTS_CAP, reasons_with=self._reasons_with)

    def _reasons_with(self, sought: str) -> list[str]:
        return [code for code, texts in self._labels if any(sought in text for text in texts)]


def limited(filters: Filters, cameras: frozenset[str] | None) -> Filters:
    """The filters within the cameras that a caller may see."""
    if cameras is None:
        return filters
    wanted = cameras if filters.cameras is None else cameras & set(filters.cameras)
    return Filters(**{**_values(filters), "cameras": sorted(wanted)})


def _values(filters: Filters) -> dict[str, Any]:
    return {name: getattr(filters, name) for name in filters.__dataclass_fields__}


def _fingerprint(filters: Filters, sort: Sort) -> str:
    """Tells lists apart, whatever the order in which their filters are written."""
    given: dict[str, Any] = {}
    for name, value in asdict(filters).items():
        if isinstance(value, list | tuple):
            given[name] = sorted(set(value))
        elif isinstance(value, datetime):
            given[name] = value.astimezone(UTC).isoformat()
        elif value is not None:
            given[name] = value
    return hashlib.sha256(canonical([sort, given]).encode()).hexdigest()[:12]


def _cursor(position: Position, of: str) -> str:
    content = [of, position.sort_at.isoformat(), position.seq, position.severity]
    text = json.dumps(content, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str, of: str, sort: Sort) -> Position:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_of, moment, seq, severity = json.loads(text)
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**63:
            raise ValueError("seq")
        position = Position(datetime.fromisoformat(moment).astimezone(UTC), seq, severity)
        if (severity in SEVERITIES) != (sort == "severity") and made_of == of:
            raise ValueError("severity")
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidError("The cursor is not one that this list gave out.", {"cursor": cursor[:200]}) from None
    if made_of != of:
        raise InvalidError(
            "The cursor belongs to a list with other filters or another sort: expected the same as of the page "
            "that gave it out.",
            {"cursor": cursor[:200]},
        )
    return position
