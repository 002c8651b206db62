"""Sends pictures and clips: whole, in part (206), not again (304), or not at all (416)."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from api.errors import NotFoundError

_ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def send_file(request: Request, path: Path, media_type: str, *, download_as: str | None = None) -> Response:
    """The file, or the one part of it that the Range header asks for.

    As RFC 9110 allows, a Range that is malformed, in another unit or of several parts is ignored, as is one whose
    If-Range no longer holds. Raises HTTPException 416 where the range lies behind the end of the file, NotFoundError
    where the file is gone.
    """
    try:
        stat = path.stat()
    except OSError:
        raise NotFoundError("The file is no longer there.") from None
    headers = {"cache-control": "private, no-cache"}
    response = FileResponse(path, headers=headers, media_type=media_type, stat_result=stat, filename=download_as)
    etag, modified = response.headers["etag"], response.headers["last-modified"]
    if etag in re.split(r"\s*,\s*", request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={**headers, "etag": etag, "last-modified": modified})
    if not _range_holds(request, stat.st_size, (etag, modified)):
        # FileResponse reads the header itself: without it the whole file is sent.
        request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
    return response


def _range_holds(request: Request, size: int, validators: tuple[str, str]) -> bool:
    wanted = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is None or request.headers.get("if-range", validators[0]) not in validators:
        return False
    first, last = wanted.groups()
    if not first and not last:
        return False
    if first and last and int(last) < int(first):
        return False
    if (first and int(first) >= size) or (not first and (int(last) == 0 or size == 0)):
        raise HTTPException(
            416, f"The range {wanted.group()} lies outside the {size} bytes", {"content-range": f"bytes */{size}"}
        )
    return True
