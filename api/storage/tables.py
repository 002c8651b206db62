"""The tables of alerts, as SQLAlchemy maps them. `migrations/` builds them; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, MetaData, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept as UTC; SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


class Base(DeclarativeBase):
    # Named constraints, so that later migrations can change them on every database.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class AlertRow(Base):
    """One alert as it stands now; `alert_change` holds how it came there."""

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("alert_id"),
        Index("ix_alert_order", "sort_at", "seq"),
        Index("ix_alert_rule", "camera", "rule", "seq"),
        Index("ix_alert_state", "state", "sort_at", "seq"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    """Order of arrival."""
    alert_id: Mapped[str] = mapped_column(String(400))
    run: Mapped[str] = mapped_column(String(64))
    camera: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(String(16))
    zone: Mapped[str | None] = mapped_column(String(64))
    line: Mapped[str | None] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(64))
    measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Of the event that opened it, so that a list need not read events."""
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    first_raised_s: Mapped[float]
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_raised_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sort_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was first raised, or, where that is unknown, when it came in; never changes."""
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(Text)
    snapshot: Mapped[str | None] = mapped_column(Text)
    media: Mapped[str] = mapped_column(String(16))
    """pending, ready or missing."""
    media_note: Mapped[str | None] = mapped_column(Text)

    events: Mapped[list[EventRow]] = relationship(order_by="EventRow.seq", back_populates="alert")
    clips: Mapped[list[ClipRow]] = relationship(order_by="ClipRow.part", cascade="all, delete-orphan")
    changes: Mapped[list[ChangeRow]] = relationship(order_by="ChangeRow.seq")


class EventRow(Base):
    """One rule event, whole, as its line of `events.jsonl`."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("run", "event_id"), Index("ix_event_alert", "alert_seq", "seq"))

    seq: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(300))
    alert_seq: Mapped[int] = mapped_column(ForeignKey("alert.seq"))
    raised_s: Mapped[float]
    raised_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)

    alert: Mapped[AlertRow] = relationship(back_populates="events")


class ClipRow(Base):
    """One piece of footage of an alert; paths are relative to the media folder."""

    __tablename__ = "clip"
    __table_args__ = (UniqueConstraint("alert_seq", "part"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    alert_seq: Mapped[int] = mapped_column(ForeignKey("alert.seq"))
    part: Mapped[int]
    """From 1."""
    path: Mapped[str] = mapped_column(Text)
    original: Mapped[str | None] = mapped_column(Text)
    from_s: Mapped[float]
    to_s: Mapped[float | None]
    shortfall_s: Mapped[float]


class ChangeRow(Base):
    """What was done with an alert, when and by whom; only ever added to."""

    __tablename__ = "alert_change"
    __table_args__ = (Index("ix_alert_change_alert", "alert_seq", "seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    alert_seq: Mapped[int] = mapped_column(ForeignKey("alert.seq"))
    version: Mapped[int]
    """The alert's version after the change."""
    action: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str | None] = mapped_column(String(128))
    reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(Text)
