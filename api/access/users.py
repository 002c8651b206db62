"""Local users: made, changed, disabled; never deleted, so that the journal's names stay true."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import Session

from api.access import vouched
from api.access.passwords import Passwords, check_password, one_time_password
from api.access.principal import ROLES, Role
from api.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, StaleError
from api.journal import Actor
from api.storage import people
from api.storage.ledger import Ledger, Write
from api.storage.tables_access import UserRow

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class User:
    """A user as others may know them: nothing of their secrets."""

    name: str
    display_name: str
    role: Role
    cameras: tuple[str, ...] | None
    """None: all."""
    disabled: bool
    must_change_password: bool
    local: bool
    """Has a password here; False: logs in at an OpenID provider."""
    failed_logins: int
    locked_until: datetime | None
    created_at: datetime
    password_changed_at: datetime | None
    last_login_at: datetime | None
    version: int


class _Unset:
    """Stands for what a change leaves as it is."""


UNSET = _Unset()


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to become of a user; what is UNSET stays."""

    display_name: str | _Unset = UNSET
    role: Role | _Unset = UNSET
    cameras: Sequence[str] | _Unset | None = UNSET
    disabled: bool | _Unset = UNSET


class Users:
    """Thread-safe. Every change is journalled; what a change takes away is gone with the next request."""

    def __init__(self, ledger: Ledger, passwords: Passwords) -> None:
        self._ledger = ledger
        self._passwords = passwords

    def list(self, *, after: str | None = None, limit: int = 1000) -> list[User]:
        """By name."""
        with self._ledger.reading() as session:
            return [user_of(row) for row in people.users_after(session, after, limit)]

    def get(self, name: str) -> User:
        """Raises NotFoundError."""
        with self._ledger.reading() as session:
            return user_of(_row(session, name))

    def of_provider(self, issuer: str, subject: str) -> User | None:
        """Who logs in at this OpenID provider under this subject."""
        with self._ledger.reading() as session:
            row = people.user_of_provider(session, issuer, subject)
            return None if row is None else user_of(row)

    def create(
        self,
        name: str,
        role: Role,
        *,
        actor: Actor,
        display_name: str = "",
        cameras: Sequence[str] | None = None,
        provider: tuple[str, str] | None = None,
    ) -> tuple[User, str]:
        """The user and a one-time password, which is kept nowhere; `provider` (issuer, subject): logs in there, and the
        password is empty. Raises InvalidError, ConflictError."""
        scope = _checked(name, role, cameras)
        password = "" if provider else one_time_password()
        hashed = None if provider else self._passwords.hash(password)
        with self._ledger.writing() as write:
            if people.user_named(write.session, name) is not None:
                raise ConflictError(f"There is a user {name} already.", {"user": name})
            if provider and people.user_of_provider(write.session, *provider) is not None:
                raise ConflictError("There is a user of this provider's subject already.", {"user": name})
            issuer, subject = provider or (None, None)
            row = UserRow(
                name=name, display_name=display_name.strip() or name, role=role, cameras=scope, password_hash=hashed,
                must_change_password=provider is None, disabled=False, failed_logins=0, created_at=write.at, version=1,
                oidc_issuer=issuer, oidc_subject=subject,
            )  # fmt: skip
            write.session.add(row)
            write.session.flush()
            body = {"role": role, "cameras": scope, "display_name": row.display_name, **vouched_for(write, row)}
            write.journal(actor, "user", name, "created", body, version=1)
            return user_of(row), password

    def change(
        self, name: str, wanted: UserChange, *, actor: Actor, by: str | None, expected_version: int | None
    ) -> User:
        """`by`: the user who asks, None for the system; `expected_version` None: whatever it finds.

        Raises NotFoundError, StaleError, InvalidError, and ForbiddenError for one's own role and for the last
        administrator.
        """
        with self._ledger.writing() as write:
            row = _row(write.session, name)
            _fresh(row, expected_version)
            before = _facts(row)
            role = row.role if isinstance(wanted.role, _Unset) else wanted.role
            cameras = row.cameras if isinstance(wanted.cameras, _Unset) else wanted.cameras
            disabled = row.disabled if isinstance(wanted.disabled, _Unset) else wanted.disabled
            if by == name and (role != row.role or disabled):
                raise ForbiddenError("Nobody changes their own role or disables themselves.", {"user": name})
            scope = _checked(name, role, cameras)
            if row.role == "administrator" and not row.disabled and (role != "administrator" or disabled):
                _others_remain(write.session, row)
            row.role, row.cameras = role, scope
            if not isinstance(wanted.display_name, _Unset):
                row.display_name = wanted.display_name.strip() or name
            action = "changed"
            if disabled != row.disabled:
                row.disabled = disabled
                action = "disabled" if disabled else "enabled"
                people.end_sessions_of(write.session, row.seq)
            after = _facts(row)
            if after == before:
                return user_of(row)
            row.version += 1
            changed: dict[str, Any] = {key: after[key] for key in after if after[key] != before[key]}
            write.journal(actor, "user", name, action, {"before": before, "after": changed}, version=row.version)
            return user_of(row)

    def reset_password(self, name: str, *, actor: Actor, must_change: bool = True) -> tuple[User, str]:
        """A new one-time password; ends the user's sessions. Raises NotFoundError, ConflictError for a user who logs in
        at a provider."""
        password = one_time_password()
        hashed = self._passwords.hash(password)
        with self._ledger.writing() as write:
            row = _row(write.session, name)
            if row.oidc_issuer is not None:
                raise ConflictError(f"{name} logs in at an OpenID provider and has no password here.", {"user": name})
            _set_password(write, row, hashed, must_change=must_change)
            people.end_sessions_of(write.session, row.seq)
            write.journal(actor, "user", name, "password_reset", vouched_for(write, row), version=row.version)
            return user_of(row), password

    def unlock(self, name: str, *, actor: Actor) -> User:
        """Forgets failed log-ins. Raises NotFoundError."""
        with self._ledger.writing() as write:
            row = _row(write.session, name)
            if row.failed_logins or row.locked_until is not None:
                row.failed_logins, row.locked_until = 0, None
                row.version += 1
                write.journal(actor, "user", name, "unlocked", version=row.version)
            return user_of(row)

    def choose_password(self, name: str, current: str, new: str, *, actor: Actor, site_name: str) -> User:
        """The user's own new password; ends all sessions. Raises InvalidError for a weak one or where the current
        one is wrong."""
        with self._ledger.reading() as session:
            row = _row(session, name)
            hashed, names = row.password_hash, (row.name, row.display_name, site_name)
        right, _ = self._passwords.verify(current, hashed)
        if not right:
            raise InvalidError("The current password is wrong.", {"where": "current_password"}, code="wrong_password")
        check_password(new, names=names)
        if self._passwords.verify(new, hashed)[0]:
            raise InvalidError("The new password must be another one.", {"why": "same"}, code="weak_password")
        fresh_hash = self._passwords.hash(new)
        with self._ledger.writing() as write:
            row = _row(write.session, name)
            if row.password_hash != hashed:
                raise StaleError("The password was changed in the meantime.", {"user": name})
            _set_password(write, row, fresh_hash, must_change=False)
            people.end_sessions_of(write.session, row.seq)
            write.journal(actor, "user", name, "password_changed", vouched_for(write, row), version=row.version)
            return user_of(row)


def user_of(row: UserRow) -> User:
    return User(
        row.name, row.display_name, cast(Role, row.role), None if row.cameras is None else tuple(row.cameras),
        row.disabled, row.must_change_password, row.password_hash is not None, row.failed_logins, row.locked_until,
        row.created_at, row.password_changed_at, row.last_login_at, row.version,
    )  # fmt: skip


def _fresh(row: UserRow, expected_version: int | None) -> None:
    if expected_version is not None and row.version != expected_version:
        raise StaleError(
            f"{row.name} was changed in the meantime: expected version {expected_version}, found {row.version}.",
            {"expected": expected_version, "found": row.version},
        )


def scope_of(cameras: Sequence[str] | None) -> list[str] | None:
    return None if cameras is None else sorted(set(cameras))


def _row(session: Session, name: str) -> UserRow:
    row = people.user_named(session, name)
    if row is None:
        raise NotFoundError("There is no such user.", {"user": name[:64]})
    return row


def _checked(name: str, role: str, cameras: Sequence[str] | None) -> list[str] | None:
    if NAME.fullmatch(name) is None:
        raise InvalidError(
            "A user name has up to 64 lower-case letters, digits, dots, dashes, underscores or @, and begins with a "
            "letter or a digit.",
            {"where": "name"},
        )
    if role not in ROLES:
        raise InvalidError(f"There is no role {role!r}: expected one of {', '.join(ROLES)}.", {"where": "role"})
    if role == "administrator" and cameras is not None:
        raise InvalidError("An administrator looks after the whole site: leave the cameras out.", {"where": "cameras"})
    return scope_of(cameras)


def _others_remain(session: Session, row: UserRow) -> None:
    if not people.other_administrators(session, row.seq):
        raise ForbiddenError(
            f"{row.name} is the last administrator who can log in.", {"user": row.name}, code="last_administrator"
        )


def _set_password(write: Write, row: UserRow, hashed: str, *, must_change: bool) -> None:
    row.password_hash = hashed
    row.must_change_password = must_change
    row.password_changed_at = write.at
    row.failed_logins, row.locked_until = 0, None
    row.version += 1


def vouched_for(write: Write, row: UserRow) -> dict[str, str]:
    """What an entry holds of how the user gets in."""
    who = (row.oidc_issuer, row.oidc_subject)
    return {vouched.FIELD: vouched.of_user(write.keys, row.name, row.password_hash, row.must_change_password, *who)}


def _facts(row: UserRow) -> dict[str, Any]:
    return {
        "display_name": row.display_name, "role": row.role, "cameras": row.cameras, "disabled": row.disabled,
    }  # fmt: skip
