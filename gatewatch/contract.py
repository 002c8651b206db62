"""The OpenAPI document of a running site, without running one.

`python -m gatewatch.contract` writes the table of error codes into `docs/api.md`.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from api.app import create_app
from api.contract_words import codes_as_table
from api.keys import SiteKeys
from api.services import open_services
from gatewatch.live_api import add_live_routes
from gatewatch.live_board import Board
from gatewatch.version import version

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"


@dataclass(frozen=True)
class _NoSite:
    name: str = "any"
    timezone: tzinfo = UTC
    language: str = "en"


def document() -> dict[str, Any]:
    """What `GET /api/v1/openapi.json` of a running site answers; nothing in it depends on the site."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with open_services(place / "none.db", media_dir=place, keys=SiteKeys.ephemeral()) as services:
            app = create_app(services, site=_NoSite(), version=version())
            add_live_routes(app, Board(()))
            return app.openapi()


def as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def page_with_codes(page: str) -> str:
    """The page with today's codes between its two marks."""
    marks = re.compile(r"(<!-- codes: [^>]*-->\n).*?(<!-- end of codes -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{codes_as_table()}{found[2]}", page)


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page_with_codes(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE.name, "written", file=sys.stderr)


if __name__ == "__main__":
    main()
