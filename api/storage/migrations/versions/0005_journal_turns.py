"""Where the journal's clock was set back, so that its entries of a time are found without reading it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "journal_turn",
        sa.Column("seq", _counter, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("previous_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_journal_turn"),
    )
    op.execute(
        "INSERT INTO journal_turn (seq, at, previous_at) SELECT seq, at, previous_at FROM "
        "(SELECT seq, at, lag(at) OVER (ORDER BY seq) AS previous_at FROM journal) entry WHERE at < previous_at"
    )
    turned = (
        "INSERT INTO journal_turn (seq, at, previous_at) SELECT NEW.seq, NEW.at, journal.at FROM journal "
        "WHERE journal.seq = NEW.seq - 1 AND journal.at > NEW.at;"
    )
    when = "CREATE TRIGGER journal_turned AFTER INSERT ON journal FOR EACH ROW"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"{when} BEGIN {turned} END")
        return
    op.execute(
        f"CREATE FUNCTION journal_turned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {turned} RETURN NULL; END $$"
    )
    op.execute(f"{when} EXECUTE FUNCTION journal_turned()")
