"""A site that has lived a little, and ways to do harm to its database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text

from api.alerts import Clip
from api.audit import Report, Trust, audit_database
from api.audit_chain import KeptHead
from api.export import COLUMNS
from api.heads import HEADS_FILE, kept_heads
from api.journal import Actor, Entry, hash_of
from api.keys import KEY_FILE, SiteKeys
from api.services import Services, open_services
from tests.api.scenes import make_event

GUARD = Actor("user", "wang", "192.0.2.7")


def live(services: Services, *, head: bool = True) -> None:
    """Four alerts, handled differently; a signed head in between, and more after it."""
    desk = services.desk
    first, second, third = (desk.take(make_event(n, 1000.0 * n)).alert_id for n in (1, 2, 3))
    desk.take(make_event(4, 3010.0))  # Joins the third.
    desk.attach_media(first, snapshot="snapshots/1.jpg", clips=[Clip("clips/1.mp4", 995.0, 1005.0)])
    desk.media_missing(second, "The disk was full.")
    desk.act(first, "acknowledge", actor=GUARD)
    desk.act(first, "resolve", reason="other", note="a fox, 狐狸", actor=GUARD)
    if head:
        services.heads.sign("hourly")
    desk.act(second, "claim", actor=GUARD)
    desk.act(first, "reopen", note="not a fox", actor=GUARD)
    desk.act(third, "false_alarm", reason="animal", actor=Actor("token", "li/abc", None))
    desk.take(make_event(5, 9000.0))
    incident = services.incidents.create("a burglary", [first, second], actor=GUARD)
    services.incidents.close(incident.incident_id, note="written up", actor=GUARD)


@contextmanager
def raw(where: str) -> Iterator[Connection]:
    """The database as somebody has it who goes past Gatewatch."""
    url = where.replace("postgresql://", "postgresql+psycopg://") if "://" in where else f"sqlite:///{where}"
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def sql(connection: Connection, statement: str, **values: Any) -> Sequence[Any]:
    result = connection.execute(text(statement), values)
    return result.all() if result.returns_rows else []


def rehash(connection: Connection, first: int, *, tip: bool = True, last: int | None = None) -> None:
    """Hashes every entry from this one on anew, as everybody can: the chain then fits again."""
    names = ", ".join(COLUMNS)
    rows = sql(connection, f"SELECT {names} FROM journal WHERE seq >= :first ORDER BY seq", first=first)
    before = sql(connection, "SELECT hash FROM journal WHERE seq = :seq", seq=first - 1)
    hash_ = before[0][0] if before else "0" * 64
    for row in rows:
        if last is not None and row.seq > last:
            return
        moment = row.at if isinstance(row.at, datetime) else datetime.fromisoformat(row.at)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        entry = Entry(
            row.seq, moment, Actor(row.actor_kind, row.actor, row.origin), row.subject, row.subject_id, row.action,
            row.camera, row.version, row.reason, row.note, {}, hash_,
        )  # fmt: skip
        prev, hash_ = hash_, hash_of(entry, row.body)
        sql(connection, "UPDATE journal SET prev_hash = :p, hash = :h WHERE seq = :s", p=prev, h=hash_, s=row.seq)
    if tip:
        sql(
            connection, "UPDATE journal_tip SET seq = :s, hash = :h",
            s=rows[-1].seq if rows else first - 1, h=hash_,
        )  # fmt: skip


def shift(connection: Connection, first: int, by: int) -> None:
    """Gives the entries from this one on other numbers."""
    order = "DESC" if by > 0 else "ASC"
    for (seq,) in sql(connection, f"SELECT seq FROM journal WHERE seq >= :first ORDER BY seq {order}", first=first):
        sql(connection, "UPDATE journal SET seq = :new WHERE seq = :old", new=seq + by, old=seq)


def copy_entry(connection: Connection, seq: int, to: int, **changes: Any) -> None:
    names = ", ".join(COLUMNS)
    row = dict(sql(connection, f"SELECT {names} FROM journal WHERE seq = :s", s=seq)[0]._mapping) | {"seq": to}
    row |= changes
    places = ", ".join(f":{name}" for name in COLUMNS)
    sql(connection, f"INSERT INTO journal ({names}) VALUES ({places})", **row)


def audit_of(where: str, folder: Path, **trust: Any) -> Report:
    """As `gatewatch audit` does it, with the key and the heads that lie in the folder."""
    heads = [KeptHead(head, HEADS_FILE) for head in kept_heads(folder / HEADS_FILE)]
    known = Trust(SiteKeys.load(folder / KEY_FILE), None, heads)
    return audit_database(where if "://" in where else Path(where), replace(known, **trust))


@contextmanager
def reopened(where: str, folder: Path, **options: Any) -> Iterator[Services]:
    with open_services(where if "://" in where else Path(where), media_dir=folder, **options) as services:
        yield services
