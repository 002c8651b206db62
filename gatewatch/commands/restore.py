"""`gatewatch restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewatch.places import DATA, DatabaseOption, DataOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch restore /backups/gatewatch-monday.tar.gz --data /var/lib/gatewatch

gatewatch restore gatewatch-monday.tar.gz --database postgresql://gatewatch@db.local/gatewatch

The database must be empty or not there yet; end `gatewatch run` first. Exit code 1 also where the audit of what was
restored finds something."""


@app.command(epilog=EPILOG)
def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="What gatewatch backup made.", show_default=False)],
    data: DataOption = DATA,
    database: DatabaseOption = None,
) -> None:
    """Bring a backup back into an empty database, also of the other kind, then audit it."""
    from api.restore import restore as bring_back
    from gatewatch.commands.audit import lines_of
    from gatewatch.console import print_line
    from gatewatch.live import only_one_on
    from gatewatch.places import database_of

    with only_one_on(data):
        done = bring_back(backup, database_of(data, database), data=data)
    print_line(
        f"{backup}: of {done.made_at}, {done.rows} rows of schema {done.schema}, {done.media} pictures and clips."
    )
    if not done.has_key:
        print_line(f"The key is not in it: put gatewatch.key into {data} before you start gatewatch run.")
    if done.heads_put_aside is not None:
        print_line(
            f"Signed heads in {data} reach beyond the backup: what came after it is lost. They are kept in "
            f"{done.heads_put_aside.name}."
        )
    for line in lines_of(done.report):
        print_line(line)
    if not done.report.intact:
        raise typer.Exit(1)
