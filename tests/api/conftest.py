"""A real desk, a real application and a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.desk import Desk
from api.services import Services, open_services
from benchmarks.postgres import PostgresServer, postgres_server, programs
from tests.api.databases import KIND, fresh, make_template
from tests.api.kit import client_as
from tests.api.scenes import Site, write_clip


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; a test that asks for it is left out where PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgres_server(durable=False) as server:
        make_template(server)
        yield server


@pytest.fixture
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database of the kind that this run of the tests is for: an SQLite file or an address."""
    if KIND == "sqlite":
        yield str(tmp_path / "alerts.db")
    else:
        with fresh(request.getfixturevalue("postgres")) as url:
            yield url


@pytest.fixture
def services(database: str, media: Path) -> Iterator[Services]:
    with open_services(database, media_dir=media) as opened:
        yield opened


@pytest.fixture
def desk(services: Services) -> Desk:
    return services.desk


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, site=Site(), version="1.2.3")


@pytest.fixture
def client(app: FastAPI, services: Services) -> Iterator[TestClient]:
    """An administrator."""
    with client_as(app, services, "administrator") as opened:
        yield opened


@pytest.fixture(scope="session")
def drawn_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
