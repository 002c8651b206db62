"""Browsers that are logged in, and how they come to be."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.access import vouched
from api.access.passwords import Passwords
from api.access.principal import Principal, permissions_of
from api.access.users import User, user_of, vouched_for
from api.errors import NotAuthenticatedError, UnavailableError
from api.journal import SYSTEM, Actor
from api.storage import people
from api.storage.ledger import Ledger, Write
from api.storage.tables_access import SessionRow, UserRow

IDLE = timedelta(hours=12)
"""A session that nobody used for so long, a shift, is over."""
ABSOLUTE = timedelta(hours=24)
SEEN_EVERY = timedelta(minutes=1)
LOCK_AFTER = 10
LOCK_FIRST = timedelta(minutes=15)
LOCK_LONGEST = timedelta(hours=4)
UNKNOWN = "unknown"
"""Who a failed log-in was for, where it was nobody: what was typed may be a password in the wrong field."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """A new session; `secret` goes into the cookie and is kept nowhere else."""

    user: User
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a secret belongs to, and until when that holds."""

    principal: Principal
    ends_at: datetime


class Sessions:
    """Thread-safe."""

    def __init__(self, ledger: Ledger, passwords: Passwords) -> None:
        self._ledger = ledger
        self._passwords = passwords
        self._csrf = ledger.keys.derive("csrf")

    def log_in(self, name: str, password: str, origin: str | None) -> Login:
        """Raises NotAuthenticatedError, the same for a wrong password, an unknown user, a disabled and a locked one."""
        name = name.strip().lower()
        with self._ledger.reading() as session:
            row = people.user_named(session, name)
            hashed = row.password_hash if row is not None and _may_try(row, self._ledger.now()) else None
        right, better = self._passwords.verify(password, hashed)
        with self._ledger.writing() as write:
            row = people.user_named(write.session, name)
            if not right or row is None or row.password_hash != hashed or not _may_try(row, write.at):
                self._failed(write, row, origin)
                login = None
            else:
                if better is not None:
                    row.password_hash = better
                    body = vouched_for(write, row)
                    write.journal(SYSTEM, "user", row.name, "password_rehashed", body, version=row.version)
                login = self._open(write, row, origin, "password")
        if login is None:
            raise NotAuthenticatedError(
                "The user or the password is wrong, or there were too many attempts: then wait, or ask an "
                "administrator.",
                code="login_failed",
            )
        return login

    def open_for(self, name: str, origin: str | None, *, how: str) -> Login:
        """A session of a user whom somebody else has vouched for (`how`: who). Raises NotAuthenticatedError."""
        with self._ledger.writing() as write:
            row = people.user_named(write.session, name)
            login = None if row is None or row.disabled else self._open(write, row, origin, how)
        if login is None:
            raise NotAuthenticatedError("This user may not log in here.", code="login_failed")
        return login

    def log_out(self, secret: str, actor: Actor) -> None:
        with self._ledger.writing() as write:
            row = people.session_of(write.session, hash_of(secret))
            if row is not None:
                write.session.delete(row)
                write.journal(actor, "session", row.user.name, "logout")

    def find(self, secret: str) -> Found:
        """Whose session it is; notes that it was used. Raises NotAuthenticatedError."""
        hashed, now = hash_of(secret), self._ledger.now()
        with self._ledger.reading() as session:
            row = people.session_of(session, hashed)
            if row is None or row.user.disabled or not row.last_seen_at + IDLE > now < row.expires_at:
                raise NotAuthenticatedError("The session is over: log in again.", code="session_over")
            user = user_of(row.user)
            seen, expires = row.last_seen_at, row.expires_at
        if now - seen >= SEEN_EVERY:
            self._seen(hashed)
            seen = now
        return Found(principal_of_user(user), min(expires, seen + IDLE))

    def csrf_token(self, secret: str) -> str:
        """What a page of this session must send along with what it changes."""
        return hmac.new(self._csrf, hash_of(secret).encode(), "sha256").hexdigest()

    def _seen(self, hashed: str) -> None:
        try:
            with self._ledger.writing() as write:
                row = people.session_of(write.session, hashed)
                if row is not None:
                    row.last_seen_at = write.at
        except UnavailableError as error:
            _log.warning("a session's use was not noted: %s", error)  # Looking goes on while the disk is full.

    def _open(self, write: Write, row: UserRow, origin: str | None, how: str) -> Login:
        people.forget_ended_sessions(write.session, write.at, write.at - IDLE)
        secret = secrets.token_urlsafe(32)
        hashed = hash_of(secret)
        expires = write.at + ABSOLUTE
        write.session.add(
            SessionRow(
                token_hash=hashed, user_seq=row.seq, created_at=write.at, last_seen_at=write.at,
                expires_at=expires, origin=origin,
            )
        )  # fmt: skip
        row.failed_logins, row.locked_until, row.last_login_at = 0, None, write.at
        body = {"how": how, vouched.FIELD: vouched.of_session(write.keys, row.name, hashed)}
        write.journal(Actor("user", row.name, origin), "session", row.name, "login", body)
        return Login(user_of(row), secret, expires)

    def _failed(self, write: Write, row: UserRow | None, origin: str | None) -> None:
        actor = Actor("external", "anonymous", origin)
        write.journal(actor, "session", UNKNOWN if row is None else row.name, "login_failed")
        if row is None or not _may_try(row, write.at):
            return
        row.failed_logins += 1
        if row.failed_logins % LOCK_AFTER == 0:
            lock = min(LOCK_FIRST * 2 ** min(row.failed_logins // LOCK_AFTER - 1, 8), LOCK_LONGEST)
            row.locked_until = write.at + lock
            row.version += 1
            body = {"failed_logins": row.failed_logins, "for_s": int(lock.total_seconds())}
            write.journal(actor, "user", row.name, "locked", body, version=row.version)


def principal_of_user(user: User) -> Principal:
    cameras = None if user.cameras is None else frozenset(user.cameras)
    return Principal(
        "user", user.name, user.role, permissions_of(user.role, cameras=cameras), cameras,
        must_change_password=user.must_change_password,
    )  # fmt: skip


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _may_try(row: UserRow, now: datetime) -> bool:
    return not row.disabled and row.password_hash is not None and (row.locked_until is None or row.locked_until <= now)
