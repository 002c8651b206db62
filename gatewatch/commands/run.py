"""`gatewatch run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch run site.yaml

NORTH_GATE_PASSWORD=... gatewatch run site.yaml --data /var/lib/gatewatch --port 8470

Passwords of cameras come from the environment: ${NAME} in the site file is the variable NAME."""


@app.command(epilog=EPILOG)
def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="Site file.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", envvar="GATEWATCH_DATA", help="Folder for alerts, snapshots and clips."),
    ] = Path("gatewatch-data"),
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="FILE|URL",
            envvar="GATEWATCH_DATABASE",
            show_default=False,
            help="Where alerts are kept: an SQLite file (default: in DIR) or postgresql://user:password@host/name; "
            "an address with a password is better given by the variable.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to serve; there is no login, so keep it local.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8470,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name by which browsers may call; repeatable."),
    ] = None,
    ring_mb: Annotated[
        int,
        typer.Option("--ring-mb", metavar="N", min=4, max=4096, help="Memory for each camera's newest footage, in MB."),
    ] = 64,
) -> None:
    """Watch live: connect the cameras, follow objects, raise alerts, and serve them until Ctrl-C."""
    import logging

    from gatewatch.console import print_line
    from gatewatch.live import RunOptions, run_site
    from gatewatch.log import LEVELS
    from gatewatch.site import load_site

    level = logging.getLevelName(logging.getLogger().level).lower()
    options = RunOptions(
        data=data, database=database, host=host, port=port, allowed_hosts=tuple(allow_host or ()), ring_mb=ring_mb,
        log_level=next((known for known in LEVELS if known == level), "warning"),
    )  # fmt: skip
    run_site(load_site(site), options, say_line=print_line)
