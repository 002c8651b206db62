"""Opens the database and brings its tables up to date."""

from __future__ import annotations

import sqlite3
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

from api.errors import DeskError


def open_database(path: Path) -> Engine:
    """The engine of this SQLite file, made where it is absent, with every migration applied.

    Write-ahead log, so that readers never wait for the writer; each commit is on the disk before it returns.
    Raises DeskError where the file cannot be opened, is no database, or was written by a newer Gatewatch.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeskError(f"{path.parent}: cannot hold the database: {error.strerror}.") from None
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            _migrate(connection, path)
    except DatabaseError as error:
        engine.dispose()
        raise DeskError(f"{path}: cannot be used as the database: {error.orig}.") from None
    except DeskError:
        engine.dispose()
        raise
    return engine


def _prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    connection.isolation_level = None  # Transactions begin where `_begin` says, not where the driver guesses.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: two that first read and then write would fail instead of waiting.
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _migrate(connection: Connection, path: Path) -> None:
    with as_file(files("api.storage").joinpath("migrations")) as folder:
        config = Config()
        # `%` would be read as interpolation.
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        known = {revision.revision for revision in script.walk_revisions()}
        for found in MigrationContext.configure(connection).get_current_heads():
            if found not in known:
                newest = script.get_current_head()
                raise DeskError(
                    f"{path}: was written by a newer Gatewatch: expected schema {newest} or older, found {found}."
                )
        command.upgrade(config, "head")
