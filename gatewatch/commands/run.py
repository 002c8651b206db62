"""`gatewatch run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch run site.yaml

NORTH_GATE_PASSWORD=... gatewatch run site.yaml --data /var/lib/gatewatch --port 8470

gatewatch run site.yaml --host 0.0.0.0 --allow-host gate.example.com --tls-cert cert.pem --tls-key key.pem

Passwords of cameras come from the environment: ${NAME} in the site file is the variable NAME."""


Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="FILE|URL",
        envvar="GATEWATCH_DATABASE",
        show_default=False,
        help="Where alerts are kept: an SQLite file (default: in DIR) or postgresql://user:password@host/name; "
        "an address with a password is better given by the variable.",
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", envvar="GATEWATCH_TLS_CERT", help="Certificate chain (PEM): HTTPS."),
]
TlsKey = Annotated[
    Path | None,
    typer.Option("--tls-key", metavar="FILE", envvar="GATEWATCH_TLS_KEY", help="Its key (PEM, no passphrase)."),
]
BehindProxy = Annotated[
    list[str] | None,
    typer.Option(
        "--behind-proxy",
        metavar="ADDRESS",
        envvar="GATEWATCH_BEHIND_PROXY",
        help="Address or network of a proxy that does TLS and whose X-Forwarded-For and -Proto hold; repeatable.",
    ),
]


@app.command(epilog=EPILOG)
def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="Site file.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", envvar="GATEWATCH_DATA", help="Folder for alerts, snapshots and clips."),
    ] = Path("gatewatch-data"),
    database: Database = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to serve; beyond this machine, give TLS files too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8470,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name by which browsers may call; repeatable."),
    ] = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = None,
    ring_mb: Annotated[
        int,
        typer.Option("--ring-mb", metavar="N", min=4, max=4096, help="Memory for each camera's newest footage, in MB."),
    ] = 64,
) -> None:
    """Watch live: connect the cameras, follow objects, raise alerts, and serve them until Ctrl-C."""
    import logging
    import os

    from api.access.oidc_settings import oidc_from_environment
    from gatewatch.console import print_line
    from gatewatch.live import RunOptions, run_site
    from gatewatch.log import LEVELS
    from gatewatch.site import load_site
    from gatewatch.transport import transport_of

    level = logging.getLevelName(logging.getLogger().level).lower()
    options = RunOptions(
        data=data, database=database, host=host, port=port, allowed_hosts=tuple(allow_host or ()), ring_mb=ring_mb,
        transport=transport_of(tls_cert, tls_key, behind_proxy or ()), oidc=oidc_from_environment(),
        log_level=next((known for known in LEVELS if known == level), "warning"),
    )  # fmt: skip
    os.umask(0o077)  # Pictures of people are for those who may log in, not for other users of this machine.
    run_site(load_site(site), options, say_line=print_line)
