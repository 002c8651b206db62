"""The output folder of a re-analysis: whose it is, what is written, and that it is written whole or not at all.

DIR/events.jsonl alerts.jsonl tracks.parquet frames.parquet summary.json clips/ snapshots/
DIR/.gatewatch/   identity, spool of detections, unfinished files, lock
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gatewatch.errors import OutputError
from gatewatch.identity import Identity
from gatewatch.spool import MAGIC

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FILES = ("events.jsonl", "alerts.jsonl", "tracks.parquet", "frames.parquet", "summary.json")
FOLDERS = ("clips", "snapshots")


class OutFolder:
    """One `--out`. `close()` gives it back; also a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / ".gatewatch"
        self.spool = self.state / "detections.spool"
        self._lock: IO[bytes] | None = None

    def claim(self, identity: Identity, *, overwrite: bool, fresh: bool = False) -> bool:
        """Makes the folder ours; returns whether an earlier run of the same re-analysis left something to go on from.

        With `overwrite`, results of another re-analysis are removed; detections are kept where they would be the same.
        With `fresh`, whatever an earlier run left is removed.
        Raises OutputError where the folder belongs to something else, is in use, or cannot be written.
        """
        try:
            return self._claim(identity, overwrite=overwrite, fresh=fresh)
        except OSError as error:
            self.close()
            raise said(self.path, error) from None

    def _claim(self, identity: Identity, *, overwrite: bool, fresh: bool) -> bool:
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: expected a folder for --out, found a file.")
        foreign = self.path.is_dir() and not self.state.is_dir() and any(self.path.iterdir())
        if foreign:
            # Even with `overwrite`: what we did not write is not ours to remove.
            raise OutputError(
                f"{self.path}: expected an empty folder or an earlier --out, found other files; choose another --out."
            )
        self.state.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        before = Identity.load(self.state / "identity.json")
        if before == identity and not fresh:
            self._sweep()
            return self._has_detections()
        if before is not None and before != identity and not (overwrite or fresh):
            differing = identity.differences(before)
            raise OutputError(
                f"{self.path}: holds the results of another re-analysis (other {', '.join(differing)}); choose another "
                "--out or add --overwrite."
            )
        keep_spool = not fresh and before is not None and before.detections == identity.detections
        self._clear(keep_spool=keep_spool)
        identity.save(self.state / "identity.json")
        return self._has_detections()

    def _has_detections(self) -> bool:
        return self.spool.exists() and self.spool.stat().st_size > len(MAGIC)

    def _sweep(self) -> None:
        """Removes the unfinished clips of a run that was killed."""
        for part in (self.path / "clips").glob(".*.part"):
            part.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        self._lock = (self.state / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{self.path}: another re-analysis is writing here; wait for it or stop it.") from None

    def _clear(self, *, keep_spool: bool) -> None:
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for path in self.state.iterdir():
            if path.name == "lock" or (keep_spool and path == self.spool):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def part(self, name: str) -> Path:
        """Where a file is written before it is whole."""
        return self.state / f"{name}.part"

    def publish(self, name: str) -> None:
        """Puts a file that is whole in its place."""
        self.part(name).replace(self.path / name)

    def write_lines(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Writes a JSON Lines file, whole or not at all."""
        with self.part(name).open("w", encoding="utf-8", newline="\n") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.publish(name)

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Writes `summary.json`, last of all: where it is, everything is."""
        text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        self.write_bytes("summary.json", text.encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Writes a file, whole or not at all; `name` may lie in a folder of the output."""
        part = self.part(name.replace("/", "_"))
        part.write_bytes(data)
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        part.replace(target)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> OutFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def said(path: Path, error: OSError) -> OutputError:
    """One sentence for a failure to write."""
    if error.errno in NO_ROOM:
        return OutputError(
            f"{path}: no room left to write; make some and run the same command again, it goes on there."
        )
    return OutputError(f"{path}: cannot be written: {error.strerror or error}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns failures to write below `path` into OutputError."""
    try:
        yield
    except OSError as error:
        raise said(path, error) from None
