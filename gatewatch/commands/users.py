"""`gatewatch users`: for the administrator who cannot log in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewatch.places import DATA, DatabaseOption, DataOption

if TYPE_CHECKING:
    from api.access.accounts import Accounts
    from api.access.users import User

EPILOG = """Examples:

gatewatch users list

gatewatch users add wei.zhang --role guard --camera north-gate --camera yard

gatewatch users reset-password admin

They work on the data folder itself, also while `gatewatch run` serves it: a change counts there within ten seconds.
Whoever may write to that folder needs no other password. What is done is in the journal."""

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List and make users, give new passwords, unlock and disable.",
    epilog=EPILOG,
)
NameArgument = Annotated[str, typer.Argument(metavar="USER", help="The user's name.", show_default=False)]


@app.command("list")
def list_users(data: DataOption = DATA, database: DatabaseOption = None) -> None:
    """Show every user: name, role, cameras, state."""
    from gatewatch.console import print_line

    with _accounts(data, database) as accounts:
        for user in accounts.users.list(limit=100_000):
            print_line(_line_of(user))


@app.command()
def add(
    user: NameArgument,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="guard, supervisor, administrator, auditor or integrator.")
    ],
    display_name: Annotated[str, typer.Option("--name", metavar="TEXT", help="How people call them.")] = "",
    camera: Annotated[
        list[str] | None,
        typer.Option(
            "--camera", metavar="ID", help="A camera that they see; repeatable. Left out: all.", show_default=False
        ),
    ] = None,
    data: DataOption = DATA,
    database: DatabaseOption = None,
) -> None:
    """Make a user and print a one-time password."""
    from typing import cast

    from api.access.principal import Role
    from api.journal import SYSTEM

    with _accounts(data, database) as accounts:
        # A role that there is not is refused there, with a sentence.
        made, password = accounts.users.create(
            user, cast(Role, role), display_name=display_name, cameras=camera or None, actor=SYSTEM
        )
        _show(made.name, password)


@app.command("reset-password")
def reset_password(user: NameArgument, data: DataOption = DATA, database: DatabaseOption = None) -> None:
    """Print a new one-time password; ends the user's sessions and unlocks them."""
    from api.journal import SYSTEM

    with _accounts(data, database) as accounts:
        _, password = accounts.users.reset_password(user, actor=SYSTEM)
        accounts.forget_first_password()
        _show(user, password)


@app.command()
def unlock(user: NameArgument, data: DataOption = DATA, database: DatabaseOption = None) -> None:
    """Let a user log in again who was locked out after too many attempts."""
    from api.journal import SYSTEM
    from gatewatch.console import print_line

    with _accounts(data, database) as accounts:
        accounts.users.unlock(user, actor=SYSTEM)
        print_line(f"{user} may log in again.")


@app.command()
def disable(user: NameArgument, data: DataOption = DATA, database: DatabaseOption = None) -> None:
    """Shut a user out: ends their sessions and stops their tokens."""
    from api.access.users import UserChange
    from api.journal import SYSTEM
    from gatewatch.console import print_line

    with _accounts(data, database) as accounts:
        change = UserChange(disabled=True)
        accounts.users.change(user, change, actor=SYSTEM, by=None, expected_version=None)
        print_line(f"{user} is disabled.")


@app.command()
def enable(user: NameArgument, data: DataOption = DATA, database: DatabaseOption = None) -> None:
    """Let a disabled user in again."""
    from api.access.users import UserChange
    from api.journal import SYSTEM
    from gatewatch.console import print_line

    with _accounts(data, database) as accounts:
        change = UserChange(disabled=False)
        accounts.users.change(user, change, actor=SYSTEM, by=None, expected_version=None)
        print_line(f"{user} is enabled.")


@contextmanager
def _accounts(data: Path, database: str | None) -> Iterator[Accounts]:
    """Raises OutputError where there is no database."""
    from api.services import open_services
    from gatewatch.places import database_of, existing

    with open_services(existing(database_of(data, database)), media_dir=data) as services:
        yield services.accounts


def _show(user: str, password: str) -> None:
    from gatewatch.console import print_line

    print_line(f"{user} logs in with the password {password} and then chooses another one; it is shown only now.")


def _line_of(user: User) -> str:
    cameras = "all cameras" if user.cameras is None else ", ".join(user.cameras) or "no camera"
    states = [
        "disabled" if user.disabled else "",
        f"locked until {user.locked_until:%Y-%m-%d %H:%M} UTC" if user.locked_until else "",
        "must choose a password" if user.must_change_password else "",
        "" if user.local else "logs in by OpenID Connect",
    ]
    return "  ".join(part for part in (user.name, user.role, cameras, "; ".join(filter(None, states))) if part)
