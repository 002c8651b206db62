"""Fixtures that every folder of tests uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


CHROMIUM = Path(os.environ.get("GATEWATCH_CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--headless",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by Playwright. Not kept for longer: its driver holds an event loop in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")
    if not CHROMIUM.is_file():
        pytest.skip("needs Chromium (Debian: chromium; GATEWATCH_CHROMIUM names another place)")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield opened
        opened.close()
