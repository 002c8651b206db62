"""API tokens: what programs show instead of logging in. Shown once, kept as a hash, always with an end."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from api.access import vouched
from api.access.principal import Permission, Principal, permissions_of
from api.access.sessions import Found, hash_of
from api.access.users import scope_of, user_of
from api.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
)
from api.journal import Actor
from api.storage import people
from api.storage.ledger import Ledger
from api.storage.tables_access import TokenRow

LONGEST = timedelta(days=366)
USED_EVERY = timedelta(minutes=1)
MOST = 100
"""Tokens of one user that can be used at a time."""
PREFIX = "gw"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as others may know it: not its secret."""

    seq: int
    token_id: str
    owner: str
    name: str
    permissions: tuple[Permission, ...]
    """As given; what the owner's role has lost since counts for nothing."""
    cameras: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


class Tokens:
    """Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        owner: str,
        name: str,
        *,
        permissions: Iterable[Permission],
        expires_at: datetime,
        actor: Actor,
        cameras: Sequence[str] | None = None,
    ) -> tuple[Token, str]:
        """The token, and what its bearer shows; without `cameras` it gets its owner's as they are now.

        Raises NotFoundError, InvalidError, ForbiddenError for more than the owner may do or see, ConflictError where
        there are too many.
        """
        wanted = frozenset(permissions)
        with self._ledger.writing() as write:
            row = people.user_named(write.session, owner)
            if row is None or row.disabled:
                raise NotFoundError("There is no such user.", {"user": owner[:64]})
            user = user_of(row)
            own_cameras = None if user.cameras is None else frozenset(user.cameras)
            scope = scope_of(user.cameras if cameras is None else cameras)
            own = permissions_of(user.role, cameras=None if scope is None else frozenset(scope))
            if not wanted or wanted - own:
                raise ForbiddenError(
                    "A token gets some of what its owner may do, no more.", {"not_to_be_had": sorted(wanted - own)}
                )
            if own_cameras is not None and not own_cameras.issuperset(scope or ()):
                raise ForbiddenError("A token sees cameras that its owner sees, no more.", {"where": "cameras"})
            if not write.at < expires_at <= write.at + LONGEST:
                raise InvalidError(f"A token ends after now and within {LONGEST.days} days.", {"where": "expires_at"})
            if people.living_tokens(write.session, row.seq, write.at) >= MOST:
                raise ConflictError(f"{owner} has {MOST} tokens already: revoke some first.", {"most": MOST})
            token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
            made = TokenRow(
                token_id=token_id, user=row, name=name, secret_hash=hash_of(secret), permissions=sorted(wanted),
                cameras=scope, created_at=write.at, expires_at=expires_at,
            )  # fmt: skip
            write.session.add(made)
            write.session.flush()
            body = {"owner": owner, "name": name, "permissions": sorted(wanted), "cameras": scope,
                    "expires_at": expires_at.isoformat(),
                    vouched.FIELD: vouched.of_token(write.keys, token_id, made.secret_hash)}  # fmt: skip
            write.journal(actor, "token", token_id, "created", body)
            return token_of(made), f"{PREFIX}_{token_id}_{secret}"

    def list(self, owner: str | None, *, after: int = 0, limit: int = 1000) -> list[Token]:
        """In the order they were made; `owner` None: everybody's."""
        with self._ledger.reading() as session:
            return [token_of(row) for row in people.tokens_after(session, owner, after, limit)]

    def revoke(self, token_id: str, *, actor: Actor, owner: str | None) -> None:
        """Ends it at once and for good; `owner`: whose it must be. Raises NotFoundError."""
        with self._ledger.writing() as write:
            row = people.token_of(write.session, token_id)
            if row is None or (owner is not None and row.user.name != owner):
                raise NotFoundError("There is no such token.", {"token_id": token_id[:64]})
            if row.revoked_at is None:
                row.revoked_at = write.at
                write.journal(actor, "token", token_id, "revoked", {"owner": row.user.name, "name": row.name})

    def find(self, shown: str) -> Found:
        """Whose token it is; notes that it was used. Raises NotAuthenticatedError."""
        parts = shown.split("_", 2)
        if len(parts) != 3 or parts[0] != PREFIX or not shown.isascii():
            raise _refused()
        token_id, secret, now = parts[1], parts[2], self._ledger.now()
        with self._ledger.reading() as session:
            row = people.token_of(session, token_id) if len(token_id) <= 32 else None
            if not hmac.compare_digest(hash_of(secret), row.secret_hash if row is not None else "") or row is None:
                raise _refused()
            if row.revoked_at is not None or row.expires_at <= now or row.user.disabled:
                raise _refused()
            found = Found(_principal_of(row), row.expires_at)
            used = row.last_used_at
        if used is None or now - used >= USED_EVERY:
            self._used(token_id)
        return found

    def _used(self, token_id: str) -> None:
        try:
            with self._ledger.writing() as write:
                row = people.token_of(write.session, token_id)
                if row is not None:
                    row.last_used_at = write.at
        except UnavailableError as error:
            _log.warning("a token's use was not noted: %s", error)  # Looking goes on while the disk is full.


def token_of(row: TokenRow) -> Token:
    return Token(
        row.seq, row.token_id, row.user.name, row.name, tuple(cast("list[Permission]", row.permissions)),
        None if row.cameras is None else tuple(row.cameras), row.created_at, row.expires_at, row.revoked_at,
        row.last_used_at,
    )  # fmt: skip


def _principal_of(row: TokenRow) -> Principal:
    """Never more than its owner may do and see at this moment."""
    user = user_of(row.user)
    cameras = None if user.cameras is None else frozenset(user.cameras)
    if row.cameras is not None:
        cameras = frozenset(row.cameras) if cameras is None else cameras & frozenset(row.cameras)
    permissions = permissions_of(user.role, cast("list[Permission]", row.permissions), cameras=cameras)
    return Principal("token", user.name, user.role, permissions, cameras, row.token_id)


def _refused() -> NotAuthenticatedError:
    return NotAuthenticatedError("The token is not valid: it is unknown, revoked or over.", code="invalid_token")
