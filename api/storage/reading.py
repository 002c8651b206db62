"""Opens a database to look at it as it is: nothing is migrated, nothing is written, one moment is seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from api.errors import DeskError
from api.storage import postgresql
from api.storage.database import _sentence, _url, for_reading

_SQLITE_MAGIC = b"SQLite format 3\x00"


class UndecodableError(DeskError):
    """There is text in the database that is no UTF-8."""


@contextmanager
def snapshot(where: Path | str, *, lenient: bool = True) -> Iterator[Connection]:
    """One read transaction: whatever is written meanwhile is not seen.

    `lenient`: text that is no UTF-8 is read all the same, which is slower; otherwise it raises UndecodableError.
    Raises DeskError where there is no database, or where it cannot be read.
    """
    engine, shown = _engine(where, lenient)
    try:
        with for_reading(engine).connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            # In SQLite, it is the first look that decides which moment is seen.
            _ = revision_of(connection)
            yield connection
    except DBAPIError as error:
        if "decode to UTF-8" in str(error.orig):
            raise UndecodableError(f"{shown}: holds text that is no UTF-8.") from None
        raise DeskError(f"{shown}: cannot be read: {_sentence(error)}.") from None
    finally:
        engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The schema that the database has; None: it has none of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return str(found[0]) if len(found) == 1 else None


def is_sqlite_file(where: Path | str) -> bool:
    return isinstance(where, Path) or "://" not in where


def _engine(where: Path | str, lenient: bool) -> tuple[Engine, str]:
    url, shown = _url(where)
    if url.get_backend_name() == "postgresql":
        return postgresql.engine_of(url), shown
    if url.get_backend_name() != "sqlite":
        raise DeskError(f"{shown}: expected an SQLite file or a postgresql:// address as the database.")
    path = Path(url.database or "")
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise DeskError(f"{path}: the database cannot be read: {error.strerror}.") from None
    if start != _SQLITE_MAGIC:
        raise DeskError(f"{path}: expected an SQLite database of Gatewatch.")
    engine = create_engine(url, connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _prepare_leniently if lenient else _prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine, shown


def _prepare(connection: sqlite3.Connection, _entry: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _prepare_leniently(connection: sqlite3.Connection, entry: Any) -> None:
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    _prepare(connection, entry)
