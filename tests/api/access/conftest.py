"""People at a site whose clock the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.testclient import TestClient

from api.access.accounts import Accounts
from api.access.principal import Role
from api.app import create_app
from api.journal import SYSTEM
from api.services import Services, open_services
from tests.api.kit import ADDRESS
from tests.api.scenes import Site

PASSWORD = "seven herons over water"
V1 = "/api/v1"


@dataclass
class Clock:
    moment: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 6, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment

    def later(self, **amount: float) -> None:
        self.moment += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(database: str, media: Path, clock: Clock) -> Iterator[Services]:
    with open_services(database, media_dir=media, now=clock) as opened:
        # Argon2 as it is meant to be would take most of the time of these tests.
        opened.accounts.passwords.use(Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1))
        yield opened


@pytest.fixture
def accounts(services: Services) -> Accounts:
    return services.accounts


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, site=Site(), version="1.2.3")


def browser_of(app: FastAPI) -> TestClient:
    """Keeps cookies, knows nobody."""
    return TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)


def person(accounts: Accounts, name: str = "wei.zhang", role: Role = "guard", **options: Any) -> str:
    """A user who has chosen the password PASSWORD."""
    accounts.users.create(name, role, actor=SYSTEM, **options)
    hashed = accounts.passwords.hash(PASSWORD)
    with accounts.ledger.writing() as write:
        from api.storage import people

        row = people.user_named(write.session, name)
        assert row is not None
        row.password_hash, row.must_change_password = hashed, False
    return name


def log_in(client: TestClient, name: str = "wei.zhang", password: str = PASSWORD) -> Any:
    """The answer; the client has the cookie and sends the session's CSRF token from now on."""
    answer = client.post(f"{V1}/session", json={"user": name, "password": password})
    if answer.status_code == 200:
        client.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return answer


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]
