"""`gatewatch bench`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gatewatch.errors import FrontError

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Measure accuracy, events and speed; results as JSON with machine, versions and weights.",
)

SHARED = Path("../shared")
SHORT_S = 16.0
"""Seconds of footage of the short form."""

Footage = Annotated[Path | None, typer.Option("--footage", metavar="FILE", help="Another recording.")]
Truth = Annotated[Path | None, typer.Option("--truth", metavar="CSV", help="Its true tracks.")]
Weights = Annotated[str, typer.Option("--weights", metavar="NAME", help="A name of the catalogue or a path.")]
InputPx = Annotated[int, typer.Option("--input-px", metavar="N", help="Longer side of the network's input.")]
Short = Annotated[bool, typer.Option("--short", help="A quick form on a part of the footage, for checks.")]
ToFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results there.")]
Compare = Annotated[bool, typer.Option("--compare", help="Fail where a number is worse than its golden limit.")]


@app.command()
def accuracy(
    footage: Footage = None, truth: Truth = None, weights: Weights = "nanodet-g", input_px: InputPx = 448,
    short: Short = False, json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """Tracks against true tracks: CLEAR, IDF1, HOTA."""
    _finish({"accuracy": _accuracy(footage, truth, weights, input_px, short)}, weights, json_file, compare, short)


@app.command()
def events(
    footage: Footage = None, truth: Truth = None, weights: Weights = "nanodet-g", input_px: InputPx = 448,
    short: Short = False, json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """Rule events against those of the true tracks: precision, recall, F1, delay."""
    _finish({"events": _events(footage, truth, weights, input_px, short)}, weights, json_file, compare, short)


@app.command()
def speed(
    footage: Footage = None, weights: Weights = "nanodet-g", input_px: InputPx = 448,
    short: Short = False, json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """The whole pipeline against a bare decode-and-infer loop, time per stage, and the script one would write today."""
    _finish({"speed": _speed(footage, weights, input_px, short)}, weights, json_file, compare, short)


@app.command()
def still(
    weights: Weights = "nanodet-g", input_px: InputPx = 448,
    short: Short = False, json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """What a still scene costs, relative to an analysed one."""
    _finish({"still": _still(weights, input_px, short)}, weights, json_file, compare, short)


@app.command()
def stream(short: Short = False, json_file: ToFile = None, compare: Compare = False) -> None:
    """From an event in the pipeline to 100 clients of the live stream: p50, p95, most."""
    _finish({"stream": _stream(short)}, None, json_file, compare, short)


@app.command()
def desk(
    database: Annotated[
        str,
        typer.Option(
            "--database", metavar="sqlite|postgresql|URL", envvar="GATEWATCH_BENCH_DATABASE",
            help="postgresql starts a server of its own; a URL names an empty PostgreSQL database.",
        ),
    ] = "sqlite",
    alerts: Annotated[int, typer.Option("--alerts", metavar="N", min=2000, help="How many are stored.")] = 1_000_000,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", min=2, help="How long readers ask.")] = 60.0,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where made alerts are kept for the next time.")
    ] = None,
    saturation: Annotated[bool, typer.Option(help="Also raise the rates until pages take too long.")] = True,
    audit: Annotated[bool, typer.Option("--audit", help="Also audit the journal of the made alerts.")] = False,
    plans: Annotated[
        Path | None, typer.Option("--plans", metavar="FILE", help="Write how the database goes about each list there.")
    ] = None,
    json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """The list of a million alerts while readers ask and alerts arrive: latency, losses, order, saturation."""
    result = _desk(database, alerts, seconds, cache, saturation=saturation, audit=audit, plans=plans)
    kind = "sqlite" if database == "sqlite" else "postgresql"
    _finish({"desk": {kind: result}}, None, json_file, compare, False)


@app.command("all")
def everything(
    weights: Weights = "nanodet-g", input_px: InputPx = 448,
    short: Short = False, json_file: ToFile = None, compare: Compare = False,
) -> None:  # fmt: skip
    """Every benchmark whose footage is there; what is left out is said."""
    results: dict[str, Any] = {}
    jobs: dict[str, Callable[[], dict[str, Any]]] = {
        "accuracy": lambda: _accuracy(None, None, weights, input_px, short),
        "events": lambda: _events(None, None, weights, input_px, short),
        "speed": lambda: _speed(None, weights, input_px, short),
        "still": lambda: _still(weights, input_px, short),
        "stream": lambda: _stream(short),
        "desk": lambda: _desks(short),
    }
    for name, job in jobs.items():
        if name not in ("speed", "stream", "desk") and not (SHARED / "footage").is_dir():
            typer.echo(f"{name}: left out, {SHARED / 'footage'} is not there.", err=True)
            continue
        typer.echo(f"Measuring {name} ...", err=True)
        results[name] = job()
    _finish(results, weights, json_file, compare, short)


def _accuracy(footage: Path | None, truth: Path | None, weights: str, input_px: int, short: bool) -> dict[str, Any]:
    from benchmarks.accuracy import run

    trackers = ("gatewatch",) if short else ("gatewatch", "botsort")
    frames = int(SHORT_S * 10) if short else None
    path, true = footage or SHARED / "footage/vtest.avi", truth or SHARED / "truth/pets09-s2l1.csv"
    with _shortened(path, SHORT_S if short else None) as part:
        return _told(lambda: run(part, true, weights=weights, input_px=input_px, trackers=trackers, frames=frames))


def _events(footage: Path | None, truth: Path | None, weights: str, input_px: int, short: bool) -> dict[str, Any]:
    from benchmarks.events import run

    path, true = footage or SHARED / "footage/vtest.avi", truth or SHARED / "truth/pets09-s2l1.csv"
    more: dict[str, Any] = {"rates_hz": (5.0,), "trackers": ("gatewatch",), "seeds": (1,)} if short else {}
    return _told(lambda: run(path, true, weights=weights, input_px=input_px, **more))


def _speed(footage: Path | None, weights: str, input_px: int, short: bool) -> dict[str, Any]:
    from importlib.resources import as_file, files

    from benchmarks.speed import REPEATS, run

    with as_file(files("sample_footage").joinpath("pedestrians.mp4")) as clip:
        path = footage or clip
        with _shortened(path, SHORT_S if short else None) as part:
            result = _told(lambda: run(part, weights=weights, input_px=input_px, repeats=1 if short else REPEATS))
        return {**result, "footage": path.name}


def _still(weights: str, input_px: int, short: bool) -> dict[str, Any]:
    from benchmarks.still import run

    more = {"repeats": 1, "clips": 1} if short else {}
    return _told(lambda: run(SHARED / "footage", weights=weights, input_px=input_px, **more))


def _stream(short: bool) -> dict[str, Any]:
    from importlib.resources import as_file, files

    from benchmarks.stream import SECONDS, SHORT_SECONDS, run
    from gatewatch.site import load_site

    with as_file(files("sample_footage").joinpath("site.yaml")) as path:
        site = load_site(path)
    return _told(lambda: run(site, seconds=SHORT_SECONDS if short else SECONDS))


def _desks(short: bool) -> dict[str, Any]:
    """On each database that is there."""
    from benchmarks.postgres import programs

    kinds = ("sqlite", "postgresql") if programs() is not None else ("sqlite",)
    more: tuple[int, float] = (20_000, 5.0) if short else (1_000_000, 60.0)
    return {kind: _desk(kind, *more, None, saturation=not short) for kind in kinds}


def _desk(
    database: str, alerts: int, seconds: float, cache: Path | None, *,
    saturation: bool, audit: bool = False, plans: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    from platformdirs import user_cache_path

    from benchmarks.desk import run

    home = cache or user_cache_path("gatewatch") / "bench"
    home.mkdir(parents=True, exist_ok=True)
    return _told(
        lambda: run(
            database, cache=home, alerts=alerts, seconds=seconds, saturation=saturation, audit=audit, plans=plans,
            say=lambda line: typer.echo(line, err=True),
        )
    )  # fmt: skip


def _shortened(path: Path, seconds: float | None) -> Any:
    from benchmarks.report import shortened

    if not path.is_file():
        raise FrontError(f"{path}: no such footage.")
    return shortened(path, seconds)


def _told(job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The job's result; its error becomes the command line's."""
    from benchmarks.footage import BenchError

    try:
        return job()
    except BenchError as error:
        raise FrontError(str(error)) from None


def _finish(results: dict[str, Any], weights: str | None, json_file: Path | None, compare: bool, short: bool) -> None:
    from benchmarks.report import about

    report = {"short": short, **about([] if weights is None else [weights]), **results}
    text = json.dumps(report, indent=2, ensure_ascii=False)
    typer.echo(text)
    if json_file is not None:
        json_file.write_text(text + "\n", encoding="utf-8")
    if compare:
        from benchmarks.golden import compare as against_golden

        worse = _told(lambda: {"worse": against_golden(results, short=short)})["worse"]
        if worse:
            raise FrontError("Worse than the golden numbers: " + "; ".join(worse) + ".")
        typer.echo("No worse than the golden numbers.", err=True)
