"""Reads for the audit: rows as they are, in order, a piece at a time, whatever somebody wrote into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, case, func, inspect, select, type_coerce
from sqlalchemy.sql import ColumnElement, FromClause

from api.journal import utc_text_us
from api.storage.base import UtcDateTime
from api.storage.tables import (
    AlertCountRow,
    AlertFacetRow,
    AlertNoteRow,
    AlertRow,
    ChangeRow,
    ClipRow,
    EventRow,
    IncidentRow,
)
from api.storage.tables_access import SessionRow, TokenRow, UserRow
from api.storage.tables_journal import CheckpointRow, JournalRow, JournalTipRow, JournalTurnRow, SignedHeadRow
from api.storage.tables_messages import ArmingOverrideRow, ArmingRow, WebhookRow

PIECE = 2000
JOURNAL_COLUMNS = (
    JournalRow.seq, JournalRow.at, JournalRow.actor_kind, JournalRow.actor, JournalRow.origin, JournalRow.subject,
    JournalRow.subject_id, JournalRow.action, JournalRow.camera, JournalRow.version, JournalRow.reason, JournalRow.note,
    JournalRow.body, JournalRow.prev_hash, JournalRow.hash,
)  # fmt: skip
Row = Sequence[Any]


def journal_rows(connection: Connection, until: int | None = None) -> Iterator[Row]:
    """Every entry (up to this one), `at` as the text that was hashed."""
    wanted = select(*_raw(connection, JOURNAL_COLUMNS)).order_by(JournalRow.seq)
    yield from _hashable(connection, wanted if until is None else wanted.where(JournalRow.seq <= until))


def entries_of_alerts(connection: Connection, alert_ids: Sequence[Any]) -> dict[Any, list[Row]]:
    """The entries of each of these alerts, in order."""
    # By their ids, not by a join: SQLite would go through all entries of alerts for each piece.
    wanted = select(*_raw(connection, JOURNAL_COLUMNS)).where(
        JournalRow.subject == "alert", JournalRow.subject_id.in_(alert_ids)
    )
    found: dict[Any, list[Row]] = {}
    for row in _hashable(connection, wanted.order_by(JournalRow.subject_id, JournalRow.seq)):
        found.setdefault(row[6], []).append(row)
    return found


def alert_rows(connection: Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """Alerts as they stand, by column; moments as text."""
    return _plain(connection, AlertRow.__table__, AlertRow.seq > after, AlertRow.seq, limit)


def event_rows(connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
    return _plain(connection, EventRow.__table__, EventRow.alert_seq.between(first, last), EventRow.seq)


def clip_rows(connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
    return _plain(connection, ClipRow.__table__, ClipRow.alert_seq.between(first, last), ClipRow.part)


def change_rows(connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
    return _plain(connection, ChangeRow.__table__, ChangeRow.alert_seq.between(first, last), ChangeRow.seq)


def note_rows(connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
    """What the search finds alerts by, as it was said."""
    row = AlertNoteRow
    found = _plain(connection, row.__table__, row.alert_seq.between(first, last), row.alert_seq)
    return sorted(found, key=lambda note: (note["alert_seq"], note["number"]))


def user_rows(connection: Connection) -> dict[Any, dict[str, Any]]:
    """By name."""
    return {row["name"]: row for row in _plain(connection, UserRow.__table__, None, UserRow.seq)}


def token_rows(connection: Connection) -> dict[Any, dict[str, Any]]:
    """By id, each with the name of its `owner`."""
    names = {row["seq"]: row["name"] for row in user_rows(connection).values()}
    found = _plain(connection, TokenRow.__table__, None, TokenRow.seq)
    return {row["token_id"]: row | {"owner": names.get(row["user_seq"])} for row in found}


def session_rows(connection: Connection) -> list[dict[str, Any]]:
    """Each with the `name` of its user."""
    names = {row["seq"]: row["name"] for row in user_rows(connection).values()}
    found = _plain(connection, SessionRow.__table__, None, SessionRow.created_at)
    return [row | {"name": names.get(row["user_seq"])} for row in found]


def logins_since(connection: Connection, since: datetime) -> Iterator[Row]:
    """Entries about log-ins, in order."""
    wanted = select(*_raw(connection, JOURNAL_COLUMNS)).where(
        JournalRow.subject == "session", JournalRow.action == "login", JournalRow.at >= since
    )
    yield from _hashable(connection, wanted.order_by(JournalRow.seq))


def webhook_rows(connection: Connection) -> dict[Any, dict[str, Any]]:
    """By id, removed ones too."""
    return {row["webhook_id"]: row for row in _plain(connection, WebhookRow.__table__, None, WebhookRow.seq)}


def arming_rows(connection: Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(the profile, the overrides)."""
    overrides = _plain(connection, ArmingOverrideRow.__table__, None, ArmingOverrideRow.camera)
    return _plain(connection, ArmingRow.__table__, None, ArmingRow.id), overrides


def entries_about(connection: Connection, subject: str, *, grouped: bool = True, after: int = 0) -> Iterator[Row]:
    """The entries about such things, in order; `grouped`: one thing after the other."""
    wanted = select(*_raw(connection, JOURNAL_COLUMNS)).where(JournalRow.subject == subject)
    if after:
        wanted = wanted.where(JournalRow.seq > after)
    order = (JournalRow.subject_id, JournalRow.seq) if grouped else (JournalRow.seq,)
    yield from _hashable(connection, wanted.order_by(*order))


def signed_heads(connection: Connection) -> list[dict[str, Any]]:
    return _plain(connection, SignedHeadRow.__table__, None, SignedHeadRow.id)


def checkpoints(connection: Connection) -> list[dict[str, Any]]:
    return _plain(connection, CheckpointRow.__table__, None, CheckpointRow.up_to_seq)


def incident_rows(connection: Connection) -> list[dict[str, Any]]:
    return _plain(connection, IncidentRow.__table__, None, IncidentRow.seq)


def entries_of_incidents(connection: Connection) -> Iterator[Row]:
    """The entries about incidents, by incident, each in order."""
    yield from entries_about(connection, "incident")


def incident_ids(connection: Connection) -> dict[int, str]:
    """By the number of their row."""
    return {row[0]: row[1] for row in connection.execute(select(IncidentRow.seq, IncidentRow.incident_id))}


def tips(connection: Connection) -> list[dict[str, Any]]:
    return _plain(connection, JournalTipRow.__table__, None, JournalTipRow.id)


def turns(connection: Connection) -> dict[Any, tuple[Any, Any]] | None:
    """Where the clock was set back, as it is kept for lists: number -> (moment, moment of the entry before). None in a
    database of before that was kept."""
    if not inspect(connection).has_table(JournalTurnRow.__tablename__):
        return None
    found = _plain(connection, JournalTurnRow.__table__, None, JournalTurnRow.seq)
    return {row["seq"]: (row["at"], row["previous_at"]) for row in found}


def alerts_without_rows(connection: Connection) -> Iterator[tuple[str, int]]:
    """(alert_id, number of its first entry) of alerts that the journal knows and whose rows are gone, although no
    entry says that they were removed."""
    removed = func.max(case((JournalRow.action == "removed", JournalRow.seq), else_=0))
    wanted = (
        select(JournalRow.subject_id, func.min(JournalRow.seq))
        .where(
            JournalRow.subject == "alert",
            ~select(AlertRow.seq).where(AlertRow.alert_id == JournalRow.subject_id).exists(),
        )
        .group_by(JournalRow.subject_id)
        .having(removed < func.max(JournalRow.seq))
    )
    for row in connection.execute(wanted.execution_options(yield_per=PIECE)):
        yield row[0], row[1]


def doubled(connection: Connection, *, people: bool) -> Iterator[tuple[str, str]]:
    """(what it is, its name) of what is there twice, as only a changed table allows; `people`: these tables exist."""
    names: list[tuple[str, Any]] = [("alert", AlertRow.alert_id), ("incident", IncidentRow.incident_id)]
    if people:
        names += [("user", UserRow.name), ("token", TokenRow.token_id), ("webhook", WebhookRow.webhook_id)]
    for what, name in names:
        for row in connection.execute(select(name).group_by(name).having(func.count() > 1)):
            yield what, row[0]


def alert_counts(connection: Connection) -> tuple[dict[Row, int], dict[Row, int]]:
    """(as they are kept, as they are) by facet, state and severity."""
    kept = select(AlertCountRow.facet_seq, AlertCountRow.state, AlertCountRow.severity, AlertCountRow.number)
    by = (AlertRow.facet_seq, AlertRow.state, AlertRow.severity)
    real = select(*by, func.count()).group_by(*by)

    def counted(wanted: Any) -> dict[Row, int]:
        return {tuple(row[:3]): row[3] for row in connection.execute(wanted)}

    return counted(kept), counted(real)


def facets(connection: Connection) -> dict[int, Row]:
    """(camera, rule, kind, zone, line, label) by number."""
    row = AlertFacetRow
    wanted = select(row.seq, row.camera, row.rule, row.kind, row.zone, row.line, row.label)
    return {found[0]: tuple(found[1:]) for found in connection.execute(wanted)}


def facet_spans(connection: Connection) -> dict[Any, tuple[Any, Any]]:
    """(before_s, after_s) by number: see `AlertFacetRow`."""
    row = AlertFacetRow
    wanted = select(*_raw(connection, (row.seq, row.before_s, row.after_s)))
    return {found[0]: (found[1], found[2]) for found in connection.execute(wanted)}


def _raw(connection: Connection, columns: Sequence[Any]) -> list[ColumnElement[Any]]:
    """The columns without what would turn values into types that they might not be of."""
    if connection.dialect.name == "sqlite":
        return [type_coerce(column, String).label(column.key) for column in columns]
    return list(columns)


def _hashable(connection: Connection, wanted: Any) -> Iterator[Row]:
    result = connection.execute(wanted.execution_options(yield_per=PIECE))
    if connection.dialect.name == "sqlite":
        for row in result:
            at = row[1]
            # SQLite keeps moments as "2026-03-01 14:00:00.000000", in UTC.
            text = f"{at[:10]}T{at[11:]}Z" if isinstance(at, str) and at[10:11] == " " else at
            yield (row[0], text, *row[2:])
    else:
        for row in result:
            yield (row[0], utc_text_us(row[1]), *row[2:])


def _plain(
    connection: Connection, table: FromClause, where: Any, order: Any, limit: int | None = None
) -> list[dict[str, Any]]:
    wanted = select(*_raw(connection, tuple(table.c)))
    if where is not None:
        wanted = wanted.where(where)
    wanted = wanted.order_by(order).limit(limit)
    moments = [column.key for column in table.c if isinstance(column.type, UtcDateTime)]
    found = [dict(row._mapping) for row in connection.execute(wanted)]
    for row in found:
        for name in moments:
            row[name] = _moment_text(row[name])
    return found


def _moment_text(value: Any) -> Any:
    if isinstance(value, str) and value[10:11] == " ":
        return f"{value[:10]}T{value[11:]}Z"
    return utc_text_us(value) if hasattr(value, "isoformat") else value


__all__ = ["alert_counts", "alert_rows", "alerts_without_rows", "change_rows", "checkpoints", "clip_rows",
           "entries_of_alerts", "event_rows", "incident_ids", "journal_rows", "signed_heads", "tips"]  # fmt: skip
