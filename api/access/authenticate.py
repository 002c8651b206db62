"""Who sends a request: by a bearer token, or by the session cookie of a browser."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import HTTPConnection

from api.access.accounts import Accounts
from api.access.principal import Principal
from api.access.sessions import Found, hash_of
from api.errors import ForbiddenError, NotAuthenticatedError
from api.journal import Entry

COOKIE = "gatewatch_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_KEPT_FOR = timedelta(seconds=10)
"""How long an answer of the database is believed: changes by this process are known at once, those that `gatewatch
users` makes beside it after this time."""
_MOST_KEPT = 4096
_MATTERS = ("user", "token", "session")


@dataclass(frozen=True, slots=True)
class _Kept:
    found: Found
    since: datetime


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a request shows to say who sends it."""

    secret: str
    of_session: bool

    @property
    def key(self) -> str:
        return hash_of(f"{self.of_session}{self.secret}")


class SignedIn:
    """The Authenticator over a site's accounts. Thread-safe."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._now = accounts.ledger.now
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._generation = 0
        accounts.ledger.listen(self._on_entries)

    def principal_of(self, connection: HTTPConnection) -> Principal:
        """Raises NotAuthenticatedError; ForbiddenError where a session is not used by its own page."""
        shown = _shown(connection)
        return self._believed(connection, shown, self._kept_of(shown) or self._found(shown))

    def kept(self, connection: HTTPConnection) -> Principal | None:
        """The same where it can be said without asking the database, else None."""
        shown = _shown(connection)
        found = self._kept_of(shown)
        return None if found is None else self._believed(connection, shown, found)

    def _believed(self, connection: HTTPConnection, shown: _Shown, found: Found) -> Principal:
        if shown.of_session:
            self._from_own_page(connection, shown.secret)
            connection.state.session = shown.secret
        return found.principal

    def _kept_of(self, shown: _Shown) -> Found | None:
        kept, now = self._kept.get(shown.key), self._now()
        if kept is None or now >= kept.found.ends_at or not timedelta() <= now - kept.since < _KEPT_FOR:
            return None
        return kept.found

    def _found(self, shown: _Shown) -> Found:
        generation, now = self._generation, self._now()
        find = self._accounts.sessions.find if shown.of_session else self._accounts.tokens.find
        found = find(shown.secret)
        with self._lock:
            # What was read before a change became known must not be kept after it.
            if generation == self._generation:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[shown.key] = _Kept(found, now)
        return found

    def _from_own_page(self, connection: HTTPConnection, secret: str) -> None:
        """A cookie comes along with whatever a browser was talked into sending."""
        if connection.scope["type"] == "websocket":
            if not is_own_origin(connection):
                raise ForbiddenError("A page of another origin may not listen here.", code="foreign_origin")
        elif connection.scope["method"] not in SAFE_METHODS:
            shown = connection.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(shown.encode(), self._accounts.sessions.csrf_token(secret).encode()):
                raise ForbiddenError(
                    "A write of a session needs the header X-CSRF-Token as GET /api/v1/session gives it.",
                    code="csrf_token_required",
                )

    def _on_entries(self, entries: Sequence[Entry]) -> None:
        if any(entry.subject in _MATTERS for entry in entries):
            with self._lock:
                self._generation += 1
                self._kept.clear()


def _shown(connection: HTTPConnection) -> _Shown:
    given = connection.headers.get("authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticatedError("Expected `Authorization: Bearer` and a token.")
        return _Shown(token.strip(), of_session=False)
    secret = connection.cookies.get(COOKIE)
    if not secret:
        raise NotAuthenticatedError("Log in, or send a token.")
    return _Shown(secret, of_session=True)


def is_own_origin(connection: HTTPConnection) -> bool:
    """Whether a page of this very server asks."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    origin = connection.headers.get("origin", "")
    return origin.lower() == f"{scheme}://{connection.headers.get('host', '').lower()}"
