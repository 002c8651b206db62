"""The journal; incidents, and who did what with an alert when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _incident()
    _alert()
    _alert_count()
    _journal()
    _journal_tip()
    _signed_head()
    _journal_checkpoint()


def _incident() -> None:
    op.create_table(
        "incident",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("closed_at", _moment),
        sa.Column("closed_by", sa.String(128)),
        sa.PrimaryKeyConstraint("seq", name="pk_incident"),
        sa.UniqueConstraint("incident_id", name="uq_incident_incident_id"),
    )
    op.create_index("ix_incident_order", "incident", ["created_at", "seq"])


def _alert() -> None:
    for column in (
        sa.Column("seen_at", _moment),
        sa.Column("seen_by", sa.String(128)),
        sa.Column("acknowledged_by", sa.String(128)),
        sa.Column("assignee", sa.String(128)),
        sa.Column("closed_by", sa.String(128)),
        sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("drill", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("journal_seq", _counter, nullable=False, server_default="0"),
    ):
        op.add_column("alert", column)
    # Rebuilding the table, as batch mode would for a foreign key, is not possible on SQLite while events refer to it.
    op.execute(
        "ALTER TABLE alert ADD COLUMN incident_seq INTEGER CONSTRAINT fk_alert_incident_seq_incident "
        "REFERENCES incident (seq)"
    )
    op.create_index("ix_alert_incident_seq", "alert", ["incident_seq"])


def _alert_count() -> None:
    op.create_table(
        "alert_count",
        sa.Column("camera", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("camera", "state", "severity", name="pk_alert_count"),
    )
    op.execute(
        "INSERT INTO alert_count (camera, state, severity, number) "
        "SELECT camera, state, severity, count(*) FROM alert GROUP BY camera, state, severity"
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", _counter, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("origin", sa.String(64)),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(400), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("camera", sa.String(64)),
        sa.Column("version", sa.Integer()),
        sa.Column("reason", sa.String(64)),
        sa.Column("note", sa.Text()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_journal"),
    )
    op.create_index("ix_journal_camera", "journal", ["camera", "seq"])
    op.create_index("ix_journal_subject", "journal", ["subject", "subject_id", "seq"])


def _journal_tip() -> None:
    op.create_table(
        "journal_tip",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", _counter, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal_tip"),
    )


def _signed_head() -> None:
    op.create_table(
        "signed_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", _counter, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signed_head"),
    )


def _journal_checkpoint() -> None:
    op.create_table(
        "journal_checkpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("up_to_seq", _counter, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("removed", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal_checkpoint"),
    )
