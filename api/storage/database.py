"""Opens the database, SQLite or PostgreSQL, and brings its tables up to date."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from api.errors import DeskError
from api.storage import postgresql

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-16000",
    # Every commit touches a dozen indexes, mostly in the same places: moving them into the database in large pieces
    # writes each page once instead of again and again.
    "wal_autocheckpoint=8000",
)
"""What each connection to SQLite is told."""


def open_database(where: Path | str) -> Engine:
    """The engine of a database with every migration applied.

    `where`: an SQLite file, made where it is absent, or a URL (`postgresql://user:password@host/name`). Each commit is
    on the disk before it returns; readers never wait for the writer.
    Raises DeskError where it cannot be opened, is no database, or was written by a newer Gatewatch.
    """
    url, shown = _url(where)
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, Path(url.database or ""))
    elif url.get_backend_name() == "postgresql":
        engine = postgresql.engine_of(url)
    else:
        raise DeskError(f"{shown}: expected an SQLite file or a postgresql:// address as the database.")
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                postgresql.prepare_to_migrate(connection, shown)
            migrate(connection, shown)
    except DBAPIError as error:
        engine.dispose()
        raise DeskError(f"{shown}: cannot be used as the database: {_sentence(error)}.") from None
    except DeskError:
        engine.dispose()
        raise
    return engine


def lock_for_writing(session: Session) -> None:
    """Makes a transaction wait until no other one writes. SQLite's writers take their lock as they begin."""
    if session.get_bind().dialect.name == "postgresql":
        postgresql.lock_for_writing(session)


def for_reading(engine: Engine) -> Engine:
    """The same database, each transaction of which sees it as it stands at one moment and changes nothing."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(reads_only=True)


class SoleRun(Protocol):
    """Held by the one `gatewatch run` that writes to a database."""

    def check(self) -> None: ...
    def close(self) -> None: ...


def run_alone(engine: Engine) -> SoleRun:
    """Raises DeskError where another run holds the database."""
    if engine.dialect.name == "postgresql":
        return postgresql.SoleRun(engine)
    return _FileRun(Path(engine.url.database or ""))


class _FileRun:
    def __init__(self, database: Path) -> None:
        import fcntl

        self._file = database.with_name(f"{database.name}.lock").open("w", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise DeskError(f"{database}: another gatewatch run writes to this database: only one may.") from None

    def check(self) -> None:
        """The lock lasts as long as the file is open."""

    def close(self) -> None:
        self._file.close()


def _url(where: Path | str) -> tuple[URL, str]:
    """The address, and how messages show it: without a password."""
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where)), str(where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise DeskError("The database: expected an SQLite file or a postgresql:// address.") from None
    if url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    return url, url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def _sqlite(url: URL, path: Path) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Names and password hashes are nobody else's business; SQLite gives the files beside it the same mode.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise DeskError(f"{path.parent}: cannot hold the database: {error.strerror}.") from None
    engine = create_engine(url, connect_args={"timeout": 30.0}, pool_size=20, max_overflow=30)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _sentence(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".")


def _prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    connection.isolation_level = None  # Transactions begin where `_begin` says, not where the driver guesses.
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: two that first read and then write would fail instead of waiting.
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def migrate(connection: Connection, shown: str, revision: str = "head") -> None:
    """Brings the tables up to this revision, inside the caller's transaction: all steps or none. Never back.

    Raises DeskError where the tables are newer than this Gatewatch knows.
    """
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
                    f"{shown}: was written by a newer Gatewatch: expected schema {newest} or older, found {found}."
                )
        command.upgrade(config, revision)
