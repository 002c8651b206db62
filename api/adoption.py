"""Takes the alerts of a database that had no journal yet into the journal, once, as they are found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from api.desk_journal import evidence, facts, note_alert
from api.journal import SYSTEM, utc_text_us
from api.storage import store
from api.storage.ledger import Write
from api.storage.tables import AlertRow, ChangeRow

BATCH = 500


def adopt_all(write: Write) -> int:
    """One `adopted` entry for each alert: its facts, how it stands, and what was done with it before."""
    count, after = 0, 0
    while True:
        wanted = select(AlertRow).where(AlertRow.seq > after).order_by(AlertRow.seq).limit(BATCH)
        loaded = wanted.options(
            selectinload(AlertRow.events), selectinload(AlertRow.clips), selectinload(AlertRow.changes)
        )
        rows = write.session.scalars(loaded).all()
        for row in rows:
            note_alert(write, row, SYSTEM, "adopted", _as_found(row))
        write.session.flush()
        if not rows:
            return count
        count, after = count + len(rows), rows[-1].seq
        for row in rows:
            write.session.expunge(row)


def _as_found(row: AlertRow) -> dict[str, Any]:
    alert = store.alert_of(row)
    times = {
        "received_at": row.received_at, "seen_at": row.seen_at, "acknowledged_at": row.acknowledged_at,
        "closed_at": row.closed_at,
    }  # fmt: skip
    return {
        **facts(alert, [event.body for event in row.events]),
        **{name: None if moment is None else utc_text_us(moment) for name, moment in times.items()},
        "reason": row.reason,
        "note": row.note,
        "media": row.media,
        "media_note": row.media_note,
        "evidence": evidence(alert),
        "changes": [change_json(change) for change in row.changes],
    }


def change_json(change: ChangeRow) -> dict[str, Any]:
    return {
        "version": change.version, "action": change.action, "at": utc_text_us(change.at), "actor": change.actor,
        "reason": change.reason, "note": change.note,
    }  # fmt: skip
