"""How the databases go about the statements of the list: their plans, for reading and for the test that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from api.reasons import DEFAULT_REASONS
from api.records import Filters, Position, Sort
from api.storage import listing
from api.storage.facets import folded
from benchmarks.desk_seed import END, GUARDS

_DEEP = Position(END - timedelta(days=100), 0)
LISTS: Mapping[str, tuple[Filters, Sort, Position | None]] = {
    "newest": (Filters(), "newest", None),
    "newest, deep": (Filters(), "newest", _DEEP),
    "closed, deep": (Filters(states=["resolved", "false_alarm"]), "newest", _DEEP),
    "new": (Filters(states=["new"]), "newest", None),
    "critical, of a week": (
        Filters(severities=["critical"], since=END - timedelta(days=107), until=END - timedelta(days=100)),
        "newest",
        None,
    ),
    "severity": (Filters(), "severity", None),
    "waiting": (Filters(), "waiting", None),
    "one camera, oldest, deep": (Filters(cameras=["lobby-01"]), "oldest", _DEEP),
    "in the hands of one guard": (Filters(assignees=[GUARDS[2]], states=["in_progress"]), "newest", None),
    "reason": (Filters(reasons=["intruder"], labels=["person"]), "newest", None),
    "incident": (Filters(incidents=["INC-000001"]), "newest", None),
    "drills": (Filters(drill=True, kinds=["intrusion"]), "newest", None),
    "text": (Filters(text="树影"), "newest", None),
    "text that is nowhere": (Filters(text="nowhere at all"), "newest", None),
}  # fmt: skip


def plans(engine: Engine) -> dict[str, list[tuple[str, str]]]:
    """For each list, its (statement, plan)s in the order in which they were asked."""
    found: dict[str, list[tuple[str, str]]] = {}
    with Session(engine) as session:
        for name, (filters, sort, after) in LISTS.items():
            start = after if after is None or sort != "severity" else None
            with _heard(session.connection()) as statements:
                listing.page(session, filters, sort, start, 50, reasons_with=_reasons_with)
            found[name] = [(sql, _plan(session.connection(), sql, values)) for sql, values in statements]
    return found


def written(engine: Engine) -> str:
    """The plans as a text for people."""
    parts = [f"# How {engine.dialect.name} goes about the list of alerts", ""]
    known: set[str] = set()
    for name, statements in plans(engine).items():
        parts += [f"## {name}", ""]
        for sql, plan in statements:
            if sql in known and "FROM alert" in sql and "incident_id" in sql:
                continue  # Reading the rows of a page is the same for every list.
            known.add(sql)
            parts += ["```sql", " ".join(sql.split()), "```", "```", plan, "```", ""]
    return "\n".join(parts).rstrip() + "\n"


@contextmanager
def _heard(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile."""
    statements: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, sql: str, values: Any, ___: Any, ____: Any) -> None:
        statements.append((sql, values))

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", hear)


def _plan(connection: Connection, sql: str, values: Any) -> str:
    if connection.dialect.name == "sqlite":
        rows = list(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values))
        depth = {0: 0}
        for number, parent, *_ in rows:
            depth[number] = depth.get(parent, 0) + 1
        return "\n".join(f"{'  ' * (depth[number] - 1)}{said}" for number, _, _, said in rows)
    return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}", values))


def _reasons_with(sought: str) -> list[str]:
    texts = {reason.code: (reason.code, *map(folded, reason.label.values())) for reason in DEFAULT_REASONS}
    return [code for code, held in texts.items() if any(sought in text for text in held)]
