"""Users, sessions and tokens in the database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session, joinedload

from api.storage.tables import AlertCountRow, AlertFacetRow
from api.storage.tables_access import SessionRow, TokenRow, UserRow


def user_named(session: Session, name: str) -> UserRow | None:
    return session.scalar(select(UserRow).where(UserRow.name == name))


def user_of_provider(session: Session, issuer: str, subject: str) -> UserRow | None:
    """The user who logs in at this OpenID provider under this subject."""
    return session.scalar(select(UserRow).where(UserRow.oidc_issuer == issuer, UserRow.oidc_subject == subject))


def users_after(session: Session, name: str | None, limit: int) -> list[UserRow]:
    """Users by name, those that follow `name`."""
    wanted = select(UserRow)
    if name is not None:
        wanted = wanted.where(UserRow.name > name)
    return list(session.scalars(wanted.order_by(UserRow.name).limit(limit)))


def any_user(session: Session) -> bool:
    return session.scalar(select(UserRow.seq).limit(1)) is not None


def other_administrators(session: Session, user_seq: int) -> int:
    """How many administrators could log in if this user could not."""
    wanted = select(func.count()).select_from(UserRow)
    wanted = wanted.where(UserRow.role == "administrator", UserRow.disabled.is_(False), UserRow.seq != user_seq)
    return session.scalar(wanted) or 0


def session_of(session: Session, token_hash: str) -> SessionRow | None:
    return session.get(SessionRow, token_hash, options=[joinedload(SessionRow.user)])


def end_sessions_of(session: Session, user_seq: int) -> None:
    session.execute(delete(SessionRow).where(SessionRow.user_seq == user_seq))


def forget_ended_sessions(session: Session, now: datetime, idle_since: datetime) -> None:
    session.execute(delete(SessionRow).where(or_(SessionRow.expires_at <= now, SessionRow.last_seen_at <= idle_since)))


def token_of(session: Session, token_id: str) -> TokenRow | None:
    wanted = select(TokenRow).where(TokenRow.token_id == token_id).options(joinedload(TokenRow.user))
    return session.scalar(wanted)


def tokens_after(session: Session, owner: str | None, seq: int, limit: int) -> list[TokenRow]:
    """Tokens in the order they were made, of one user or (None) of all, those that follow `seq`."""
    wanted = select(TokenRow).where(TokenRow.seq > seq).options(joinedload(TokenRow.user))
    if owner is not None:
        wanted = wanted.join(TokenRow.user).where(UserRow.name == owner)
    return list(session.scalars(wanted.order_by(TokenRow.seq).limit(limit)))


def living_tokens(session: Session, user_seq: int, now: datetime) -> int:
    """How many tokens of a user could be used now."""
    wanted = select(func.count()).select_from(TokenRow)
    wanted = wanted.where(TokenRow.user_seq == user_seq, TokenRow.revoked_at.is_(None), TokenRow.expires_at > now)
    return session.scalar(wanted) or 0


def cameras_with_alerts(session: Session, names: Collection[str]) -> set[str]:
    """Those of these cameras of which there are alerts."""
    counted = select(AlertFacetRow.camera).join(AlertCountRow, AlertCountRow.facet_seq == AlertFacetRow.seq)
    return set(session.scalars(counted.where(AlertFacetRow.camera.in_(sorted(names)), AlertCountRow.number > 0)))
