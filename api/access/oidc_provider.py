"""The OpenID provider as Gatewatch sees it: its addresses, its keys, codes for tokens, and what a token must hold."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core.claims import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from api.access.oidc_settings import OidcSettings, safe_address
from api.errors import DeskError, UnavailableError

TIMEOUT_S = 8
KEPT_S = 3600.0
"""How long the provider's addresses and keys are believed without asking again."""
REFETCH_S = 10.0
"""A token with an unknown key makes us ask for the keys again, at most this often."""
LEEWAY_S = 60
TOKEN_AGE_S = 600
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures that only the provider can make: neither `none` nor a MAC under a secret that is shared."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OidcRefusedError(DeskError):
    """The provider or what it said cannot be accepted; the user may log in again."""

    code = "oidc_refused"
    status = 401


class Provider:
    """Thread-safe. Everything that asks the provider raises UnavailableError where it does not answer."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, list[Any]] | None = None
        self._refetched_at = -REFETCH_S

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        with self._session(redirect_uri) as session:
            url, _ = session.create_authorization_url(
                self._discovered()["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url)

    def end_session_url(self, back: str) -> str | None:
        """Where a browser logs out at the provider, to be sent `back` afterwards; None where that is not offered."""
        address = self._discovered().get("end_session_endpoint")
        if address is None:
            return None
        where = _checked(address, self._settings.issuer)
        query = urlencode({"client_id": self._settings.client_id, "post_logout_redirect_uri": back})
        return f"{where}{'&' if '?' in where else '?'}{query}"

    def exchange(self, code: str, *, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """The token answer for a code. Raises OidcRefusedError where the provider refuses it."""
        metadata = self._discovered()
        with self._session(redirect_uri) as session:
            try:
                token = session.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code",
                    allow_redirects=False, timeout=TIMEOUT_S,
                )  # fmt: skip
            except (requests.RequestException, ValueError) as error:
                raise self._unreachable(error) from None
            except AuthlibBaseError as error:
                raise OidcRefusedError(
                    "The log-in was not accepted by the provider; log in again.",
                    {"provider_error": str(error.error)[:100]},
                ) from None
        if not isinstance(token.get("id_token"), str):
            raise OidcRefusedError("The provider sent no ID token; is `openid` in the scope?")
        return dict(token)

    def validated(self, token: Mapping[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        """The claims of the answer's ID token. Raises OidcRefusedError for one that does not hold."""
        settings, text = self._settings, token["id_token"]
        header, claims = self._signed(text)
        checked = CodeIDToken(
            claims,
            header,
            {
                "iss": {"essential": True, "value": settings.issuer},
                "aud": {"essential": True, "value": settings.client_id},
            },
            {"client_id": settings.client_id, "access_token": token.get("access_token")},
        )
        seconds = int(now.timestamp())
        try:
            checked.validate(now=seconds, leeway=LEEWAY_S)
        except (JoseError, TypeError, ValueError) as error:
            raise OidcRefusedError(
                "The provider's ID token is not valid here; log in again.", {"problem": _problem(error)}
            ) from None
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise OidcRefusedError(
                "The provider's ID token belongs to another log-in; log in again.", {"problem": "nonce"}
            )
        if seconds - int(claims["iat"]) > TOKEN_AGE_S + LEEWAY_S:
            raise OidcRefusedError("The provider's ID token is too old; log in again.", {"problem": "iat"})
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise OidcRefusedError("The provider's ID token names nobody.", {"problem": "sub"})
        return claims

    def more_about(self, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """What the userinfo endpoint adds; nothing where there is none."""
        address = self._discovered().get("userinfo_endpoint")
        if not isinstance(address, str) or not isinstance(token.get("access_token"), str):
            return {}
        headers = {"authorization": f"Bearer {token['access_token']}"}
        found = self._get(_checked(address, self._settings.issuer), headers)
        if not isinstance(found, dict) or found.get("sub") != subject:
            raise OidcRefusedError("The provider spoke of somebody else than its ID token.", {"problem": "userinfo"})
        return found

    def issued_by_us(self, issuer: str | None) -> bool:
        """Whether the answer's `iss` (RFC 9207) is our provider's; it must be there where the provider promises it."""
        if issuer is None:
            return self._discovered().get("authorization_response_iss_parameter_supported") is not True
        return issuer == self._settings.issuer

    def _signed(self, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        for refetch in (False, True):
            for key in self._public_keys(refetch):
                try:
                    token = jwt.decode(text, key, algorithms=list(ALGORITHMS))
                except (JoseError, ValueError, TypeError):
                    continue
                return dict(token.header), dict(token.claims)
        raise OidcRefusedError(
            "The provider's ID token is not signed by one of its keys; log in again.", {"problem": "signature"}
        )

    def _public_keys(self, refetch: bool) -> list[Any]:
        with self._lock:
            now = time.monotonic()
            fresh = self._keys is not None and now - self._keys[0] < KEPT_S
            if refetch:
                if now - self._refetched_at < REFETCH_S:
                    return []
                self._refetched_at = now
            if refetch or not fresh:
                document = self._get(self._discovered_locked()["jwks_uri"])
                self._keys = (now, _keys_of(document))
            assert self._keys is not None
            return self._keys[1]

    def _discovered(self) -> dict[str, Any]:
        with self._lock:
            return self._discovered_locked()

    def _discovered_locked(self) -> dict[str, Any]:
        now = time.monotonic()
        if self._metadata is None or now - self._metadata[0] >= KEPT_S:
            issuer = self._settings.issuer
            found = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if not isinstance(found, dict) or found.get("issuer") != issuer:
                named = found.get("issuer") if isinstance(found, dict) else None
                raise UnavailableError(
                    f"The OpenID provider calls itself {str(named)[:200]}, expected {issuer}.",
                    code="oidc_misconfigured",
                )
            for name in _ENDPOINTS:
                found[name] = _checked(found.get(name), issuer)
            self._metadata = (now, found)
        return self._metadata[1]

    def _get(self, address: str, headers: Mapping[str, str] | None = None) -> Any:
        try:
            answer = requests.get(
                address, headers={"accept": "application/json", **(headers or {})}, timeout=TIMEOUT_S,
                allow_redirects=False, verify=self._verify(),
            )  # fmt: skip
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise self._unreachable(error) from None

    def _session(self, redirect_uri: str) -> OAuth2Session:
        secret = self._settings.secret()
        methods = self._discovered().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        way = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        session = OAuth2Session(
            self._settings.client_id, secret, token_endpoint_auth_method=way if secret else "none",
            scope=self._settings.scope, redirect_uri=redirect_uri, code_challenge_method="S256",
        )  # fmt: skip
        session.verify = self._verify()
        return session

    def _verify(self) -> bool | str:
        return str(self._settings.ca_file) if self._settings.ca_file else True

    def _unreachable(self, error: Exception) -> UnavailableError:
        # The kind of error tells enough; its text may hold addresses with codes in them.
        return UnavailableError(
            "The OpenID provider cannot be reached or answers wrongly; log in with a local password, or try again.",
            {"issuer": self._settings.issuer, "problem": type(error).__name__},
            code="oidc_unavailable",
        )


def _keys_of(document: Any) -> list[Any]:
    """The public keys of a JWKS; what we cannot use is passed over, as providers may publish newer kinds."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
            continue
        try:
            found.append(import_key(entry))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def _checked(address: object, issuer: str) -> str:
    """An address that the provider named. Where it is asked by https, it must not lead to http."""
    try:
        text = str(address)
        # An authorization endpoint may have a query of its own.
        safe_address(text.partition("?")[0])
        if issuer.startswith("https:") and not text.startswith("https:"):
            raise ValueError
    except ValueError:
        raise UnavailableError(
            f"The OpenID provider {issuer} names an address that is missing or not https.", code="oidc_misconfigured"
        ) from None
    return text


def _problem(error: Exception) -> str:
    claim = getattr(error, "claim", None)
    return str(claim or getattr(error, "error", None) or type(error).__name__)[:100]
