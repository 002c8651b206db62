"""`gatewatch audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewatch.places import DATA, DatabaseOption, DataOption

if TYPE_CHECKING:
    from api.audit import Report
    from api.audit_chain import KeptHead

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_LISTED = 3
"""Lines that are no heads; the others are counted."""
EPILOG = """Examples:

gatewatch audit --data /var/lib/gatewatch

gatewatch audit --head head-of-monday.json

gatewatch audit --export journal.ndjson --public-key lWeY45vo2bcm4DSnKitxFajypDczN+33ms6C2hcZw/w=

Exit code 0: everything is as it was written. 1: something is not, one line for each."""


@app.command(epilog=EPILOG)
def audit(
    data: DataOption = DATA,
    database: DatabaseOption = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head", metavar="FILE|JSON", show_default=False,
            help="A signed head that was kept elsewhere, such as a webhook's message; repeatable.",
        ),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="KEY", show_default=False, help="The site's public key, or a file of it."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", show_default=False, help="Check an export instead of the database."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:  # fmt: skip
    """Check that no journal entry, alert or signed head was changed, removed or forged, and name what was."""
    import json

    from gatewatch.console import print_line

    report = _report(data, database, head or [], public_key, export)
    if as_json:
        print_line(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in lines_of(report):
            print_line(line)
    if not report.intact:
        raise typer.Exit(1)


def lines_of(report: Report) -> list[str]:
    """One line for each finding, and a summary."""
    lines = [f"{finding.what}: {finding.message}." for finding in report.findings]
    if report.count > len(lines):
        lines.append(f"... and {report.count - len(lines)} more.")
    lines += [f"Not checked: {what}." for what in report.unchecked]
    span = f"entries {report.first} to {report.last}" if report.entries else "no entries"
    before = f" behind the checkpoint at entry {report.checkpoint}" if report.checkpoint else ""
    alerts = f", {report.alerts} alerts" if report.alerts else ""
    verdict = "Intact" if report.intact else f"TAMPERED ({report.count} finding{'s' * (report.count != 1)})"
    heads = f"{report.heads} signed heads, {report.kept_heads} kept outside compared with it"
    return [*lines, f"{verdict}: {span}{before}{alerts}, {heads}."]


def _report(data: Path, database: str | None, given: list[str], key: str | None, export: Path | None) -> Report:
    from api.audit import Trust, audit_database
    from api.audit_chain import KeptHead
    from api.audit_export import audit_export
    from api.heads import HEADS_FILE, kept_lines
    from gatewatch.places import database_of, keys_of

    public_key = _public_key(key)
    heads = [kept for text in given for kept in _given_heads(text)]
    if export is not None:
        keys = None if public_key else keys_of(data)
        return audit_export(export, public_key=public_key or (keys.public_key if keys else None), heads=heads)
    file = data / HEADS_FILE
    kept, others = kept_lines(file)
    heads += [KeptHead(head, file.name) for head in kept]
    report = audit_database(database_of(data, database), Trust(keys_of(data), public_key, heads))
    report.unchecked += [f"line {number} of {file.name}: it is no signed head" for number in others[:_LISTED]]
    if len(others) > _LISTED:
        report.unchecked.append(f"{len(others) - _LISTED} more lines of {file.name}")
    if not heads:
        there = "holds no head" if file.exists() else "is missing"
        report.unchecked.append(f"whether all of it was put back to an earlier state: {file} {there}")
    return report


def _given_heads(given: str) -> list[KeptHead]:
    """From a file (one JSON value, or one a line) or the text itself; a message of the webhook counts, too."""
    import json

    from api.audit_chain import KeptHead
    from api.heads import SignedHead
    from gatewatch.errors import UsageError

    text, name = given, "--head"
    if not given.lstrip().startswith("{"):
        name = Path(given).name
        text = Path(given).read_text(encoding="utf-8", errors="replace")
    try:
        values = [json.loads(text)]
    except ValueError:
        try:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise UsageError(f"{name}: expected signed heads as JSON.") from None
    heads = [SignedHead.from_json(_head_in(value)) for value in values]
    return [KeptHead(head, name) for head in heads]


def _head_in(value: object, depth: int = 0) -> object:
    """The part that is a head: by itself, the last line of an export, or within a message or an entry."""
    if isinstance(value, dict) and "signature" not in value and depth < 4:
        for key in ("head", "body", "data", "details", "entry"):
            if isinstance(value.get(key), dict):
                return _head_in(value[key], depth + 1)
    return value


def _public_key(given: str | None) -> str | None:
    import base64

    from gatewatch.errors import UsageError

    if given is None:
        return None
    file = Path(given)
    text = file.read_text(encoding="ascii", errors="replace").strip() if file.is_file() else given.strip()
    try:
        if len(base64.b64decode(text, validate=True)) == 32:
            return text
    except ValueError:
        pass
    raise UsageError("--public-key: expected 32 bytes as base64, or a file that holds them.")
