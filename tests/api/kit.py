"""Opens what the tests of the API work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.desk import Desk
from api.services import open_services


@contextmanager
def open_desk(database: Path | str, *, media_dir: Path, **options: Any) -> Iterator[Desk]:
    """The desk of a database, with the keys that lie in the media folder."""
    with open_services(database, media_dir=media_dir, **options) as services:
        yield services.desk
