"""What is different about PostgreSQL: how it is connected to, and how one process alone writes to it."""

from __future__ import annotations

import contextlib
import select
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.errors import DeskError, UnavailableError

WRITER_LOCK = 0x6761_7465
"""The advisory lock that every writing transaction holds: the journal has one order."""
RUN_LOCK = 0x6761_7466
"""The advisory lock that a running site holds for as long as it runs."""
STATEMENT_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5
POOL = {"pool_size": 10, "max_overflow": 40, "pool_timeout": 10.0}
"""Enough for each thread of the server that answers requests."""
SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "TimeZone": "UTC",
    # The list's statements are cheap to plan, and planned without their values they would be planned wrongly.
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}


def engine_of(url: URL) -> Engine:
    """Raises DeskError where the driver is not installed."""
    connect: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "gatewatch", "client_encoding": "utf8",
        "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
    }  # fmt: skip
    try:
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=connect, **POOL)
    except ModuleNotFoundError:
        raise DeskError(
            "PostgreSQL needs the extra `postgresql` (pip install 'gatewatch[postgresql]'), which is not installed."
        ) from None


def prepare_to_migrate(connection: Connection, shown: str) -> None:
    """Waits for whoever migrates already; takes as long as it takes. Raises DeskError for a wrong encoding."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise DeskError(f"{shown}: expected a database with the encoding UTF8, found {encoding}.")


def lock_for_writing(session: Session) -> None:
    """Waits until no other transaction writes."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})


class SoleRun:
    """A connection that holds `RUN_LOCK`: while it lives, no other `gatewatch run` starts on this database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._take()

    def check(self) -> None:
        """Before each write: a server that restarted has forgotten the lock, so it is taken again.

        Raises UnavailableError where another run has it by now, and a driver's error while the server is away.
        """
        if self._connection is not None and not self._broken(self._connection):
            return
        self._drop()
        try:
            self._take()
        except DeskError as error:
            raise UnavailableError(str(error)) from None

    def close(self) -> None:
        if self._connection is not None and not self._broken(self._connection):
            # The server notices the end of a connection when it comes to it; the next run may start before.
            with contextlib.suppress(DBAPIError):
                self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": RUN_LOCK})
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # Closed for good, and the lock with it, instead of going back to the pool.
            connection.close()

    def _take(self) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": RUN_LOCK}).scalar_one()
        if not held:
            connection.close()
            raise DeskError("Another gatewatch run writes to this database: only one may.")
        self._connection = connection

    @staticmethod
    def _broken(connection: Connection) -> bool:
        # Nobody talks on this connection: if there is something to read, it is the server saying goodbye.
        driver: Any = connection.connection.driver_connection
        if driver is None or driver.closed:
            return True
        poll = select.poll()
        poll.register(driver.fileno(), select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            connection.execute(text("SELECT 1"))
        except DBAPIError:
            return True
        return False
