"""Reads and writes incidents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, selectinload

from api.storage.tables import AlertRow, EventRow, IncidentRow


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


def cameras_of(session: Session, seqs: Sequence[int], cameras: Iterable[str] | None) -> dict[int, list[str]]:
    """The camera of each alert of these incidents, as far as it is one of `cameras` (None: all)."""
    wanted = select(AlertRow.incident_seq, AlertRow.camera).where(AlertRow.incident_seq.in_(seqs))
    if cameras is not None:
        wanted = wanted.where(AlertRow.camera.in_(sorted(cameras)))
    found: dict[int, list[str]] = {seq: [] for seq in seqs}
    for seq, camera in session.execute(wanted):
        if seq is not None:
            found[seq].append(camera)
    return found


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
