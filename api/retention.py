"""Takes away what need not be kept any longer, and leaves a journal that still proves what is left.

Closed alerts older than so many days go, with their events, pictures and clips. The journal's entries before the first
one that still belongs to something kept are replaced by a signed checkpoint. Whatever is interrupted is finished by
the next run: which files have to go is written down before the database lets go of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from api.audit_chain import STANDS, SUBJECT, WRONG, Chain, Findings, Raw
from api.audit_checkpoints import newest_checkpoint
from api.errors import DeskError
from api.heads import Heads
from api.journal import SYSTEM, canonical, checkpoint_text
from api.standing import TOLD, restate
from api.storage import retention as rows
from api.storage.audit import journal_rows
from api.storage.ledger import Ledger
from api.storage.tables import AlertRow

ALERTS_AT_ONCE = 200
ENTRIES_AT_ONCE = 20_000
"""So that writers wait for a moment only."""
REMOVING = ".removing.json"
LOCK = ".retention.lock"
DELIVERED_KEPT = timedelta(days=30)
"""Delivered messages, where closed alerts are kept without end."""
EXTERNAL_KEPT = timedelta(days=30)
ANSWERS_KEPT = timedelta(hours=48)
EVERY_S = 24 * 3600.0
FIRST_AFTER_S = 600.0


@dataclass
class Removed:
    """What a run took away."""

    alerts: int = 0
    incidents: int = 0
    files: int = 0
    entries: int = 0
    up_to_seq: int | None = None
    """Of the newest checkpoint that was made."""
    held_by: str | None = None
    """Which kept alert or incident holds the older entries back; None: only their age does."""
    expired: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "alerts": self.alerts, "incidents": self.incidents, "files": self.files, "entries": self.entries,
            "checkpoint_up_to_seq": self.up_to_seq, "held_by": self.held_by, "expired": self.expired,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Old:
    """The entries that a checkpoint is to stand for."""

    entries: Sequence[Raw]
    """Those of which the journal must say anew what they told."""
    hash: str
    """Of the last one."""
    said: Mapping[str, int]
    """What the checkpoint says of them."""


class Retention:
    """Thread-safe with whatever else writes; only one run at a time."""

    def __init__(self, ledger: Ledger, heads: Heads, *, media_dir: Path, closed_alerts_days: int | None = None) -> None:
        """`closed_alerts_days`: how long closed alerts are kept; None: without end."""
        self._ledger, self._heads = ledger, heads
        self._media = media_dir
        self._days = closed_alerts_days
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def would_remove(self) -> int:
        """How many alerts a run would take away now."""
        if self._days is None:
            return 0
        with self._ledger.reading() as session:
            return rows.count_over(session, self._ledger.now() - timedelta(days=self._days))

    def run(self) -> Removed:
        """Raises DeskError; what was done until then stays done, the next run goes on."""
        with _alone(self._media):
            return self._run()

    def _run(self) -> Removed:
        removed = Removed()
        self._finish_files(removed)
        now = self._ledger.now()
        if self._days is not None:
            before = now - timedelta(days=self._days)
            while self._alerts(before, removed):
                pass
            self._incidents(before, removed)
            while self._entries(before, removed):
                pass
        self._expired(now, removed)
        return removed

    # Daily

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs daily until the block ends."""
        self._ends.clear()
        self._thread = threading.Thread(target=self._daily, name="retention", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self._ends.set()
            self._thread.join()

    def _daily(self) -> None:
        pause_s = FIRST_AFTER_S
        log = structlog.get_logger()
        while not self._ends.wait(pause_s):
            pause_s = EVERY_S
            try:
                removed = self.run()
            except (DeskError, OSError) as error:
                log.warning("retention did not finish", why=str(error))
                pause_s = FIRST_AFTER_S
            else:
                log.info("retention", **removed.to_json())

    # Alerts and their files

    def _alerts(self, before: datetime, removed: Removed) -> bool:
        with self._ledger.writing() as write:
            found = rows.alerts_over(write.session, before, ALERTS_AT_ONCE)
            if not found:
                return False
            seqs = [row.seq for row in found]
            files = _files_of(found)
            kept = rows.paths_in_use(write.session, files, seqs) if files else set()
            gone = [path for path in files if path not in kept]
            for row in found:
                body = {"state": row.state, "files": len(_files_of([row]))}
                write.journal(
                    SYSTEM, "alert", row.alert_id, "removed", body, camera=row.camera or None, version=row.version
                )
            self._write_down([row.alert_id for row in found], gone)
            for row in found:
                write.session.expunge(row)
            rows.remove_alerts(write.session, seqs)
        removed.alerts += len(seqs)
        self._finish_files(removed)
        return not self._ends.is_set()

    def _write_down(self, alert_ids: Sequence[str], files: Sequence[str]) -> None:
        """On the disk before the database forgets them."""
        partial = self._media / f"{REMOVING}.partial"
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"alerts": list(alert_ids), "files": list(files)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._media / REMOVING)
        _sync_folder(self._media)

    def _finish_files(self, removed: Removed) -> None:
        """Removes the files that were written down, if their alerts are gone and nothing speaks of them."""
        note = self._media / REMOVING
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
            alert_ids, files = list(told["alerts"]), list(told["files"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            raise DeskError(f"{note}: expected what retention wrote there; look at it, then remove it.") from None
        with self._ledger.reading() as session:
            undone = any(rows.has_alert(session, alert_id) for alert_id in alert_ids[:1])
            kept = rows.paths_in_use(session, files) if files and not undone else set()
        if not undone:
            for path in files:
                removed.files += path not in kept and self._remove(path)
        note.unlink(missing_ok=True)

    def _remove(self, path: str) -> bool:
        """Removes a file of the media folder, and the folder of its day once that is empty."""
        pure = PurePosixPath(path)
        folder = self._media.resolve()
        file = self._media / pure
        if pure.is_absolute() or ".." in pure.parts or not file.parent.resolve().is_relative_to(folder):
            structlog.get_logger().warning("a file outside the media folder is left alone", path=path)
            return False
        try:
            file.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        if len(pure.parts) > 2:
            try:
                file.parent.rmdir()
            except OSError:
                return True  # Others lie there.
        return True

    def _incidents(self, before: datetime, removed: Removed) -> None:
        with self._ledger.reading() as session:
            if not rows.incidents_over(session, before):
                return
        with self._ledger.writing() as write:
            for row in rows.incidents_over(write.session, before):
                write.journal(SYSTEM, "incident", row.incident_id, "removed", {"title": row.title}, version=row.version)
                write.session.delete(row)
                removed.incidents += 1

    # The journal

    def _entries(self, before: datetime, removed: Removed) -> bool:
        """Replaces some of the oldest entries by a checkpoint; returns whether there are more to replace."""
        with self._ledger.reading() as session:
            needed = rows.first_needed(session, before)
            first = rows.first_seq(session)
        if needed is None:
            return False
        removed.held_by = needed.subject
        up_to = min(needed.seq - 1, first - 1 + ENTRIES_AT_ONCE)
        if up_to < first:
            return False
        old = self._read_old(up_to)
        with self._ledger.writing() as write:
            session = write.session
            at = write.at.replace(microsecond=write.at.microsecond // 1000 * 1000)
            gone = {"entries": up_to - first + 1, "alerts": rows.alerts_told_of(session, up_to), **old.said}
            restate(write, old.entries, up_to)
            keys = self._ledger.keys
            signature = keys.sign(checkpoint_text(up_to, old.hash, at, gone))
            rows.add_checkpoint(
                session, up_to_seq=up_to, hash=old.hash, at=at, removed=canonical(gone), key_id=keys.key_id,
                signature=signature,
            )  # fmt: skip
            rows.remove_entries(session, up_to)
            body = {"up_to_seq": up_to, "hash": old.hash, "removed": gone}
            body |= {"key_id": keys.key_id, "signature": signature}
            write.journal(SYSTEM, "journal", str(up_to), "checkpoint", body)
            head = self._heads.sign_within(write, "checkpoint")
        self._heads.keep(head)
        removed.entries += gone["entries"]
        removed.up_to_seq = up_to
        return up_to < needed.seq - 1 and not self._ends.is_set()

    def _read_old(self, up_to: int) -> _Old:
        """What is to go, checked for the last time: afterwards nobody can tell any more."""
        findings, key = Findings(), self._ledger.keys.public_key
        chain = Chain(findings, key, rows_of_heads=False)
        kept = []
        with self._ledger.reading() as session:
            connection = session.connection()
            before = newest_checkpoint(connection, key, findings)
            if before is not None:
                chain.begin(before.up_to_seq, before.hash)
            for raw in journal_rows(connection, up_to):
                chain.take(raw)
                if raw[SUBJECT] in TOLD:
                    kept.append(raw)
        said = {STANDS: 1} if before is None or before.states_what_stands else {}
        wrong = len(findings) - (before is not None and before.wrong > 0) + (before.wrong if before else 0)
        if wrong:
            log = structlog.get_logger()
            log.warning("the oldest entries of the journal are not as they were written", found=wrong)
            said[WRONG] = wrong
        return _Old(kept, chain.hash, said)

    def _expired(self, now: datetime, removed: Removed) -> None:
        delivered = DELIVERED_KEPT if self._days is None else timedelta(days=self._days)
        with self._ledger.writing() as write:
            removed.expired = rows.clear_expired(
                write.session, now, delivered_before=now - delivered, external_before=now - EXTERNAL_KEPT,
                answers_before=now - ANSWERS_KEPT,
            )  # fmt: skip


def _files_of(found: Sequence[AlertRow]) -> list[str]:
    paths = [row.snapshot for row in found]
    paths += [path for row in found for clip in row.clips for path in (clip.path, clip.original)]
    return list(dict.fromkeys(path for path in paths if path))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The command may be called while a server does the same."""
    with (folder / LOCK).open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DeskError(f"{folder}: retention is running there already.") from None
        yield


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
