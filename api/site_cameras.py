"""Whether the cameras that somebody is to be limited to are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastapi import FastAPI

from api.errors import InvalidError
from api.routes_cameras import Cameras
from api.services import Services
from api.storage import people


def check_cameras(app: FastAPI, named: Iterable[str] | None, *, kept: Collection[str] | None = None) -> None:
    """Raises InvalidError for a camera that the site does not have and that has no alerts from when it had.

    `kept`: names that were accepted before. Where no cameras run here, nothing is known of them, nor refused.
    """
    running: Cameras | None = getattr(app.state, "cameras", None)
    if named is None or running is None:
        return
    there = [camera.camera for camera in running.cameras()]
    unknown = set(named).difference(there, kept or ())
    if unknown:
        services: Services = app.state.services
        with services.ledger.reading() as session:
            unknown -= people.cameras_with_alerts(session, unknown)
    if unknown:
        raise InvalidError(
            f"cameras: expected cameras of the site ({', '.join(sorted(there))}), found {', '.join(sorted(unknown))}.",
            {"where": "cameras", "expected": sorted(there), "found": sorted(unknown)},
        )
