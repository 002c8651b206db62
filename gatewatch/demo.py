"""The main job on the embedded clip: analyse it now, print its alerts, then serve them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path

from gatewatch.reanalyse import Options, Result, reanalyse
from gatewatch.site import Site, load_site
from gatewatch.version import version

CLIP = "pedestrians.mp4"
SITE = "site.yaml"


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


def serve_results(site: Site, result: Result, port: int, *, started: Callable[[str], None]) -> None:
    """Serves the results of a re-analysis on 127.0.0.1 until Ctrl-C or SIGTERM."""
    from api.app import create_app
    from api.services import open_services
    from gatewatch.serve import free_socket, serve

    sock = free_socket(port)
    with ExitStack() as stack:
        stack.callback(sock.close)
        services = stack.enter_context(open_services(result.out / ".gatewatch" / "alerts.db", media_dir=result.out))
        services.desk.import_reanalysis(result.out)
        serve(create_app(services, site=site, version=version()), sock, started=started)
