"""Services whose webhooks may reach this machine, delivering."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.services import Services, open_services
from tests.api.webhooks.kit import Receiver, quick, receiver


@pytest.fixture
def services(database: str, media: Path) -> Iterator[Services]:
    with open_services(database, media_dir=media, sending=quick()) as opened:
        yield opened


@pytest.fixture
def sending(services: Services) -> Services:
    services.webhooks.start()
    return services


@pytest.fixture
def target() -> Iterator[Receiver]:
    with receiver() as served:
        yield served
