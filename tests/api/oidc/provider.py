"""A small OpenID provider on a real socket: discovery, authorization, tokens (PKCE, client secret), keys, userinfo.

It lets everybody in at once, as whoever `claims` says; `spoil` changes a token on its way out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from tests.api.scenes import serving

CLIENT = "gatewatch"
SECRET = "s3cret of the client"
Spoil = Callable[[dict[str, Any], dict[str, Any]], None]


class FakeProvider:
    """`requests` counts what was asked of each endpoint."""

    def __init__(self) -> None:
        self.issuer = ""
        self.claims: dict[str, Any] = {
            "sub": "248289761001", "preferred_username": "Wei.Zhang", "name": "张伟", "groups": ["staff", "gw-guards"],
        }  # fmt: skip
        self.spoil: Spoil | None = None
        self.more: dict[str, Any] | None = None
        self.broken = False
        self.logout = ""
        """The path of the end_session_endpoint; empty: there is none."""
        self.requests: dict[str, int] = {}
        self.sign: Callable[[dict[str, Any], dict[str, Any]], str] = self.signed
        self._codes: dict[str, dict[str, str]] = {}
        self.rotate("ES256")

    def rotate(self, algorithm: str) -> None:
        """A new key; the old one is published no more."""
        self.algorithm = algorithm
        kid = secrets.token_hex(4)
        parameters = {"kid": kid, "use": "sig", "alg": algorithm}
        self.key = (
            RSAKey.generate_key(2048, parameters) if algorithm == "RS256" else ECKey.generate_key("P-256", parameters)
        )

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        return jwt.encode(header, claims, self.key, algorithms=[header["alg"]])

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.middleware("http")
        async def count(request: Request, call_next: Any) -> Any:
            name = request.url.path.rpartition("/")[2]
            self.requests[name] = self.requests.get(name, 0) + 1
            return Response("<h1>Bad gateway</h1>", 502) if self.broken else await call_next(request)

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, Any]:
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            return {
                "issuer": self.issuer,
                **{name: f"{self.issuer}/{path}" for name, path in names.items()},
                **({"end_session_endpoint": f"{self.issuer}/{self.logout}"} if self.logout else {}),
                **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.more is not None else {}),
            }

        @app.get("/authorize")
        def authorize(request: Request) -> Response:
            query = dict(request.query_params)
            assert query["response_type"] == "code"
            assert query["code_challenge_method"] == "S256"
            assert query["client_id"] == CLIENT
            code = secrets.token_urlsafe(8)
            self._codes[code] = query
            back = {"code": code, "state": query["state"], "session_state": "of the provider's own"}
            return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 303)

        @app.post("/token")
        async def token(request: Request) -> Response:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            scheme, _, shown = request.headers.get("authorization", "").partition(" ")
            if scheme != "Basic" or base64.b64decode(shown).decode() != f"{CLIENT}:{SECRET}":
                return JSONResponse({"error": "invalid_client"}, 401)
            asked = self._codes.pop(form.get("code", ""), None)
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64_url(digest)
            if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
                return JSONResponse({"error": "invalid_grant"}, 400)
            now = int(time.time())
            header: dict[str, Any] = {"alg": self.algorithm, "kid": self.key.kid}
            claims = {
                "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims,
            }  # fmt: skip
            if self.spoil is not None:
                self.spoil(header, claims)
            return JSONResponse({"access_token": "at", "token_type": "Bearer", "id_token": self.sign(header, claims)})

        @app.get("/logout")
        def logout(request: Request) -> Response:
            assert request.query_params["client_id"] == CLIENT
            return RedirectResponse(request.query_params["post_logout_redirect_uri"], 303)

        @app.get("/jwks")
        def jwks() -> dict[str, Any]:
            return dict(KeySet([self.key]).as_dict(private=False))

        @app.get("/userinfo")
        def userinfo(request: Request) -> dict[str, Any]:
            assert request.headers["authorization"] == "Bearer at"
            return dict(self.more or {})

        return app


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token with `alg: none`."""
    parts = ({**header, "alg": "none"}, claims)
    return ".".join(base64_url(json.dumps(part).encode()) for part in parts) + "."


def base64_url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def provider() -> Iterator[FakeProvider]:
    """One that runs."""
    fake = FakeProvider()
    with serving(fake.app()) as address:
        fake.issuer = address.rstrip("/")
        yield fake
