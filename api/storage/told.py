"""Finds which alert something that came from outside belongs to."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.alerts import EXTERNAL, OPEN_STATES
from api.storage.tables import AlertRow, EventRow

LOOKED_AT = 200
"""So many of the newest alerts of a source are looked at."""


def latest_told(session: Session, camera: str, source: str, kind: str, text: str | None) -> AlertRow | None:
    """The newest open alert of this source about which it said just this; without a text, one without a text."""
    newest = (
        select(AlertRow.seq)
        .where(AlertRow.camera == camera, AlertRow.rule == source)
        .order_by(AlertRow.seq.desc())
        .limit(LOOKED_AT)
    )
    said = EventRow.body["text"].as_string()
    return session.scalar(
        select(AlertRow)
        .join(EventRow)
        .where(
            AlertRow.seq.in_(newest.scalar_subquery()),
            AlertRow.run == EXTERNAL,
            AlertRow.kind == kind,
            AlertRow.state.in_(OPEN_STATES),
            said.is_(None) if text is None else said == text,
        )
        .order_by(AlertRow.seq.desc())
        .limit(1)
    )
