"""Webhooks and their outbox; external events, arming, repeated requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _webhook()
    _outbox()
    _delivery()
    _idempotency()
    _arming()
    _arming_override()
    _external_event()


def _webhook() -> None:
    op.create_table(
        "webhook",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", sa.JSON(), nullable=False),
        sa.Column("cameras", sa.JSON()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("secret_generation", sa.Integer(), nullable=False),
        sa.Column("previous_secret_until", _moment),
        sa.Column("disabled_why", sa.String(16)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("held_until", _moment),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("removed_at", _moment),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_webhook"),
        sa.UniqueConstraint("webhook_id", name="uq_webhook_webhook_id"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", _counter, nullable=False),
        sa.Column("message_id", sa.String(40), nullable=False),
        sa.Column("webhook_seq", sa.Integer(), nullable=False),
        sa.Column("journal_seq", _counter, nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("next_at", _moment),
        sa.Column("give_up_at", _moment, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", _moment),
        sa.Column("last_error", sa.Text()),
        sa.ForeignKeyConstraint(["webhook_seq"], ["webhook.seq"], name="fk_outbox_webhook_seq_webhook"),
        sa.PrimaryKeyConstraint("seq", name="pk_outbox"),
        sa.UniqueConstraint("message_id", name="uq_outbox_message_id"),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_at"])
    op.create_index("ix_outbox_webhook", "outbox", ["webhook_seq", "state", "seq"])


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("seq", _counter, nullable=False),
        sa.Column("webhook_seq", sa.Integer(), nullable=False),
        sa.Column("outbox_seq", _counter, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.ForeignKeyConstraint(["webhook_seq"], ["webhook.seq"], name="fk_delivery_webhook_seq_webhook"),
        sa.ForeignKeyConstraint(["outbox_seq"], ["outbox.seq"], name="fk_delivery_outbox_seq_outbox"),
        sa.PrimaryKeyConstraint("seq", name="pk_delivery"),
    )
    op.create_index("ix_delivery_outbox", "delivery", ["outbox_seq", "seq"])
    op.create_index("ix_delivery_webhook", "delivery", ["webhook_seq", "seq"])


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(200), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("did", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def _arming() -> None:
    op.create_table(
        "arming",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("set_at", _moment, nullable=False),
        sa.Column("set_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_arming"),
    )


def _arming_override() -> None:
    op.create_table(
        "arming_override",
        sa.Column("camera", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("set_at", _moment, nullable=False),
        sa.Column("set_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("camera", "target", name="pk_arming_override"),
    )


def _external_event() -> None:
    op.create_table(
        "external_event",
        sa.Column("seq", _counter, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("received_at", _moment, nullable=False),
        sa.Column("did", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_external_event"),
        sa.UniqueConstraint("source", "event_id", name="uq_external_event_source_event_id"),
    )
    op.create_index("ix_external_event_at", "external_event", ["received_at"])
