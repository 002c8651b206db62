"""The tables of alerts, as SQLAlchemy maps them. `migrations/` builds them; a test holds the two together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.storage.base import Base, Counter, UtcDateTime


class AlertRow(Base):
    """One alert as it stands now; the journal holds how it came there."""

    __tablename__ = "alert"
    # The indexes of the list: see `api.storage.listing`. What few alerts have is indexed for those alone.
    __table_args__ = (
        UniqueConstraint("alert_id"),
        Index("ix_alert_order", "sort_at", "seq"),
        Index("ix_alert_rule", "camera", "rule", "seq"),
        Index("ix_alert_cell", "facet_seq", "state", "severity", "sort_at", "seq"),
        Index(
            "ix_alert_assignee", "assignee", "facet_seq", "state", "sort_at", "seq",
            sqlite_where=text("assignee IS NOT NULL"), postgresql_where=text("assignee IS NOT NULL"),
        ),
        Index(
            "ix_alert_reason", "reason", "facet_seq", "state", "sort_at", "seq",
            sqlite_where=text("reason IS NOT NULL"), postgresql_where=text("reason IS NOT NULL"),
        ),
        Index(
            "ix_alert_drill", "facet_seq", "state", "sort_at", "seq",
            sqlite_where=text("drill = 1"), postgresql_where=text("drill"),
        ),
    )  # fmt: skip

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
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_by: Mapped[str | None] = mapped_column(String(128))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(128))
    assignee: Mapped[str | None] = mapped_column(String(128))
    """The user who has it in hand."""
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(String(128))
    reopened: Mapped[int] = mapped_column(default=0)
    """How often a verdict on it was taken back."""
    drill: Mapped[bool] = mapped_column(default=False)
    """Raised while the site was practising."""
    incident_seq: Mapped[int | None] = mapped_column(ForeignKey("incident.seq"), index=True)
    facet_seq: Mapped[int | None] = mapped_column(ForeignKey("alert_facet.seq"))
    """Camera, rule, kind, zone, line and label as one number; set by `api.storage.facets` as the alert is added."""
    journal_seq: Mapped[int] = mapped_column(Counter, default=0)
    """Its newest entry in the journal; 0: none yet."""
    reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(Text)
    snapshot: Mapped[str | None] = mapped_column(Text)
    media: Mapped[str] = mapped_column(String(16))
    """pending, ready or missing."""
    media_note: Mapped[str | None] = mapped_column(Text)

    events: Mapped[list[EventRow]] = relationship(order_by="EventRow.seq", back_populates="alert")
    clips: Mapped[list[ClipRow]] = relationship(order_by="ClipRow.part", cascade="all, delete-orphan")
    changes: Mapped[list[ChangeRow]] = relationship(order_by="ChangeRow.seq")
    incident: Mapped[IncidentRow | None] = relationship(back_populates="alerts")


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
    """What was done with an alert before there was a journal (schema 0001); nothing is added any more."""

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


class IncidentRow(Base):
    """Alerts that belong together and are written up as one thing."""

    __tablename__ = "incident"
    __table_args__ = (UniqueConstraint("incident_id"), Index("ix_incident_order", "created_at", "seq"))

    seq: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    """open or closed."""
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(128))
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(String(128))

    alerts: Mapped[list[AlertRow]] = relationship(order_by="AlertRow.seq", back_populates="incident")


class AlertFacetRow(Base):
    """A combination of what never changes about an alert: a site has a few hundred of them, however many alerts.

    The list finds its alerts through them, so that filters on names and the search for a text look at hundreds of rows
    instead of a million.
    """

    __tablename__ = "alert_facet"
    __table_args__ = (UniqueConstraint("camera", "rule", "kind", "zone", "line", "label"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    camera: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    zone: Mapped[str] = mapped_column(String(64))
    """Empty where there is none, as for `line`: databases take two missing values for different ones."""
    line: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(64))
    before_s: Mapped[float] = mapped_column(default=0.0)
    """The longest that any of its alerts began before its `sort_at`; kept by a trigger, as is `after_s`."""
    after_s: Mapped[float] = mapped_column(default=0.0)
    """The longest that any of its alerts went on after its `sort_at`."""


class AlertCountRow(Base):
    """How many alerts there are, so that counting a million costs nothing; kept by triggers, whatever writes."""

    __tablename__ = "alert_count"

    facet_seq: Mapped[int] = mapped_column(ForeignKey("alert_facet.seq"), primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16), primary_key=True)
    severity: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int]


class AlertNoteRow(Base):
    """What was said about an alert, folded for the search; the words themselves are in the journal."""

    __tablename__ = "alert_note"
    # In the order of the list, and on SQLite nothing but that order: a search reads it from end to end.
    __table_args__ = (Index("ix_alert_note_alert", "alert_seq"), {"sqlite_with_rowid": False})

    sort_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    """Of its alert."""
    alert_seq: Mapped[int] = mapped_column(
        ForeignKey("alert.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1, for each alert."""
    folded: Mapped[str] = mapped_column(Text)
