"""Users, sessions and tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)
_counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _user_account()
    _login_session()
    _api_token()


def _user_account() -> None:
    op.create_table(
        "user_account",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("cameras", sa.JSON()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", _moment),
        sa.Column("oidc_issuer", sa.String(400)),
        sa.Column("oidc_subject", sa.String(255)),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("password_changed_at", _moment),
        sa.Column("last_login_at", _moment),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_user_account"),
        sa.UniqueConstraint("name", name="uq_user_account_name"),
        sa.UniqueConstraint("oidc_issuer", "oidc_subject", name="uq_user_account_oidc_issuer_oidc_subject"),
    )


def _login_session() -> None:
    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("user_seq", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("last_seen_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.Column("origin", sa.String(64)),
        sa.ForeignKeyConstraint(["user_seq"], ["user_account.seq"], name="fk_login_session_user_seq_user_account"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_login_session"),
    )
    op.create_index("ix_login_session_user", "login_session", ["user_seq"])


def _api_token() -> None:
    op.create_table(
        "api_token",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("user_seq", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("cameras", sa.JSON()),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.Column("revoked_at", _moment),
        sa.Column("last_used_at", _moment),
        sa.ForeignKeyConstraint(["user_seq"], ["user_account.seq"], name="fk_api_token_user_seq_user_account"),
        sa.PrimaryKeyConstraint("seq", name="pk_api_token"),
        sa.UniqueConstraint("token_id", name="uq_api_token_token_id"),
    )
    op.create_index("ix_api_token_user", "api_token", ["user_seq"])
