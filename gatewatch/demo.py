"""The main job on the embedded clip: analyse it now, print its alerts, then serve them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import urlencode

from gatewatch.errors import FrontError
from gatewatch.reanalyse import Options, Result, reanalyse
from gatewatch.site import Site, load_site
from gatewatch.version import version

CLIP = "pedestrians.mp4"
SITE = "site.yaml"
LOGIN_FILE = "login.txt"


def run_demo(
    out: Path | None, *, workers: int | None = None, say_line: Callable[[str], None] = print
) -> tuple[Site, Result]:
    """Analyses the embedded clip afresh into `out`, by default a new temporary folder that stays.

    Raises what `reanalyse` raises.
    """
    folder = out if out is not None else Path(tempfile.mkdtemp(prefix="gatewatch-demo-"))
    with ExitStack() as stack:
        here = files("sample_footage")
        clip = stack.enter_context(as_file(here.joinpath(CLIP)))
        site = load_site(stack.enter_context(as_file(here.joinpath(SITE))))
        return site, reanalyse(site, [clip], Options(out=folder, workers=workers, fresh=True), say_line=say_line)


@dataclass(frozen=True, slots=True)
class Welcome:
    """Where the results are shown, and how to get in."""

    address: str
    """Ends with a slash."""
    user: str
    password: str
    file: Path | None
    """Where the password was written, for nobody but the owner to read; None: it is for the caller to show, once."""

    @property
    def link(self) -> str:
        """Fills in the log-in. The password stands in the fragment, which browsers send to no server, and the page
        takes it out of the address bar at once."""
        return f"{self.address}#{urlencode({'user': self.user, 'password': self.password})}"


def serve_results(
    site: Site, result: Result, port: int, *, on_terminal: bool, started: Callable[[Welcome], None]
) -> None:
    """Serves the results of a re-analysis on 127.0.0.1 until Ctrl-C or SIGTERM.

    `on_terminal`: somebody reads what `started` shows. Otherwise the password goes to a file, which is removed at the
    end: each start makes a new one. Raises DeskError, FrontError.
    """
    from api.access.accounts import FIRST_USER
    from api.app import create_app
    from api.keys import KEY_FILE, SiteKeys
    from api.services import open_services
    from gatewatch.serve import free_socket, serve

    sock = free_socket(port)
    work = result.out / ".gatewatch"
    with ExitStack() as stack:
        stack.callback(sock.close)
        keys = SiteKeys.load_or_create(work / KEY_FILE)
        services = stack.enter_context(
            open_services(work / "alerts.db", media_dir=result.out, keys=keys, reasons=site.reasons)
        )
        services.desk.import_reanalysis(result.out)
        password = services.accounts.demo_login()
        file = None if on_terminal else work / LOGIN_FILE
        if file is not None:
            stack.callback(file.unlink, missing_ok=True)
            _write_for_owner(file, f"{FIRST_USER}\n{password}\n")
        app = create_app(services, site=site, version=version())
        serve(app, sock, started=lambda address: started(Welcome(address, FIRST_USER, password, file)))


def _write_for_owner(file: Path, text: str) -> None:
    """Raises FrontError where it cannot be written."""
    try:
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(text)
    except OSError as error:
        raise FrontError(f"{file}: the password cannot be written there: {error.strerror}.") from None
