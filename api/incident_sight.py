"""Who sees what of an incident that concerns several cameras: the same for answers, the stream and webhooks.

An entry concerns the cameras of the alerts that its incident held then. Whoever sees one of them is told of it; what
people wrote cannot be put down to one camera, so it is for those who see all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.journal import Entry
from api.storage import incidents as storage

Concerned = frozenset[str | None]
"""Cameras; None stands for what those who are limited to cameras do not see."""
_NAMES_ALERTS = ("alert_ids", "added", "removed")


def concerned_by(session: Session, entries: Collection[Entry]) -> dict[int, Concerned]:
    """The cameras that each entry (by `seq`) concerns, of whatever subject; several only of one about an incident."""
    concerned = {entry.seq: frozenset((entry.camera,)) for entry in entries}
    for incident_id in {entry.subject_id for entry in entries if entry.subject == "incident" and entry.camera is None}:
        then = storage.cameras_then(session, incident_id)
        concerned.update((seq, then[seq]) for seq in then.keys() & concerned.keys())
    return concerned


def sees_some(cameras: Collection[str] | None, concerned: Concerned) -> bool:
    """`cameras`: those that somebody is limited to; None: to none."""
    return cameras is None or not concerned.isdisjoint(cameras)


def sees_all(cameras: Collection[str] | None, concerned: Concerned) -> bool:
    return cameras is None or concerned.issubset(cameras)


def narrowed_bodies(
    session: Session, bodies: Collection[Mapping[str, Any]], cameras: Collection[str]
) -> list[dict[str, Any]]:
    """What entries about incidents say, without the alerts of other cameras."""
    named = {alert_id for body in bodies for key in _NAMES_ALERTS for alert_id in body.get(key, ())}
    seen = {a for a, row in storage.alerts_named(session, sorted(named)).items() if row.camera in cameras}
    return [
        {key: [a for a in value if a in seen] if key in _NAMES_ALERTS else value for key, value in body.items()}
        for body in bodies
    ]


def says_something(body: Mapping[str, Any]) -> bool:
    """Whether anything is left of it for somebody who was not told of all its alerts."""
    return any(value for key, value in body.items() if key in _NAMES_ALERTS) or bool(set(body) - set(_NAMES_ALERTS))
