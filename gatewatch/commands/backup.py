"""`gatewatch backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewatch.places import DATA, DatabaseOption, DataOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch backup /backups/gatewatch-monday.tar.gz --data /var/lib/gatewatch

gatewatch backup small.tar.gz --no-media

It may be made while `gatewatch run` goes on. Keep it as safe as the site itself: it holds names, what guards said,
hashes of passwords, and with the key also what signs the journal."""


@app.command(epilog=EPILOG)
def backup(
    out: Annotated[Path, typer.Argument(metavar="OUT.tar[.gz]", help="A new file.", show_default=False)],
    data: DataOption = DATA,
    database: DatabaseOption = None,
    media: Annotated[bool, typer.Option("--media/--no-media", help="With the pictures and clips.")] = True,
    key: Annotated[
        bool, typer.Option("--with-key/--without-key", help="With the site's key, which signs the journal.")
    ] = True,
) -> None:
    """Put the database, the pictures and clips and the key into one file, as they are at one moment."""
    from api.backup import back_up
    from gatewatch.console import print_line
    from gatewatch.places import database_of, existing

    done = back_up(existing(database_of(data, database)), out, data=data, media=media, key=key)
    files = "no pictures or clips" if done.media is None else f"{done.media} pictures and clips"
    print_line(f"{out}: {done.rows} rows of schema {done.schema}, {files}, {out.stat().st_size / 1e6:.1f} MB.")
    if done.media_missing:
        print_line(f"{done.media_missing} pictures and clips that alerts name were not there.")
    if done.key_id is None:
        print_line("The key is not in it: without gatewatch.key a restored journal cannot be proved whole.")
    else:
        print_line("The site's key is in it: whoever has this file can sign for the site.")
