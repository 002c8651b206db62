"""What the environment says about a log-in by OpenID Connect: `GATEWATCH_OIDC_*`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.access.principal import ROLES, Role
from api.errors import DeskError

PREFIX = "GATEWATCH_OIDC_"
CALLBACK = "/api/v1/oidc/callback"
LOGOUT = "/api/v1/oidc/logout"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def safe_address(text: str) -> str:
    """https, or http on this machine alone: what travels here decides who is let in."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # raises where it is no number
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"expected an https address without user, query or fragment, found {text[:200]!r}")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError(f"expected https (http is for this machine alone), found {text[:200]!r}")
    return text


def _pairs(value: object) -> object:
    """`a=guard,b=supervisor`, or a JSON object for names that hold `,` or `=`."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"expected a JSON object of claim values and roles: {error}") from None
    found = {}
    for item in filter(None, (part.strip() for part in value.split(","))):
        name, equals, role = item.rpartition("=")
        if not equals or not name.strip():
            raise ValueError(f"expected CLAIM_VALUE=ROLE, separated by commas, found {item!r}")
        found[name.strip()] = role.strip()
    return found


def _known_roles(roles: dict[str, str]) -> dict[str, str]:
    if not roles:
        raise ValueError("expected at least one CLAIM_VALUE=ROLE")
    for name, role in roles.items():
        if role not in ROLES:
            raise ValueError(f"expected one of {', '.join(ROLES)} for {name!r}, found {role!r}")
    return roles


def _a_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"expected a file, found none at {path}")
    return path


Address = Annotated[str, AfterValidator(safe_address)]
Words = Annotated[str, Field(min_length=1, max_length=400)]
Readable = Annotated[Path, AfterValidator(_a_file)]


class OidcSettings(BaseSettings):
    """One provider. Made by `oidc_from_environment`, or directly in tests."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    issuer: Address
    client_id: Words
    client_secret: SecretStr | None = None
    client_secret_file: Readable | None = None
    roles: Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs), AfterValidator(_known_roles)]
    role_claim: Words = "groups"
    cameras_claim: Words | None = None
    name_claim: Words = "preferred_username"
    scope: Words = "openid profile email"
    label: Annotated[str, Field(min_length=1, max_length=64)] = "OpenID Connect"
    redirect_uri: Address | None = None
    ca_file: Readable | None = None
    logout: bool = False
    """Whoever logs out here is sent to the provider to log out there, too."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError(f"expected one of {PREFIX}CLIENT_SECRET and {PREFIX}CLIENT_SECRET_FILE, found both")
        if "openid" not in self.scope.split():
            raise ValueError(f"expected openid in {PREFIX}SCOPE, found {self.scope!r}")
        if self.redirect_uri is not None and not self.redirect_uri.endswith(CALLBACK):
            raise ValueError(f"expected {PREFIX}REDIRECT_URI to end in {CALLBACK}, found {self.redirect_uri!r}")
        return self

    def secret(self) -> str | None:
        """The client's secret, read afresh where it lies in a file. Raises DeskError where that cannot be read."""
        if self.client_secret_file is None:
            return self.client_secret.get_secret_value() if self.client_secret else None
        try:
            return self.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise DeskError(f"{self.client_secret_file}: the secret of OpenID Connect cannot be read.") from None

    def role_of(self, claim: object) -> Role | None:
        """The role of the first entry of `roles` that the claim (a text, or a list of them) holds."""
        held = {claim} if isinstance(claim, str) else set(_texts(claim))
        found = next((role for name, role in self.roles.items() if name in held), None)
        return next((role for role in ROLES if role == found), None)

    def cameras_of(self, claim: object) -> frozenset[str] | None:
        """The cameras that the claim names; None for all, which is `*`. Raises DeskError where it names none."""
        names = frozenset(claim.replace(",", " ").split() if isinstance(claim, str) else _texts(claim))
        if not names:
            raise DeskError(f"The claim {self.cameras_claim} names no camera.")
        return None if "*" in names else names


def _texts(claim: object) -> Iterator[str]:
    return (item for item in claim if isinstance(item, str)) if isinstance(claim, list) else iter(())


def oidc_from_environment(environment: Mapping[str, str] | None = None) -> OidcSettings | None:
    """None where no variable `GATEWATCH_OIDC_*` is set. Raises DeskError with a sentence for each thing to mend."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX) and value.strip()}
    if not given:
        return None
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        field = name.upper().removeprefix(PREFIX).lower()
        if field in OidcSettings.model_fields:
            values[field] = value.strip()
        else:
            problems.append(f"{name}: there is no such setting.")
    try:
        settings = OidcSettings(**values)
    except ValidationError as error:
        problems += [_sentence(problem, values) for problem in error.errors(include_input=False)]
    if problems:
        raise DeskError("\n".join(problems))
    return settings


def _sentence(problem: Any, values: Mapping[str, Any]) -> str:
    name = f"{PREFIX}{str(problem['loc'][0]).upper()}" if problem["loc"] else "OpenID Connect"
    if problem["type"] == "missing":
        also = f"{PREFIX}{next(iter(values)).upper()}" if values else PREFIX
        return f"{name}: expected a value, as {also} is set."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}."
