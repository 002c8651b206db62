"""A built wheel carries all that it needs outside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "api", "benchmarks", "gatewatch", "models", "pipeline", "rules", "sample_footage",
    "pyproject.toml", "README.md", "LICENSE", "NOTICE",
)  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the work tree, built from a copy so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in SOURCES:
        here = ROOT / name
        if here.is_dir():
            shutil.copytree(here, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, copy / name)
    line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("needs setuptools, which could not be fetched to build with")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("gatewatch-*.whl"))


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `gatewatch` of a fresh environment that has the wheel, and this one's libraries without this checkout."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    line = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # A plain path line: unlike a second site folder, it does not run the .pth file of an editable install.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "gatewatch"


def run(command: Path, *words: str, cwd: Path) -> str:
    done = subprocess.run([str(command), *words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_but_code_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    kept = {".onnx", ".toml", ".yaml", ".mp4", ".jsonl", ".html", ".js", ".css", ".svg", ".json", ".mako", ".py"}
    for folder in SOURCES[:7]:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and (path.suffix in kept or path.name == "NOTICE"):
                assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith("tests/")]


def test_it_is_itself_that_runs(command: Path, tmp_path: Path) -> None:
    code = "import gatewatch.cli, models.load, sample_footage; print(gatewatch.cli.__file__, models.load.__file__)"
    python = command.with_name("python")
    out = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert str(ROOT) not in out.replace(str(Path(sysconfig.get_path("purelib"))), "")
    assert out.count(str(command.parent.parent)) == 2


def test_weights_and_demo_are_found(command: Path, tmp_path: Path) -> None:
    assert "nanodet-g" in run(command, "models", "list", cwd=tmp_path)
    assert "nanodet-g" in run(command, "models", "verify", cwd=tmp_path)
    code = "from importlib.resources import files; print(files('sample_footage').joinpath('site.yaml'))"
    site = subprocess.run(
        [str(command.with_name("python")), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout.strip()
    assert "lawn-intrusion" in run(command, "check", site, cwd=tmp_path)


def test_the_store_migrates(command: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom api.services import open_services\n"
        "with open_services('alerts.db', media_dir=Path('.')) as opened:\n    print(sum(opened.desk.counts().values()))"
    )
    python = command.with_name("python")
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"
