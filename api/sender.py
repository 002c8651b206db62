"""Delivers the outbox: one lane for each webhook, so that a slow target holds up nobody but itself.

Within a lane messages go out one after the other, oldest first, and the result of each is kept before the next is sent.
A message that was sent without its result being kept (the process was killed) is sent again: at least once, never not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import h11

from api.delivery import Attempt, Hook, Message, Timings, apply, fetch, headers_of
from api.errors import DeskError
from api.keys import SiteKeys
from api.posting import Answer, Limits, post, retry_after_s
from api.storage import outbox as storage
from api.storage.ledger import Ledger
from api.targets import RESOLVE_S, Reach, Resolver, TargetError, parse_target, resolve, system_resolver

POLL_S = 30.0
"""How often a lane looks by itself: another process may have written to the database."""
STORE_AGAIN_S = 1.0
HOUSEKEEPING_S = 3600.0
GRACE_S = 2.0
DONE_KEPT = timedelta(days=30)
RESOLVERS = 8
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SenderOptions:
    reach: Reach = field(default_factory=Reach)
    resolver: Resolver = system_resolver
    tls: ssl.SSLContext | None = None
    """None: the system's certificate authorities."""
    limits: Limits = field(default_factory=Limits)
    timings: Timings = field(default_factory=Timings)


class _Lane:
    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.changed = False
        """The webhook itself may have changed: what was fetched is no longer good."""
        self.task: asyncio.Task[None] | None = None


class Sender:
    """A thread with an event loop. `start` and `close` are called once each; `wake` from any thread, at any time."""

    def __init__(self, ledger: Ledger, keys: SiteKeys, options: SenderOptions) -> None:
        self._ledger = ledger
        self._keys = keys
        self._options = options
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._lanes: dict[int, _Lane] = {}
        self._results: list[tuple[Attempt, asyncio.Future[bool]]] = []
        self._have_results = asyncio.Event()
        self.delivered = 0
        """Messages since the start."""
        self.failed = 0
        """Attempts since the start."""

    def start(self) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="webhooks", daemon=True)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Waits a moment for what is being sent; what is broken off then is sent again after the next start."""
        if self._thread is None:
            return
        self._call(self._stop.set)
        self._thread.join()
        self._thread = None

    def wake(self, seqs: set[int] | None) -> None:
        """There may be messages for these webhooks; None: the webhooks themselves may have changed."""
        self._call(self._woken, seqs)

    def _call(self, what: Callable[..., object], *args: object) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(what, *args)

    def _woken(self, seqs: set[int] | None) -> None:
        for seq in list(self._lanes) if seqs is None else seqs:
            if (lane := self._lanes.get(seq)) is not None:
                lane.changed = lane.changed or seqs is None
                lane.event.set()
        if seqs is None or not seqs <= self._lanes.keys():
            self._new_lanes.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._new_lanes = asyncio.Event()
        tls = self._options.tls or ssl.create_default_context()
        self._tls = tls
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="webhooks-db")
        self._resolving = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhooks-dns")
        works = (self._record, self._open_lanes, self._keep_house)
        tasks = [asyncio.create_task(_kept_up(work)) for work in works]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            lanes = [lane.task for lane in self._lanes.values() if lane.task is not None]
            for lane in self._lanes.values():
                lane.event.set()
            if lanes:
                await asyncio.wait(lanes, timeout=GRACE_S)
            tasks += lanes
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._loop = None
            self._pool.shutdown()
            self._resolving.shutdown(wait=False, cancel_futures=True)

    async def _in_pool(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _persist(self, work: Callable[[], _T]) -> _T:
        """Works on the database, again and again while it is busy."""
        while True:
            try:
                return await self._in_pool(work)
            except DeskError as error:
                _log.warning("webhooks wait for the database: %s", error)
                await asyncio.sleep(STORE_AGAIN_S)

    async def _open_lanes(self) -> None:
        while True:
            self._new_lanes.clear()
            for seq in await self._persist(self._enabled):
                if seq not in self._lanes:
                    lane = self._lanes[seq] = _Lane()
                    lane.task = asyncio.create_task(self._serve(seq, lane))
                    lane.task.add_done_callback(partial(self._ended, seq))
            await _waited(self._new_lanes, POLL_S)

    def _enabled(self) -> list[int]:
        with self._ledger.reading() as session:
            return [row.seq for row in storage.enabled(session)]

    async def _serve(self, seq: int, lane: _Lane) -> None:
        """One lane, for as long as there is its webhook."""
        while not self._stop.is_set():
            lane.event.clear()
            lane.changed = False
            hook, messages, due_at = await self._persist(partial(fetch, self._ledger, seq))
            if hook is None:
                return
            for message in messages:
                attempt = await self._attempt(hook, message)
                go_on = await self._kept(attempt)
                if not go_on or lane.changed or self._stop.is_set():
                    break
            if not messages and not self._stop.is_set():
                wait_s = POLL_S if due_at is None else (due_at - self._ledger.now()).total_seconds()
                await _waited(lane.event, min(max(wait_s, 0.01), POLL_S))

    def _ended(self, seq: int, task: asyncio.Task[None]) -> None:
        """Where its webhook is there again by now, or where it failed, there will be another lane."""
        lane = self._lanes.pop(seq, None)
        failed = task.cancelled() or task.exception() is not None
        if failed and not task.cancelled():
            _log.error("a lane of webhooks failed", exc_info=task.exception())
        if failed or (lane is not None and lane.changed):
            asyncio.get_running_loop().call_later(STORE_AGAIN_S if failed else 0.0, self._new_lanes.set)

    async def _attempt(self, hook: Hook, message: Message) -> Attempt:
        at, began = self._ledger.now(), time.monotonic()
        status, error, after, unreachable = None, None, None, False
        try:
            answer = await self._post(hook, message, at)
            status = answer.status
            after = retry_after_s(answer.retry_after, at.timestamp())
            if not 200 <= status < 300:
                error = f"The target answered {status}."
        except TimeoutError:
            error, unreachable = "No answer in time.", True
        except (DeskError, h11.RemoteProtocolError, OSError) as failure:
            error, unreachable = _sentence(failure), True
        return Attempt(hook, message, at, time.monotonic() - began, status, error, after, unreachable)

    async def _post(self, hook: Hook, message: Message, at: datetime) -> Answer:
        target = parse_target(hook.url)
        looking = asyncio.get_running_loop().run_in_executor(
            self._resolving, resolve, self._options.resolver, target, self._options.reach
        )
        addresses = await asyncio.wait_for(looking, RESOLVE_S)
        body = message.body.encode()
        headers = headers_of(self._keys, hook, message.message_id, at, body)
        return await post(target, addresses, headers, body, tls=self._tls, limits=self._options.limits)

    async def _kept(self, attempt: Attempt) -> bool:
        """Returns once the result is in the database: whether the lane may go on at once."""
        if attempt.delivered:
            self.delivered += 1
        else:
            self.failed += 1
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._results.append((attempt, kept))
        self._have_results.set()
        return await kept

    async def _record(self) -> None:
        """Keeps results: those of all lanes that come while one transaction is written go into the next together."""
        while True:
            await self._have_results.wait()
            self._have_results.clear()
            batch, self._results = self._results, []
            attempts = [attempt for attempt, _ in batch]
            try:
                said = await self._persist(partial(self._store, attempts))
                for (_, kept), go_on in zip(batch, said, strict=True):
                    if not kept.done():
                        kept.set_result(go_on)
            finally:
                for _, kept in batch:  # A lane whose result was not kept begins anew.
                    kept.cancel()

    def _store(self, attempts: list[Attempt]) -> list[bool]:
        with self._ledger.writing() as write:
            return [apply(write, attempt, self._options.timings, random.random) for attempt in attempts]

    async def _keep_house(self) -> None:
        while True:
            while await self._persist(self._tidy):
                await asyncio.sleep(0)
            await asyncio.sleep(HOUSEKEEPING_S)

    def _tidy(self) -> bool:
        with self._ledger.writing() as write:
            storage.bury_overdue(write.session, write.at, "The webhook was disabled.")
            return storage.prune(write.session, write.at - DONE_KEPT)


async def _kept_up(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Begins again what should never end, should it fail."""
    while True:
        task = asyncio.create_task(work())
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        _log.error("the sender of webhooks failed at something", exc_info=task.exception())
        await asyncio.sleep(STORE_AGAIN_S)


async def _waited(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


def _sentence(error: Exception) -> str:
    """What went wrong, without anything that the target says."""
    if isinstance(error, TargetError | DeskError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The target's certificate is not believed: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return "No encrypted connection could be made."
    if isinstance(error, h11.RemoteProtocolError):
        return "The answer was not HTTP, or its head was too long."
    if isinstance(error, socket.gaierror):
        return "The target's address cannot be found."
    number = error.errno if isinstance(error, OSError) else None
    return f"The target cannot be reached: {os.strerror(number) if number else type(error).__name__}."
