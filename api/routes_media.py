"""Snapshots and clips of alerts."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from PIL import Image as Pillow
from starlette.exceptions import HTTPException

from api.access.principal import Principal
from api.access.requiring import requires
from api.errors import NotFoundError
from api.failures import documented
from api.files import send_file
from api.routes_alerts import AlertId, desk_of

router = APIRouter(prefix="/alerts", tags=["media"])

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm"}
Part = Annotated[int, Query(ge=1, le=1000, description="Which of the alert's clips.")]
Reader = Annotated[Principal, requires("alerts.read")]
Width = Annotated[int | None, Query(ge=64, le=1920, description="A small copy, at most this wide.")]


def _file_answers(*types: str, partial: bool = False) -> dict[int | str, dict[str, Any]]:
    content = dict.fromkeys(types, _BINARY)
    answers = documented(401, 404, 422, 429, 503) | {
        200: {"description": "The file.", "content": content},
        304: {"description": "The client's copy (If-None-Match) is still good."},
    }
    if partial:
        answers[206] = {"description": "The part that Range asked for.", "content": content}
        answers |= documented(416)
    return answers


def _head(answers: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The same answers without their bodies."""
    return {status: {"description": answer["description"]} for status, answer in answers.items()}


_SNAPSHOT = _file_answers("image/jpeg")
_CLIP = _file_answers("video/mp4", partial=True)
_ORIGINAL = _file_answers("video/mp4", "video/x-matroska", partial=True)


@router.head("/{alert_id}/snapshot", operation_id="head_snapshot", responses=_head(_SNAPSHOT), response_class=Response)
@router.get("/{alert_id}/snapshot", operation_id="get_snapshot", responses=_SNAPSHOT, response_class=Response)
def get_snapshot(request: Request, alert_id: AlertId, principal: Reader, width: Width = None) -> Response:
    """The picture of the event with box, path, zone or line, and measured values."""
    path = desk_of(request).snapshot_file(alert_id, principal)
    if width is None:
        return send_file(request, path, "image/jpeg")
    stat = path.stat()
    small = _small(path, stat.st_mtime_ns, width)
    etag = f'"{stat.st_mtime_ns:x}-{width}"'
    headers = {"cache-control": "private, no-cache", "etag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(small, media_type="image/jpeg", headers=headers)


@router.head("/{alert_id}/clip", operation_id="head_clip", responses=_head(_CLIP), response_class=Response)
@router.get("/{alert_id}/clip", operation_id="get_clip", responses=_CLIP, response_class=Response)
def get_clip(request: Request, alert_id: AlertId, principal: Reader, part: Part = 1) -> Response:
    """A clip that browsers play; byte ranges are served."""
    return _clip(request, desk_of(request).clip_file(alert_id, part, principal=principal))


@router.head(
    "/{alert_id}/clip/original", operation_id="head_clip_original", responses=_head(_ORIGINAL), response_class=Response
)
@router.get("/{alert_id}/clip/original", operation_id="get_clip_original", responses=_ORIGINAL, response_class=Response)
def get_clip_original(request: Request, alert_id: AlertId, principal: Reader, part: Part = 1) -> Response:
    """The packets as the camera sent them, as a download; the clip itself where it is no rendering."""
    path = desk_of(request).clip_file(alert_id, part, original=True, principal=principal)
    return _clip(request, path, download_as=path.name)


def _clip(request: Request, path: Path, download_as: str | None = None) -> Response:
    return send_file(
        request, path, _TYPES.get(path.suffix.lower(), "application/octet-stream"), download_as=download_as
    )


@lru_cache(maxsize=256)
def _small(path: Path, mtime_ns: int, width: int) -> bytes:  # noqa: ARG001 - a picture made anew is another entry
    try:
        with Pillow.open(path) as picture:
            picture.draft("RGB", (width, width))
            picture.thumbnail((width, 4 * width))
            out = io.BytesIO()
            picture.convert("RGB").save(out, format="JPEG", quality=80)
    except FileNotFoundError:
        raise NotFoundError("The snapshot is no longer there.") from None
    except OSError:
        raise HTTPException(500, "The snapshot is damaged") from None
    return out.getvalue()
