"""What a receiver sees: signed messages, in order, again after failures, and never lost."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from api.delivery import Timings
from api.errors import ConflictError
from api.journal import Actor
from api.posting import Limits, retry_after_s
from api.services import Services, open_services
from api.storage.ledger import entries_after
from api.webhooks import Delivery, Webhook
from tests.api.scenes import make_event
from tests.api.webhooks.kit import ADMIN, WANG, Received, Receiver, hook, is_genuine, quick, receiver

LI = Actor("user", "li", "192.0.2.44")


def raise_alerts(services: Services, number: int, first: int = 1) -> list[str]:
    return [services.desk.take(make_event(n, 1000.0 * n)).alert_id for n in range(first, first + number)]


def until(services: Services, webhook_id: str, **expected: object) -> Webhook:
    """The webhook once it is as expected; what is awaited is the database's state, which tells nobody."""
    deadline = time.monotonic() + 10
    while True:
        found = services.webhooks.get(webhook_id, ADMIN)
        if all(getattr(found, name) == value for name, value in expected.items()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def first_delivery(services: Services, webhook_id: str) -> Delivery:
    """The first attempt, once it is on record."""
    deadline = time.monotonic() + 10
    while not (found := services.webhooks.deliveries(webhook_id, ADMIN, before=None, limit=200)[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found[-1]


def test_an_alert_reaches_its_target_signed_with_all_that_a_receiver_needs(sending: Services, target: Receiver) -> None:
    made, secret = hook(sending, f"{target.url}?site=1", "alert.raised")
    (alert_id,) = raise_alerts(sending, 1)
    (one,) = target.wait(1)
    assert one.path == "/hook?site=1"
    assert is_genuine(secret, one, time.time())
    assert not is_genuine(secret + "x", one, time.time())
    said = one.json
    assert said["id"] == one.message_id
    assert (said["topic"], said["subject_id"], said["camera"]) == ("alert.raised", alert_id, "north-gate")
    assert said["actor"] == {"kind": "system", "name": "gatewatch"}
    assert said["alert"]["severity"] == "high"
    assert said["alert"]["state"] == "new"
    assert said["links"]["alert"] == f"/api/v1/alerts/{alert_id}"
    with sending.ledger.reading() as session:
        entry = next(e for e in entries_after(session, 0, 100) if e.seq == said["seq"])
    assert (entry.hash, entry.action) == (said["hash"], "raised")
    until(sending, made.webhook_id, pending=0)
    (delivery,) = sending.webhooks.deliveries(made.webhook_id, ADMIN, before=None, limit=10)[0]
    assert (delivery.status, delivery.error, delivery.message_id) == (204, None, one.message_id)
    assert delivery.duration_s > 0


def test_only_wanted_topics_of_known_cameras_are_told_and_nobody_learns_where_guards_sit(
    sending: Services, target: Receiver
) -> None:
    hook(sending, target.url, "alert.raised", "incident.*", cameras=["gate-2"])
    raise_alerts(sending, 2)
    sending.desk.take(make_event(3, camera="gate-2"))
    (one,) = target.wait(1)
    assert one.json["camera"] == "gate-2"
    with receiver() as other:
        hook(sending, other.url, "alert.seen")
        sending.desk.act("alert.gate-2.lawn-loitering.000003", "seen", actor=LI)
        (seen,) = other.wait(1)
    assert seen.json["actor"] == {"kind": "user", "name": "li"}
    assert b"192.0.2" not in seen.body
    assert len(target.got) == 1


def test_messages_keep_their_order_and_one_that_is_refused_holds_up_no_other(sending: Services) -> None:
    refused: list[str] = []

    def reply(one: Received, _: BaseHTTPRequestHandler) -> int:
        if not refused or (refused == [one.message_id] and len(served.got) < 5):
            refused[:] = [one.message_id]
            return 422
        return 200

    with receiver(reply) as served:
        made, _ = hook(sending, served.url, "alert.raised")
        raise_alerts(sending, 5)
        until(sending, made.webhook_id, pending=0)
        first = [one.json["seq"] for one in served.got if one.message_id not in refused]
        assert first == sorted(first)
        assert len(first) == 4
        assert served.got[0].message_id in refused
        assert [one.message_id for one in served.got].count(refused[0]) >= 2


def test_while_a_target_is_down_all_wait_and_then_come_in_order(sending: Services) -> None:
    down = True

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        return 503 if down else 200

    with receiver(reply) as served:
        made, _ = hook(sending, served.url, "alert.raised")
        ids = raise_alerts(sending, 4)
        tried = served.wait(3)
        assert {one.json["subject_id"] for one in tried} == {ids[0]}
        assert len({one.message_id for one in tried}) == 1
        down = False
        until(sending, made.webhook_id, pending=0, failures=0, held_until=None)
        delivered = [one.json["subject_id"] for one in served.got[len(tried) :]]
        assert [one for n, one in enumerate(delivered) if one not in delivered[:n]] == ids
        counted = [one.attempts for one in sending.webhooks.messages(
            made.webhook_id, ADMIN, state="delivered", before=None, limit=10)[0]]  # fmt: skip
        assert counted[:3] == [1, 1, 1]
        assert counted[3] >= 4


def test_a_slow_target_holds_up_nobody_else(sending: Services, target: Receiver) -> None:
    answer = threading.Event()

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        answer.wait(10)
        return 200

    with receiver(reply) as slow:
        held, _ = hook(sending, slow.url, "alert.raised")
        hook(sending, target.url, "alert.raised")
        began = time.monotonic()
        raise_alerts(sending, 20)
        target.wait(20)
        assert time.monotonic() - began < 5
        last = first_delivery(sending, held.webhook_id)
        assert (last.status, last.error) == (None, "No answer in time.")
        assert sending.webhooks.get(held.webhook_id, ADMIN).pending == 20
        answer.set()


def test_what_a_target_answers_is_neither_followed_nor_kept(sending: Services, target: Receiver) -> None:
    def redirect(_: Received, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("location", target.url)
        handler.send_header("content-length", "0")
        handler.end_headers()

    def huge(_: Received, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"PRIVATE" * 10_000)

    def long_head(_: Received, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Long: PRIVATE\r\n" * 20_000)

    def rubbish(_: Received, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 PRIVATE mail server\r\n")

    said = []
    for reply in (redirect, huge, long_head, rubbish):
        with receiver(reply) as served:
            made, _ = hook(sending, served.url, "alert.raised")
            raise_alerts(sending, 1, first=100 + len(said))
            found = first_delivery(sending, made.webhook_id)
            said.append((found.status, found.error))
            sending.webhooks.remove(made.webhook_id, ADMIN, WANG, None)
    assert said == [
        (307, "The target answered 307."),
        (200, None),
        (None, "The answer was not HTTP, or its head was too long."),
        (None, "The answer was not HTTP, or its head was too long."),
    ]
    assert not target.got


def test_a_target_that_is_gone_is_told_nothing_more_until_somebody_enables_it(sending: Services) -> None:
    gone = True

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        return 410 if gone else 200

    with receiver(reply) as served:
        made, _ = hook(sending, served.url, "alert.raised")
        raise_alerts(sending, 1)
        found = until(sending, made.webhook_id, enabled=False)
        assert (found.disabled_why, found.dead, found.version) == ("gone", 1, 2)
        with sending.ledger.reading() as session:
            last = entries_after(session, 0, 100)[-1]
        assert (last.subject, last.action, last.body["why"], last.actor.name) == (
            "webhook", "changed", "gone", "gatewatch",
        )  # fmt: skip
        raise_alerts(sending, 1, first=2)
        assert len(served.got) == 1
        with pytest.raises(ConflictError, match="disabled"):
            sending.webhooks.test(made.webhook_id, ADMIN, WANG)
        gone = False
        sending.webhooks.change(made.webhook_id, ADMIN, WANG, {"enabled": True}, 2)
        assert sending.webhooks.replay(made.webhook_id, ADMIN, WANG) == 1
        until(sending, made.webhook_id, pending=0, dead=0)
        assert served.got[1].message_id == served.got[0].message_id


def test_dead_letters_are_listed_and_replayed_under_the_same_id(database: str, media: Path) -> None:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    status = 500

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        return status

    with (
        receiver(reply) as served,
        open_services(database, media_dir=media, sending=quick(), now=lambda: moment) as services,
    ):
        made, _ = hook(services, served.url, "alert.raised")
        raise_alerts(services, 3)
        services.webhooks.start()
        served.wait(3)
        until(services, made.webhook_id, failures=3, pending=3)
        moment += timedelta(hours=25)
        services.webhooks.sender.wake(None)
        until(services, made.webhook_id, pending=0, dead=3)
        dead, more = services.webhooks.messages(made.webhook_id, ADMIN, state="dead", before=None, limit=2)
        assert more is not None
        assert [one.last_error for one in dead] == ["The target answered 500."] * 2
        status = 200
        known = {one.message_id for one in served.got}
        assert services.webhooks.replay(made.webhook_id, ADMIN, WANG, dead[0].message_id) == 1
        until(services, made.webhook_id, pending=0, dead=2)
        assert services.webhooks.replay(made.webhook_id, ADMIN, WANG) == 2
        until(services, made.webhook_id, pending=0, dead=0)
        assert {one.message_id for one in served.got} == known
        with services.ledger.reading() as session:
            actions = [e.action for e in entries_after(session, 0, 100) if e.subject == "webhook"]
        assert actions == ["created", "replayed", "replayed"]


def test_both_secrets_hold_for_a_day_after_a_rotation(database: str, media: Path, target: Receiver) -> None:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with open_services(database, media_dir=media, sending=quick(), now=lambda: moment) as services:
        services.webhooks.start()
        made, old = hook(services, target.url, "alert.raised")
        rotated, new = services.webhooks.rotate(made.webhook_id, ADMIN, WANG, 1)
        assert new != old
        assert rotated.previous_secret_until == moment + timedelta(hours=24)
        raise_alerts(services, 1)
        (one,) = target.wait(1)
        assert is_genuine(old, one, moment.timestamp())
        assert is_genuine(new, one, moment.timestamp())
        until(services, made.webhook_id, pending=0)
        moment += timedelta(hours=24, seconds=1)
        raise_alerts(services, 1, first=2)
        _, later = target.wait(2)
        assert is_genuine(new, later, moment.timestamp())
        assert not is_genuine(old, later, moment.timestamp())


def test_what_is_written_before_the_sender_starts_is_sent_when_it_does(services: Services, target: Receiver) -> None:
    hook(services, target.url, "alert.raised")
    ids = raise_alerts(services, 3)
    services.webhooks.start()
    assert [one.json["subject_id"] for one in target.wait(3)] == ids


def test_without_webhooks_nothing_is_written_to_the_outbox_and_no_question_asked(services: Services) -> None:
    raise_alerts(services, 2)
    assert services.webhooks.counts() == {}


def test_a_target_is_told_of_a_transaction_only_if_it_was_kept(sending: Services, target: Receiver) -> None:
    hook(sending, target.url, "alert.raised", "arming.profile")

    class BrokenError(Exception):
        pass

    with pytest.raises(BrokenError), sending.ledger.writing() as write:  # noqa: PT012 - what is undone must be done first
        write.journal(WANG, "arming", "site", "profile", {"profile": "night"})
        raise BrokenError
    raise_alerts(sending, 1)
    (one,) = target.wait(1)
    assert one.json["topic"] == "alert.raised"


def test_a_test_message_says_so(sending: Services, target: Receiver) -> None:
    made, secret = hook(sending, target.url, "incident.opened")
    message_id = sending.webhooks.test(made.webhook_id, ADMIN, WANG)
    (one,) = target.wait(1)
    assert (one.message_id, one.json["topic"]) == (message_id, "webhook.test")
    assert is_genuine(secret, one, time.time())


@pytest.mark.parametrize(
    ("said", "expected"),
    [(None, None), ("120", 120.0), ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0), ("soon", None), ("9" * 40, None),
     ("Sun, 01 Mar 2020 12:01:00 GMT", 0.0), ("-5", None)],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds_or_a_date(said: str | None, expected: float | None) -> None:
    assert retry_after_s(said, datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()) == expected


def test_a_target_that_says_when_to_come_again_is_left_alone_until_then(sending: Services) -> None:
    def reply(_: Received, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(429)
        handler.send_header("retry-after", "1800")
        handler.send_header("content-length", "0")
        handler.end_headers()

    with receiver(reply) as served:
        made, _ = hook(sending, served.url, "alert.raised")
        raise_alerts(sending, 2)
        found = until(sending, made.webhook_id, failures=1)
        assert found.held_until is not None
        assert timedelta(minutes=29) < found.held_until - datetime.now(UTC) <= timedelta(minutes=30)
        assert len(served.got) == 1


def test_waits_double_up_to_an_hour_and_are_scattered() -> None:
    timings = Timings()
    assert [timings.wait_s(n, 0.5) for n in (1, 2, 3, 9, 10, 40)] == [10.0, 20.0, 40.0, 2560.0, 3600.0, 3600.0]
    assert (timings.wait_s(1, 0.0), timings.wait_s(1, 1.0)) == (8.0, 12.0)


def test_what_is_done_with_is_forgotten_after_a_month(database: str, media: Path, target: Receiver) -> None:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with open_services(database, media_dir=media, sending=quick(), now=lambda: moment) as services:
        made, _ = hook(services, target.url, "alert.raised")
        raise_alerts(services, 2)
        services.webhooks.start()
        until(services, made.webhook_id, pending=0)
        moment += timedelta(days=29)
        raise_alerts(services, 1, first=3)
        until(services, made.webhook_id, pending=0)
    moment += timedelta(days=2)
    with open_services(database, media_dir=media, sending=quick(), now=lambda: moment) as services:
        services.webhooks.start()
        deadline = time.monotonic() + 10
        while len(left := services.webhooks.messages(made.webhook_id, ADMIN, state=None, before=None, limit=9)[0]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert [one.body for one in left] == [target.got[2].body.decode()]
        assert len(services.webhooks.deliveries(made.webhook_id, ADMIN, before=None, limit=9)[0]) == 1


def test_whoever_mends_a_target_does_not_wait_for_the_next_try(database: str, media: Path, target: Receiver) -> None:
    patient = quick(timings=Timings(first_s=600.0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with open_services(database, media_dir=media, sending=patient) as services:
        services.webhooks.start()
        made, _ = hook(services, closed, "alert.raised")
        ids = raise_alerts(services, 3)
        down = until(services, made.webhook_id, failures=1, pending=3)
        assert first_delivery(services, made.webhook_id).error == "The target cannot be reached: Connection refused."
        assert down.held_until is not None
        services.webhooks.change(made.webhook_id, ADMIN, WANG, {"url": target.url}, 1)
        assert [one.json["subject_id"] for one in target.wait(3)] == ids


def test_a_stop_waits_for_the_message_that_is_on_its_way(database: str, media: Path) -> None:
    came, answer = threading.Event(), threading.Event()

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        came.set()
        answer.wait(10)
        return 200

    patient = quick(limits=Limits(5.0, 5.0, 0.1))
    with receiver(reply) as served:
        with open_services(database, media_dir=media, sending=patient) as services:
            made, _ = hook(services, served.url, "alert.raised")
            raise_alerts(services, 2)
            services.webhooks.start()
            assert came.wait(10)
            closing = threading.Thread(target=services.webhooks.close)
            closing.start()
            answer.set()
            closing.join()
            assert services.webhooks.get(made.webhook_id, ADMIN).pending == 1
        with open_services(database, media_dir=media, sending=patient) as services:
            services.webhooks.start()
            first, second = served.wait(2)
            until(services, made.webhook_id, pending=0)
        assert len(served.got) == 2
        assert first.message_id != second.message_id
