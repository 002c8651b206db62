"""A site in one file: every row, the pictures and clips, the key; with a manifest that proves the file whole.

The file is a tar: `tables/NAME.ndjson`, `media/...`, `gatewatch.key`, `journal-heads.jsonl`, `media.ndjson`, and
`manifest.json` at its end. The rows are those of one moment, also while `gatewatch run` goes on writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import Connection, text

from api.errors import DeskError
from api.heads import HEADS_FILE, kept_heads
from api.journal import utc_text_us
from api.keys import KEY_FILE, SiteKeys
from api.storage.dump import lines_of, tables_of
from api.storage.reading import revision_of, snapshot

FORMAT = "gatewatch backup 1"
MANIFEST = "manifest.json"
MEDIA_LIST = "media.ndjson"
BLOCK = 1 << 20


@dataclass
class Backup:
    """What a backup holds."""

    made_at: str
    schema: str
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: rows, columns, bytes, sha256."""
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Other parts by their name in the file: bytes, sha256."""
    journal: dict[str, Any] | None = None
    """seq and hash of its newest entry."""
    key_id: str | None = None
    """Of the key that is in the file."""
    media: int | None = None
    """Pictures and clips; None: they were left out."""
    media_missing: int = 0
    """Files that alerts name and that were not there."""

    @property
    def rows(self) -> int:
        return sum(table["rows"] for table in self.tables.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT, "made_at": self.made_at, "schema": self.schema, "journal": self.journal,
            "key_id": self.key_id, "media": self.media, "media_missing": self.media_missing, "tables": self.tables,
            "parts": self.parts,
        }  # fmt: skip


def back_up(
    where: Path | str, out: Path, *, data: Path, media: bool = True, key: bool = True, now: datetime | None = None
) -> Backup:
    """Writes the backup; the file is there whole, readable by its owner alone, or not at all.

    `data`: the folder of pictures, clips and the key. `out` ends with .tar, .tar.gz or .tgz. Raises DeskError.
    """
    mode = _mode(out)
    if out.exists():
        raise DeskError(f"{out}: is there already: expected the name of a new file.")
    with _new_file(out) as file, tarfile.open(fileobj=file, mode=mode) as tar, snapshot(where) as connection:
        revision = revision_of(connection)
        if revision is None:
            raise DeskError("The database: expected one of Gatewatch, found none of its tables.")
        backup = Backup(utc_text_us(now or datetime.now(UTC)), revision)
        names = set()
        for table in tables_of(connection):
            names.add(table.name)
            _add_table(tar, connection, table, backup, out.parent)
        if "journal_tip" in names:
            row = connection.execute(text("SELECT seq, hash FROM journal_tip")).one_or_none()
            backup.journal = None if row is None else {"seq": row[0], "hash": row[1]}
        if key:
            _add_key(tar, data, backup)
        _add_heads(tar, data, backup)
        if media:
            _add_media(tar, connection, data, backup)
        manifest = json.dumps(backup.to_json(), ensure_ascii=False, indent=1).encode()
        _add_bytes(tar, MANIFEST, manifest)
    return backup


def _mode(out: Path) -> Any:
    if out.name.endswith(".tar"):
        return "w"
    if out.name.endswith((".tar.gz", ".tgz")):
        return "w:gz"
    raise DeskError(f"{out}: expected a name that ends with .tar or .tar.gz.")


@contextmanager
def _new_file(out: Path) -> Iterator[IO[bytes]]:
    """Under another name until it is whole and on the disk."""
    partial = out.with_name(f"{out.name}.partial")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise DeskError(f"{out}: cannot be written: {error.strerror}.") from None
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise DeskError(f"{out}: cannot be written: {error.strerror or error}.") from None
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _add_table(tar: tarfile.TarFile, connection: Connection, table: Any, backup: Backup, folder: Path) -> None:
    # A tar wants to know how long a part is before it comes.
    with tempfile.TemporaryFile(dir=folder) as file:
        digest, rows = hashlib.sha256(), 0
        for count, lines in lines_of(connection, table):
            rows += count
            digest.update(lines)
            file.write(lines)
        size = file.tell()
        file.seek(0)
        tar.addfile(_info(f"tables/{table.name}.ndjson", size), file)
    backup.tables[table.name] = {
        "rows": rows, "columns": [column.name for column in table.c], "bytes": size, "sha256": digest.hexdigest(),
    }  # fmt: skip


def _add_key(tar: tarfile.TarFile, data: Path, backup: Backup) -> None:
    file = data / KEY_FILE
    if not file.exists():
        raise DeskError(
            f"{file}: expected the site's key, found no such file; --without-key makes a backup without it."
        )
    backup.key_id = SiteKeys.load(file).key_id
    backup.parts[KEY_FILE] = _add_bytes(tar, KEY_FILE, file.read_bytes())


def _add_heads(tar: tarfile.TarFile, data: Path, backup: Backup) -> None:
    """Heads that were signed after the moment of the rows do not belong to them."""
    last = backup.journal["seq"] if backup.journal else 0
    heads = [head for head in kept_heads(data / HEADS_FILE) if head.seq <= last]
    lines = "".join(json.dumps(head.to_json()) + "\n" for head in heads)
    backup.parts[HEADS_FILE] = _add_bytes(tar, HEADS_FILE, lines.encode())


def _add_media(tar: tarfile.TarFile, connection: Connection, data: Path, backup: Backup) -> None:
    listed, backup.media = [], 0
    for path in _paths(connection):
        found = _add_file(tar, data, path)
        if found is None:
            backup.media_missing += 1
        else:
            backup.media += 1
            listed.append(json.dumps({"path": path, **found}, ensure_ascii=False))
    backup.parts[MEDIA_LIST] = _add_bytes(tar, MEDIA_LIST, "".join(f"{line}\n" for line in listed).encode())


def _paths(connection: Connection) -> list[str]:
    """Every file that an alert names, once, within the folder."""
    asked = "SELECT snapshot FROM alert UNION SELECT path FROM clip UNION SELECT original FROM clip"
    return sorted(path for (path,) in connection.execute(text(asked)) if path and is_inside(path))


def is_inside(path: str) -> bool:
    """Whether a path is relative, and stays in the folder that it is relative to."""
    pure = PurePosixPath(path)
    whole = not pure.is_absolute() and ".." not in pure.parts and "\\" not in path and "\0" not in path
    return whole and bool(pure.parts) and str(pure) == path


def _add_file(tar: tarfile.TarFile, data: Path, path: str) -> dict[str, Any] | None:
    file = data / path
    try:
        if not file.resolve().is_relative_to(data.resolve()) or not file.is_file():
            return None
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            reader = _Hashing(opened)
            tar.addfile(_info(f"media/{path}", size), reader)
    except FileNotFoundError:
        return None
    return {"bytes": size, "sha256": reader.digest.hexdigest()}


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> dict[str, Any]:
    tar.addfile(_info(name, len(content)), BytesIO(content))
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info
