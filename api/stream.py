"""The live stream: the journal, entry by entry, to any number of clients.

Each entry is rendered once, by one thread, into a ring of recent ones; a client is a position in the journal. Who is
behind the ring reads from the database, a batch at a time, so a slow client costs no memory.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, get_args

import structlog
from starlette.concurrency import run_in_threadpool

from api.access.doubts import ACCESS, concerns
from api.access.principal import Principal
from api.errors import DeskError, TooManyRequestsError
from api.incident_sight import Concerned, concerned_by, sees_all, sees_some
from api.journal import Entry
from api.records import Record
from api.schemas_stream import rendered_data
from api.storage.feed import batch_after, head_of, removed_up_to
from api.storage.ledger import Ledger

StreamedSubject = Literal["alert", "incident", "arming", "external"]
STREAMED: tuple[StreamedSubject, ...] = get_args(StreamedSubject)
"""What clients are told about; entries about people and webhooks are the auditor's."""
RING = 2048
RING_BYTES = 16_000_000
BATCH = 200
PER_CALLER = 32
"""Streams that one user (or one of its tokens) may have open."""
READING_AT_ONCE = 4
"""How many clients of one event loop may read from the database at a time."""
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Rendered:
    """One entry as every client gets it."""

    seq: int
    event: str
    subject: str
    concerned: Concerned
    """The cameras that it concerns; several only where it is about an incident."""
    severity: str | None
    """Of the alert it is about; None where it is about none, or the alert is gone."""
    data: str
    """JSON without line ends."""
    part: str
    """The same for whoever does not see all of these cameras."""

    def told_to(self, cameras: frozenset[str] | None) -> Rendered:
        """As somebody gets it who is limited to these cameras (None: to none)."""
        return self if self.part == self.data or sees_all(cameras, self.concerned) else replace(self, data=self.part)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one client asked for; within one filter any value will do, None means all."""

    cameras: frozenset[str] | None = None
    severities: frozenset[str] | None = None
    subjects: frozenset[str] | None = None

    def takes(self, one: Rendered) -> bool:
        if self.subjects is not None and one.subject not in self.subjects:
            return False
        if not sees_some(self.cameras, one.concerned):
            return False
        # That an alert was removed concerns whoever may have shown it, and nobody knows its severity any more.
        gone = one.subject == "alert" and one.severity is None
        return self.severities is None or gone or one.severity in self.severities


class ResetError(Exception):
    """The journal does not hold what follows the client's position: it must load anew. `head`: where to go on."""

    def __init__(self, why: Literal["removed", "unknown"], head: int) -> None:
        super().__init__(why)
        self.why: Literal["removed", "unknown"] = why
        self.head = head


class EndedError(Exception):
    """The server ends all streams."""


class _Loop:
    """The clients of one event loop; only that loop's thread touches its fields."""

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.reading = asyncio.Semaphore(READING_AT_ONCE)

    def ring(self, access: Sequence[Entry]) -> None:
        for reader in self.readers:
            if any(concerns(entry, reader.principal) for entry in access):
                reader.suspect = True
            reader.woken.set()


class Feed:
    """Made without a thread; `start()` and `close()` belong together. Thread-safe."""

    def __init__(self, ledger: Ledger, *, ring: int = RING, per_caller: int = PER_CALLER) -> None:
        self._ledger, self._room, self._per_caller = ledger, ring, per_caller
        self._change = threading.Condition()
        self._ring: list[Rendered] = []
        self._ring_bytes = 0
        self._base = self._head = self._written = 0
        """Everything that is streamed and lies behind `_base`, up to `_head`, is in the ring."""
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}
        self._callers: Counter[tuple[str, str | None]] = Counter()
        self._ended = False
        self._unlisten: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> Feed:
        self._unlisten = self._ledger.listen(self._written_until)
        with self._ledger.reading() as session:
            head = head_of(session)[0]
        with self._change:
            self._base = self._head = head
            self._written = max(self._written, head)
        self._thread.start()
        return self

    def end_streams(self) -> None:
        """Every stream ends now, and none begins any more."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        self._wake(())

    def close(self) -> None:
        self.end_streams()
        self._unlisten()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def ended(self) -> bool:
        return self._ended

    @contextmanager
    def reader(self, principal: Principal, wanted: Wanted) -> Iterator[Reader]:
        """A client's place, in the running event loop. Raises TooManyRequestsError where the caller has too many."""
        caller = (principal.user, principal.token_id)
        loop = asyncio.get_running_loop()
        with self._change:
            if self._callers[caller] >= self._per_caller:
                raise TooManyRequestsError(
                    f"At most {self._per_caller} streams may be open for one caller.",
                    {"retry_after_s": 30, "max_streams": self._per_caller},
                )
            self._callers[caller] += 1
            own = self._loops.setdefault(loop, _Loop())
            reader = Reader(self, own, principal, wanted)
            own.readers.add(reader)
            self._change.notify_all()
        try:
            yield reader
        finally:
            with self._change:
                self._callers[caller] -= 1
                if not self._callers[caller]:
                    del self._callers[caller]
                own.readers.discard(reader)
                if not own.readers:
                    self._loops.pop(loop, None)

    def streams(self) -> int:
        """How many are open."""
        with self._change:
            return self._callers.total()

    def head(self) -> int:
        """The newest entry, of whatever subject. Reads the database."""
        with self._ledger.reading() as session:
            return head_of(session)[0]

    def after(self, seq: int, limit: int = BATCH) -> tuple[Sequence[Rendered], int] | None:
        """What follows `seq` in the ring and how far that reaches; None where the ring begins later."""
        with self._change:
            if seq < self._base:
                return None
            first = bisect_right(self._ring, seq, key=lambda one: one.seq)
            found = self._ring[first : first + limit]
            return found, found[-1].seq if len(found) == limit else max(seq, self._head)

    def read(self, seq: int) -> tuple[Sequence[Rendered], int]:
        """The same from the database. Raises ResetError, UnavailableError."""
        with self._ledger.reading() as session:
            entries, alerts, head = batch_after(session, seq, BATCH, STREAMED)
            concerned = concerned_by(session, entries)
            # Looked at last: what was taken away until now cannot be among what was read.
            removed = removed_up_to(session)
            if seq < removed:
                raise ResetError("removed", max(head_of(session)[0], removed))
            if seq > head:
                raise ResetError("unknown", head)
        return [_render(entry, alerts, concerned[entry.seq]) for entry in entries], head

    def _written_until(self, entries: Sequence[Entry]) -> None:
        with self._change:
            self._written = entries[-1].seq
            self._change.notify_all()

    def _run(self) -> None:
        log = structlog.get_logger()
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ended or (self._loops and self._written > self._head))
                if self._ended:
                    return
                if self._written - self._head > self._room:
                    # Nobody listened for long: who asks for that reads it from the database.
                    self._ring, self._ring_bytes = [], 0
                    self._base = self._head = self._written
                    continue
                head = self._head
            try:
                with self._ledger.reading() as session:
                    entries, alerts, head = batch_after(session, head, BATCH, (*STREAMED, *ACCESS))
                    concerned = concerned_by(session, entries)
            except DeskError as error:
                log.warning("the stream waits for the database", why=str(error))
                with self._change:
                    self._change.wait_for(lambda: self._ended, RETRY_S)
                continue
            self._add([_render(one, alerts, concerned[one.seq]) for one in entries if one.subject in STREAMED], head)
            self._wake([entry for entry in entries if entry.subject in ACCESS])

    def _add(self, new: list[Rendered], head: int) -> None:
        with self._change:
            self._ring += new
            self._ring_bytes += sum(len(one.data) for one in new)
            self._head = head
            self._written = max(self._written, head)
            if len(self._ring) > self._room or self._ring_bytes > RING_BYTES:
                # The older half goes at once, so that this happens rarely.
                half = (len(self._ring) + 1) // 2
                self._base = self._ring[half - 1].seq
                self._ring = self._ring[half:]
                self._ring_bytes = sum(len(one.data) for one in self._ring)

    def _wake(self, access: Sequence[Entry]) -> None:
        with self._change:
            for loop, own in list(self._loops.items()):
                try:
                    loop.call_soon_threadsafe(own.ring, access)
                except RuntimeError:  # The loop was closed with clients in it.
                    del self._loops[loop]


class Reader:
    """One client's place in the journal; belongs to one event loop."""

    def __init__(self, feed: Feed, loop: _Loop, principal: Principal, wanted: Wanted) -> None:
        self.principal = principal
        """Who listens; replaced when it was looked at again."""
        self.position = 0
        """Everything up to this entry was given out, or is not for this client."""
        self.suspect = False
        """The caller's rights may have changed."""
        self.woken = asyncio.Event()
        self._feed, self._loop, self._wanted = feed, loop, wanted

    async def begin(self, after: int | None) -> int:
        """Goes on after this entry, or with now; returns the newest entry. Raises ResetError where `after` is one that
        this journal never had."""
        head = await run_in_threadpool(self._feed.head)
        self.position = head if after is None else after
        if self.position > head:
            raise ResetError("unknown", head)
        return head

    async def take(self, at_most_s: float) -> Sequence[Rendered]:
        """What comes next for this client, in order; nothing where nothing came in this time, or `suspect` is to be
        looked at first. Raises ResetError, EndedError and UnavailableError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + at_most_s
        while True:
            if self._feed.ended:
                raise EndedError
            self.woken.clear()
            if self.suspect:
                return ()
            before = self.position
            found, self.position = await self._next()
            mine = self._mine(found)
            if mine:
                return mine
            if self.position != before:
                continue
            try:
                await asyncio.wait_for(self.woken.wait(), max(0.0, until - loop.time()))
            except TimeoutError:
                return ()

    async def pending(self) -> Sequence[Rendered]:
        """What is there now beyond the position; nothing at the head. Raises ResetError, UnavailableError."""
        while True:
            before = self.position
            async with self._loop.reading:
                found, self.position = await run_in_threadpool(self._feed.read, self.position)
            mine = self._mine(found)
            if mine or self.position == before:
                return mine

    def _mine(self, found: Sequence[Rendered]) -> list[Rendered]:
        cameras = self.principal.cameras
        return [one.told_to(cameras) for one in found if sees_some(cameras, one.concerned) and self._wanted.takes(one)]

    async def _next(self) -> tuple[Sequence[Rendered], int]:
        found = self._feed.after(self.position)
        if found is not None:
            return found
        async with self._loop.reading:
            found = self._feed.after(self.position)  # Meanwhile the ring may have been begun anew.
            return await run_in_threadpool(self._feed.read, self.position) if found is None else found


def _render(entry: Entry, alerts: Mapping[str, Record], concerned: Concerned) -> Rendered:
    record = alerts.get(entry.subject_id) if entry.subject == "alert" else None
    data = rendered_data(entry, record)
    hides = entry.subject == "incident" and entry.note is not None
    part = rendered_data(replace(entry, note=None), None) if hides else data
    severity = None if record is None else record.alert.severity
    return Rendered(entry.seq, f"{entry.subject}.{entry.action}", entry.subject, concerned, severity, data, part)
