"""Where the commands find what `gatewatch run` keeps: the database, the site's key, the heads kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.keys import SiteKeys

DATA = Path("gatewatch-data")
DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="GATEWATCH_DATA", help="Folder that `gatewatch run` writes to.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="FILE|URL",
        envvar="GATEWATCH_DATABASE",
        show_default=False,
        help="Where alerts are kept: an SQLite file (default: in DIR) or postgresql://user:password@host/name; "
        "an address with a password is better given by the variable.",
    ),
]


def database_of(data: Path, database: str | None) -> Path | str:
    """As `gatewatch run` finds it."""
    from gatewatch.live import DATABASE

    if database is None:
        return data / DATABASE
    return database if "://" in database else Path(database)


def keys_of(data: Path) -> SiteKeys | None:
    """The site's key, or None where there is no key file. Raises DeskError where it is none."""
    from api.keys import KEY_FILE, SiteKeys

    file = data / KEY_FILE
    return SiteKeys.load(file) if file.exists() else None


def existing(where: Path | str) -> Path | str:
    """The same place; raises OutputError where it is a file that is not there: nothing is made by looking."""
    from gatewatch.errors import OutputError

    if isinstance(where, Path) and not where.is_file():
        raise OutputError(f"{where}: expected the database of Gatewatch, found no such file.")
    return where
