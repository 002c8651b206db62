"""All rows of a database as lines of JSON, and back, whatever the schema's revision and on either kind of database.

The tables are taken as they are found, not as this version maps them: an older database is written down as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    MetaData,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from api.errors import DeskError
from api.journal import utc_text_us
from api.storage import postgresql
from api.storage.base import UtcDateTime
from api.storage.database import _sentence, _sqlite, _url, migrate

ROWS = 1000
REVISION_TABLE = "alembic_version"


def tables_of(connection: Connection) -> list[Table]:
    """Every table with its columns, those that others refer to first."""
    inspector = inspect(connection)
    metadata = MetaData()
    found = []
    for name, _ in inspector.get_sorted_table_and_fkc_names():
        if name is None or name == REVISION_TABLE:
            continue
        keys = set(inspector.get_pk_constraint(name)["constrained_columns"])
        columns = [
            Column(column["name"], _type_of(column["type"]), primary_key=column["name"] in keys)
            for column in inspector.get_columns(name)
        ]
        found.append(Table(name, metadata, *columns))
    return found


def _type_of(found: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(found, DateTime):
        return UtcDateTime()
    return JSON(none_as_null=True) if isinstance(found, JSON) else found


def lines_of(connection: Connection, table: Table) -> Iterator[tuple[int, bytes]]:
    """(number of rows, their lines), some at a time: each line holds a row's values in the order of the columns."""
    wanted = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS)
    for rows in connection.execute(wanted).partitions():
        lines = [
            json.dumps([_plain(value) for value in row], ensure_ascii=False, separators=(",", ":")) for row in rows
        ]
        yield len(lines), ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    return utc_text_us(value) if isinstance(value, datetime) else value


def known_revisions() -> set[str]:
    """The schemas that this version can make."""
    folder = resources.files("api.storage").joinpath("migrations", "versions")
    return {file.name.partition("_")[0] for file in folder.iterdir() if file.name[:4].isdigit()}


def is_empty(connection: Connection) -> bool:
    """Whether there is no table yet."""
    return not inspect(connection).get_table_names()


def engine_for(where: Path | str) -> tuple[Engine, str]:
    """Of a database that may be empty, without migrating it; and how messages show it. Raises DeskError."""
    url, shown = _url(where)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, Path(url.database or "")), shown
    if url.get_backend_name() == "postgresql":
        return postgresql.engine_of(url), shown
    raise DeskError(f"{shown}: expected an SQLite file or a postgresql:// address as the database.")


@contextmanager
def filling(engine: Engine, shown: str, revision: str) -> Iterator[tuple[Connection, dict[str, Table]]]:
    """A transaction in which the empty tables of this revision are filled; they are brought up to date at its end.

    All of it or nothing. Raises DeskError.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                postgresql.prepare_to_migrate(connection, shown)
            if not is_empty(connection):
                raise DeskError(f"{shown}: expected an empty database to restore into, found tables in it.")
            migrate(connection, shown, revision)
            tables = tables_of(connection)
            for table in reversed(tables):
                connection.execute(delete(table))
            with _without_triggers(connection, tables):
                yield connection, {table.name: table for table in tables}
            if engine.dialect.name == "postgresql":
                _set_sequences(connection, tables)
            migrate(connection, shown)
    except DBAPIError as error:
        raise DeskError(f"{shown}: the backup cannot be restored there: {_sentence(error)}.") from None


def fill(connection: Connection, table: Table, lines: Iterable[bytes]) -> int:
    """Puts in rows as `lines_of` gave them; returns how many. Raises ValueError for a line that is no such row."""
    columns = list(table.c)
    moments = [at for at, column in enumerate(columns) if isinstance(column.type, UtcDateTime)]
    switches = [at for at, column in enumerate(columns) if isinstance(column.type, Boolean)]
    names = [column.name for column in columns]
    count, rest = 0, iter(lines)
    while piece := list(islice(rest, ROWS)):
        rows = []
        for line in piece:
            values = json.loads(line)
            if not isinstance(values, list) or len(values) != len(names):
                raise ValueError("a row with other columns")
            for at in moments:
                values[at] = None if values[at] is None else datetime.fromisoformat(values[at])
            for at in switches:
                values[at] = None if values[at] is None else bool(values[at])
            rows.append(dict(zip(names, values, strict=True)))
        connection.execute(insert(table), rows)
        count += len(rows)
    return count


@contextmanager
def _without_triggers(connection: Connection, tables: Iterable[Table]) -> Iterator[None]:
    """What triggers would add is among the rows already."""
    if connection.dialect.name == "postgresql":
        names = [table.name for table in tables]
        for name in names:
            connection.execute(text(f'ALTER TABLE "{name}" DISABLE TRIGGER USER'))
        yield
        for name in names:
            connection.execute(text(f'ALTER TABLE "{name}" ENABLE TRIGGER USER'))
        return
    triggers = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    for name, _ in triggers:
        connection.execute(text(f'DROP TRIGGER "{name}"'))
    yield
    for _, sql in triggers:
        connection.exec_driver_sql(sql)


def _set_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """The next number of each table comes after those that were put in."""
    for table in tables:
        for column in table.primary_key.columns:
            named = {"table": f'"{table.name}"', "column": column.name}
            sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), named).scalar()
            highest = connection.execute(select(column).order_by(column.desc()).limit(1)).scalar()
            if sequence is not None and highest is not None:
                connection.execute(
                    text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest}
                )


def columns_of(tables: Mapping[str, Table]) -> dict[str, list[str]]:
    return {name: [column.name for column in table.c] for name, table in tables.items()}


def reachable_and_empty(where: Path | str) -> bool:
    """Whether there is no table yet. Raises DeskError where the database cannot be reached."""
    engine, shown = engine_for(where)
    try:
        with engine.connect() as connection:
            return is_empty(connection)
    except DBAPIError as error:
        raise DeskError(f"{shown}: cannot be used as the database: {_sentence(error)}.") from None
    finally:
        engine.dispose()
