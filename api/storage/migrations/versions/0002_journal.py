"""The journal; incidents, and who did what with an alert when."""

from __future__ import annotations

import unicodedata
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FACETS = ("camera", "rule", "kind", "zone", "line", "label")
_BEFORE = {
    "sqlite": "round((julianday({row}.sort_at) - julianday({row}.started_at)) * 86400.0, 3) + 0.01",
    "postgresql": "extract(epoch FROM {row}.sort_at - {row}.started_at) + 0.01",
}
_AFTER = {
    "sqlite": "round((julianday({row}.ended_at) - julianday({row}.sort_at)) * 86400.0, 3) + 0.01",
    "postgresql": "extract(epoch FROM {row}.ended_at - {row}.sort_at) + 0.01",
}
"""Seconds, rounded up a little: they widen a search, and must never narrow it."""


def upgrade() -> None:
    _incident()
    _alert()
    _alert_facet()
    _alert_count()
    _alert_note()
    _alert_indexes()
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


def _alert_facet() -> None:
    op.create_table(
        "alert_facet",
        sa.Column("seq", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(64), nullable=False) for name in _FACETS),
        sa.Column("before_s", sa.Double(), nullable=False, server_default="0"),
        sa.Column("after_s", sa.Double(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("seq", name="pk_alert_facet"),
        sa.UniqueConstraint(*_FACETS, name="uq_alert_facet_camera_rule_kind_zone_line_label"),
    )
    values = [f"coalesce({{row}}{name}, '')" if name in ("zone", "line") else f"{{row}}{name}" for name in _FACETS]
    own = ", ".join(values).format(row="")
    op.execute(f"INSERT INTO alert_facet ({', '.join(_FACETS)}) SELECT DISTINCT {own} FROM alert")
    op.execute(
        "ALTER TABLE alert ADD COLUMN facet_seq INTEGER CONSTRAINT fk_alert_facet_seq_alert_facet "
        "REFERENCES alert_facet (seq)"
    )
    same = " AND ".join(f"f.{name} = {value.format(row='alert.')}" for name, value in zip(_FACETS, values, strict=True))
    op.execute(f"UPDATE alert SET facet_seq = (SELECT f.seq FROM alert_facet f WHERE {same})")
    for column, longest in (("before_s", _BEFORE), ("after_s", _AFTER)):
        value = longest[op.get_bind().dialect.name].format(row="alert")
        op.execute(
            f"UPDATE alert_facet SET {column} = coalesce("
            f"(SELECT max({value}) FROM alert WHERE alert.facet_seq = alert_facet.seq), 0)"
        )


def _alert_count() -> None:
    op.create_table(
        "alert_count",
        sa.Column("facet_seq", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("facet_seq", "state", "severity", name="pk_alert_count"),
        sa.ForeignKeyConstraint(["facet_seq"], ["alert_facet.seq"], name="fk_alert_count_facet_seq_alert_facet"),
    )
    op.execute(
        "INSERT INTO alert_count (facet_seq, state, severity, number) "
        "SELECT facet_seq, state, severity, count(*) FROM alert GROUP BY facet_seq, state, severity"
    )
    for statement in _triggers(op.get_bind().dialect.name):
        op.execute(statement)


def _triggers(dialect: str) -> list[str]:
    """What keeps counts and spans right, whatever writes alerts."""
    less = (
        "UPDATE alert_count SET number = number - 1 "
        "WHERE facet_seq = OLD.facet_seq AND state = OLD.state AND severity = OLD.severity;"
    )
    more = (
        "INSERT INTO alert_count (facet_seq, state, severity, number) "
        "VALUES (NEW.facet_seq, NEW.state, NEW.severity, 1) "
        "ON CONFLICT (facet_seq, state, severity) DO UPDATE SET number = alert_count.number + 1;"
    )
    before, after = _BEFORE[dialect].format(row="NEW"), _AFTER[dialect].format(row="NEW")
    wider = (
        f"UPDATE alert_facet SET before_s = {before} WHERE seq = NEW.facet_seq AND before_s < {before}; "
        f"UPDATE alert_facet SET after_s = {after} WHERE seq = NEW.facet_seq AND after_s < {after};"
    )
    moved = "(OLD.state <> NEW.state OR OLD.severity <> NEW.severity)"
    events = (
        ("alert_added", "INSERT ON alert", "", f"{more} {wider}"),
        ("alert_removed", "DELETE ON alert", "", less),
        ("alert_moved", "UPDATE OF state, severity ON alert", f"WHEN {moved}", f"{less} {more}"),
        ("alert_grown", "UPDATE OF started_at, ended_at ON alert", "", wider),
    )
    made = []
    for name, when, condition, body in events:
        if dialect == "sqlite":
            made.append(f"CREATE TRIGGER {name} AFTER {when} FOR EACH ROW {condition} BEGIN {body} END")
        else:
            made.append(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
            )
            made.append(f"CREATE TRIGGER {name} AFTER {when} FOR EACH ROW {condition} EXECUTE FUNCTION {name}()")
    return made


def _alert_note() -> None:
    op.create_table(
        "alert_note",
        sa.Column("sort_at", _moment, nullable=False),
        sa.Column("alert_seq", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sort_at", "alert_seq", "number", name="pk_alert_note"),
        sa.ForeignKeyConstraint(["alert_seq"], ["alert.seq"], name="fk_alert_note_alert_seq_alert", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alert_note_alert", "alert_note", ["alert_seq"])
    said = op.get_bind().execute(
        sa.text(
            "SELECT alert.seq, alert.sort_at, alert_change.note FROM alert_change "
            "JOIN alert ON alert.seq = alert_change.alert_seq WHERE alert_change.note IS NOT NULL "
            "ORDER BY alert.seq, alert_change.seq"
        ).columns(sa.column("seq", sa.Integer()), sa.column("sort_at", _moment), sa.column("note", sa.Text()))
    )
    numbers: Counter[int] = Counter()
    rows = []
    for seq, sort_at, note in said:
        numbers[seq] += 1
        folded = unicodedata.normalize("NFKC", note).casefold()
        rows.append({"sort_at": sort_at, "alert_seq": seq, "number": numbers[seq], "folded": folded})
    table = sa.table(
        "alert_note", sa.column("sort_at", _moment), sa.column("alert_seq"), sa.column("number"), sa.column("folded")
    )
    for start in range(0, len(rows), 1000):
        op.bulk_insert(table, rows[start : start + 1000])


def _alert_indexes() -> None:
    op.drop_index("ix_alert_state", "alert")
    op.create_index("ix_alert_cell", "alert", ["facet_seq", "state", "severity", "sort_at", "seq"])
    for name, column in (("ix_alert_assignee", "assignee"), ("ix_alert_reason", "reason")):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name, "alert", [column, "facet_seq", "state", "sort_at", "seq"], sqlite_where=some, postgresql_where=some
        )
    op.create_index(
        "ix_alert_drill", "alert", ["facet_seq", "state", "sort_at", "seq"],
        sqlite_where=sa.text("drill = 1"), postgresql_where=sa.text("drill"),
    )  # fmt: skip


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
    op.create_index("ix_journal_action", "journal", ["action", "seq"])
    op.create_index("ix_journal_actor", "journal", ["actor", "seq"])
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
