"""Users, their passwords, sessions and tokens: everything about who may come in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from api.access.passwords import Passwords
from api.access.sessions import Sessions
from api.access.tokens import Tokens
from api.access.users import UserChange, Users
from api.errors import DeskError
from api.journal import SYSTEM
from api.storage import people
from api.storage.ledger import Ledger

FIRST_USER = "admin"
PASSWORD_FILE = "first-password.txt"


@dataclass(frozen=True, slots=True)
class FirstLogin:
    """How somebody gets in for the first time; the password must be changed then."""

    user: str
    password: str
    file: Path | None
    """Where it was written, for nobody but the owner to read; None: it is for the caller to show, once."""


class Accounts:
    """`folder`: where the first password is left for whoever starts Gatewatch without a terminal."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.passwords = passwords = Passwords()
        self.ledger = ledger
        self.users = Users(ledger, passwords)
        self.sessions = Sessions(ledger, passwords)
        self.tokens = Tokens(ledger)
        self._file = folder / PASSWORD_FILE

    def first_start(self, *, on_terminal: bool) -> FirstLogin | None:
        """Makes the first administrator where there is no user yet. Raises DeskError where its password cannot be
        written to a file."""
        with self.ledger.reading() as session:
            if people.any_user(session):
                return None
        _, password = self.users.create(FIRST_USER, "administrator", actor=SYSTEM)
        if not on_terminal:
            self._leave(password)
        return FirstLogin(FIRST_USER, password, None if on_terminal else self._file)

    def demo_login(self, user: str = FIRST_USER) -> str:
        """A new password, valid as it is, of a user who is made where absent: for looking at results on one's own
        machine."""
        with self.ledger.reading() as session:
            known = people.user_named(session, user) is not None
        if not known:
            self.users.create(user, "administrator", actor=SYSTEM)
        _, password = self.users.reset_password(user, actor=SYSTEM, must_change=False)
        return password

    def check(self) -> None:
        """Raises UnavailableError where the database cannot be read."""
        with self.ledger.reading() as session:
            people.any_user(session)

    def forget_first_password(self) -> None:
        """Removes the file once its password is good for nothing."""
        self._file.unlink(missing_ok=True)

    def _leave(self, password: str) -> None:
        try:
            self._file.unlink(missing_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{FIRST_USER}\n{password}\n")
        except OSError as error:
            raise DeskError(f"{self._file}: the first password cannot be written there: {error.strerror}.") from None


__all__ = ["Accounts", "FirstLogin", "UserChange"]
