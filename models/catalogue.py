"""The catalogue of weights (`catalogue.toml`), and where their files are."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from models.types import ModelError

CATALOGUE = Path(__file__).parent / "catalogue.toml"
EMBEDDED = Path(__file__).parent / "weights"
FOLDER_VARIABLE = "GATEWATCH_WEIGHTS"

Origin = Literal["embedded", "pull", "export"]


@dataclass(frozen=True, slots=True)
class Row:
    """One set of weights."""

    name: str
    family: str
    origin: Origin
    """`embedded`: part of Gatewatch. `pull`: fetched from `url`. `export`: made by the user as `how` says."""
    file: str
    source: str
    licence: str
    classes: str
    input_px: int
    sha256: str = ""
    """Empty where it is not known before the first pull or export."""
    url: str = ""
    how: str = ""
    coco_map: float | None = None
    """Published mAP 50-95 on COCO, in percent."""

    @property
    def path(self) -> Path:
        """Where the file is, or has to be put."""
        return (EMBEDDED if self.origin == "embedded" else weights_folder()) / self.file


@cache
def catalogue(path: Path = CATALOGUE) -> Mapping[str, Row]:
    """All rows by name. Raises ModelError where the file is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("weights", [])
        rows = [_row(table) for table in tables]
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise ModelError(f"{path.name}: not a catalogue of weights: {error}") from error
    by_name = {row.name: row for row in rows}
    if len(by_name) != len(rows):
        raise ModelError(f"{path.name}: two rows have the same name")
    return by_name


def _row(table: Mapping[str, Any]) -> Row:
    row = Row(**table)
    if row.origin not in ("embedded", "pull", "export"):
        raise TypeError(f"{row.name}: origin must be embedded, pull or export, not {row.origin}")
    if row.origin == "pull" and not row.url.startswith(("https://", "http://")):
        raise TypeError(f"{row.name}: a row to pull needs a url")
    return row


def find(name: str) -> Row:
    """The row called `name`; ModelError names all that there are."""
    rows = catalogue()
    if name not in rows:
        raise ModelError(f"no weights called {name}; the catalogue has: {', '.join(rows)}; or give the path of a file")
    return rows[name]


def weights_folder() -> Path:
    """Where pulled and exported weights are kept: `GATEWATCH_WEIGHTS`, else the user's data folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("gatewatch", appauthor=False)) / "weights"


def expected_sha256(row: Row) -> str:
    """The published hash, else the one pinned when the file was first pulled; empty where there is neither."""
    pin = pin_file(row)
    if row.sha256 or not pin.is_file():
        return row.sha256
    return pin.read_text(encoding="ascii").split()[0]


def pin_file(row: Row) -> Path:
    """The file beside pulled weights that keeps the hash they had when they were first accepted."""
    return row.path.with_name(f"{row.path.name}.sha256")


def sha256_of(path: Path) -> str:
    """Hash of a file in hexadecimal; ModelError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the weights ({error.strerror or error})") from error


def what_to_do(row: Row) -> str:
    """One sentence on how to get weights that are not there."""
    if row.origin == "export":
        return f"{row.name} is not part of Gatewatch: {row.how}, and put the result at {row.path}"
    return f"run `gatewatch models pull {row.name}`, or {by_hand(row)}"


def by_hand(row: Row) -> str:
    """What to fetch and where to put it on a machine without a network."""
    hashed = f" with SHA-256 {row.sha256}" if row.sha256 else ""
    return f"without a network, fetch {row.url} elsewhere{hashed} and put it at {row.path}"


def verify(row: Row) -> str:
    """The hash of the row's file, checked against the expected one where there is one.

    Raises ModelError where the file is absent or another.
    """
    if not row.path.is_file():
        raise ModelError(f"{row.name}: no file at {row.path}; {what_to_do(row)}")
    found, expected = sha256_of(row.path), expected_sha256(row)
    if expected and found != expected:
        raise ModelError(
            f"{row.name}: {row.path} is damaged or another file: expected SHA-256 {expected}, found {found}"
        )
    return found
