"""`gatewatch demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch demo

gatewatch demo --no-serve --out findings"""

PORT = 8470


@app.command(epilog=EPILOG)
def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Show the alerts in the browser afterwards.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the results (default: a new temporary one).")
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", metavar="N", min=0, max=65535, help="Port on 127.0.0.1; another one if it is taken."),
    ] = PORT,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, max=64, help="Inference threads (default: all cores)."),
    ] = None,
) -> None:
    """Analyse the embedded clip now, print its alerts as they come, then serve them on 127.0.0.1 until Ctrl-C."""
    from gatewatch.console import print_line
    from gatewatch.demo import run_demo, serve_results
    from gatewatch.words import done_line, say

    site, result = run_demo(out, workers=workers, say_line=print_line)
    print_line(done_line(site.language, result.summary))
    print_line(say(site.language, "results", path=result.out))
    if serve:
        words = say(site.language, "page", address="{address}")
        serve_results(site, result, port, started=lambda address: print_line(words.format(address=address)))
        print_line(say(site.language, "page_gone"))
