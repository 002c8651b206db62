"""Log-in by OpenID Connect: authorization code flow with PKCE, bound to one browser by an encrypted cookie.

What a log-in needs until the provider answers (state, nonce, PKCE verifier, where to go) lies in that cookie, under a
key of the site, for ten minutes: nothing is kept here for those who never come back.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from api.access.accounts import Accounts, UserChange
from api.access.oidc_provider import OidcRefusedError, Provider
from api.access.oidc_settings import CALLBACK, OidcSettings
from api.access.principal import Role
from api.access.sessions import UNKNOWN, Login
from api.access.users import User
from api.errors import ConflictError, DeskError, ForbiddenError, StaleError, UnavailableError
from api.journal import Actor
from api.keys import SiteKeys
from api.storage import people

FLOW_S = 600
"""How long somebody may take to log in at the provider."""
LOCAL_PATH = r"^/([A-Za-z0-9._~!$&'()*+,;=:@%?#-][A-Za-z0-9._~!$&'()*+,;=:@%?#/-]*)?$"
"""A place on this server: one slash, then neither another one nor a backslash, which browsers take for one."""
_REMEMBERED = 4096
_TRIES = 5
_NAMES = 100
_VOUCHED = ("oidc_no_role", "oidc_no_cameras", "oidc_no_name", "login_failed", "last_administrator")
_HEADER = {"alg": "dir", "enc": "A256GCM"}


class OidcFlowError(DeskError):
    """The answer does not belong to a log-in that this browser began."""

    code = "oidc_expired"
    status = 400


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for, and what they may do here."""

    issuer: str
    subject: str
    name: str
    """What they are called there; the name of a user that is made for them begins with it."""
    display_name: str
    role: Role
    cameras: frozenset[str] | None


class OidcLogin:
    """Thread-safe. `now` is the clock against which tokens and the cookie expire."""

    def __init__(self, settings: OidcSettings, keys: SiteKeys, *, now: Callable[[], datetime]) -> None:
        self.settings = settings
        self._provider = Provider(settings)
        self._key = OctKey.import_key(keys.derive("oidc log-in"))
        self._now = now
        self._lock = threading.Lock()
        self._used: OrderedDict[str, None] = OrderedDict()

    def begin(self, redirect_uri: str, return_to: str) -> tuple[str, str]:
        """(where to send the browser, what to put into its cookie). Raises UnavailableError."""
        flow = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "redirect_uri": self.settings.redirect_uri or redirect_uri,
            "return_to": return_to,
            "until": int(self._now().timestamp()) + FLOW_S,
        }
        url = self._provider.authorization_url(
            redirect_uri=str(flow["redirect_uri"]), state=str(flow["state"]), nonce=str(flow["nonce"]),
            verifier=str(flow["verifier"]),
        )  # fmt: skip
        return url, jwe.encrypt_compact(_HEADER, json.dumps(flow).encode(), self._key)

    def finish(self, cookie: str | None, query: Mapping[str, str]) -> tuple[Identity, str]:
        """(who came back, where they wanted to go) for the query with which the provider sent the browser back.

        Raises OidcFlowError, OidcRefusedError, ForbiddenError or UnavailableError.
        """
        flow = self._flow_of(cookie, query.get("state", ""))
        if not self._provider.issued_by_us(query.get("iss")):
            raise OidcRefusedError("The answer came from another provider; log in again.", {"problem": "iss"})
        if "error" in query:
            raise OidcRefusedError(
                "The provider did not let you in; log in again.", {"provider_error": _code_of(query["error"])}
            )
        if not query.get("code"):
            raise OidcFlowError("The provider sent no code; log in again.")
        token = self._provider.exchange(query["code"], redirect_uri=flow["redirect_uri"], verifier=flow["verifier"])
        claims = self._provider.validated(token, flow["nonce"], self._now())
        return self._identity(claims, token), flow["return_to"]

    def end(self, home: str) -> str | None:
        """Where to send a browser whose session here is over; None: nowhere, as that is not wanted or not offered.
        `home`: this server's address as browsers call it. Raises UnavailableError."""
        own = self.settings.redirect_uri
        back = home if own is None else own.removesuffix(CALLBACK) + "/"
        return self._provider.end_session_url(back) if self.settings.logout else None

    def _flow_of(self, cookie: str | None, state: str) -> dict[str, Any]:
        again = OidcFlowError("This log-in was not begun in this browser, or took too long; log in again.")
        try:
            sealed = jwe.decrypt_compact(cookie or "", self._key, algorithms=list(_HEADER.values()))
            flow: dict[str, Any] = json.loads(sealed.plaintext or b"")
        except (JoseError, ValueError):
            raise again from None
        if flow["until"] < self._now().timestamp() or not hmac.compare_digest(flow["state"].encode(), state.encode()):
            raise again
        with self._lock:
            if state in self._used:
                raise again
            self._used[state] = None
            if len(self._used) > _REMEMBERED:
                self._used.popitem(last=False)
        return flow

    def _identity(self, claims: Mapping[str, Any], token: Mapping[str, Any]) -> Identity:
        settings = self.settings
        known: dict[str, Any] = dict(claims)
        wanted = [name for name in (settings.role_claim, settings.cameras_claim) if name is not None]
        if any(claim_at(known, name) is None for name in wanted):
            known = self._provider.more_about(token, claims["sub"]) | known
        role = settings.role_of(claim_at(known, settings.role_claim))
        if role is None:
            raise ForbiddenError(
                "Your account is in no group that may use Gatewatch: nothing that its claim "
                f"{settings.role_claim} holds is mapped to a role here; ask your administrator.",
                {"claim": settings.role_claim},
                code="oidc_no_role",
            )
        cameras = None
        if settings.cameras_claim is not None and role != "administrator":  # who looks after the whole site
            try:
                cameras = settings.cameras_of(claim_at(known, settings.cameras_claim))
            except DeskError as error:
                raise ForbiddenError(
                    f"{error} Ask your administrator.", {"claim": settings.cameras_claim}, code="oidc_no_cameras"
                ) from None
        name = next((str(known[key]) for key in (settings.name_claim, "email", "sub") if known.get(key)), "user")
        shown = str(known.get("name") or name)
        return Identity(settings.issuer, claims["sub"], name, _plain(shown)[:128], role, cameras)


def admit(accounts: Accounts, who: Identity, origin: str | None) -> Login:
    """A session for whom the provider vouches for; makes the user at the first log-in, and lets role, cameras and
    displayed name follow the provider at each. Raises NotAuthenticatedError for a disabled user, ForbiddenError where
    the last administrator would lose that role.
    """
    actor = Actor("external", "oidc", origin)
    for _ in range(_TRIES):
        try:
            user = accounts.users.of_provider(who.issuer, who.subject) or _made(accounts, who, actor)
            if not user.disabled:
                cameras = None if who.cameras is None else sorted(who.cameras)
                change = UserChange(display_name=who.display_name or user.name, role=who.role, cameras=cameras)
                accounts.users.change(user.name, change, actor=actor, by=None, expected_version=user.version)
            return accounts.sessions.open_for(user.name, origin, how="oidc")
        except (ConflictError, StaleError):
            continue  # Somebody else made or changed this user in the same moment.
    raise UnavailableError("This user is being changed just now: log in again.")


def note_refusal(accounts: Accounts, error: DeskError, origin: str | None) -> None:
    """Writes into the journal that somebody whom the provider vouched for was not let in; others' attempts could fill
    it."""
    if error.code in _VOUCHED:
        with accounts.ledger.writing() as write:
            actor = Actor("external", "oidc", origin)
            write.journal(actor, "session", UNKNOWN, "login_failed", {"how": "oidc", "why": error.code})


def _made(accounts: Accounts, who: Identity, actor: Actor) -> User:
    cameras = None if who.cameras is None else sorted(who.cameras)
    base = user_name_of(who.name)
    for number in range(1, _NAMES):
        name = base if number == 1 else f"{base[:58]}-{number}"
        with accounts.ledger.reading() as session:
            if people.user_named(session, name) is not None:
                continue  # A local user, or another provider's: never the same person by name alone.
        user, _ = accounts.users.create(
            name, who.role, actor=actor, display_name=who.display_name, cameras=cameras,
            provider=(who.issuer, who.subject),
        )  # fmt: skip
        return user
    raise ForbiddenError(f"There are too many users called {base}.", {"user": base}, code="oidc_no_name")


def user_name_of(name: str) -> str:
    """What a user may be called here, made from what the provider calls them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._@-]+", "-", plain).strip("-._@")[:64].rstrip("-._@") or "user"


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, or, where there is none, the one that a dotted path leads to."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _code_of(text: str) -> str:
    return re.sub(r"[^a-z_]", "", text.lower())[:40] or "unknown"


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
