"""A PostgreSQL server of its own, out of the installed programs, for measurements and tests; gone with the block."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

from benchmarks.footage import BenchError

START_S = 30.0
USERS = ("postgres", "nobody")
"""PostgreSQL refuses to run as root: then it runs as the first of these that there is."""


def programs() -> Path | None:
    """The folder with initdb and postgres, newest version first, or None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: -float(path.parts[-3]))
    return next((path.parent for path in found if (path.parent / "postgres").exists()), None)


class PostgresServer:
    """Listens on a socket in its own folder alone. Can be stopped and started again, as a machine is."""

    def __init__(self, folder: Path, bin_dir: Path, *, durable: bool) -> None:
        self.folder, self._bin, self._durable = folder, bin_dir, durable
        self._as: dict[str, Any] = _unprivileged(folder)
        self._process: subprocess.Popen[str] | None = None
        made = subprocess.run(
            [bin_dir / "initdb", "-D", folder / "data", "-U", "gatewatch", "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder, **self._as,
        )  # fmt: skip
        if made.returncode:
            raise BenchError(f"initdb: {made.stderr.strip().splitlines()[-1]}.")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://gatewatch@/{database}?host={self.folder}"

    def start(self) -> None:
        """Returns once it takes connections. Raises BenchError."""
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "max_connections": 200}
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        else:
            settings |= {"shared_buffers": "512MB", "max_wal_size": "4GB"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self.folder / "data", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.folder, **self._as,
        )  # fmt: skip
        stderr = self._process.stderr
        assert stderr is not None
        said = []
        for line in stderr:
            said.append(line.strip())
            if "ready to accept connections" in line:
                _drain(stderr)
                return
        raise BenchError(f"postgres: {said[-1] if said else 'ended without a word'}.")

    def stop(self) -> None:
        """Ends connections and transactions, then itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)
            self._process = None


@contextmanager
def postgres_server(*, durable: bool = True, folder: Path | None = None) -> Iterator[PostgresServer]:
    """`durable`: commits are on the disk, as in operation; otherwise it is faster. Raises BenchError."""
    bin_dir = programs()
    if bin_dir is None:
        raise BenchError("PostgreSQL is not installed (Debian: apt-get install postgresql).")
    home = Path(mkdtemp(prefix="gatewatch-pg-", dir=folder))
    try:
        server = PostgresServer(home, bin_dir, durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """For subprocess: who runs it; the folder becomes theirs."""
    if os.getuid() != 0:
        return {}
    for name in USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise BenchError(f"PostgreSQL does not run as root: expected a user {' or '.join(USERS)}.")


def _drain(stream: IO[str]) -> None:
    """Reads on in the background, so that the server never waits for its log."""
    import threading

    def read() -> None:
        with stream:
            for _ in stream:
                pass

    threading.Thread(target=read, daemon=True).start()
