"""`gatewatch check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch check site.yaml

gatewatch check --schema > site.schema.json"""


@app.command(epilog=EPILOG)
def check(
    site: Annotated[Path | None, typer.Argument(metavar="SITE.yaml", help="Site file.", show_default=False)] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a site file, for editors, and exit.")
    ] = False,
) -> None:
    """Validate a site file and say what would run: sources, detectors, rules, schedules."""
    if schema:
        import json

        from gatewatch.site import site_schema

        print(json.dumps(site_schema(), ensure_ascii=False, indent=2))
        return
    if site is None:
        raise typer.BadParameter("expected a site file", param_hint="SITE.yaml")
    import os
    from datetime import UTC, datetime

    from gatewatch.check import check_site
    from gatewatch.site import load_site

    report = check_site(load_site(site), now=datetime.now(UTC), environ=os.environ)
    print("\n".join(report.lines))
    if not report.ready:
        raise typer.Exit(1)
