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
    import sys

    from gatewatch.console import print_line
    from gatewatch.demo import Welcome, run_demo, serve_results
    from gatewatch.words import done_line, say

    site, result = run_demo(out, workers=workers, say_line=print_line)
    print_line(done_line(site.language, result.summary))
    print_line(say(site.language, "results", path=result.out))
    if serve:

        def welcome(to: Welcome) -> None:
            if to.file is None:
                print_line(say(site.language, "page_link", link=to.link))
                print_line(say(site.language, "page_login", address=to.address, user=to.user, password=to.password))
            else:
                print_line(say(site.language, "page_file", address=to.address, user=to.user, path=to.file))
            print_line(say(site.language, "page_end"))

        serve_results(site, result, port, on_terminal=sys.stdout.isatty(), started=welcome)
        print_line(say(site.language, "page_gone"))
