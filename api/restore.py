"""Brings a backup back: everything is checked before anything is written, and it is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from api.audit import Report, Trust, audit_database
from api.audit_chain import KeptHead
from api.backup import BLOCK, FORMAT, MANIFEST, MEDIA_LIST, is_inside
from api.errors import DeskError
from api.heads import HEADS_FILE, Heads, begin, kept_heads
from api.journal import SYSTEM
from api.keys import KEY_FILE, SiteKeys
from api.storage import dump
from api.storage.database import open_database
from api.storage.ledger import Ledger
from api.storage.reading import is_sqlite_file

STAGING = ".restoring"
MOST_SMALL_BYTES = 1 << 30
PARTS = frozenset({KEY_FILE, HEADS_FILE, MEDIA_LIST})
"""What a backup holds beside tables and media."""
_UNREADABLE = (tarfile.TarError, zlib.error, EOFError, OSError)
_Found = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Restored:
    """What came back."""

    rows: int
    media: int
    made_at: str
    schema: str
    """Of the backup; the database is of this version's now."""
    has_key: bool
    heads_put_aside: Path | None
    """Where heads went that reach beyond the backup."""
    report: Report


def restore(source: Path, where: Path | str, *, data: Path, now: datetime | None = None) -> Restored:
    """Restores into an empty database and the folder `data`. Raises DeskError, and then has changed nothing."""
    manifest, found, listed = _checked(source)
    _check_target(manifest, where, data, listed)
    staging = data / STAGING
    with ExitStack() as undo:
        data.mkdir(parents=True, exist_ok=True)
        if staging.exists():  # Of a restore that was killed.
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, staging, True)
        target = staging / "gatewatch.db" if is_sqlite_file(where) else where
        placed: list[Path] = []
        undo.callback(_take_back, placed)
        rows = _fill(source, manifest, found, target, staging, lambda: _place(staging, data, listed, manifest, placed))
        aside = _heads_aside(staging, data, manifest, now or datetime.now(UTC))
        if is_sqlite_file(where):
            file = Path(where)
            file.parent.mkdir(parents=True, exist_ok=True)
            (staging / "gatewatch.db").replace(file)
        placed.clear()
    report = _settle(where, data, manifest)
    return Restored(
        rows, len(listed), manifest["made_at"], manifest["schema"], (data / KEY_FILE).exists(), aside, report
    )


# Checking


def _checked(source: Path) -> tuple[dict[str, Any], _Found, dict[str, str]]:
    """(manifest, every part with its size and hash, hash by path of the media). Raises DeskError."""
    found: _Found = {}
    small: dict[str, bytes] = {}
    for name, size, stream in _members(source):
        if name in found:
            raise DeskError(f"{source}: holds {name} twice.")
        keep = name in (MANIFEST, MEDIA_LIST) and size <= MOST_SMALL_BYTES
        digest, content = hashlib.sha256(), bytearray()
        for block in _blocks(source, stream):
            digest.update(block)
            if keep:
                content += block
        found[name] = (size, digest.hexdigest())
        if keep:
            small[name] = bytes(content)
    manifest = _manifest(source, small.get(MANIFEST))
    try:
        media = [json.loads(line) for line in small.get(MEDIA_LIST, b"").splitlines()]
        told = {MANIFEST: found[MANIFEST]}
        told |= {f"tables/{n}.ndjson": (t["bytes"], t["sha256"]) for n, t in manifest["tables"].items()}
        told |= {name: (part["bytes"], part["sha256"]) for name, part in manifest["parts"].items()}
        told |= {f"media/{item['path']}": (item["bytes"], item["sha256"]) for item in media}
        listed = {item["path"]: item["sha256"] for item in media}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise DeskError(f"{source}: its manifest is damaged.") from None
    for name in sorted({*told, *found}):
        if told.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not in its manifest" if name not in told else "is damaged"
            raise DeskError(f"{source}: the part {name} {what}; nothing was restored.")
    unsafe = next((path for path in listed if not is_inside(path) or path.split("/")[0].startswith(".")), None)
    # What the manifest says of itself is no reason to write there: it comes with the file.
    unsafe = unsafe or next((name for name in manifest["parts"] if name not in PARTS), None)
    if unsafe is not None:
        raise DeskError(f"{source}: holds a file that would lie outside the data folder: {unsafe[:200]}.")
    return manifest, found, listed


def _members(source: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Every part in order; only plain files are taken."""
    try:
        with tarfile.open(source, "r:*") as tar:
            for info in tar:
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is None:
                    raise DeskError(f"{source}: holds {info.name[:200]}, which is no plain file.")
                yield info.name, info.size, stream
    except _UNREADABLE as error:
        raise _unreadable(source, error) from None


def _blocks(source: Path, stream: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := stream.read(BLOCK):
            yield block
    except _UNREADABLE as error:
        raise _unreadable(source, error) from None


def _unreadable(source: Path, error: Exception) -> DeskError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged or cut off"
    return DeskError(f"{source}: cannot be read as a backup: {why}.")


def _manifest(source: Path, content: bytes | None) -> dict[str, Any]:
    try:
        manifest = json.loads(content or b"")
        if manifest["format"] != FORMAT:
            raise ValueError("another format")
        _ = manifest["tables"], manifest["parts"], str(manifest["schema"]), str(manifest["made_at"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DeskError(f"{source}: expected a backup of Gatewatch with its {MANIFEST}.") from None
    return manifest  # type: ignore[no-any-return]


def _check_target(manifest: dict[str, Any], where: Path | str, data: Path, listed: dict[str, str]) -> None:
    if manifest["schema"] not in dump.known_revisions():
        raise DeskError(f"The backup was made by a newer Gatewatch: its schema {manifest['schema']} is not known here.")
    if is_sqlite_file(where):
        file = Path(where)
        if file.exists() and file.stat().st_size > 0:
            raise DeskError(f"{file}: expected no database to restore into, found one: move it away first.")
    elif not dump.reachable_and_empty(where):
        raise DeskError("The database: expected an empty one to restore into, found tables in it.")
    key = manifest.get("key_id")
    if key is not None and (data / KEY_FILE).exists() and SiteKeys.load(data / KEY_FILE).key_id != key:
        raise DeskError(f"{data / KEY_FILE}: is the key of another site: expected none, or the one of the backup.")
    for path, sha256 in listed.items():
        file = data / path
        if file.exists() and _sha256(file) != sha256:
            raise DeskError(f"{file}: is there already, and not the file of the backup: move it away first.")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# Writing


def _fill(
    source: Path, manifest: dict[str, Any], found: _Found, target: Path | str, staging: Path, place: Callable[[], None]
) -> int:
    """Fills the database, and lays the other parts into the staging folder; `place` comes before the commit."""
    engine, shown = dump.engine_for(target)
    rows = 0
    try:
        with dump.filling(engine, shown, manifest["schema"]) as (connection, tables):
            columns = {name: table["columns"] for name, table in manifest["tables"].items()}
            if columns != dump.columns_of(tables):
                raise DeskError(f"{source}: its tables are not those of schema {manifest['schema']}.")
            for name, size, stream in _members(source):
                if name.startswith("tables/"):
                    table = tables[name.removeprefix("tables/").removesuffix(".ndjson")]
                    rows += _fill_table(source, connection, table, stream, manifest["tables"][table.name]["rows"])
                elif name not in (MANIFEST, MEDIA_LIST):
                    _lay(staging / "files" / name, stream)
                if found.get(name, (None,))[0] != size:
                    raise DeskError(f"{source}: changed while it was read.")
            place()
    finally:
        engine.dispose()
    return rows


def _fill_table(source: Path, connection: Any, table: Any, stream: IO[bytes], told: int) -> int:
    try:
        count = dump.fill(connection, table, stream)
    except (ValueError, TypeError, RecursionError):
        count = -1
    if count != told:
        raise DeskError(f"{source}: the rows of {table.name} are damaged.")
    return count


def _lay(file: Path, stream: IO[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        shutil.copyfileobj(stream, opened, BLOCK)
        opened.flush()
        os.fsync(opened.fileno())


def _place(staging: Path, data: Path, listed: dict[str, str], manifest: dict[str, Any], placed: list[Path]) -> None:
    """Moves the files to where they belong, and tells those that were not there before."""
    moves = [(staging / "files" / "media" / path, data / path) for path in listed]
    if manifest.get("key_id") is not None:
        moves.append((staging / "files" / KEY_FILE, data / KEY_FILE))
    for file, target in moves:
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
        placed.append(target)


def _take_back(placed: list[Path]) -> None:
    for file in placed:
        with suppress(OSError):
            file.unlink()


def _heads_aside(staging: Path, data: Path, manifest: dict[str, Any], now: datetime) -> Path | None:
    """The heads of the backup take the place of those in the folder; these are kept where they reach further."""
    file, aside = data / HEADS_FILE, None
    last = (manifest.get("journal") or {}).get("seq", 0)
    if any(head.seq > last for head in kept_heads(file)):
        aside = file.with_name(f"journal-heads.before-{now:%Y%m%dT%H%M%SZ}.jsonl")
        file.replace(aside)
    mine = staging / "files" / HEADS_FILE
    if mine.exists() and not file.exists() and mine.stat().st_size:
        mine.replace(file)
    return aside


def _settle(where: Path | str, data: Path, manifest: dict[str, Any]) -> Report:
    """Says in the journal that it was restored, and audits what is there now."""
    keys = SiteKeys.load(data / KEY_FILE) if (data / KEY_FILE).exists() else None
    if keys is not None:
        ledger = Ledger(open_database(where), keys)
        try:
            begin(ledger, file=data / HEADS_FILE)
            with ledger.writing() as write:
                body = {"made_at": manifest["made_at"], "journal": manifest.get("journal")}
                write.journal(SYSTEM, "journal", "restore", "restored", body)
            Heads(ledger, file=data / HEADS_FILE).sign("asked")
        finally:
            ledger.close()
    heads = [KeptHead(head, HEADS_FILE) for head in kept_heads(data / HEADS_FILE)]
    return audit_database(where, Trust(keys, None, heads))
