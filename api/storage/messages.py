"""Reads and writes arming and the events that came from outside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.storage.journal_times import pieces_of
from api.storage.tables_journal import JournalRow
from api.storage.tables_messages import ArmingOverrideRow, ArmingRow, ExternalEventRow


def arming_row(session: Session) -> ArmingRow | None:
    return session.get(ArmingRow, 1)


def add_arming(session: Session, profile: str, at: datetime, by: str) -> ArmingRow:
    row = ArmingRow(id=1, profile=profile, version=1, set_at=at, set_by=by)
    session.add(row)
    return row


def overrides(session: Session) -> Sequence[ArmingOverrideRow]:
    """In the order in which they were set."""
    order = (ArmingOverrideRow.set_at, ArmingOverrideRow.camera, ArmingOverrideRow.target)
    return session.scalars(select(ArmingOverrideRow).order_by(*order)).all()


def clear_overrides(session: Session) -> None:
    session.execute(delete(ArmingOverrideRow))


def put_override(session: Session, camera: str, target: str, armed: bool, at: datetime, by: str) -> None:
    session.merge(ArmingOverrideRow(camera=camera, target=target, armed=armed, set_at=at, set_by=by))


def external_event(session: Session, source: str, event_id: str) -> ExternalEventRow | None:
    wanted = select(ExternalEventRow).where(ExternalEventRow.source == source, ExternalEventRow.event_id == event_id)
    return session.scalar(wanted)


def add_external_event(
    session: Session, source: str, event_id: str, kind: str, at: datetime, received_at: datetime, did: str
) -> None:
    session.add(ExternalEventRow(source=source, event_id=event_id, kind=kind, at=at, received_at=received_at, did=did))


def entry_of(session: Session, event: ExternalEventRow) -> JournalRow | None:
    """What the journal says of an event that was taken; None once retention has removed it."""
    about = (JournalRow.subject == "external", JournalRow.subject_id == event.source, JournalRow.action == "received")
    # Its entry has its moment: few others do.
    for piece in pieces_of(session, event.received_at, event.received_at + timedelta(microseconds=1)):
        numbers = JournalRow.seq.between(piece.start, piece.stop - 1)
        for entry in session.scalars(select(JournalRow).where(numbers, *about)):
            if json.loads(entry.body)["event_id"] == event.event_id:
                return entry
    return None
