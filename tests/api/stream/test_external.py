"""Events from outside: who may send them, how often, and what they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.access.limits import UNLIMITED
from api.app import create_app
from api.errors import UnavailableError
from api.external import Effect, Source, signed
from api.journal import SYSTEM
from api.services import Services, open_services
from api.storage.ledger import entries_after
from api.storage.retention import remove_alerts
from api.storage.store import find
from tests.api.journal.lives import audit_of, raw, sql
from tests.api.kit import ADDRESS, token_for
from tests.api.scenes import Site
from tests.api.stream.test_arming import PLAN

SECRET = "sixteen characters"
JSON = {"content-type": "application/json"}
SOURCE = Source(
    "panel",
    SECRET,
    {
        "panic_button": Effect("alert", "critical", "gate"),
        "fire_panel": Effect("alert", "critical"),
        "barrier_opened": Effect("authorise", camera="gate", target="kerb"),
        "guard_left": Effect("profile", profile="night"),
        "gate_off": Effect("disarm", camera="gate", target="road"),
        "test": Effect("nothing"),
    },
)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(database: str, media: Path, clock: Clock) -> Iterator[Services]:
    with open_services(database, media_dir=media, arming=PLAN, sources={"panel": SOURCE}, now=clock) as opened:
        yield opened


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = create_app(services, site=Site(), version="1", limits=UNLIMITED)
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as opened:
        yield opened


NOON = "2026-03-01T12:00:00Z"
UNTIMELY = "at: expected a moment at most 24 h ago and at most 60 s ahead, found "


def send(client: TestClient, clock: Clock, kind: str, event_id: str = "1", **more: Any) -> Any:
    body = json.dumps({"kind": kind, "event_id": event_id, **more}).encode()
    return post(client, body, str(int(clock.now.timestamp())))


def post(
    client: TestClient, body: bytes, timestamp: str | None, signature: str | None = None, source: str = "panel"
) -> Any:
    if signature is None and timestamp is not None:
        signature = f"sha256={signed(SECRET, timestamp, body)}"
    headers = {
        "content-type": "application/json",
        "x-gatewatch-timestamp": timestamp,
        "x-gatewatch-signature": signature,
    }
    return client.post(
        f"/api/v1/external/{source}",
        content=body,
        headers={key: value for key, value in headers.items() if value is not None},
    )


def journal(services: Services, action: str) -> list[dict[str, Any]]:
    with services.ledger.reading() as session:
        entries = entries_after(session, 0, 1000, subjects=["external"])
    return [{"id": one.subject_id, "by": one.actor.name, **one.body} for one in entries if one.action == action]


def test_only_what_is_signed_now_with_the_secret_is_believed(
    client: TestClient, clock: Clock, services: Services
) -> None:
    body = b'{"kind": "test", "event_id": "1"}'
    now = int(clock.now.timestamp())
    right = f"sha256={signed(SECRET, str(now), body)}"
    assert post(client, body, str(now + 300)).status_code == 202
    tries = {
        "another secret": post(client, body, str(now), f"sha256={signed('another secret', str(now), body)}"),
        "another body": post(client, body + b" ", str(now), right),
        "another time": post(client, body, str(now + 1), right),
        "too old": post(client, body, str(now - 301)),
        "too new": post(client, body, str(now + 301)),
        "no signature": client.post("/api/v1/external/panel", content=body, headers=JSON),
        "no time": post(client, body, None, right),
        "no number": post(client, body, "now"),
        "unknown source": post(client, body, str(now), right, source="panels"),
        "the secret of nobody": post(client, body, str(now), f"sha256={signed('unknown', str(now), body)}", source="x"),
        "nonsense": post(client, body, str(now), "sha256=zz"),
    }
    answers = {name: (answer.status_code, answer.content) for name, answer in tries.items()}
    assert set(answers.values()) == {(401, tries["too old"].content)}, answers
    # Each kind of refusal is counted, but the journal is not filled by strangers.
    assert len(journal(services, "refused")) == 2
    clock.now += timedelta(minutes=2)
    post(client, body, "1")
    assert journal(services, "refused")[-1]["counts"] == {"signature": 5, "timestamp": 4}


def test_what_comes_again_does_nothing_again(client: TestClient, clock: Clock, services: Services) -> None:
    first, second = (send(client, clock, "fire_panel") for _ in range(2))
    assert (first.status_code, first.json()["did"], first.json()["duplicate"]) == (202, "alert", False)
    assert first.json()["alert_id"] == services.desk.list().records[0].alert.alert_id
    assert (second.status_code, second.json()) == (202, first.json() | {"duplicate": True})
    other = [send(client, clock, "guard_left", "2").json() for _ in range(2)]
    assert other[1] == other[0] | {"duplicate": True} == {
        "accepted": True, "duplicate": True, "did": "profile", "alert_id": None, "at": NOON, "at_replaced": False,
    }  # fmt: skip
    assert sum(services.desk.counts().values()) == 1
    assert len(journal(services, "received")) == 2


def test_the_id_of_another_event_is_refused(client: TestClient, clock: Clock, services: Services) -> None:
    first = send(client, clock, "fire_panel", text="Hall").json()
    clock.now += timedelta(seconds=1)
    for kind, more in (("fire_panel", {"text": "Roof"}), ("fire_panel", {}), ("panic_button", {"text": "Hall"})):
        answer = send(client, clock, kind, **more)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "conflict")
        assert error["details"] == {
            "where": "event_id", "expected": {"kind": "fire_panel", "text": "Hall"},
            "found": {"kind": kind, "text": more.get("text")},
        }  # fmt: skip
    assert error["message"] == (
        'event_id: 1 is the id of another event that was taken before: expected fire_panel with the text "Hall", '
        'found panic_button with the text "Hall".'
    )
    assert sum(services.desk.counts().values()) == 1
    again = send(client, clock, "fire_panel", text="Hall", at="2026-03-01T12:00:01Z")
    assert again.json() == first | {"duplicate": True, "at_replaced": True}, "a resent event may bear another moment"


def test_what_joined_an_alert_names_it_when_it_comes_again(
    client: TestClient, clock: Clock, services: Services
) -> None:
    raised, joined = (send(client, clock, "fire_panel", number).json() for number in "12")
    assert joined["alert_id"] == raised["alert_id"]
    assert send(client, clock, "fire_panel", "2").json() == joined | {"duplicate": True}
    with services.ledger.writing() as write:
        alert = find(write.session, raised["alert_id"])
        assert alert is not None
        remove_alerts(write.session, [alert.seq])
    assert send(client, clock, "fire_panel", "2").json() == joined | {"duplicate": True, "alert_id": None}


def test_what_a_source_said_is_found_and_vouched_for(
    client: TestClient, clock: Clock, services: Services, database: str, media: Path
) -> None:
    client.headers["authorization"] = f"Bearer {token_for(services, 'guard')}"

    def found() -> list[str]:
        answer = client.get("/api/v1/alerts", params={"text": "ＺEBRA"})
        return [one["alert_id"] for one in answer.json()["items"]]

    zebra = send(client, clock, "panic_button", text="unique-Zebra").json()["alert_id"]
    assert send(client, clock, "panic_button", "2", text="unique-Zebra").json()["alert_id"] == zebra
    send(client, clock, "panic_button", "3", text="lion")
    assert found() == [zebra]
    notes = client.get(f"/api/v1/alerts/{zebra}").json()["notes"]
    assert [(note["actor"], note["action"], note["text"]) for note in notes] == [("panel", "raised", "unique-Zebra")]
    report = audit_of(database, media)
    assert report.intact, report.findings
    with raw(database) as connection:
        sql(connection, "UPDATE alert_note SET folded = 'a horse' WHERE folded LIKE '%zebra'")
    assert ["the search finds it by other notes" in one.message for one in audit_of(database, media).findings] == [True]
    with services.ledger.writing() as write:
        alert = find(write.session, zebra)
        assert alert is not None
        remove_alerts(write.session, [alert.seq])
    with raw(database) as connection:
        assert [row[0] for row in sql(connection, "SELECT folded FROM alert_note")] == ["lion"]


def test_each_kind_does_what_the_site_file_says(client: TestClient, clock: Clock, services: Services) -> None:
    passed: list[tuple[str, str, datetime]] = []
    shown: list[tuple[str, str | None]] = []
    services.external.authorise = lambda *one: passed.append(one)
    services.external.on_alert = lambda alert, event, _at: shown.append((alert.alert_id, event.camera))
    at = "2026-03-01T19:59:00+08:00"
    assert send(client, clock, "barrier_opened", at=at).json()["did"] == "authorise"
    assert passed == [("gate", "kerb", datetime(2026, 3, 1, 11, 59, tzinfo=UTC))]
    assert send(client, clock, "gate_off", "2").status_code == 202
    assert services.arming.disarmed() == {("gate", "road")}
    assert send(client, clock, "guard_left", "3").status_code == 202
    assert (services.arming.state.profile.name, services.arming.state.set_by) == ("night", "panel")
    assert send(client, clock, "guard_left", "4").status_code == 202  # It is night already: nothing is reset.
    assert services.arming.state.version == 3
    services.arming.set_profile("drill", actor=SYSTEM, expected_version=None)
    raised = send(client, clock, "panic_button", "5", text="Desk 2").json()
    alert = services.desk.get(raised["alert_id"]).alert
    assert (alert.camera, alert.severity, alert.drill) == ("gate", "critical", True)
    assert shown == [(alert.alert_id, "gate")]
    assert [one["do"] for one in journal(services, "received")] == [
        "authorise", "disarm", "profile", "profile", "alert",
    ]  # fmt: skip


@pytest.mark.parametrize("at", ["2001-01-01T08:00:00+08:00", "2026-03-01T12:01:01Z", "0001-01-01T00:00:00Z"])
def test_a_panic_button_with_a_wrong_clock_is_a_panic_button(
    client: TestClient, clock: Clock, services: Services, at: str
) -> None:
    late = send(client, clock, "panic_button", "0", at="2026-02-28T12:00:01Z").json()
    assert (late["at"], late["at_replaced"]) == ("2026-02-28T12:00:01Z", False)
    taken = send(client, clock, "panic_button", at=at).json()
    assert (taken["at"], taken["at_replaced"]) == (NOON, True)
    clock.now += timedelta(hours=1)
    assert send(client, clock, "panic_button", at=at).json() == taken | {"duplicate": True}
    given = datetime.fromisoformat(at)
    received = journal(services, "received")[-1]
    assert datetime.fromisoformat(received["at"]) == clock.now - timedelta(hours=1)
    assert datetime.fromisoformat(received["at_given"]) == given
    client.headers["authorization"] = f"Bearer {token_for(services, 'guard')}"
    alert = client.get(f"/api/v1/alerts/{taken['alert_id']}").json()
    assert datetime.fromisoformat(alert["raised_at"]) == datetime.fromisoformat(NOON)
    assert datetime.fromisoformat(alert["events"][0]["at_given"]) == given
    shown = client.get("/api/v1/alerts").json()["items"]
    assert [one["alert_id"] for one in shown] == [taken["alert_id"], late["alert_id"]]


def test_what_could_not_be_done_can_be_sent_again(client: TestClient, clock: Clock, services: Services) -> None:
    assert send(client, clock, "barrier_opened").status_code == 503
    services.external.authorise = lambda *_: None
    assert send(client, clock, "barrier_opened").json() == {
        "accepted": True, "duplicate": False, "did": "authorise", "alert_id": None, "at": NOON, "at_replaced": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "word"),
    [
        ({"kind": "flood", "event_id": "1"}, "kind: expected one that the site file names"),
        ({"kind": "test", "event_id": "1", "at": "2026-03-01T12:02:00Z"}, f"{UNTIMELY}2026-03-01T12:02:00+00:00"),
        ({"kind": "test", "event_id": "1", "at": "2001-01-01T00:00:00Z"}, f"{UNTIMELY}2001-01-01T00:00:00+00:00"),
        ({"kind": "test", "event_id": "1", "at": "2026-03-01T12:00:00"}, "body.at:"),
        ({"kind": "test", "event_id": ""}, "body.event_id:"),
        ({"kind": "test", "event_id": "1", "camera": "gate"}, "body.camera: Extra inputs"),
        ({"kind": "test"}, "body.event_id: Field required"),
    ],
)
def test_what_is_signed_but_wrong_is_explained(
    client: TestClient, clock: Clock, event: dict[str, Any], word: str
) -> None:
    answer = post(client, json.dumps(event).encode(), str(int(clock.now.timestamp())))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert answer.json()["error"]["message"].startswith(word)


def test_a_busy_database_is_no_refusal(
    client: TestClient, clock: Clock, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any, **__: Any) -> Any:
        raise UnavailableError("The database cannot be used now.")

    monkeypatch.setattr(services.external, "take", busy)
    assert send(client, clock, "test").status_code == 503
