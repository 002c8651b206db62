"""Response times over a period: who was how fast, by camera and rule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import response_times
from api.app import create_app
from api.response_times import percentiles
from api.services import Services, open_services
from tests.api.kit import client_as
from tests.api.scenes import START, Site, crossing, make_event
from tests.api.test_http import refused

TIMES = "/api/v1/alerts/response-times"


class _Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def services(database: str, media: Path, clock: _Clock) -> Iterator[Services]:
    with open_services(database, media_dir=media, now=clock) as opened:
        yield opened


@pytest.fixture
def supervisor(services: Services) -> TestClient:
    app: FastAPI = create_app(services, site=Site(), version="1.2.3")
    return client_as(app, services, "supervisor")


def test_percentiles_are_times_that_were_measured() -> None:
    told = percentiles([float(n) for n in range(1, 101)])
    assert (told.count, told.p50_s, told.p90_s, told.p95_s, told.max_s) == (100, 50, 90, 95, 100)
    assert (percentiles([7.0]).p50_s, percentiles([7.0]).p95_s) == (7, 7)
    assert percentiles([]) == response_times.Percentiles(0, None, None, None, None)


def test_a_night_in_numbers(services: Services, clock: _Clock, supervisor: TestClient) -> None:
    desk = services.desk
    for n in range(1, 5):
        alert = desk.take(make_event(n, 100.0 * n), run="one")
        clock.now = START + timedelta(seconds=101.0 * n)
        desk.act(alert.alert_id, "seen")
        if n < 4:
            desk.act(alert.alert_id, "resolve", reason="intruder")
    desk.take(crossing(1, 300.0, camera="south-gate"), run="one")
    desk.take(make_event(9, 900.0), run="one", drill=True)
    clock.now = START + timedelta(hours=1)
    night = supervisor.get(TIMES).json()
    assert [(one["camera"], one["rule"], one["alerts"]) for one in night["items"]] == [
        ("north-gate", "lawn-loitering", 4), ("south-gate", "road", 1),
    ]  # fmt: skip
    lawn, road = night["items"]
    assert lawn["seen"] == {"count": 4, "p50_s": 2, "p90_s": 4, "p95_s": 4, "max_s": 4}
    assert (lawn["closed"]["count"], lawn["closed"]["max_s"]) == (3, 3)
    assert road["seen"] == {"count": 0, "p50_s": None, "p90_s": None, "p95_s": None, "max_s": None}
    cameras = supervisor.get(TIMES, params={"by": "camera"}).json()["items"]
    assert [(one["camera"], one["rule"]) for one in cameras] == [("north-gate", None), ("south-gate", None)]
    (site,) = supervisor.get(TIMES, params={"by": "site"}).json()["items"]
    assert (site["camera"], site["alerts"]) == (None, 5)
    (drill,) = supervisor.get(TIMES, params={"drill": True}).json()["items"]
    assert drill["alerts"] == 1
    later = {"since": "2026-03-01T22:03:20+08:00", "until": "2026-03-01T14:06:40Z"}
    assert [one["alerts"] for one in supervisor.get(TIMES, params=later).json()["items"]] == [2, 1]


def test_periods_that_cannot_be(services: Services, supervisor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = {"since": "2026-03-01T14:00:00Z", "until": "2026-03-01T14:00:00Z"}
    refused(supervisor.get(TIMES, params=backwards), 422, "invalid_request")
    assert supervisor.get(TIMES, params={"until": "0001-01-01T05:00:00Z"}).json()["items"] == []
    monkeypatch.setattr("api.desk.MAX_ALERTS", 1)
    for n in (1, 2):
        services.desk.take(make_event(n, -100.0 * n))
    problem = refused(supervisor.get(TIMES), 422, "invalid_request")
    assert problem["details"] == {"max_alerts": 1}
