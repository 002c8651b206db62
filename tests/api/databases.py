"""Fresh databases for tests: SQLite files, or copies of a migrated PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Literal

import psycopg

from api.storage.database import open_database
from benchmarks.postgres import PostgresServer

Kind = Literal["sqlite", "postgresql"]
KIND: Kind = "postgresql" if os.environ.get("GATEWATCH_TEST_DATABASE") == "postgresql" else "sqlite"
"""On which database the tests of the API run: `make test` runs them on both."""
TEMPLATE = "migrated"
_numbers = count(1)


def make_template(server: PostgresServer) -> None:
    """The database that others are copied from: copying is quicker than migrating."""
    run(server, f"CREATE DATABASE {TEMPLATE}")
    open_database(server.url(TEMPLATE)).dispose()


@contextmanager
def fresh(server: PostgresServer, *, migrated: bool = True) -> Iterator[str]:
    """The address of a database of one's own."""
    name = f"test_{next(_numbers)}"
    run(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if migrated else 'template0'} STRATEGY file_copy")
    try:
        yield server.url(name)
    finally:
        run(server, f"DROP DATABASE {name} WITH (FORCE)")


def run(server: PostgresServer, sql: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql)  # type: ignore[call-overload] # names of our own making
