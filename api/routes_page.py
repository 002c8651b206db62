"""The page of the alert desk: the files of `api/page/`, sent as they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_START = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def _sender(content: Callable[[], bytes], media_type: str) -> Callable[[], Response]:
    def send() -> Response:
        return Response(content(), media_type=media_type, headers={"cache-control": "no-cache"})

    return send


for _file in sorted(files("api").joinpath("page").iterdir(), key=lambda file: file.name):
    _suffix = "." + _file.name.rpartition(".")[2]
    if _suffix in _MEDIA_TYPES:
        _path = "/" if _file.name == _START else f"/page/{_file.name}"
        router.add_api_route(
            _path, _sender(_file.read_bytes, _MEDIA_TYPES[_suffix]), methods=["GET", "HEAD"], name=_file.name
        )
