"""The review page: a few files, sent as they are."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "page/view.js": ("view.js", "text/javascript; charset=utf-8"),
    "page/words.js": ("words.js", "text/javascript; charset=utf-8"),
    "page/style.css": ("style.css", "text/css; charset=utf-8"),
    "page/texts.json": ("texts.json", "application/json"),
    "page/icon.svg": ("icon.svg", "image/svg+xml"),
}


def _serve(name: str, media_type: str) -> None:
    content = files("api").joinpath("page", name).read_bytes

    def send() -> Response:
        return Response(content(), media_type=media_type, headers={"cache-control": "no-cache"})

    path = "/" + next(address for address, (file, _) in _FILES.items() if file == name)
    router.add_api_route(path, send, methods=["GET", "HEAD"], name=name)


for _name, _media_type in _FILES.values():
    _serve(_name, _media_type)
