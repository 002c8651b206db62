"""Users, their sessions and tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.storage.base import Base, UtcDateTime


class UserRow(Base):
    """Somebody who can log in."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("oidc_issuer", "oidc_subject"))

    seq: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    """Lower case; never changes and is never given to somebody else."""
    display_name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    cameras: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """None: all."""
    password_hash: Mapped[str | None] = mapped_column(Text)
    """Argon2; None for those who log in elsewhere."""
    must_change_password: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    oidc_issuer: Mapped[str | None] = mapped_column(String(400))
    oidc_subject: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    password_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)


class SessionRow(Base):
    """A browser that is logged in."""

    __tablename__ = "login_session"
    __table_args__ = (Index("ix_login_session_user", "user_seq"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what the cookie holds."""
    user_seq: Mapped[int] = mapped_column(ForeignKey("user_account.seq"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    origin: Mapped[str | None] = mapped_column(String(64))

    user: Mapped[UserRow] = relationship()


class TokenRow(Base):
    """An API token of a user."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_id"), Index("ix_api_token_user", "user_seq"))

    seq: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[str] = mapped_column(String(32))
    user_seq: Mapped[int] = mapped_column(ForeignKey("user_account.seq"))
    name: Mapped[str] = mapped_column(String(128))
    secret_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256; the secret is random, so nothing slower is needed."""
    permissions: Mapped[list[str]] = mapped_column(JSON)
    cameras: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[UserRow] = relationship()
