"""The stream as a WebSocket: the same messages, the same resume, and who may listen."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api.access.authenticate import COOKIE
from api.app import create_app
from api.services import Services
from tests.api.kit import token_for
from tests.api.scenes import Site, serving
from tests.api.stream.test_stream import write

EVIL = "http://evil.test"


@contextmanager
def served(services: Services) -> Iterator[str]:
    with serving(create_app(services, site=Site(), version="1")) as address:
        yield f"ws{address.removeprefix('http')}api/v1/stream/ws"
        services.feed.end_streams()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def next_of(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(10))
    return message


def closed(socket: ClientConnection) -> int:
    try:
        while True:
            socket.recv(10)
    except ConnectionClosed as error:
        return 0 if error.rcvd is None else error.rcvd.code


def test_it_says_what_the_event_stream_says_and_goes_on_where_it_was(services: Services) -> None:
    token = token_for(services, "guard")
    with served(services) as address:
        with connect(address, additional_headers=bearer(token)) as socket:
            hello = next_of(socket)
            write(services, 1)
            raised = next_of(socket)
        write(services, 2)
        with connect(f"{address}?last_event_id={raised['id']}", additional_headers=bearer(token)) as socket:
            again, second = next_of(socket), next_of(socket)
            services.feed.end_streams()
            bye = next_of(socket)
            assert closed(socket) == 1001
    assert (hello["event"], raised["event"], raised["id"]) == ("hello", "alert.raised", hello["id"] + 1)
    assert raised["data"]["alert"]["alert_id"] == raised["data"]["subject_id"]
    assert (again["event"], again["id"]) == ("hello", raised["id"])
    assert (second["event"], second["id"]) == ("alert.raised", raised["id"] + 1)
    assert bye == {"id": None, "event": "bye", "data": {"reason": "stopping"}}


def test_cut_off_again_and_again_it_misses_nothing(services: Services) -> None:
    token, entries = token_for(services, "guard"), 60
    first = services.feed.head() + 1

    def client(address: str, seed: int, seen: list[int]) -> None:
        chance = random.Random(seed)
        while seen[-1:] != [first + entries - 1]:
            query = f"?last_event_id={seen[-1] if seen else first - 1}"
            with connect(address + query, additional_headers=bearer(token)) as socket:
                for _ in range(chance.randrange(1, 20)):
                    message = next_of(socket)
                    if message["event"] == "alert.raised":
                        seen.append(message["id"])
                    if seen[-1:] == [first + entries - 1]:
                        break
                socket.socket.shutdown(SHUT_RDWR)

    with served(services) as address:
        seen: list[list[int]] = [[] for _ in range(4)]
        clients = [threading.Thread(target=client, args=(address, seed, got)) for seed, got in enumerate(seen)]
        for thread in clients:
            thread.start()
        for number in range(entries):
            write(services, number)
        for thread in clients:
            thread.join(30)
    assert seen == [list(range(first, first + entries))] * 4


def test_a_program_may_say_its_token_first(services: Services) -> None:
    token = token_for(services, "guard")
    with served(services) as address:
        for said, expected in {json.dumps({"token": token}): None, '{"token": "gw_a_b"}': 4401, "[]": 4401}.items():
            with connect(address) as socket:
                socket.send(said)
                assert (next_of(socket)["event"] == "hello") if expected is None else (closed(socket) == expected)


def test_who_may_not_listen_is_told_by_the_close_code(services: Services) -> None:
    integrator = token_for(services, "integrator", permissions=["cameras.read"])
    with served(services) as address:
        for headers, code in (
            (bearer(integrator), 4403),
            (bearer("gw_unknown_secret"), 4401),
            ({"Cookie": f"{COOKIE}=none"}, 4401),
        ):
            with connect(address, additional_headers=headers) as socket:
                assert closed(socket) == code, headers
        with connect(f"{address}?last_event_id=99", additional_headers=bearer(token_for(services, "guard"))) as socket:
            assert [next_of(socket)["event"] for _ in range(2)] == ["hello", "reset"]


def test_parameters_that_there_are_not_are_refused_at_the_handshake(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    headers = bearer(token_for(services, "guard"))
    with served(services) as address:
        for query, status in (("kamera=gate", 422), ("last_event_id=x", 422)):
            with pytest.raises(InvalidStatus) as refused, connect(f"{address}?{query}", additional_headers=headers):
                pass
            assert refused.value.response.status_code == status
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_browser_may_listen_from_our_own_page_only(services: Services) -> None:
    login = services.accounts.demo_login()
    secret = services.accounts.sessions.log_in("admin", login, None).secret
    with served(services) as address:
        own = "http://" + address.removeprefix("ws://").partition("/")[0]
        cookie = {"Cookie": f"{COOKIE}={secret}"}
        with connect(address, additional_headers=cookie | {"Origin": own}) as socket:
            assert next_of(socket)["event"] == "hello"
        with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=cookie | {"Origin": EVIL}):
            pass
        assert refused.value.response.status_code == 403
        with connect(address, additional_headers=cookie) as socket:  # A browser always says where a page comes from.
            assert closed(socket) == 4403


def test_it_ends_when_the_token_is_revoked(services: Services) -> None:
    token = token_for(services, "guard")
    with served(services) as address, connect(address, additional_headers=bearer(token)) as socket:
        assert next_of(socket)["event"] == "hello"
        revoke = threading.Thread(target=_revoke, args=(services, token.split("_")[1]))
        revoke.start()
        assert next_of(socket)["data"] == {"reason": "access"}
        assert closed(socket) == 4401
        revoke.join()


def _revoke(services: Services, token_id: str) -> None:
    from api.journal import SYSTEM

    services.accounts.tokens.revoke(token_id, actor=SYSTEM, owner=None)
