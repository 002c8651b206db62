"""Fixtures that every folder of tests uses."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def _shared(kind: str) -> Path:
    folder = SHARED / kind
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/{kind}, which is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def footage() -> Path:
    """Folder of the real clips; the test is skipped where it is absent."""
    return _shared("footage")


@pytest.fixture(scope="session")
def truth() -> Path:
    """Folder of the clips' truth; the test is skipped where it is absent."""
    return _shared("truth")
