"""The command line: `gatewatch`.

Each command is a file of `gatewatch/commands/` with a Typer application called `app`. It is imported only when it is
asked for, so that `gatewatch --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gatewatch.console import be_lenient
from gatewatch.errors import FrontError

COMMANDS: dict[str, str] = {
    "demo": "Analyse the embedded clip, print its alerts and show them in the browser.",
    "run": "Watch live: cameras, rules, alerts and the page for guards.",
    "reanalyse": "Find the alerts in recordings.",
    "users": "List and make users, give new passwords, unlock and disable.",
    "check": "Validate a site file and say what would run.",
    "audit": "Check that nothing in the journal or the alerts was changed, removed or forged.",
    "retention": "Remove closed alerts whose time is over, and say so in the journal.",
    "backup": "Put the database, the pictures and clips into one file.",
    "restore": "Bring a backup back into an empty database.",
    "openapi": "Print the OpenAPI document of the HTTP API.",
    "models": "List, fetch, export and verify detector weights.",
    "bench": "Measure accuracy, events and speed.",
}
"""Every command and what it is for, in the order of the help."""

_KNOWN_ERRORS = (
    ("gatewatch.errors", "FrontError"),
    ("models.types", "ModelError"),
    ("pipeline.errors", "MediaError"),
    ("rules.types", "RuleError"),
    ("api.errors", "DeskError"),
)


class LateGroup(TyperGroup):
    """Commands that are listed by name and imported when called."""

    _listing = False

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name], short_help=COMMANDS[cmd_name])
        module = f"gatewatch.commands.{cmd_name}"
        try:
            command = typer.main.get_command(importlib.import_module(module).app)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise FrontError(f"gatewatch {cmd_name} is not part of this build.") from None
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


app = typer.Typer(
    name="gatewatch",
    cls=LateGroup,
    help="Video analytics for guarded sites: cameras in, alerts that a guard can trust and act on out.",
    epilog="Begin with: gatewatch demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from gatewatch.version import version

        typer.echo(f"gatewatch {version()}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    log_level: Annotated[
        str,
        typer.Option("--log-level", envvar="GATEWATCH_LOG_LEVEL", help="What to log: debug, info, warning or error."),
    ] = "warning",
) -> None:
    from gatewatch.log import LEVELS, configure

    level = next((known for known in LEVELS if known == log_level.lower()), None)
    if level is None:
        raise typer.BadParameter(f"expected {', '.join(LEVELS)}, found {log_level!r}", param_hint="--log-level")
    configure(level)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 could not, 2 wrong usage."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; what could not be done is said on stderr, one line each."""
    be_lenient()
    try:
        app(args=list(arguments), prog_name="gatewatch", standalone_mode=True)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except _loaded_errors() as error:
        return _say(str(error), getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        return _say("Interrupted.")
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _say(f"{name}{error.strerror or error}.")
    return 0


def _loaded_errors() -> tuple[type[BaseException], ...]:
    """The error classes for users of those layers that were imported: what was not cannot have been raised."""
    modules = ((sys.modules.get(module), name) for module, name in _KNOWN_ERRORS)
    return tuple(getattr(module, name) for module, name in modules if module is not None)


def _say(text: str, code: int = 1) -> int:
    from pipeline.address import mask_text

    print(mask_text(text), file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
