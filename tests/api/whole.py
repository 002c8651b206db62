"""An application with everything that a running site serves, something of every kind in its database, and nothing real
behind it but the cameras' processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from api.access.limits import UNLIMITED
from api.alerts import Clip
from api.app import create_app
from api.arming import ArmedRule, ArmingPlan
from api.external import Effect, Source
from api.live_view import LiveView, Picture
from api.schemas import PREFIX
from api.services import Services, open_services
from gatewatch.live_api import add_live_routes
from gatewatch.live_board import Board
from gatewatch.live_messages import Report
from tests.api.kit import client_as, token_for
from tests.api.scenes import START, Site, make_event, snapshot_of, write_clip

CAMERA = "north-gate"
HOSTS = ("testserver", "127.0.0.1")
SOURCE_SECRET = "of the gate, for tests alone"


class Looking(LiveView):
    """A camera that has a picture whenever somebody looks."""

    def __init__(self, jpeg: bytes) -> None:
        super().__init__(lambda _camera, _for_s, _full: True)
        self._picture = Picture(jpeg, START, 1.0, full=True)

    def renew(self, camera: str, *, full: bool = False) -> None:  # noqa: ARG002 - it is always full
        self.shown(camera, self._picture)


@dataclass(frozen=True)
class Whole:
    app: FastAPI
    services: Services
    token: str
    """An administrator's."""
    known: Mapping[str, str]
    """For each parameter of a path something that is there."""


@contextmanager
def whole_site(folder: Path, *, alerts: int = 6) -> Iterator[Whole]:
    """Raised alerts are `alert_id(1)` to `alert_id(alerts)`, each with a snapshot and a clip."""
    write_clip(folder / "c.mp4", seconds=0.5)
    (folder / "s.jpg").write_bytes(snapshot_of(make_event()))
    plan = ArmingPlan(rules={CAMERA: (ArmedRule("lawn-loitering", "lawn"),)})
    sources = {"gate": Source("gate", SOURCE_SECRET, {"panic": Effect("alert", "critical", CAMERA)})}
    with open_services(folder / "alerts.db", media_dir=folder, arming=plan, sources=sources) as services:
        for n in range(1, alerts + 1):
            alert = services.desk.take(make_event(n, 400.0 * n))
            assert alert.alert_id == alert_id(n)
            services.desk.attach_media(alert.alert_id, snapshot="s.jpg", clips=[Clip("c.mp4", 0.0)])
        app = create_app(
            services, site=Site(), version="1.2.3", on_input=lambda _: None, camera_count=lambda: (1, 1),
            allowed_hosts=HOSTS, limits=UNLIMITED,
        )  # fmt: skip
        board = Board((CAMERA,))
        board.report(Report((replace(board.cameras()[0], connected=True, reason=None),), 0, 0, 0, 0))
        add_live_routes(app, board, Looking((folder / "s.jpg").read_bytes()))
        yield Whole(app, services, token_for(services, "administrator"), _known(app, services))


def _known(app: FastAPI, services: Services) -> dict[str, str]:
    token_id = token_for(services, "guard").split("_")[1]
    with client_as(app, services, "administrator") as client:
        hook = {"name": "desk", "url": "https://93.184.216.34/hook", "topics": ["alert.acknowledge"]}
        webhook_id = _made(client, "/webhooks", hook)["webhook"]["webhook_id"]
        incident_id = _made(client, "/incidents", {"title": "Two at the gate", "alert_ids": [alert_id(3)]})[
            "incident_id"
        ]
        _made(client, f"/alerts/{alert_id(4)}/acknowledge", {})
        messages = client.get(f"{PREFIX}/webhooks/{webhook_id}/messages").json()["items"]
    return {
        "alert_id": alert_id(2), "camera": CAMERA, "incident_id": incident_id, "message_id": messages[0]["message_id"],
        "name": "guard1", "source": "gate", "token_id": token_id, "user": "guard1", "webhook_id": webhook_id,
    }  # fmt: skip


def _made(client: TestClient, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(f"{PREFIX}{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


def alert_id(number: int) -> str:
    return f"alert.{CAMERA}.lawn-loitering.{number:06}"
