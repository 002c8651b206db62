"""Fetches weights: resumed where a download broke off, through the proxy of the environment, checked by hash."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from models.catalogue import Row, by_hand, expected_sha256, pin_file, sha256_of, what_to_do
from models.types import ModelError

CHUNK = 1 << 16
Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None)."""


def pull(
    row: Row,
    *,
    sha256: str | None = None,
    pin: bool = False,
    timeout_s: float = 30.0,
    progress: Progress = lambda _done, _total: None,
) -> Path:
    """Fetches the row's file into the weights folder and gives its path; a file that is there and right is kept.

    The hash is the catalogue's, else `sha256`, else the one pinned at the first pull. With none of them the pull is
    refused, unless `pin` says to trust what comes and to hold every later pull to it. Proxies are taken from
    `https_proxy`, `http_proxy` and `no_proxy`. Raises ModelError.
    """
    if row.origin != "pull":
        reason = "is part of Gatewatch" if row.origin == "embedded" else f"cannot be fetched: {what_to_do(row)}"
        raise ModelError(f"{row.name} {reason}")
    expected = (row.sha256 or sha256 or expected_sha256(row)).lower()
    if row.sha256 and sha256 and row.sha256 != sha256.lower():
        raise ModelError(f"{row.name}: the catalogue expects SHA-256 {row.sha256}, not {sha256}")
    if not expected and not pin:
        raise ModelError(
            f"{row.name}: its publisher gives no hash; give one with --sha256, or accept what comes with --pin"
        )
    if row.path.is_file() and expected and sha256_of(row.path) == expected:
        return row.path
    part = row.path.with_name(f"{row.path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(row.url, part, timeout_s, progress)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        kept = f" ({part.stat().st_size} bytes are kept for the next try)" if part.is_file() else ""
        raise ModelError(f"{row.name}: cannot fetch {row.url}: {_reason(error)}{kept}; {by_hand(row)}") from error
    _accept(row, part, expected)
    return row.path


def _accept(row: Row, part: Path, expected: str) -> None:
    found = sha256_of(part)
    if expected and found != expected:
        part.unlink()
        raise ModelError(
            f"{row.name}: what {row.url} sent is not the file expected: SHA-256 {expected}, found {found}; thrown away"
        )
    part.replace(row.path)
    if not row.sha256:
        pin_file(row).write_text(f"{found}  {row.file}\n", encoding="ascii")


def _download(url: str, part: Path, timeout_s: float, progress: Progress) -> None:
    done = part.stat().st_size if part.is_file() else 0
    try:
        response = _request(url, done, timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not done:
            raise
        # All of it is there already, or the part belongs to another file: the hash tells, a fresh start mends.
        error.close()
        part.unlink()
        done, response = 0, _request(url, 0, timeout_s)
    with response:
        resumed = done > 0 and response.status == http.client.PARTIAL_CONTENT
        done = done if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _request(url: str, done: int, timeout_s: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "gatewatch"} | ({"Range": f"bytes={done}-"} if done else {})
    request = urllib.request.Request(url, headers=headers)
    # An opener of its own, because the library's common one keeps the proxies of its first use.
    response: http.client.HTTPResponse = urllib.request.build_opener().open(request, timeout=timeout_s)
    return response


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
