"""The list of alerts by HTTP: filters, cursors that belong to their list, what a caller may see, counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.journal import Actor
from api.services import Services
from tests.api.kit import client_as
from tests.api.scenes import crossing, make_event

LIST = "/api/v1/alerts"


@pytest.fixture
def alerts(services: Services) -> dict[str, str]:
    """A few alerts by a name of ours."""
    desk = services.desk
    made = {
        "lawn": desk.take(make_event(1, 10.0)),
        "road": desk.take(crossing(1, 100.0)),
        "east": desk.take(make_event(1, 200.0, camera="东门", label="car")),
        "alarm": desk.take(make_event(1, 300.0, camera="lobby", rule="panic", severity="critical")),
    }
    desk.act(made["road"].alert_id, "false_alarm", reason="animal", note="Ａ Cat, 一只猫", actor=Actor("user", "wang"))
    desk.act(made["east"].alert_id, "claim", actor=Actor("user", "wang"))
    return {name: alert.alert_id for name, alert in made.items()}


def ids(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer.text
    return [item["alert_id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["alarm", "east", "road", "lawn"]),
        ("sort=oldest", ["lawn", "road", "east", "alarm"]),
        ("sort=severity", ["alarm", "east", "lawn", "road"]),
        ("sort=waiting", ["lawn", "east", "alarm"]),
        ("sort=waiting&state=resolved", []),
        ("zone=lawn&label=car", ["east"]),
        ("line=kerb", ["road"]),
        ("reason=animal&reason=test", ["road"]),
        ("assignee=wang", ["east"]),
        ("incident=INC-1", []),
        ("drill=true", []),
        ("drill=false&severity=critical&severity=medium", ["alarm", "road"]),
        ("text=东门", ["east"]),
        ("text=a%20cat", ["road"]),
        ("text=只猫", ["road"]),
        ("text=动物", ["road"]),
        ("text=PANIC", ["alarm"]),
        ("text=%25", []),
        ("text=north&state=new", ["lawn"]),
    ],
)
def test_filters(client: TestClient, alerts: dict[str, str], query: str, names: list[str]) -> None:
    assert ids(client, query) == [alerts[name] for name in names]


def test_a_cursor_belongs_to_its_list(client: TestClient, alerts: dict[str, str]) -> None:
    first = client.get(f"{LIST}?state=new&state=in_progress&limit=1").json()
    cursor = first["next_cursor"]
    rest = ids(client, f"state=in_progress&state=new&limit=200&cursor={cursor}")
    assert [first["items"][0]["alert_id"], *rest] == [alerts[name] for name in ("alarm", "east", "lawn")]
    for other in ("state=new", "state=new&state=in_progress&sort=oldest", "state=new&state=in_progress&text=a"):
        answer = client.get(f"{LIST}?{other}&cursor={cursor}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
        assert "other filters or another sort" in answer.json()["error"]["message"]
    for junk in ("x", "e30", cursor[:-2], "W10"):
        assert client.get(f"{LIST}?cursor={junk}").status_code == 422


@pytest.mark.parametrize("sort", ["newest", "oldest", "severity", "waiting"])
def test_pages_stay_in_line_while_alerts_arrive(
    client: TestClient, services: Services, alerts: dict[str, str], sort: str
) -> None:
    whole = ids(client, f"sort={sort}&limit=200")
    seen, cursor, number = list[str](), "", 10
    while cursor is not None:
        page = client.get(f"{LIST}?sort={sort}&limit=1{cursor and f'&cursor={cursor}'}").json()
        seen += [item["alert_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        number += 1
        if number < 15:
            services.desk.take(make_event(number, 50.0 * number))
    assert [alert_id for alert_id in seen if alert_id in whole] == whole
    assert len(whole) >= len(alerts) - 1
    assert len(set(seen)) == len(seen)


def test_totals_and_counts(client: TestClient, alerts: dict[str, str]) -> None:
    assert len(alerts) == 4
    page: dict[str, Any] = client.get(f"{LIST}?total=true&limit=1").json()
    assert (page["total"], page["total_is_exact"]) == (4, True)
    counts = client.get(f"{LIST}/counts?zone=lawn").json()
    assert counts == {
        "total": 3, "total_is_exact": True, "by_state": {"new": 2, "in_progress": 1},
        "by_severity": {"high": 2, "critical": 1}, "by_camera": {"north-gate": 1, "东门": 1, "lobby": 1},
    }  # fmt: skip


def test_counts_take_every_filter_of_the_list(client: TestClient, alerts: dict[str, str]) -> None:
    for query in (
        "line=kerb", "reason=animal&reason=test", "assignee=wang", "incident=INC-1", "drill=true", "drill=false",
        "text=a%20cat", "text=动物&severity=medium", "since=2100-01-01T00:00:00Z",
        "until=2100-01-01T00:00:00Z&text=gate", "state=new&text=north", "assignee=me",
    ):  # fmt: skip
        page = client.get(f"{LIST}?{query}&total=true").json()
        assert len(page["items"]) < len(alerts) or query == "drill=false"
        counts = client.get(f"{LIST}/counts?{query}").json()
        assert (counts["total"], counts["total_is_exact"]) == (page["total"], True)
        for by, name in (("by_state", "state"), ("by_severity", "severity"), ("by_camera", "camera")):
            assert counts[by] == Counter(item[name] for item in page["items"]), query


def test_counts_know_the_parameters_of_the_list(client: TestClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    known = [{one["name"] for one in paths[path]["get"]["parameters"]} for path in (LIST, f"{LIST}/counts")]
    assert known[0] - known[1] == {"sort", "cursor", "limit", "total"}
    assert known[1] <= known[0]


def test_a_caller_sees_and_counts_its_own_cameras(app: FastAPI, services: Services, alerts: dict[str, str]) -> None:
    with client_as(app, services, "guard", cameras=["lobby", "东门"]) as limited:
        assert ids(limited, "") == [alerts["alarm"], alerts["east"]]
        assert ids(limited, "camera=north-gate") == []
        assert ids(limited, "text=lawn") == [alerts["alarm"], alerts["east"]]
        assert limited.get(f"{LIST}?total=true").json()["total"] == 2
        assert limited.get(f"{LIST}/counts").json()["by_camera"] == {"lobby": 1, "东门": 1}
        assert limited.get(f"{LIST}/counts?camera=north-gate").json()["total"] == 0


def test_me_is_the_caller(app: FastAPI, services: Services, alerts: dict[str, str]) -> None:
    with client_as(app, services, "guard") as guard:
        assert ids(guard, "assignee=me") == []
        guard.post(f"{LIST}/{alerts['lawn']}/claim", json={"version": 1})
        assert ids(guard, "assignee=me") == [alerts["lawn"]]
        assert ids(guard, "assignee=me&assignee=wang&sort=oldest") == [alerts["lawn"], alerts["east"]]
