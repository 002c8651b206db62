"""A real desk, a real application and a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.desk import Desk
from api.services import Services, open_services
from tests.api.scenes import Site, write_clip


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def services(tmp_path: Path, media: Path) -> Iterator[Services]:
    with open_services(tmp_path / "alerts.db", media_dir=media) as opened:
        yield opened


@pytest.fixture
def desk(services: Services) -> Desk:
    return services.desk


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, site=Site(), version="1.2.3")


@pytest.fixture(scope="session")
def drawn_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
