"""Which Gatewatch this is."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The installed version; from a checkout that is not installed, that of its `pyproject.toml`."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("gatewatch")
    except PackageNotFoundError:
        import tomllib

        project = Path(__file__).resolve().parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
