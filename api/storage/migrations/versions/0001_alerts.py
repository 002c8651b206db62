"""Alerts, their events, clips and changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("alert_id", sa.String(400), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("camera", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("zone", sa.String(64)),
        sa.Column("line", sa.String(64)),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("measured", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("start_s", sa.Double, nullable=False),
        sa.Column("end_s", sa.Double, nullable=False),
        sa.Column("first_raised_s", sa.Double, nullable=False),
        sa.Column("started_at", _moment),
        sa.Column("ended_at", _moment),
        sa.Column("first_raised_at", _moment),
        sa.Column("received_at", _moment, nullable=False),
        sa.Column("sort_at", _moment, nullable=False),
        sa.Column("acknowledged_at", _moment),
        sa.Column("closed_at", _moment),
        sa.Column("reason", sa.String(32)),
        sa.Column("note", sa.Text),
        sa.Column("snapshot", sa.Text),
        sa.Column("media", sa.String(16), nullable=False),
        sa.Column("media_note", sa.Text),
        sa.UniqueConstraint("alert_id", name="uq_alert_alert_id"),
    )
    op.create_index("ix_alert_order", "alert", ["sort_at", "seq"])
    op.create_index("ix_alert_rule", "alert", ["camera", "rule", "seq"])
    op.create_index("ix_alert_state", "alert", ["state", "sort_at", "seq"])
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(300), nullable=False),
        sa.Column("alert_seq", sa.Integer, sa.ForeignKey("alert.seq", name="fk_event_alert_seq_alert"), nullable=False),
        sa.Column("raised_s", sa.Double, nullable=False),
        sa.Column("raised_at", _moment),
        sa.Column("body", sa.JSON, nullable=False),
        sa.UniqueConstraint("run", "event_id", name="uq_event_run_event_id"),
    )
    op.create_index("ix_event_alert", "event", ["alert_seq", "seq"])
    op.create_table(
        "clip",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("alert_seq", sa.Integer, sa.ForeignKey("alert.seq", name="fk_clip_alert_seq_alert"), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("original", sa.Text),
        sa.Column("from_s", sa.Double, nullable=False),
        sa.Column("to_s", sa.Double),
        sa.Column("shortfall_s", sa.Double, nullable=False),
        sa.UniqueConstraint("alert_seq", "part", name="uq_clip_alert_seq_part"),
    )
    op.create_table(
        "alert_change",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column(
            "alert_seq", sa.Integer, sa.ForeignKey("alert.seq", name="fk_alert_change_alert_seq_alert"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("actor", sa.String(128)),
        sa.Column("reason", sa.String(32)),
        sa.Column("note", sa.Text),
    )
    op.create_index("ix_alert_change_alert", "alert_change", ["alert_seq", "seq"])
