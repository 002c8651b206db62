"""Reads and writes incidents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, selectinload

from api.storage.tables import AlertRow, EventRow, IncidentRow
from api.storage.tables_journal import JournalRow


def find(session: Session, incident_id: str) -> IncidentRow | None:
    return session.scalar(select(IncidentRow).where(IncidentRow.incident_id == incident_id))


def alerts_of(session: Session, row: IncidentRow, cameras: Iterable[str] | None) -> list[AlertRow]:
    """Its alerts, of these cameras (None: all), oldest first."""
    wanted = select(AlertRow).where(AlertRow.incident_seq == row.seq)
    if cameras is not None:
        wanted = wanted.where(AlertRow.camera.in_(sorted(cameras)))
    loaded = wanted.options(selectinload(AlertRow.events).load_only(EventRow.event_id), selectinload(AlertRow.clips))
    return list(session.scalars(loaded.order_by(AlertRow.sort_at, AlertRow.seq)))


def alerts_named(session: Session, alert_ids: Sequence[str]) -> dict[str, AlertRow]:
    """Those of these alerts that there are, by id."""
    rows = session.scalars(select(AlertRow).where(AlertRow.alert_id.in_(alert_ids)))
    return {row.alert_id: row for row in rows}


def cameras_of(session: Session, seqs: Sequence[int]) -> dict[int, list[str]]:
    """The camera of each alert of these incidents; empty where it has none."""
    wanted = select(AlertRow.incident_seq, AlertRow.camera).where(AlertRow.incident_seq.in_(seqs))
    found: dict[int, list[str]] = {seq: [] for seq in seqs}
    for seq, camera in session.execute(wanted):
        if seq is not None:
            found[seq].append(camera)
    return found


def cameras_then(session: Session, incident_id: str) -> dict[int, frozenset[str | None]]:
    """By entry about the incident: the cameras of the alerts that it held then, or that left it by this entry.

    None stands for an alert without a camera, and for one that is no longer there.
    """
    wanted = select(JournalRow.seq, JournalRow.camera, JournalRow.body)
    wanted = wanted.where(JournalRow.subject == "incident", JournalRow.subject_id == incident_id)
    held: set[str] = set()
    then: dict[int, frozenset[str]] = {}
    told: dict[int, str | None] = {}
    for seq, camera, body in session.execute(wanted.order_by(JournalRow.seq)):
        said = json.loads(body)
        held |= {*said.get("alert_ids", ()), *said.get("added", ())}
        then[seq], told[seq] = frozenset(held), camera
        held -= set(said.get("removed", ()))
    of = {a: row.camera or None for a, row in alerts_named(session, sorted(set().union(*then.values()))).items()}
    return {
        # An entry that names a camera says itself that it concerns no other.
        seq: frozenset((camera,)) if camera is not None else frozenset(map(of.get, then[seq])) or frozenset((None,))
        for seq, camera in told.items()
    }


def page(
    session: Session,
    *,
    state: str | None,
    cameras: Iterable[str] | None,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[IncidentRow]:
    """Up to `limit` incidents, newest first; with `cameras`, those with an alert of one of them."""
    wanted = select(IncidentRow)
    if state is not None:
        wanted = wanted.where(IncidentRow.state == state)
    if cameras is not None:
        theirs = select(AlertRow.seq).where(
            AlertRow.incident_seq == IncidentRow.seq, AlertRow.camera.in_(sorted(cameras))
        )
        wanted = wanted.where(theirs.exists())
    if after is not None:
        wanted = wanted.where(tuple_(IncidentRow.created_at, IncidentRow.seq) < after)
    return list(session.scalars(wanted.order_by(IncidentRow.created_at.desc(), IncidentRow.seq.desc()).limit(limit)))
