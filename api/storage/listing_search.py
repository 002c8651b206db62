"""Finds the places of alerts in a list of a million: which index to walk, for any combination of filters.

Every alert belongs to a facet (what never changes about it, see `api.storage.facets`), a state and a severity; such a
triple is a cell here. `alert_count` knows how many alerts each cell has, so filters on names, state and severity become
a list of cells that are not empty, and `ix_alert_cell` holds each cell in the order of the list. The newest of many
cells are then merged. Filters on what few alerts have (assignee, reason, incident, drill) have indexes of their own.
First, however, a few hundred alerts are looked at in the order of the list: mostly they fill the page.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.records import Filters
from api.storage.listing_rows import at_once, moment

WALKED = 500
"""Alerts that are looked at in the order of the list, before cells are asked for."""
WALKED_AT_MOST = 20_000
FEW = 2000
"""So many alerts are sorted rather than merged."""
Key = tuple[Any, int]
"""`sort_at` as the driver gives it (it sorts as the moment does), and `seq`."""
Cell = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Part of the list: where it begins, in which direction, and between which moments."""

    descending: bool = True
    after: tuple[datetime, int] | None = None
    low: datetime | None = None
    high: datetime | None = None

    def no_further_than(self, last: datetime | None) -> Span:
        """The part of it up to this moment, which is included; None: all of it."""
        if last is None:
            return self
        return replace(self, low=last) if self.descending else replace(self, high=last + timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts: what is None does not matter."""

    facets: Sequence[int] | None = None
    states: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    assignees: Sequence[str] | None = None
    incidents: Sequence[int] | None = None
    drill: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    span: Span = field(default_factory=Span)

    @classmethod
    def of(cls, filters: Filters, facets: Sequence[int] | None, incidents: Sequence[int] | None, span: Span) -> Wanted:
        return cls(
            facets, filters.states, filters.severities, filters.reasons, filters.assignees, incidents, filters.drill,
            filters.since, filters.until, span,
        )  # fmt: skip

    @property
    def counted(self) -> bool:
        """Whether `alert_count` knows how many these are."""
        return all(
            value is None
            for value in (
                self.reasons, self.assignees, self.incidents, self.drill, self.since, self.until, self.span.after
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Index:
    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]


_BY_CELL = _Index("ix_alert_cell", ("facet_seq", "state", "severity"), ("integer", "text", "text"))
_BY_VALUE = {
    "assignee": _Index("ix_alert_assignee", ("assignee", "facet_seq", "state"), ("text", "integer", "text")),
    "reason": _Index("ix_alert_reason", ("reason", "facet_seq", "state"), ("text", "integer", "text")),
    "drill": _Index("ix_alert_drill", ("facet_seq", "state"), ("integer", "text")),
}
_INCIDENT = "ix_alert_incident_seq"
_LOOKED_AT = ", ".join(
    f"b.{name}"
    for name in (
        "seq", "sort_at", "facet_seq", "state", "severity", "reason", "assignee", "incident_seq", "drill",
        "started_at", "ended_at",
    )
)  # fmt: skip
"""Columns that filters ask about."""


class Search:
    """Over one session; its statements are made of fixed pieces, values are always parameters."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.sqlite = session.get_bind().dialect.name == "sqlite"

    def first(self, wanted: Wanted, limit: int, *, walk: bool = True) -> list[Key]:
        """The first `limit` places of the list, in its order."""
        if self._nothing(wanted):
            return []
        if walk:
            looked = max(WALKED, 4 * limit)
            found = self._walk(wanted, limit, looked)
            if len(found) < limit <= 8 * len(found):  # It looks as if a few more would do.
                found = self._walk(wanted, limit, min(3 * looked * limit // (2 * len(found)), WALKED_AT_MOST))
            if len(found) >= limit:
                return found
        cells = self.cells(wanted)
        number = sum(cells.values())
        if not number:
            return []
        column, few = self._narrowest(wanted) if number > FEW else (None, False)
        if column is not None and few:
            return self._sorted(wanted, column, limit)
        if column is None:
            return self._merged(wanted, _BY_CELL, list(cells), limit)
        pairs = sorted({(facet, state) for facet, state, _ in cells})
        values = {"assignee": wanted.assignees, "reason": wanted.reasons}.get(column)
        tuples: list[Cell] = list(pairs) if values is None else [(value, *pair) for value in values for pair in pairs]
        return self._merged(wanted, _BY_VALUE[column], tuples, limit)

    def noted(self, wanted: Wanted, folded: str, limit: int) -> list[Key]:
        """As `first`, of the alerts about which something was said that holds this text."""
        if self._nothing(wanted):
            return []
        where, values = self._conditions(wanted)
        holds = "instr(n.folded, :text) > 0" if self.sqlite else "strpos(n.folded, :text) > 0"
        down = "DESC" if wanted.span.descending else "ASC"
        after, more = self._bounds(wanted.span, "n.sort_at", "n.alert_seq")
        statement = (
            f"SELECT DISTINCT n.sort_at, n.alert_seq FROM alert_note n CROSS JOIN alert a "
            f"WHERE a.seq = n.alert_seq AND {holds}{after}{where} "
            f"ORDER BY n.sort_at {down}, n.alert_seq {down} LIMIT :limit"
        )
        return self._keys(statement, {**values, **more, "text": folded, "limit": limit})

    def cells(self, wanted: Wanted) -> dict[Cell, int]:
        """The cells that are not empty, with their number of alerts."""
        only = Wanted(wanted.facets, wanted.states, wanted.severities)
        where, values = self._conditions(only)
        statement = f"SELECT a.facet_seq, a.state, a.severity, a.number FROM alert_count a WHERE a.number > 0{where}"
        rows = at_once(self._session, statement, 4, values)
        return {(facet, state, severity): number for facet, state, severity, number in rows}

    def cells_of(self, seqs: Sequence[int]) -> dict[Cell, int]:
        """The cells of these alerts, with how many of them each has."""
        where, value = self.among("a.seq", "seqs", seqs)
        statement = (
            f"SELECT a.facet_seq, a.state, a.severity, count(*) FROM alert a WHERE {where} "
            "GROUP BY a.facet_seq, a.state, a.severity"
        )
        rows = at_once(self._session, statement, 4, {"seqs": value})
        return {(facet, state, severity): number for facet, state, severity, number in rows}

    def _walk(self, wanted: Wanted, limit: int, looked: int) -> list[Key]:
        where, values = self._conditions(wanted)
        after, more = self._bounds(wanted.span, "b.sort_at", "b.seq")
        statement = (
            "SELECT a.sort_at, a.seq FROM "
            f"(SELECT {_LOOKED_AT} FROM alert b{self._by('ix_alert_order')} WHERE true{after} "
            f"ORDER BY {_order(wanted.span, 'b')} LIMIT :walked) a WHERE true{where} "
            f"ORDER BY {_order(wanted.span, 'a')} LIMIT :limit"
        )
        return self._keys(statement, {**values, **more, "walked": looked, "limit": limit})

    def _narrowest(self, wanted: Wanted) -> tuple[str | None, bool]:
        """The filter that has an index of its own and leaves the fewest alerts, and whether these are few."""
        best: tuple[str | None, int] = (None, 1 << 62)
        for column in self._columns(wanted):
            where, values = self._conditions(_only(wanted, column))
            index = _INCIDENT if column == "incident_seq" else _BY_VALUE[column].name
            statement = (
                f"SELECT count(*) FROM (SELECT 1 AS one FROM alert a{self._by(index)} WHERE true{where} LIMIT :few) f"
            )
            number = self._session.execute(text(statement), {**values, "few": FEW + 1}).scalar_one()
            if number < best[1] or (column == "incident_seq" and number == best[1]):
                best = (column, number)
        chosen, number = best
        # An incident has no list of its own: its alerts are sorted however many they are.
        return chosen, number <= FEW or chosen == "incident_seq"

    @staticmethod
    def _columns(wanted: Wanted) -> list[str]:
        given = {
            "incident_seq": wanted.incidents, "assignee": wanted.assignees, "reason": wanted.reasons,
            "drill": wanted.drill or None,
        }  # fmt: skip
        return [column for column, value in given.items() if value is not None]

    def _sorted(self, wanted: Wanted, column: str, limit: int) -> list[Key]:
        where, values = self._conditions(wanted)
        after, more = self._bounds(wanted.span, "a.sort_at", "a.seq")
        index = _INCIDENT if column == "incident_seq" else _BY_VALUE[column].name
        statement = (
            f"WITH found AS MATERIALIZED "
            f"(SELECT a.sort_at, a.seq FROM alert a{self._by(index)} WHERE true{where}{after}) "
            f"SELECT f.sort_at, f.seq FROM found f ORDER BY {_order(wanted.span, 'f')} LIMIT :limit"
        )
        return self._keys(statement, {**values, **more, "limit": limit})

    def _merged(self, wanted: Wanted, index: _Index, tuples: Sequence[Cell], limit: int) -> list[Key]:
        """The first of many lists: a few of each, and more of those that might have more to give."""
        few = limit if len(tuples) <= 8 else max(2, -(-2 * limit // len(tuples)))
        found = self._heads(wanted, index, tuples, few, limit)
        if few < limit:
            taken = Counter(number for number, _, _ in found)
            open_ended = [number for number, count in taken.items() if count == few]
            if open_ended:
                # The page ends no later than these few end: beyond that, nobody need look.
                last = found[-1][1] if len(found) == limit else None
                nearer = replace(wanted, span=wanted.span.no_further_than(None if last is None else moment(last)))
                again = set(open_ended)
                more = self._heads(nearer, index, [tuples[number] for number in open_ended], limit, limit)
                found = [head for head in found if head[0] not in again] + more
        keys = sorted({(at, seq) for _, at, seq in found}, reverse=wanted.span.descending)
        return keys[:limit]

    def _heads(
        self, wanted: Wanted, index: _Index, tuples: Sequence[Cell], each: int, limit: int
    ) -> list[tuple[int, Any, int]]:
        """(number of the list, sort_at, seq) of the first `limit` among the first `each` of each list, in order."""
        where, values = self._conditions(wanted)
        after, more = self._bounds(wanted.span, "a.sort_at", "a.seq")
        if index.columns[0] != "facet_seq" or index is not _BY_CELL:
            where += f" AND a.{index.columns[0]} IS NOT NULL"
        order = f"ORDER BY {_order(wanted.span, 'a')} LIMIT :each"
        parameters: dict[str, Any] = {**values, **more, "each": each, "limit": limit}
        if self.sqlite:
            same = " AND ".join(f"a.{name} = json_extract(c.value, '$[{n}]')" for n, name in enumerate(index.columns))
            statement = (
                "SELECT c.key, b.sort_at, b.seq FROM json_each(:cells) AS c CROSS JOIN alert AS b WHERE b.seq IN "
                f"(SELECT a.seq FROM alert AS a{self._by(index.name)} WHERE {same}{where}{after} {order})"
            )
            parameters["cells"] = json.dumps(tuples)
        else:
            arrays = ", ".join(f"CAST(:k{n} AS {kind}[])" for n, kind in enumerate(index.types))
            names = ", ".join(f"k{n}" for n in range(len(index.types)))
            same = " AND ".join(f"a.{name} = c.k{n}" for n, name in enumerate(index.columns))
            statement = (
                f"SELECT c.number - 1, b.sort_at, b.seq FROM unnest({arrays}) WITH ORDINALITY AS c({names}, number) "
                f"CROSS JOIN LATERAL (SELECT a.sort_at, a.seq FROM alert a WHERE {same}{where}{after} {order}) b"
            )
            parameters |= {f"k{n}": [cell[n] for cell in tuples] for n in range(len(index.types))}
        statement += f" ORDER BY {_order(wanted.span, 'b')} LIMIT :limit"
        return [(number, at, seq) for number, at, seq in at_once(self._session, statement, 3, parameters)]

    def _keys(self, statement: str, values: dict[str, Any]) -> list[Key]:
        return [(at, seq) for at, seq in at_once(self._session, statement, 2, values)]

    @staticmethod
    def _nothing(wanted: Wanted) -> bool:
        lists = (
            wanted.facets, wanted.states, wanted.severities, wanted.reasons, wanted.assignees, wanted.incidents
        )  # fmt: skip
        return any(values is not None and not values for values in lists)

    def _conditions(self, wanted: Wanted) -> tuple[str, dict[str, Any]]:
        parts, values = [""], dict[str, Any]()
        for column, given in (
            ("facet_seq", wanted.facets), ("state", wanted.states), ("severity", wanted.severities),
            ("reason", wanted.reasons), ("assignee", wanted.assignees), ("incident_seq", wanted.incidents),
        ):  # fmt: skip
            if given is None:
                continue
            condition, values[column] = self.among(f"a.{column}", column, given)
            parts.append(condition)
        if wanted.drill is not None:
            is_drill = "a.drill = 1" if self.sqlite else "a.drill"
            parts.append(is_drill if wanted.drill else f"NOT ({is_drill})")
        if wanted.since is not None:
            parts.append("a.ended_at >= :since")
            values["since"] = self.moment(wanted.since)
        if wanted.until is not None:
            parts.append("a.started_at < :until")
            values["until"] = self.moment(wanted.until)
        return " AND ".join(parts), values

    def among(self, column: str, name: str, given: Sequence[Any]) -> tuple[str, Any]:
        """The condition that a column is one of these, and the value of its parameter."""
        if self.sqlite:
            return f"{column} IN (SELECT value FROM json_each(:{name}))", json.dumps(list(given))
        return f"{column} = ANY(:{name})", list(given)

    def _bounds(self, span: Span, sort_at: str, seq: str) -> tuple[str, dict[str, Any]]:
        parts, values = [""], dict[str, Any]()
        if span.after is not None:
            parts.append(f"({sort_at}, {seq}) {'<' if span.descending else '>'} (:after_at, :after_seq)")
            values |= {"after_at": self.moment(span.after[0]), "after_seq": span.after[1]}
        if span.low is not None:
            parts.append(f"{sort_at} >= :low")
            values["low"] = self.moment(span.low)
        if span.high is not None:
            parts.append(f"{sort_at} < :high")
            values["high"] = self.moment(span.high)
        return " AND ".join(parts), values

    def moment(self, value: datetime) -> Any:
        """As it is stored: SQLite has text, which sorts as the moments do."""
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0") if self.sqlite else value

    def _by(self, index: str) -> str:
        return f" INDEXED BY {index}" if self.sqlite else ""


def _order(span: Span, table: str) -> str:
    down = "DESC" if span.descending else "ASC"
    return f"{table}.sort_at {down}, {table}.seq {down}"


def _only(wanted: Wanted, column: str) -> Wanted:
    empty = Wanted()
    name = {"incident_seq": "incidents", "assignee": "assignees", "reason": "reasons", "drill": "drill"}[column]
    return replace(empty, **{name: getattr(wanted, name)})
