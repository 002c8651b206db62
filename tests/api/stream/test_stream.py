"""The live stream over real sockets: nothing missed, nothing twice, nothing that is none of the caller's business."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from api import routes_stream
from api.access.limits import UNLIMITED
from api.app import create_app
from api.journal import SYSTEM, Actor
from api.services import Services
from api.storage.tables_journal import CheckpointRow, JournalRow
from api.stream import Feed
from tests.api.scenes import Site, make_event, serving
from tests.api.stream.kit import Callers, Event, Listener


@contextmanager
def streaming(services: Services, callers: Callers, **options: int) -> Iterator[tuple[str, Feed]]:
    """The server's address and its feed."""
    feed = Feed(services.ledger, **options).start()
    app = create_app(replace(services, feed=feed), site=Site(), version="1", authenticator=callers, limits=UNLIMITED)
    try:
        with serving(app) as address:
            try:
                yield address, feed
            finally:
                feed.end_streams()
    finally:
        feed.close()


def write(services: Services, number: int, camera: str = "north-gate", severity: str = "high") -> None:
    """An alert of its own."""
    services.desk.take(make_event(number, 10.0 + 1000 * number, camera=camera, severity=severity))


async def collect(
    listener: Listener, enough: Callable[[list[Event]], bool], connected: asyncio.StreamReader | None = None
) -> list[Event]:
    got: list[Event] = []
    async for event in listener.events(connected):
        got.append(event)
        if enough(got):
            break
    listener.cut()
    return got


def until_seq(last: int) -> Callable[[list[Event]], bool]:
    return lambda got: (got[-1].id or 0) >= last


def run(job: object, at_most_s: float = 30.0) -> object:
    async def bounded() -> object:
        return await asyncio.wait_for(job, at_most_s)  # type: ignore[arg-type]

    return asyncio.run(bounded())


@pytest.mark.parametrize("seed", range(3))
def test_every_client_sees_every_entry_once_in_order_whatever_is_cut(services: Services, seed: int) -> None:
    callers = Callers()
    tokens = [callers.add(f"guard{number}") for number in range(4)]
    entries, chance = 100, random.Random(seed)
    first = services.feed.head() + 1
    last = first + entries - 1

    async def client(number: int, address: str) -> list[int]:
        own, seen = random.Random(seed * 100 + number), []
        listener = Listener(address, tokens[number % 4], f"?last_event_id={first - 1}")
        while not seen or seen[-1] < last:
            after = own.randrange(1, 40)
            try:
                async for event in listener.events():
                    if event.event != "hello":
                        assert event.event == "alert.raised"
                        assert event.data["seq"] == event.id
                        seen.append(event.data["seq"])
                        after -= 1
                    if after <= 0 or seen[-1:] == [last]:
                        break
            finally:
                listener.cut()
            await asyncio.sleep(own.random() * 0.03)
        return seen

    def writer() -> None:
        for number in range(entries):
            write(services, number)
            time.sleep(chance.random() * 0.005)

    async def everyone(address: str) -> list[list[int]]:
        clients = asyncio.gather(*(client(number, address) for number in range(12)))
        writing = threading.Thread(target=writer)
        writing.start()
        try:
            return await clients
        finally:
            await asyncio.to_thread(writing.join)

    with streaming(services, callers, ring=16) as (address, _):
        assert run(everyone(address)) == [list(range(first, last + 1))] * 12


def test_it_begins_with_now_and_tells_whole_alerts(services: Services) -> None:
    callers = Callers()
    write(services, 1)
    head = services.feed.head()

    async def listen(address: str) -> list[Event]:
        listener = Listener(address, callers.add("guard"))

        def enough(got: list[Event]) -> bool:
            if len(got) == 1:
                threading.Thread(target=write, args=(services, 2)).start()
            return len(got) == 2

        return await collect(listener, enough)

    with streaming(services, callers) as (address, _):
        hello, raised = run(listen(address))
    assert (hello.event, hello.id, hello.data) == ("hello", head, {"seq": head, "head": head})
    assert (raised.event, raised.id) == ("alert.raised", head + 1)
    assert raised.data["actor"] == {"kind": "system", "name": "gatewatch"}
    assert raised.data["alert"]["alert_id"] == raised.data["subject_id"]
    assert raised.data["alert"]["severity"] == "high"


def test_a_caller_sees_its_cameras_and_what_it_asked_for(services: Services) -> None:
    callers = Callers()
    limited = callers.add("limited", cameras={"north-gate"})
    everything = callers.add("everything")
    base = services.feed.head()
    write(services, 1, "north-gate")
    write(services, 2, "south-gate")
    write(services, 3, "north-gate", severity="low")
    with services.ledger.writing() as ledger:
        ledger.journal(SYSTEM, "arming", "night", "profile", {"profile": "night"})
        ledger.journal(SYSTEM, "user", "li", "created")
    cases = {
        (limited, ""): [1, 3],
        (limited, "&camera=south-gate"): [],
        (everything, ""): [1, 2, 3, 4],
        (everything, "&camera=south-gate&camera=east"): [2],
        (everything, "&severity=high"): [1, 2],
        (everything, "&subject=arming"): [4],
    }
    with streaming(services, callers) as (address, _):
        for (token, query), expected in cases.items():
            listener = Listener(address, token, f"?last_event_id={base}&follow=false{query}")
            got = run(collect(listener, lambda _: False))
            assert [event.id - base for event in got if event.event != "hello"] == expected, (token, query)


def test_a_heartbeat_moves_the_place_on_past_what_is_not_for_the_caller(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_stream, "HEARTBEAT_S", 0.05)
    callers = Callers()
    listener_token = callers.add("limited", cameras={"north-gate"})
    base = services.feed.head()
    for number in range(5):
        write(services, number, "south-gate")

    async def listen(address: str) -> int | None:
        listener = Listener(address, listener_token, f"?last_event_id={base}")
        reading = asyncio.create_task(collect(listener, lambda _: False))
        while listener.last_id != base + 5:
            await asyncio.sleep(0.01)
        listener.cut()
        reading.cancel()
        return listener.last_id

    with streaming(services, callers) as (address, _):
        assert run(listen(address)) == base + 5


@pytest.mark.parametrize("how", ["entry", "minute"])
def test_it_ends_with_the_callers_rights(services: Services, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "minute":
        monkeypatch.setattr(routes_stream, "HEARTBEAT_S", 0.05)
        monkeypatch.setattr(routes_stream, "CHECK_S", 0.1)
    callers = Callers()
    token = callers.add("guard")

    def leave() -> None:
        del callers.known[token]
        if how == "entry":
            with services.ledger.writing() as ledger:
                ledger.journal(Actor("user", "boss"), "token", "t-guard", "revoked")
            write(services, 1)

    def enough(got: list[Event]) -> bool:
        if len(got) == 1:
            threading.Thread(target=leave).start()
        return False

    with streaming(services, callers) as (address, _):
        got = run(collect(Listener(address, token), enough))
        assert [(event.event, event.data.get("reason")) for event in got] == [("hello", None), ("bye", "access")]
        again = Listener(address, token)
        assert run(collect(again, enough)) == []
        assert again.status == 401


def test_who_reads_slowly_holds_nobody_up_and_misses_nothing(services: Services) -> None:
    callers = Callers()
    entries, base = 250, services.feed.head()

    async def both(address: str, feed: Feed) -> tuple[list[Event], list[Event], float]:
        slow = Listener(address, callers.add("slow"), f"?last_event_id={base}")
        stream = await slow.connect()
        assert stream._transport is not None
        stream._transport.pause_reading()
        quick = asyncio.create_task(
            collect(Listener(address, callers.add("quick"), f"?last_event_id={base}"), until_seq(base + entries))
        )
        await asyncio.to_thread(lambda: [write(services, number) for number in range(entries)])
        written = time.monotonic()
        got = await quick
        late_s = time.monotonic() - written
        assert len(feed._ring) <= 64
        stream._transport.resume_reading()
        return got, await collect(slow, until_seq(base + entries), stream), late_s

    with streaming(services, callers, ring=64) as (address, feed):
        quick, slow, late_s = run(both(address, feed))
    assert late_s < 5.0
    for got in (quick, slow):
        assert [event.id for event in got[1:]] == list(range(base + 1, base + entries + 1))


def test_what_retention_took_away_resets_the_client(services: Services) -> None:
    callers = Callers()
    while services.feed.head() < 6:
        write(services, services.feed.head())
    with services.ledger.writing() as ledger:
        for seq in (1, 2, 3):
            ledger.session.delete(ledger.session.get(JournalRow, seq))
        ledger.session.add(
            CheckpointRow(up_to_seq=3, hash="0" * 64, at=datetime.now(UTC), removed="{}", key_id="", signature="")
        )
    with streaming(services, callers) as (address, _):
        for after, expected in {
            1: [("hello", 1), ("reset", 6)],
            3: [("hello", 3), ("alert.raised", 4), ("alert.raised", 5), ("alert.raised", 6)],
            99: [("hello", 6), ("reset", 6)],
        }.items():
            listener = Listener(address, callers.add("guard"), f"?last_event_id={after}&follow=false")
            got = run(collect(listener, lambda _: False))
            assert [(event.event, event.id) for event in got] == expected, after
            if expected[-1][0] == "reset":
                assert got[-1].data == {"seq": 6, "reason": "removed" if after == 1 else "unknown"}


def test_streams_end_at_once_when_the_server_stops(services: Services) -> None:
    callers = Callers()

    async def listen(address: str, feed: Feed) -> list[Event]:
        def enough(_: list[Event]) -> bool:
            feed.end_streams()
            return False

        return await collect(Listener(address, callers.add("guard")), enough)

    began = time.monotonic()
    with streaming(services, callers) as (address, feed):
        got = run(listen(address, feed))
        late = Listener(address, callers.add("late"))
        assert run(collect(late, lambda _: False)) == []
        assert late.status == 503
    assert [event.event for event in got] == ["hello", "bye"]
    assert got[-1].data == {"reason": "stopping"}
    assert time.monotonic() - began < 3.0


def test_one_caller_has_so_many_streams_and_gets_them_back(services: Services) -> None:
    callers = Callers()

    async def listen(address: str, feed: Feed) -> list[int]:
        listeners = [Listener(address, callers.add("guard")) for _ in range(3)]
        for listener in listeners:
            await listener.connect()
        listeners[0].cut()
        while feed.streams() != 1:
            await asyncio.sleep(0.01)
        again = Listener(address, "guard")
        await again.connect()
        for listener in (*listeners, again):
            listener.cut()
        return [*(listener.status for listener in listeners), again.status]

    with streaming(services, callers, per_caller=2) as (address, feed):
        assert run(listen(address, feed)) == [200, 200, 429, 200]


@pytest.mark.parametrize("value", ["-1", "x", "1e3", "99999999999999999999"])
def test_a_last_event_id_that_is_none_is_refused(services: Services, value: str) -> None:
    callers = Callers()
    with streaming(services, callers) as (address, _):
        listener = Listener(address, callers.add("guard"), f"?last_event_id={value}")
        run(collect(listener, lambda _: False))
    assert listener.status == 422


def test_who_asks_for_the_head_alone_is_answered_at_once(services: Services) -> None:
    callers = Callers()

    async def ask(address: str, feed: Feed) -> bytes:
        url = urlsplit(address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        lines = ("HEAD /api/v1/stream HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {callers.add('a')}")
        writer.write("\r\n".join((*lines, "Connection: close", "", "")).encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.transport.abort()
        while feed.streams():
            await asyncio.sleep(0.01)
        return answer

    with streaming(services, callers) as (address, feed):
        answer = run(ask(address, feed))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"text/event-stream" in answer
    assert answer.endswith(b"\r\n\r\n")
