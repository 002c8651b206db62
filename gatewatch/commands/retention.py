"""`gatewatch retention`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewatch.places import DATA, DatabaseOption, DataOption

if TYPE_CHECKING:
    from api.retention import Removed

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch retention site.yaml

gatewatch retention --days 90 --dry-run

`gatewatch run` does the same once a day, as the site file's `retention` says. Alerts that are open, or belong to an
incident that is, stay."""


@app.command(epilog=EPILOG)
def retention(
    site: Annotated[
        Path | None, typer.Argument(metavar="SITE.yaml", help="Site file that says how long.", show_default=False)
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--days", metavar="N", min=1, show_default=False, help="How long closed alerts are kept, for this run."
        ),
    ] = None,
    data: DataOption = DATA,
    database: DatabaseOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many alerts would go.")] = False,
) -> None:
    """Remove closed alerts whose time is over, and put a signed checkpoint in the place of their journal entries."""
    from api.retention import Retention
    from api.services import open_services
    from gatewatch.console import print_line
    from gatewatch.errors import UsageError
    from gatewatch.places import database_of, existing

    if days is None:
        if site is None:
            raise UsageError("gatewatch retention: expected a site file or --days N, found neither.")
        from gatewatch.site import load_site

        days = load_site(site).retention.closed_alerts_days
    where = existing(database_of(data, database))
    with open_services(where, media_dir=data) as services:
        keeper = Retention(services.ledger, services.heads, media_dir=data, closed_alerts_days=days)
        if dry_run:
            print_line(f"{keeper.would_remove()} alerts would be removed.")
            return
        for line in _lines(keeper.run(), days):
            print_line(line)


def _lines(removed: Removed, days: int | None) -> list[str]:
    lines = []
    if days is None:
        lines.append("Closed alerts are kept without end: the site file names no retention.closed_alerts_days.")
    else:
        lines.append(
            f"Removed {removed.alerts} alerts closed more than {days} days ago, {removed.incidents} incidents, "
            f"{removed.files} files."
        )
    if removed.up_to_seq is not None:
        lines.append(f"A signed checkpoint stands in for {removed.entries} entries, up to entry {removed.up_to_seq}.")
    if removed.held_by is not None:
        lines.append(f"Older entries of the journal are still needed: {removed.held_by} is kept.")
    cleared = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in removed.expired.items() if count)
    if cleared:
        lines.append(f"Expired: {cleared}.")
    return lines
