"""Who sees and changes what of an incident of several cameras: the same by its address, in lists, live, by webhook."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from api.app import create_app
from api.services import Services
from api.storage.ledger import head_of
from api.storage.tables_messages import OutboxRow, WebhookRow
from tests.api.kit import client_as
from tests.api.scenes import Site, make_event
from tests.api.test_http import refused
from tests.api.webhooks.kit import hook

INCIDENTS = "/api/v1/incidents"
SCOPES = {
    "all": None, "north": ["north"], "south": ["south"], "both": ["north", "south"], "elsewhere": ["east"],
}  # fmt: skip
STEPS = ("add north", "add south", "add nowhere", "take out", "note", "rename", "close", "reopen")


@dataclass
class Room:
    """Somebody of each scope, and a webhook of each."""

    services: Services
    clients: dict[str, TestClient]
    hooks: dict[str, int]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def alert(self, place: str) -> str:
        number = next(self.numbers)
        camera = "" if place == "nowhere" else place
        return self.services.desk.take(make_event(number, 1000.0 * number, camera=camera)).alert_id

    def heard(self, scope: str, after: int) -> dict[int, dict[str, Any]]:
        """What the stream says of incidents, by number."""
        answer = self.clients[scope].get(
            "/api/v1/stream", params={"follow": "false", "last_event_id": after, "subject": "incident"}
        )
        data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith('data: {"seq"')]
        return {one["seq"]: one for one in data if "subject" in one}

    def told(self, scope: str, after: int) -> dict[int, dict[str, Any]]:
        """The same of messages for a webhook."""
        wanted = select(OutboxRow.body).where(OutboxRow.webhook_seq == self.hooks[scope], OutboxRow.journal_seq > after)
        with self.services.ledger.reading() as session:
            return {one["seq"]: one for one in map(json.loads, session.scalars(wanted))}


@pytest.fixture
def room(services: Services) -> Room:
    app: FastAPI = create_app(services, site=Site(), version="1")
    clients = {name: client_as(app, services, "supervisor", cameras) for name, cameras in SCOPES.items()}
    hooks = {}
    for name, cameras in SCOPES.items():
        made, _ = hook(services, "https://93.184.215.14/hook", "incident.*", cameras=cameras)
        with services.ledger.reading() as session:
            hooks[name] = session.scalars(select(WebhookRow.seq).filter_by(webhook_id=made.webhook_id)).one()
    return Room(services, clients, hooks)


@dataclass
class Story:
    """What happened, told without the product's code."""

    held: list[tuple[str, str]]
    """(alert, place)."""
    entries: list[tuple[int, frozenset[str], str | None]] = field(default_factory=list)
    """(number, places of what it held before or after, note)."""
    open: bool = True


def sees_some(scope: str, places: frozenset[str]) -> bool:
    cameras = SCOPES[scope]
    return cameras is None or not places.isdisjoint(cameras)


def sees_all(scope: str, places: frozenset[str]) -> bool:
    cameras = SCOPES[scope]
    return cameras is None or places.issubset(cameras)


def play(room: Room, first: list[str], steps: list[str]) -> tuple[str, Story]:
    boss = room.clients["all"]
    story = Story([(room.alert(place), place) for place in first])
    made = boss.post(
        INCIDENTS, json={"title": "T", "alert_ids": [alert for alert, _ in story.held], "note": "said 0"}
    ).json()
    path = f"{INCIDENTS}/{made['incident_id']}"

    def kept(before: list[tuple[str, str]], note: str | None) -> None:
        with room.services.ledger.reading() as session:
            head = head_of(session)[0]
        if not story.entries or story.entries[-1][0] != head:
            story.entries.append((head, frozenset(place for _, place in [*before, *story.held]), note))

    kept([], "said 0")
    for number, step in enumerate(steps, start=1):
        before, note = list(story.held), None
        version = {"version": boss.get(path).json()["version"]}
        if step.startswith("add") and story.open:
            place = step.removeprefix("add ")
            story.held.append((room.alert(place), place))
            answer = boss.post(f"{path}/alerts", json={"alert_ids": [story.held[-1][0]], **version})
        elif step == "take out" and story.open and len(story.held) > 1:
            alert, _ = story.held.pop(0)
            answer = boss.delete(f"{path}/alerts/{alert}", params=version)
        elif step == "note":
            note = f"said {number}"
            answer = boss.post(f"{path}/notes", json={"note": note})
        elif step == "rename":
            answer = boss.patch(path, json={"title": f"T {number}", **version})
        elif step == "close" if story.open else step == "reopen":
            note, story.open = f"said {number}", not story.open
            answer = boss.post(f"{path}/{step}", json={"note": note, **version})
        else:
            continue
        assert answer.status_code == 200, answer.text
        kept(before, note)
    return path, story


@settings(
    max_examples=20, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    st.lists(st.sampled_from(["north", "south", "nowhere"]), min_size=1, max_size=3),
    st.lists(st.sampled_from(STEPS), max_size=6),
)
def test_everybody_is_told_what_they_may_see_and_no_more(room: Room, first: list[str], steps: list[str]) -> None:
    with room.services.ledger.reading() as session:
        begin = head_of(session)[0]
    path, story = play(room, first, steps)
    now = frozenset(place for _, place in story.held)
    for scope in SCOPES:
        mine = {seq: sees_all(scope, places) for seq, places, _ in story.entries if sees_some(scope, places)}
        notes = {seq: note for seq, places, note in story.entries if mine.get(seq)}
        heard, told = room.heard(scope, begin), room.told(scope, begin)
        assert list(heard) == list(told) == list(mine)
        assert {seq: one["note"] for seq, one in heard.items() if mine[seq]} == notes
        assert {seq: one["note"] for seq, one in told.items() if mine[seq]} == notes
        assert [one["note"] for part in (heard, told) for seq, one in part.items() if not mine[seq]] == [None] * 2 * (
            len(mine) - len(notes)
        )
        answer = room.clients[scope].get(path)
        if not sees_some(scope, now):
            refused(answer, 404, "not_found")
            assert path.rpartition("/")[2] not in room.clients[scope].get(INCIDENTS).text
        else:
            by_address(room, scope, answer.json(), story)
        may_change(room, scope, path, now, story)
        said = json.dumps([answer.json(), list(heard.values()), list(told.values())])
        hidden = [alert for alert, place in story.held if not sees_some(scope, frozenset((place,)))]
        assert not [alert for alert in hidden if json.dumps(alert) in said]


def by_address(room: Room, scope: str, shown: dict[str, Any], story: Story) -> None:
    visible = [alert for alert, place in story.held if sees_some(scope, frozenset((place,)))]
    said = [(places, note) for _, places, note in story.entries if note is not None]
    assert sorted(one["alert_id"] for one in shown["alerts"]) == sorted(visible)
    assert (shown["alert_count"], shown["hidden_alerts"]) == (len(visible), len(story.held) - len(visible))
    assert [one["text"] for one in shown["notes"]] == [note for places, note in said if sees_all(scope, places)]
    assert shown["hidden_notes"] == sum(not sees_all(scope, places) for places, _ in said)
    listed = {one["incident_id"]: one for one in room.clients[scope].get(INCIDENTS).json()["items"]}
    assert listed[shown["incident_id"]].items() <= shown.items()


def may_change(room: Room, scope: str, path: str, now: frozenset[str], story: Story) -> None:
    client, version = room.clients[scope], {"version": 1000}
    answers = [
        client.patch(path, json={"title": "x", **version}),
        client.post(f"{path}/close", json=version),
        client.post(f"{path}/reopen", json=version),
        client.post(f"{path}/alerts", json={"alert_ids": [story.held[0][0]], **version}),
        client.delete(f"{path}/alerts/{story.held[0][0]}", params=version),
    ]
    for answer in answers:
        if sees_all(scope, now):
            refused(answer, 409, "stale_version")
        elif sees_some(scope, now):
            details = refused(answer, 403, "partly_hidden")["details"]
            assert details["hidden_alerts"] == sum(not sees_some(scope, frozenset((p,))) for _, p in story.held)
        else:
            refused(answer, 404, "not_found")


def test_nobody_writes_on_what_they_see_in_part_and_nothing_comes_of_trying(room: Room) -> None:
    path, _ = play(room, ["north", "south"], [])
    before = room.clients["all"].get(path).json()
    refused(room.clients["south"].post(f"{path}/notes", json={"note": "x"}), 403, "partly_hidden")
    refused(room.clients["south"].post(f"{path}/close", json={"version": 1}), 403, "partly_hidden")
    refused(room.clients["elsewhere"].post(f"{path}/notes", json={"note": "x"}), 404, "not_found")
    assert room.clients["all"].get(path).json() == before
    assert room.clients["both"].post(f"{path}/close", json={"version": 1}).json()["state"] == "closed"


def test_a_stream_of_one_camera_brings_incidents_that_also_concern_it(room: Room) -> None:
    path, _ = play(room, ["north", "south"], [])
    answer = room.clients["all"].get("/api/v1/stream?follow=false&last_event_id=0&camera=south&subject=incident")
    assert path.rpartition("/")[2] in answer.text
    other = room.clients["all"].get("/api/v1/stream?follow=false&last_event_id=0&camera=east&subject=incident")
    assert path.rpartition("/")[2] not in other.text
