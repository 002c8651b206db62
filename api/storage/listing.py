"""Lists and counts alerts: what a page of the list holds, for any filters and each order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.alerts import OPEN_STATES, SEVERITIES
from api.records import Counts, Filters, ListPage, Position, Sort, Total
from api.storage.facets import folded, folded_name
from api.storage.listing_rows import at_once, moment, records_of
from api.storage.listing_search import Cell, Key, Search, Span, Wanted
from api.storage.tables import AlertFacetRow, IncidentRow
from rules.types import Severity

ReasonsWith = Callable[[str], Sequence[str]]
"""The codes of the reasons whose code or label holds a text, which is folded."""
_NAMES = ("camera", "rule", "kind", "zone", "line", "label")
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def page(
    session: Session,
    filters: Filters,
    sort: Sort = "newest",
    after: Position | None = None,
    limit: int = 50,
    *,
    reasons_with: ReasonsWith = lambda _: (),
) -> ListPage:
    """Up to `limit` alerts in this order, after this position."""
    keys = _keys(session, filters, sort, after, limit + 1, reasons_with)
    shown = keys[:limit]
    records = records_of(session, [seq for _, _, seq in shown])
    if len(keys) <= limit:
        return ListPage(tuple(records), None)
    severity, stored, seq = shown[-1]
    sort_at = moment(stored)
    assert sort_at is not None  # Every alert has one.
    return ListPage(tuple(records), Position(sort_at, seq, severity))


def total(
    session: Session, filters: Filters, sort: Sort, cap: int, *, reasons_with: ReasonsWith = lambda _: ()
) -> Total:
    """How many alerts the list has; of lists that no table counts, up to `cap`."""
    if sort == "waiting":
        filters = _waiting(filters)
    wanted = _wanted(session, filters, descending=True, after=None)
    if wanted is None:
        return Total(0, True)
    if filters.text is None and wanted.counted:
        return Total(sum(Search(session).cells(wanted).values()), True)
    number = len(_keys(session, filters, "newest", None, cap + 1, reasons_with))
    return Total(min(number, cap), number <= cap)


def counts(session: Session, filters: Filters, cap: int, *, reasons_with: ReasonsWith = lambda _: ()) -> Counts:
    """How many alerts there are by state, severity and camera; what no table counts up to the `cap` newest."""
    cells, is_exact = _counted(session, filters, cap, reasons_with)
    facets = _facets(session, filters)
    by_state: dict[str, int] = {}
    by_severity: dict[str, int] = {}
    by_camera: dict[str, int] = {}
    for (facet, state, severity), number in cells.items():
        for counted, name in ((by_state, state), (by_severity, severity), (by_camera, facets[facet].camera)):
            counted[name] = counted.get(name, 0) + number
    return Counts(sum(by_state.values()), by_state, by_severity, by_camera, is_exact)


def _counted(
    session: Session, filters: Filters, cap: int, reasons_with: ReasonsWith
) -> tuple[Mapping[Cell, int], bool]:
    """How many alerts of each facet, state and severity, and whether these are all."""
    wanted = _wanted(session, filters, descending=True, after=None)
    if wanted is None:
        return {}, True
    search = Search(session)
    if filters.text is None and wanted.counted:
        return search.cells(wanted), True
    keys = _found(session, search, filters, "newest", None, cap + 1, reasons_with)
    return search.cells_of([seq for _, seq in keys[:cap]]), len(keys) <= cap


def _keys(
    session: Session, filters: Filters, sort: Sort, after: Position | None, limit: int, reasons_with: ReasonsWith
) -> list[tuple[Severity | None, Any, int]]:
    """(severity where it orders the list, sort_at as it is stored, seq) of the first `limit` alerts."""
    search = Search(session)
    if sort != "severity":
        if sort == "waiting":
            filters = _waiting(filters)
        found = _found(session, search, filters, sort, after, limit, reasons_with)
        return [(None, at, seq) for at, seq in found]
    keys: list[tuple[Severity | None, Any, int]] = []
    for severity in reversed(SEVERITIES):
        if filters.severities is not None and severity not in filters.severities:
            continue
        if after is not None and after.severity is not None:
            passed = SEVERITIES.index(severity) > SEVERITIES.index(after.severity)
            if passed:
                continue
        start = after if after is not None and after.severity == severity else None
        own = replace(filters, severities=[severity])
        found = _found(session, search, own, "newest", start, limit - len(keys), reasons_with)
        keys += [(severity, at, seq) for at, seq in found]
        if len(keys) >= limit:
            break
    return keys


def _found(
    session: Session,
    search: Search,
    filters: Filters,
    sort: Sort,
    after: Position | None,
    limit: int,
    reasons_with: ReasonsWith,
) -> list[Key]:
    descending = sort == "newest"
    wanted = _wanted(session, filters, descending=descending, after=after)
    if wanted is None:
        return []
    # What waits longest lies deep among what does not wait: looking at the oldest finds nothing.
    walk = sort != "waiting"
    if filters.text is None or not (sought := folded(filters.text).strip()):
        return search.first(wanted, limit, walk=walk)
    named = [seq for seq, facet in _facets(session, filters).items() if any(sought in n for n in facet.folded)]
    codes = [code for code in reasons_with(sought) if wanted.reasons is None or code in wanted.reasons]
    keys = {
        *search.first(replace(wanted, facets=named), limit, walk=walk),
        *search.first(replace(wanted, reasons=codes), limit, walk=walk),
        *search.noted(wanted, sought, limit),
    }
    return sorted(keys, reverse=descending)[:limit]


def _waiting(filters: Filters) -> Filters:
    states = [state for state in OPEN_STATES if filters.states is None or state in filters.states]
    return replace(filters, states=states)


def _wanted(session: Session, filters: Filters, *, descending: bool, after: Position | None) -> Wanted | None:
    """None where no alert can be meant."""
    facets = None
    if any(given is not None for given in _names_of(filters).values()):
        facets = sorted(_facets(session, filters))
        if not facets:
            return None
    incidents = None
    if filters.incidents is not None:
        named = select(IncidentRow.seq).where(IncidentRow.incident_id.in_(filters.incidents))
        incidents = list(session.scalars(named))
    low, high = _window(session, filters, facets)
    start = None if after is None else (after.sort_at, after.seq)
    return Wanted.of(filters, facets, incidents, Span(descending, start, low, high))


def _window(
    session: Session, filters: Filters, facets: Sequence[int] | None
) -> tuple[datetime | None, datetime | None]:
    """Between which `sort_at` alerts of these times lie: none began, or went on, longer than its facet says."""
    if filters.since is None and filters.until is None:
        return None, None
    longest = select(func.max(AlertFacetRow.before_s), func.max(AlertFacetRow.after_s))
    if facets is not None:
        longest = longest.where(AlertFacetRow.seq.in_(facets))
    before_s, after_s = session.execute(longest).one()
    low = None if filters.since is None else _moved(filters.since, -(after_s or 0.0))
    return low, None if filters.until is None else _moved(filters.until, before_s or 0.0)


def _moved(moment: datetime, by_s: float) -> datetime:
    try:
        return min(max(moment + timedelta(seconds=by_s), _EARLIEST), _LATEST)
    except OverflowError:
        return _EARLIEST if by_s < 0 else _LATEST


class _Facet:
    __slots__ = ("_names", "camera")

    def __init__(self, names: Sequence[str]) -> None:
        self.camera = names[0]
        self._names = names

    @property
    def folded(self) -> list[str]:
        return [folded_name(name) for name in self._names]


def _names_of(filters: Filters) -> Mapping[str, Sequence[str] | None]:
    given = (filters.cameras, filters.rules, filters.kinds, filters.zones, filters.lines, filters.labels)
    return dict(zip(_NAMES, given, strict=True))


def _facets(session: Session, filters: Filters) -> dict[int, _Facet]:
    search = Search(session)
    where, values = [""], dict[str, Any]()
    for name, given in _names_of(filters).items():
        if given is not None:
            condition, value = search.among(f"f.{name}", name, given)
            where.append(condition)
            values[name] = value
    statement = f"SELECT f.seq, {', '.join(f'f.{name}' for name in _NAMES)} FROM alert_facet f WHERE true"
    found = at_once(session, statement + " AND ".join(where), 1 + len(_NAMES), values)
    return {seq: _Facet(names) for seq, *names in found}
