"""Facets of alerts (what never changes about them, as one number) and what was said about alerts, both for the list."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from api.alerts import Alert
from api.journal import Entry
from api.storage.ledger import Write
from api.storage.tables import AlertFacetRow, AlertNoteRow, AlertRow

_NAMES = ("camera", "rule", "kind", "zone", "line", "label")
_FACET = select(AlertFacetRow.seq).where(*(getattr(AlertFacetRow, name) == bindparam(name) for name in _NAMES))


def facet_of(session: Session, alert: Alert, label: str) -> int:
    """The number of this combination, made where it is new."""
    values = {
        "camera": alert.camera, "rule": alert.rule, "kind": alert.kind, "zone": alert.zone or "",
        "line": alert.line or "", "label": label,
    }  # fmt: skip
    seq = session.scalar(_FACET, values)
    if seq is None:
        row = AlertFacetRow(**values)
        session.add(row)
        session.flush()
        seq = row.seq
    return seq


def folded(text: str) -> str:
    """The text as the search compares it: without regard to case, width or composed letters."""
    return unicodedata.normalize("NFKC", text).casefold()


@lru_cache(4096)
def folded_name(name: str) -> str:
    """As `folded`, for what a site has few of, and every search compares: names of cameras, rules, zones, ..."""
    return folded(name)


def note_said(write: Write, entry: Entry) -> None:
    """An `EntryHook`: lets the search find what was said about an alert."""
    if entry.subject != "alert" or not entry.note:
        return
    session = write.session
    alert = session.execute(
        select(AlertRow.seq, AlertRow.sort_at).where(AlertRow.alert_id == entry.subject_id)
    ).one_or_none()
    if alert is None:
        return
    said = session.scalar(select(func.max(AlertNoteRow.number)).where(AlertNoteRow.alert_seq == alert.seq))
    session.add(
        AlertNoteRow(sort_at=alert.sort_at, alert_seq=alert.seq, number=(said or 0) + 1, folded=folded(entry.note))
    )
