"""The one way to write: a transaction, its moment, and the journal entries that say what it did.

Every part of the API that keeps something (alerts, users, webhooks, ...) shares one `Ledger`. What a write did becomes
known to listeners (the live stream, the outbox' sender) once it is committed, in the order of the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from api.errors import UnavailableError
from api.journal import GENESIS, SYSTEM, Actor, Entry, Subject, canonical, hash_of, tip_text
from api.keys import SiteKeys
from api.storage.database import SoleRun, for_reading, lock_for_writing, run_alone
from api.storage.tables_journal import JournalRow, JournalTipRow

Clock = Callable[[], datetime]
Head = tuple[int, str]
"""(seq, hash) of an entry."""
SEAL_BROKEN = "seal_broken"
"""The action of the entry that says that the journal was not as it was left."""


class Write:
    """A transaction that changes something; made by `Ledger.writing`."""

    def __init__(
        self, session: Session, at: datetime, keys: SiteKeys, hooks: Sequence[EntryHook], known: Head | None = None
    ) -> None:
        self.session = session
        self.at = at
        """The moment of everything that this transaction does."""
        self.entries: list[Entry] = []
        self.keys = keys
        self._hooks = hooks
        self._known = known
        self._tip: JournalTipRow | None = None

    def journal(
        self,
        actor: Actor,
        subject: Subject,
        subject_id: str,
        action: str,
        body: Mapping[str, Any] | None = None,
        *,
        camera: str | None = None,
        version: int | None = None,
        reason: str | None = None,
        note: str | None = None,
    ) -> Entry:
        """Adds an entry to the chain; `body` must be JSON."""
        tip = self._tip or self._load_tip()
        text = canonical(dict(body or {}))
        entry = Entry(
            tip.seq + 1, self.at, actor, subject, subject_id, action, camera, version, reason, note, dict(body or {}),
            tip.hash,
        )  # fmt: skip
        entry = replace(entry, hash=hash_of(entry, text))
        self.session.add(_row_of(entry, text))
        tip.seq, tip.hash = entry.seq, entry.hash
        tip.mac = self.keys.seal(tip_text(entry.seq, entry.hash))
        self.entries.append(entry)
        for hook in self._hooks:
            hook(self, entry)
        return entry

    def _load_tip(self) -> JournalTipRow:
        with self.session.no_autoflush:  # What the transaction has done so far goes to the database in one piece.
            tip = self.session.get(JournalTipRow, 1)
        if tip is None:
            tip = JournalTipRow(id=1, seq=0, hash=GENESIS, mac="")
            self.session.add(tip)
        self._tip = tip
        found = (tip.seq, tip.hash)
        if self._known == found and (tip.seq == 0 or self._sealed(tip)):
            return tip
        wrong = self._what_is_wrong(tip)
        if wrong is not None:
            # Going on keeps the site guarded; the entry keeps what was found from being sealed as if it were whole.
            tip.seq, tip.hash = self._go_on_from()
            body = {"found": {"seq": found[0], "hash": found[1]}, "expected": self._known, "what": wrong}
            self.journal(SYSTEM, "journal", str(tip.seq + 1), SEAL_BROKEN, body)
        return tip

    def _sealed(self, tip: JournalTipRow) -> bool:
        return self.keys.sealed(tip_text(tip.seq, tip.hash), tip.mac)

    def _what_is_wrong(self, tip: JournalTipRow) -> str | None:
        """Whether somebody else wrote into the journal; without this, the next entry would seal what he wrote."""
        last = self._entry_at(None)
        if tip.seq == 0:
            return None if last is None and self._known is None else "the journal's tip is missing"
        if not self._sealed(tip):
            return "the seal of the journal's tip does not hold"
        if last != (tip.seq, tip.hash):
            return "the journal does not end at its tip"
        if self._known is not None and self._entry_at(self._known[0]) != self._known:
            return "the journal no longer holds the last entry that was written"
        return None

    def _entry_at(self, seq: int | None) -> Head | None:
        """Of this entry, or of the last there is."""
        wanted = select(JournalRow.seq, JournalRow.hash)
        wanted = wanted.order_by(JournalRow.seq.desc()).limit(1) if seq is None else wanted.where(JournalRow.seq == seq)
        row = self.session.execute(wanted).one_or_none()
        return None if row is None else (row.seq, row.hash)

    def _go_on_from(self) -> Head:
        return max(self._entry_at(None) or (0, GENESIS), self._known or (0, GENESIS))


EntryHook = Callable[[Write, Entry], None]
"""Called for each entry inside its transaction, to write what belongs to it (the outbox)."""
Finisher = Callable[[Write], None]
"""Called at the end of each transaction, inside it; what it raises undoes the transaction."""
Listener = Callable[[Sequence[Entry]], None]
"""Called after each commit with its entries, by the thread that wrote, one commit after the other; must not block."""


class Ledger:
    """The database of one site. Thread-safe; the sole writer of its database."""

    def __init__(self, engine: Engine, keys: SiteKeys, *, now: Clock = lambda: datetime.now(UTC)) -> None:
        self.keys = keys
        self.now = now
        self._engine = engine
        self._reader = for_reading(engine)
        self._sole: SoleRun | None = None
        self._writer = threading.Lock()
        self._tip: Head | None = None
        self._hooks: list[EntryHook] = []
        self._finishers: list[Finisher] = []
        self._listeners: list[Listener] = []

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self._engine.dialect.name

    def on_entry(self, hook: EntryHook) -> None:
        """Called before the first write, while services are put together."""
        self._hooks.append(hook)

    def before_commit(self, finisher: Finisher) -> None:
        """Called before the first write, while services are put together."""
        self._finishers.append(finisher)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Returns what ends the listening."""
        with self._writer:
            self._listeners = [*self._listeners, listener]

        def end() -> None:
            with self._writer:
                self._listeners = [known for known in self._listeners if known is not listener]

        return end

    @contextmanager
    def writing(self) -> Iterator[Write]:
        """One transaction, all or nothing. Raises UnavailableError where the database is busy or its disk is full."""
        with self._writer:
            with _unavailable(), Session(self._engine, expire_on_commit=False) as session, session.begin():
                if self._sole is not None:
                    self._sole.check()
                lock_for_writing(session)
                write = Write(session, self.now(), self.keys, self._hooks, self._tip)
                yield write
                for finish in self._finishers:
                    finish(write)
            if write.entries:
                self._tip = (write.entries[-1].seq, write.entries[-1].hash)
                for listener in self._listeners:
                    listener(write.entries)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A look at the database as it stands at one moment. Raises UnavailableError."""
        with _unavailable(), Session(self._reader) as session:
            yield session

    def run_alone(self) -> None:
        """From now on no other `gatewatch run` starts on this database, until `close`. Raises DeskError."""
        with _unavailable():
            self._sole = run_alone(self._engine)

    def close(self) -> None:
        """Waits for the write that is under way, then closes the database."""
        with self._writer:
            if self._sole is not None:
                self._sole.close()
            self._engine.dispose()


def entry_of(row: JournalRow) -> Entry:
    """The entry as it is stored; whether it is what was written is the audit's question."""
    import json

    actor = Actor(row.actor_kind, row.actor, row.origin)  # type: ignore[arg-type] # checked by the hash, not by a type
    return Entry(
        row.seq, row.at, actor, row.subject, row.subject_id, row.action, row.camera, row.version,  # type: ignore[arg-type]
        row.reason, row.note, json.loads(row.body), row.prev_hash, row.hash,
    )  # fmt: skip


def entries_after(
    session: Session, seq: int, limit: int, *, subjects: Sequence[Subject] | None = None, until: int | None = None
) -> list[Entry]:
    """Entries that follow `seq`, in order."""
    wanted = select(JournalRow).where(JournalRow.seq > seq)
    if subjects is not None:
        wanted = wanted.where(JournalRow.subject.in_(subjects))
    if until is not None:
        wanted = wanted.where(JournalRow.seq <= until)
    return [entry_of(row) for row in session.scalars(wanted.order_by(JournalRow.seq).limit(limit))]


def head_of(session: Session) -> tuple[int, str]:
    """(seq, hash) of the newest entry; (0, GENESIS) of an empty journal."""
    tip = session.get(JournalTipRow, 1)
    return (0, GENESIS) if tip is None else (tip.seq, tip.hash)


def _row_of(entry: Entry, text: str) -> JournalRow:
    return JournalRow(
        seq=entry.seq, at=entry.at, actor_kind=entry.actor.kind, actor=entry.actor.name, origin=entry.actor.origin,
        subject=entry.subject, subject_id=entry.subject_id, action=entry.action, camera=entry.camera,
        version=entry.version, reason=entry.reason, note=entry.note, body=text, prev_hash=entry.prev_hash,
        hash=entry.hash,
    )  # fmt: skip


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise UnavailableError(f"The database cannot be used now: {_one_line(error)}.") from error
    except PoolTimeoutError:
        raise UnavailableError("The database cannot be used now: too many requests wait for it.") from None


def _one_line(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".")


__all__ = [
    "SYSTEM",
    "Clock",
    "EntryHook",
    "Finisher",
    "Ledger",
    "Listener",
    "Write",
    "entries_after",
    "entry_of",
    "head_of",
]
