"""The journal's tables: entries, where it ends, signed heads, checkpoints. See `api.journal` for what they mean."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.storage.base import Base, Counter, UtcDateTime


class JournalRow(Base):
    """One entry; only ever added to, and taken away from the front by retention."""

    __tablename__ = "journal"
    __table_args__ = (
        Index("ix_journal_subject", "subject", "subject_id", "seq"),
        Index("ix_journal_camera", "camera", "seq"),
        Index("ix_journal_actor", "actor", "seq"),
        Index("ix_journal_action", "action", "seq"),
    )

    seq: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=False)
    """Counts from 1 without gaps; also the id of the entry on the live stream."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(200))
    origin: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(400))
    action: Mapped[str] = mapped_column(String(32))
    camera: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    """Canonical JSON, kept as the text that was hashed."""
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class JournalTurnRow(Base):
    """An entry that is dated before the one it follows: the clock had been set back. Kept by a trigger.

    Between two of these the journal is in the order of its moments; see `api.storage.journal_times`.
    """

    __tablename__ = "journal_turn"

    seq: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    previous_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """Of the entry that it follows."""


class JournalTipRow(Base):
    """Where the journal ends, sealed with the site's key: one row, which every writer locks first."""

    __tablename__ = "journal_tip"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    seq: Mapped[int] = mapped_column(Counter)
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))


class SignedHeadRow(Base):
    """A head of the journal as it was signed and sent out."""

    __tablename__ = "signed_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Counter)
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(16))
    """hourly, export, checkpoint, stop or asked."""
    key_id: Mapped[str] = mapped_column(String(16))
    signature: Mapped[str] = mapped_column(String(128))


class CheckpointRow(Base):
    """Stands in for the entries up to `up_to_seq` that retention took away."""

    __tablename__ = "journal_checkpoint"

    id: Mapped[int] = mapped_column(primary_key=True)
    up_to_seq: Mapped[int] = mapped_column(Counter)
    hash: Mapped[str] = mapped_column(String(64))
    """Of the last entry taken away: the next one's `prev_hash`."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed: Mapped[str] = mapped_column(Text)
    """Canonical JSON: how many entries and alerts."""
    key_id: Mapped[str] = mapped_column(String(16))
    signature: Mapped[str] = mapped_column(String(128))
