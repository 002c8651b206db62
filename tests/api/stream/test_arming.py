"""Arming over HTTP: profiles, overrides, who may, and what is left of it after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.arming import DEFAULT_PROFILES, ArmedRule, Arming, ArmingPlan, Profile
from api.services import Services, open_services
from tests.api.kit import client_as
from tests.api.scenes import Site

PLAN = ArmingPlan(
    profiles={
        **DEFAULT_PROFILES,
        "night": Profile("night", (("gate", "lawn"),)),
        "away": Profile("away", (("yard", ""),)),
    },
    rules={
        "gate": (ArmedRule("lawn-in", "lawn"), ArmedRule("lawn-loiter", "lawn"), ArmedRule("road", "kerb")),
        "yard": (ArmedRule("yard-in", "yard"),),
    },
)


@pytest.fixture
def services(database: str, media: Path) -> Iterator[Services]:
    with open_services(database, media_dir=media, arming=PLAN) as opened:
        yield opened


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, site=Site(), version="1")


def off(answer: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in answer["rules"] if not rule["armed"]]


def test_a_profile_holds_until_the_next_and_ends_overrides(app: FastAPI, services: Services) -> None:
    with client_as(app, services, "supervisor") as client:
        first = client.get("/api/v1/arming")
        assert (first.json()["profile"], first.headers["etag"], off(first.json())) == ("day", '"1"', [])
        night = client.put("/api/v1/arming", json={"profile": "night"}, headers={"if-match": '"1"'})
        assert (night.status_code, night.headers["etag"]) == (200, '"2"')
        assert off(night.json()) == ["lawn-in", "lawn-loiter"]
        body = {"camera": "gate", "target": "lawn-in", "armed": True}
        one = client.post("/api/v1/arming/overrides", json=body)
        assert (one.status_code, off(one.json())) == (200, ["lawn-loiter"])
        rest = client.post("/api/v1/arming/overrides", json={"camera": "gate", "target": "", "armed": False})
        assert off(rest.json()) == ["lawn-in", "lawn-loiter", "road"]
        assert [(o["target"], o["armed"]) for o in rest.json()["overrides"]] == [("lawn-in", True), ("", False)]
        again = Arming(services.ledger, PLAN)
        assert again.state == services.arming.state
        assert again.disarmed() == services.arming.disarmed()
        away = client.put("/api/v1/arming", json={"profile": "away", "version": 4}).json()
        assert (away["overrides"], off(away), away["version"]) == ([], ["yard-in"], 5)
        assert away["set_by"].startswith("supervisor")


def test_lost_updates_and_wrong_names_are_refused(app: FastAPI, services: Services) -> None:
    with client_as(app, services, "supervisor") as client:

        def code(answer: object) -> tuple[int, str]:
            return answer.status_code, answer.json()["error"]["code"]  # type: ignore[attr-defined]

        assert code(client.put("/api/v1/arming", json={"profile": "night"})) == (428, "precondition_required")
        stale = client.put("/api/v1/arming", json={"profile": "night", "version": 9})
        assert code(stale) == (409, "stale_version")
        assert stale.json()["error"]["details"] == {"expected": 9, "found": 1}
        unknown = client.put("/api/v1/arming", json={"profile": "dusk", "version": 1})
        assert code(unknown) == (422, "invalid_request")
        for body in ({"camera": "roof", "target": ""}, {"camera": "gate", "target": "lawm"}):
            refused = client.post("/api/v1/arming/overrides", json=body | {"armed": False})
            assert code(refused) == (404, "not_found")
        assert services.arming.state.version == 1


def test_who_is_limited_to_cameras_arms_those_alone(app: FastAPI, services: Services) -> None:
    with client_as(app, services, "supervisor", cameras=["yard"]) as client:
        seen = client.get("/api/v1/arming").json()
        assert {rule["camera"] for rule in seen["rules"]} == {"yard"}
        assert [profile["disarmed"] for profile in seen["profiles"] if profile["name"] == "night"] == [[]]
        assert client.put("/api/v1/arming", json={"profile": "night", "version": 1}).status_code == 403
        override = {"camera": "gate", "target": "", "armed": False}
        assert client.post("/api/v1/arming/overrides", json=override).status_code == 404
        assert client.post("/api/v1/arming/overrides", json=override | {"camera": "yard"}).status_code == 200
    with client_as(app, services, "guard") as client:
        assert client.get("/api/v1/arming").status_code == 200
        assert client.post("/api/v1/arming/overrides", json=override | {"camera": "yard"}).status_code == 403


def test_a_profile_that_the_site_file_no_longer_has_is_not_forgotten(services: Services) -> None:
    from api.journal import SYSTEM

    services.arming.set_profile("away", actor=SYSTEM, expected_version=None)
    assert Arming(services.ledger).state.profile.name == "day"
    assert Arming(services.ledger, PLAN).state.profile.name == "away"
