"""Incidents: alerts that belong together and are written up as one thing."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy.orm import Session

from api.access.principal import Principal
from api.desk_journal import note_alert
from api.errors import ConflictError, NotFoundError, PartlyHiddenError, StaleError, TransitionError
from api.incident_sight import narrowed_bodies, says_something, sees_all
from api.journal import SYSTEM, Actor
from api.records import Change, Position, Record
from api.storage import incidents as storage
from api.storage import store
from api.storage.ledger import Ledger, Write
from api.storage.tables import AlertRow, IncidentRow

IncidentState = Literal["open", "closed"]
INCIDENT_STATES: tuple[IncidentState, ...] = get_args(IncidentState)
MAX_ALERTS = 500
"""Of one incident."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its reader may see it: alerts of other cameras, and notes that may be about them, are left out."""

    incident_id: str
    title: str
    state: IncidentState
    version: int
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    closed_by: str | None
    alert_count: int
    cameras: tuple[str, ...]
    hidden_alerts: int
    """How many were left out."""
    alerts: tuple[Record, ...] | None = None
    """Only where one incident was asked for, as are `changes`."""
    changes: tuple[Change, ...] | None = None
    hidden_notes: int = 0


@dataclass(frozen=True, slots=True)
class IncidentPage:
    incidents: tuple[Incident, ...]
    next: Position | None
    """Where the list goes on, or None at its end."""


class Incidents:
    """Keeps incidents. Thread-safe; each write is one transaction.

    `principal` (None: everything is allowed) sees the incidents that have an alert of one of their cameras, and changes
    those whose alerts they all see. Raises NotFoundError for what they do not see, PartlyHiddenError where they would
    change what they see in part, StaleError where `expected_version` is not the incident's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        title: str,
        alert_ids: Sequence[str],
        *,
        note: str | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """A new incident of these alerts. Raises ConflictError where one of them belongs to another incident."""
        with self._ledger.writing() as write:
            row = IncidentRow(
                incident_id=f"incident.{write.at:%Y%m%d}.{secrets.token_hex(4)}",
                title=title,
                state="open",
                version=1,
                created_at=write.at,
                created_by=_by(actor, principal),
            )
            write.session.add(row)
            write.session.flush()
            alerts = _wanted_alerts(write.session, alert_ids, principal)
            _check_free(alerts, row)
            _merge(write, row, alerts, actor)
            body = {"title": title, "alert_ids": [alert.alert_id for alert in alerts]}
            _note(write, row, actor, "opened", body, note)
            return _told(write.session, row, principal)

    def get(self, incident_id: str, principal: Principal | None = None) -> Incident:
        """One incident with its alerts and everything that was done with it."""
        with self._ledger.reading() as session:
            return _told(session, _wanted(session, incident_id, principal), principal)

    def list(
        self,
        *,
        state: IncidentState | None = None,
        after: Position | None = None,
        limit: int = 50,
        principal: Principal | None = None,
    ) -> IncidentPage:
        """Incidents, newest first."""
        cameras = None if principal is None else principal.cameras
        with self._ledger.reading() as session:
            place = None if after is None else (after.sort_at, after.seq)
            rows = storage.page(session, state=state, cameras=cameras, after=place, limit=limit + 1)
            more, rows = len(rows) > limit, rows[:limit]
            found = storage.cameras_of(session, [row.seq for row in rows])
            incidents = tuple(_incident(row, found[row.seq], cameras) for row in rows)
            return IncidentPage(incidents, Position(rows[-1].created_at, rows[-1].seq) if more else None)

    def add(
        self,
        incident_id: str,
        alert_ids: Sequence[str],
        *,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """Adds alerts; those that it has already stay. Raises TransitionError where it is closed, ConflictError where
        an alert belongs to another incident or there would be too many."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            _check(row, expected_version, "open", "take alerts")
            alerts = _wanted_alerts(write.session, alert_ids, principal)
            _check_free(alerts, row)
            new = [alert for alert in alerts if alert.incident_seq is None]
            if new:
                _check_room(row, len(row.alerts) + len(new))
                row.version += 1
                _merge(write, row, new, actor)
                _note(write, row, actor, "changed", {"added": [alert.alert_id for alert in new]})
            return _told(write.session, row, principal)

    def remove(
        self,
        incident_id: str,
        alert_id: str,
        *,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """Takes an alert out. Raises TransitionError where the incident is closed, ConflictError where it is the last
        alert."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            _check(row, expected_version, "open", "give alerts away")
            (alert,) = _wanted_alerts(write.session, [alert_id], principal)
            if alert.incident_seq != row.seq:
                raise NotFoundError(f"Incident {incident_id[:100]} has no alert {alert_id[:300]}.")
            if len(row.alerts) == 1:
                raise ConflictError(
                    f"Alert {alert_id} is the only one of incident {incident_id}: an incident keeps at least one.",
                    {"incident_id": incident_id, "alert_id": alert_id},
                )
            row.version += 1
            row.alerts.remove(alert)
            alert.version += 1
            note_alert(write, alert, actor, "unmerged", {"incident_id": row.incident_id})
            _note(write, row, actor, "changed", {"removed": [alert.alert_id]}, also=alert.camera)
            return _told(write.session, row, principal)

    def rename(
        self,
        incident_id: str,
        title: str,
        *,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """Gives it another title, also when it is closed."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            _check(row, expected_version, None, "")
            if title != row.title:
                row.version += 1
                before, row.title = row.title, title
                _note(write, row, actor, "changed", {"title": title, "title_before": before})
            return _told(write.session, row, principal)

    def note(
        self, incident_id: str, text: str, *, actor: Actor = SYSTEM, principal: Principal | None = None
    ) -> Incident:
        """Adds a note, also when it is closed."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            row.version += 1
            _note(write, row, actor, "note", None, text)
            return _told(write.session, row, principal)

    def close(
        self,
        incident_id: str,
        *,
        note: str | None = None,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """Closes it; its alerts stay as they are. Raises TransitionError where it is closed."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            _check(row, expected_version, "open", "be closed")
            row.version += 1
            row.state, row.closed_at, row.closed_by = "closed", write.at, _by(actor, principal)
            _note(write, row, actor, "closed", {"state": row.state}, note)
            return _told(write.session, row, principal)

    def reopen(
        self,
        incident_id: str,
        *,
        note: str | None = None,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Incident:
        """Opens it again. Raises TransitionError where it is open."""
        with self._ledger.writing() as write:
            row = _wanted_whole(write.session, incident_id, principal)
            _check(row, expected_version, "closed", "be reopened")
            row.version += 1
            row.state, row.closed_at, row.closed_by = "open", None, None
            _note(write, row, actor, "changed", {"state": row.state}, note)
            return _told(write.session, row, principal)


def _by(actor: Actor, principal: Principal | None) -> str:
    return actor.name if principal is None else principal.user


def _wanted(session: Session, incident_id: str, principal: Principal | None) -> IncidentRow:
    row = storage.find(session, incident_id)
    cameras = None if principal is None else principal.cameras
    if row is None or (
        cameras is not None and set(cameras).isdisjoint(storage.cameras_of(session, [row.seq])[row.seq])
    ):
        raise NotFoundError(f"There is no incident {incident_id[:100]}.")
    return row


def _wanted_whole(session: Session, incident_id: str, principal: Principal | None) -> IncidentRow:
    row = _wanted(session, incident_id, principal)
    if principal is not None and principal.cameras is not None:
        hidden = sum(camera not in principal.cameras for camera in storage.cameras_of(session, [row.seq])[row.seq])
        if hidden:
            raise PartlyHiddenError(
                f"Incident {row.incident_id} also holds alerts that you may not see ({hidden}): only who sees all of "
                "its alerts may change it.",
                {"incident_id": row.incident_id, "hidden_alerts": hidden},
            )
    return row


def _wanted_alerts(session: Session, alert_ids: Sequence[str], principal: Principal | None) -> Sequence[AlertRow]:
    found = storage.alerts_named(session, alert_ids)
    for alert_id in alert_ids:
        row = found.get(alert_id)
        if row is None or (principal is not None and not principal.sees(row.camera or None)):
            raise NotFoundError(f"There is no alert {alert_id[:300]}.", {"alert_id": alert_id[:300]})
    return [found[alert_id] for alert_id in dict.fromkeys(alert_ids)]


def _check(row: IncidentRow, expected_version: int | None, state: IncidentState | None, what: str) -> None:
    if expected_version is not None and expected_version != row.version:
        raise StaleError(
            f"Incident {row.incident_id} has changed: expected version {expected_version}, found {row.version}.",
            {"expected": expected_version, "found": row.version},
        )
    if state is not None and row.state != state:
        raise TransitionError(
            f"Incident {row.incident_id} is {row.state}: it cannot {what}.", {"state": row.state, "expected": state}
        )


def _check_free(alerts: Sequence[AlertRow], row: IncidentRow) -> None:
    for alert in alerts:
        other = alert.incident
        if other is not None and other.seq != row.seq:
            raise ConflictError(
                f"Alert {alert.alert_id} belongs to incident {other.incident_id} already.",
                {"alert_id": alert.alert_id, "incident_id": other.incident_id},
            )
    _check_room(row, len(alerts))


def _check_room(row: IncidentRow, number: int) -> None:
    if number > MAX_ALERTS:
        raise ConflictError(
            f"Incident {row.incident_id} holds at most {MAX_ALERTS} alerts, found {number}.",
            {"max_alerts": MAX_ALERTS, "found": number},
        )


def _merge(write: Write, row: IncidentRow, alerts: Sequence[AlertRow], actor: Actor) -> None:
    for alert in alerts:
        row.alerts.append(alert)
        alert.version += 1
        note_alert(write, alert, actor, "merged", {"incident_id": row.incident_id})


def _note(
    write: Write,
    row: IncidentRow,
    actor: Actor,
    action: str,
    body: Mapping[str, Any] | None = None,
    note: str | None = None,
    *,
    also: str | None = None,
) -> None:
    # An entry about several cameras is for those who see all; what each alert's own entry says is for the others.
    cameras = {alert.camera for alert in row.alerts} | ({also} if also is not None else set())
    camera = cameras.pop() if len(cameras) == 1 else ""
    said = (note or "").strip() or None
    write.journal(
        actor, "incident", row.incident_id, action, body, camera=camera or None, version=row.version, note=said
    )


def _told(session: Session, row: IncidentRow, principal: Principal | None) -> Incident:
    session.flush()
    cameras = None if principal is None else principal.cameras
    alerts = storage.alerts_of(session, row, cameras)
    changes, hidden_notes = store.history(session, "incident", row.incident_id), 0
    if cameras is not None:
        changes, hidden_notes = _narrowed(session, row, changes, cameras)
    return _incident(
        row,
        storage.cameras_of(session, [row.seq])[row.seq],
        cameras,
        alerts=tuple(store.record_of(session, alert) for alert in alerts),
        changes=tuple(changes),
        hidden_notes=hidden_notes,
    )


def _narrowed(
    session: Session, row: IncidentRow, changes: Sequence[Change], cameras: Collection[str]
) -> tuple[list[Change], int]:
    """The history without what concerns other cameras, and how many notes were left out."""
    concerned = storage.cameras_then(session, row.incident_id)
    bodies = narrowed_bodies(session, [change.body for change in changes], cameras)
    told, hidden_notes = [], 0
    for change, body in zip(changes, bodies, strict=True):
        hides = change.note is not None and not sees_all(cameras, concerned[change.seq])
        hidden_notes += hides
        seen = replace(change, body=body, note=None if hides else change.note)
        if seen.note or says_something(body) or change.action not in ("changed", "note"):
            told.append(seen)
    return told, hidden_notes


def _incident(row: IncidentRow, of: Sequence[str], seen: Collection[str] | None, **more: Any) -> Incident:
    """`of`: the camera of each of its alerts; `seen`: those that the caller is limited to."""
    shown = [camera for camera in of if seen is None or camera in seen]
    return Incident(
        incident_id=row.incident_id,
        title=row.title,
        state=cast(IncidentState, row.state),
        version=row.version,
        created_at=row.created_at,
        created_by=row.created_by,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        alert_count=len(shown),
        cameras=tuple(sorted({camera for camera in shown if camera})),
        hidden_alerts=len(of) - len(shown),
        **more,
    )
