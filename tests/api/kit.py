"""Opens what the tests of the API work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from api.access.principal import Permission, Role, permissions_of
from api.desk import Desk
from api.journal import SYSTEM
from api.services import Services, open_services

ADDRESS = "http://127.0.0.1:8400"


@contextmanager
def open_desk(database: Path | str, *, media_dir: Path, **options: Any) -> Iterator[Desk]:
    """The desk of a database, with the keys that lie in the media folder."""
    with open_services(database, media_dir=media_dir, **options) as services:
        yield services.desk


def token_for(
    services: Services,
    role: Role,
    cameras: Sequence[str] | None = None,
    permissions: Iterable[Permission] | None = None,
) -> str:
    """A real token of a real user who has this role; by default for all that the role may do."""
    users, tokens = services.accounts.users, services.accounts.tokens
    known = sum(user.name.startswith(role) for user in users.list())
    name = f"{role}{known + 1}"
    user, _ = users.create(name, role, actor=SYSTEM, cameras=cameras, provider=("https://login.test", name))
    scope = None if cameras is None else frozenset(cameras)
    _, token = tokens.create(
        user.name, "test", actor=SYSTEM, cameras=cameras, expires_at=services.ledger.now() + timedelta(days=1),
        permissions=permissions_of(role, permissions, cameras=scope),
    )  # fmt: skip
    return token


def client_as(app: FastAPI, services: Services, role: Role, cameras: Sequence[str] | None = None) -> TestClient:
    """A client that shows such a token with each request."""
    headers = {"authorization": f"Bearer {token_for(services, role, cameras)}"}
    return TestClient(app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False)
