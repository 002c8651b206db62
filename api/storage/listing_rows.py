"""Alerts of a page as records, read in four statements whatever their number, without objects of the tables.

SQLite hands over row by row, and its driver lets other threads go first before each: there, a statement's rows come as
one JSON text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from api.alerts import Alert, Clip
from api.records import Record

_MOMENTS = (
    "started_at", "ended_at", "first_raised_at", "seen_at", "acknowledged_at", "closed_at", "received_at",
)  # fmt: skip
_PLAIN = (
    "alert_id", "camera", "rule", "kind", "severity", "zone", "line", "state", "start_s", "end_s", "first_raised_s",
    "run", "version", "seen_by", "acknowledged_by", "assignee", "closed_by", "reopened", "reason", "note", "snapshot",
)  # fmt: skip
_BESIDE = ("label", "media", "media_note")
_NAMES = (*_MOMENTS, *_PLAIN, *_BESIDE)
_ALERTS = (
    "SELECT a.seq, i.incident_id, a.measured, a.drill, " + ", ".join(f"a.{name}" for name in _NAMES) + " "
    "FROM alert a LEFT JOIN incident i ON i.seq = a.incident_seq WHERE a.seq {among}"
)  # fmt: skip
_EVENTS = "SELECT e.alert_seq, e.event_id FROM event e WHERE e.alert_seq {among} ORDER BY e.alert_seq, e.seq"
_CLIPS = (
    "SELECT c.alert_seq, c.path, c.from_s, c.to_s, c.original, c.shortfall_s FROM clip c WHERE c.alert_seq {among} "
    "ORDER BY c.alert_seq, c.part"
)
_AMONG = {"sqlite": "IN (SELECT value FROM json_each(:seqs))", "postgresql": "= ANY(:seqs)"}


def records_of(session: Session, seqs: Sequence[int]) -> list[Record]:
    """In the order of `seqs`, without their events' bodies and changes."""
    if not seqs:
        return []
    events: dict[int, list[str]] = defaultdict(list)
    for seq, event_id in _read(session, _EVENTS, 2, seqs):
        events[seq].append(event_id)
    clips: dict[int, list[Clip]] = defaultdict(list)
    for seq, *clip in _read(session, _CLIPS, 6, seqs):
        clips[seq].append(Clip(*clip))
    found = {}
    for seq, incident_id, measured, drill, *values in _read(session, _ALERTS, 4 + len(_NAMES), seqs):
        value = dict(zip(_NAMES, values, strict=True))
        for name in _MOMENTS:
            value[name] = moment(value[name])
        beside = {name: value.pop(name) for name in (*_BESIDE, "received_at")}
        alert = Alert(**value, drill=bool(drill), event_ids=tuple(events[seq]), clips=tuple(clips[seq]))
        measures = json.loads(measured) if isinstance(measured, str) else measured
        found[seq] = Record(alert, measured=measures, incident_id=incident_id, **beside)
    return [found[seq] for seq in seqs]


def at_once(session: Session, statement: str, columns: int, values: dict[str, Any]) -> Iterable[Sequence[Any]]:
    """The rows of a statement."""
    if session.get_bind().dialect.name != "sqlite":
        return session.execute(_prepared(statement, None), values)
    rows: list[list[Any]] = json.loads(session.execute(_prepared(statement, columns), values).scalar_one())
    return rows


@lru_cache(512)
def _prepared(statement: str, columns: int | None) -> TextClause:
    """As SQLAlchemy wants it; `columns`: with all of its rows, of so many columns, as one."""
    if columns is None:
        return text(statement)
    names = ", ".join(f"c{n}" for n in range(columns))
    return text(f"WITH r({names}) AS ({statement}) SELECT json_group_array(json_array({names})) FROM r")


def moment(stored: Any) -> datetime | None:
    """A moment as drivers give it; SQLite has text."""
    if stored is None:
        return None
    if isinstance(stored, datetime):
        return stored.astimezone(UTC)
    return datetime.fromisoformat(f"{stored}+00:00")


def _read(session: Session, statement: str, columns: int, seqs: Sequence[int]) -> Iterable[Sequence[Any]]:
    dialect = session.get_bind().dialect.name
    chosen = json.dumps(list(seqs)) if dialect == "sqlite" else list(seqs)
    return at_once(session, statement.format(among=_AMONG[dialect]), columns, {"seqs": chosen})
