"""Copies what an SQLite database of Gatewatch holds into an empty, migrated PostgreSQL database, table by table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from api.storage import tables, tables_access, tables_journal, tables_messages  # noqa: F401 - each adds its tables
from api.storage.base import Base
from api.storage.database import open_database

PIECE = 10_000


def copy_to_postgresql(source: Path, url: str) -> None:
    """Raises DeskError where the database cannot be opened."""
    engine = open_database(url)
    try:
        with closing(sqlite3.connect(source)) as database:
            _copy(database, engine)
    finally:
        engine.dispose()


def _copy(source: sqlite3.Connection, engine: Engine) -> None:
    with engine.connect() as outer:
        connection: Any = outer.connection.driver_connection
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            # Neither triggers nor references: what is copied was counted and checked where it comes from.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
            indexes = cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes "
                "WHERE schemaname = current_schema() AND indexname LIKE 'ix_%'"
            ).fetchall()
            for name, _ in indexes:
                cursor.execute(f"DROP INDEX {name}")
            for table in Base.metadata.sorted_tables:
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                rows = source.execute(f"SELECT {names} FROM {table.name}")
                with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                    while piece := rows.fetchmany(PIECE):
                        for row in piece:
                            copy.write_row(row)
                counting = table.autoincrement_column
                if counting is not None:
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{counting.name}'), "
                        f"(SELECT coalesce(max({counting.name}), 0) + 1 FROM {table.name}), false)"
                    )
            for _, definition in indexes:
                cursor.execute(definition)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
