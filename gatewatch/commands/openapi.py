"""`gatewatch openapi`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch openapi --out gatewatch.json

gatewatch openapi | python -m json.tool"""


@app.command(epilog=EPILOG)
def openapi(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of printing it.")
    ] = None,
) -> None:
    """Print the OpenAPI document of the HTTP API: all that a program needs to know to work with Gatewatch."""
    from gatewatch.contract import as_text, document
    from gatewatch.errors import OutputError

    text = as_text(document())
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"--out: {out} cannot be written: {error.strerror}.") from None
