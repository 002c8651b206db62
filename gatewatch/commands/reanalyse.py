"""`gatewatch reanalyse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EPILOG = """Examples:

gatewatch reanalyse site.yaml gate_20240501_220000.mp4 --out findings

gatewatch reanalyse site.yaml *.mp4 --camera north-gate --started-at 2024-05-01T22:00:00+08:00 --out findings

Interrupted, the same command goes on where it stopped."""


@app.command(epilog=EPILOG)
def reanalyse(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="Site file.", show_default=False)],
    recordings: Annotated[
        list[str],
        typer.Argument(metavar="RECORDING...", help="Recordings of one camera, in order.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", show_default=False)],
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="ID", help="The camera; may be left out for a site with one.")
    ] = None,
    started_at: Annotated[
        str | None,
        typer.Option(
            "--started-at",
            metavar="ISO8601",
            help="When the first recording began (by default as its name or container says).",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, max=64, help="Inference threads (default: all cores)."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--inputs", metavar="FILE.jsonl", help="Authorisations and other inputs, one JSON object a line."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another re-analysis in DIR.")
    ] = False,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Look only where something moves or is followed.")
    ] = True,
    clips: Annotated[bool, typer.Option("--clips/--no-clips", help="Cut a clip for every alert.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
) -> None:
    """Find the alerts in recordings: events, alerts with snapshots and clips, and where every object was."""
    from gatewatch.console import print_line
    from gatewatch.plan import recording_files
    from gatewatch.reanalyse import Options, reanalyse
    from gatewatch.site import load_site
    from gatewatch.words import done_line, say

    loaded = load_site(site)
    files = recording_files(recordings)
    options = Options(
        out=out, camera=camera, started_at=started_at, workers=workers, inputs=inputs,
        overwrite=overwrite, use_gate=gate, clips=clips, quiet=quiet,
    )  # fmt: skip
    result = reanalyse(loaded, files, options, say_line=print_line)
    if result.summary["inputs_unused"]:
        unused, inputs = result.summary["inputs_unused"], result.summary["inputs"]
        print_line(say(loaded.language, "inputs_unused", unused=unused, inputs=inputs))
    print_line(done_line(loaded.language, result.summary))
    print_line(say(loaded.language, "results", path=out))
