"""What goes out (webhooks and their outbox) and what comes in (external events, arming, repeated requests)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.storage.base import Base, Counter, UtcDateTime


class WebhookRow(Base):
    """A target that is told what happens."""

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("webhook_id"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(128))
    url: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]] = mapped_column(JSON)
    cameras: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """None: all."""
    enabled: Mapped[bool] = mapped_column(default=True)
    secret_generation: Mapped[int] = mapped_column(default=1)
    """Its secret is derived from the site's key, its id and this number."""
    previous_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then messages are signed with the secret of the generation before, too."""
    disabled_why: Mapped[str | None] = mapped_column(String(16))
    """asked or gone (the target answered 410); None while it is enabled."""
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts that failed since one succeeded."""
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The target cannot be reached: nothing is sent to it before then."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)


class OutboxRow(Base):
    """One message to one target, written in the transaction of what it tells."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "state", "next_at"),
        Index("ix_outbox_webhook", "webhook_seq", "state", "seq"),
    )

    seq: Mapped[int] = mapped_column(Counter, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(40), unique=True)
    """The receiver's key against doubles."""
    webhook_seq: Mapped[int] = mapped_column(ForeignKey("webhook.seq"))
    journal_seq: Mapped[int] = mapped_column(Counter)
    topic: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    """JSON, as it is sent."""
    state: Mapped[str] = mapped_column(String(16))
    """pending, delivered or dead."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Not sent before then; None: at once."""
    give_up_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """An attempt that fails after then was the last."""
    attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)

    webhook: Mapped[WebhookRow] = relationship()


class DeliveryRow(Base):
    """One attempt to deliver a message."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_outbox", "outbox_seq", "seq"),
        Index("ix_delivery_webhook", "webhook_seq", "seq"),
    )

    seq: Mapped[int] = mapped_column(Counter, primary_key=True)
    webhook_seq: Mapped[int] = mapped_column(ForeignKey("webhook.seq"))
    outbox_seq: Mapped[int] = mapped_column(ForeignKey("outbox.seq"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_s: Mapped[float]
    status: Mapped[int | None]
    """HTTP status, where there was an answer."""
    error: Mapped[str | None] = mapped_column(Text)

    message: Mapped[OutboxRow] = relationship()


class IdempotencyRow(Base):
    """The answer to a request that may come again with the same key; written with what the request did."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_at", "at"),)

    caller: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, path and body."""
    did: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    """The journal entries of its transactions, in short: what is known of it should its answer be lost."""
    answer: Mapped[str | None] = mapped_column(Text)
    """Status, headers and body, encrypted with the site's key; None until the answer was made."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ArmingRow(Base):
    """Which profile the site is in: one row."""

    __tablename__ = "arming"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    profile: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    set_by: Mapped[str] = mapped_column(String(200))


class ArmingOverrideRow(Base):
    """One rule, zone or line of a camera that was armed or disarmed by itself, until the profile changes."""

    __tablename__ = "arming_override"

    camera: Mapped[str] = mapped_column(String(64), primary_key=True)
    target: Mapped[str] = mapped_column(String(64), primary_key=True)
    armed: Mapped[bool]
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    set_by: Mapped[str] = mapped_column(String(200))


class ExternalEventRow(Base):
    """A signed message from outside that was taken; its id keeps it from being taken twice."""

    __tablename__ = "external_event"
    __table_args__ = (UniqueConstraint("source", "event_id"), Index("ix_external_event_at", "received_at"))

    seq: Mapped[int] = mapped_column(Counter, primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    did: Mapped[str] = mapped_column(String(32))
    """alert, authorise, arm, disarm, profile or nothing."""
