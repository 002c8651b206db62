"""The import direction `models <- pipeline <- rules <- api <- gatewatch`, and the size of things."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("models", "pipeline", "rules", "api", "gatewatch")
FOLDERS = (*ORDER, "benchmarks", "sample_footage")
MAY = {
    "models": {"models"},
    "pipeline": {"pipeline", "models"},
    "rules": {"rules", "pipeline.types"},
    "api": {"api", "rules", "pipeline.types"},
    "gatewatch": {*ORDER, "sample_footage"},
    "benchmarks": set(FOLDERS),
    "sample_footage": {"sample_footage", "pipeline.types"},
}
HEAVY_IN_RULES = {"av", "cv2", "onnxruntime", "supervision", "trackers"}
MODULE_LINES = 400
FUNCTION_LINES = 55


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(source: str, package: str) -> Iterator[str]:
    """Every module that the source imports, wherever in it, relative imports spelt out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            if base in FOLDERS:
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def complaints(name: str, source: str) -> list[str]:
    """What the module imports that it may not, one sentence each."""
    folder, found = name.split("/")[0], []
    allowed = MAY[folder]
    for target in imported(source, ".".join(Path(name).parent.parts)):
        top = target.split(".")[0]
        if top in FOLDERS:
            inside = any(target == one or target.startswith(f"{one}.") for one in allowed)
            bench = folder == "gatewatch" and top == "benchmarks" and name == "gatewatch/commands/bench.py"
            if not inside and not bench:
                ours = sorted(allowed - {folder})
                only = f"may only use {', '.join(ours)}" if ours else "may use nothing of ours"
                found.append(f"{name} imports {target}: {folder} {only}")
        elif top == "ultralytics" and folder != "models":
            found.append(f"{name} imports {target}: only models may use ultralytics")
        elif folder == "rules" and top in HEAVY_IN_RULES:
            found.append(f"{name} imports {target}: rules see tracks, not pixels")
    return found


def test_imports_go_one_way() -> None:
    assert not [line for path in modules() for line in complaints(name_of(path), path.read_text())]


@pytest.mark.parametrize(
    ("name", "source", "sentence"),
    [
        (
            "rules/loitering.py",
            "from pipeline.decode import Decoder",
            "rules/loitering.py imports pipeline.decode: rules may only use pipeline.types",
        ),
        (
            "rules/loitering.py",
            "def f():\n    from pipeline import decode",
            "rules/loitering.py imports pipeline.decode: rules may only use pipeline.types",
        ),
        (
            "models/load.py",
            "import pipeline.types",
            "models/load.py imports pipeline.types: models may use nothing of ours",
        ),
        (
            "api/storage/store.py",
            "from gatewatch import site",
            "api/storage/store.py imports gatewatch.site: api may only use pipeline.types, rules",
        ),
        ("rules/fall.py", "import cv2", "rules/fall.py imports cv2: rules see tracks, not pixels"),
        (
            "pipeline/track.py",
            "import ultralytics",
            "pipeline/track.py imports ultralytics: only models may use ultralytics",
        ),
        (
            "gatewatch/demo.py",
            "from benchmarks.speed import run",
            "gatewatch/demo.py imports benchmarks.speed: "
            "gatewatch may only use api, models, pipeline, rules, sample_footage",
        ),
    ],
)
def test_a_wrong_import_is_named(name: str, source: str, sentence: str) -> None:
    assert complaints(name, source) == [sentence]


def test_bench_and_ultralytics_are_imported_late() -> None:
    early = []
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            late = {"ultralytics", "torch"} | (set() if path.parent.name == "benchmarks" else {"benchmarks"})
            early += [f"{name_of(path)} imports {name} early" for name in names if name.split(".")[0] in late]
    assert not early


def test_init_files_are_empty() -> None:
    assert not [name_of(path) for path in modules() if path.name == "__init__.py" and path.read_text().strip()]


def test_types_need_only_the_standard_library_and_numpy() -> None:
    tops = {name.split(".")[0] for name in imported((ROOT / "pipeline/types.py").read_text(), "pipeline")}
    assert tops <= {*sys.stdlib_module_names, "numpy"}


def in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["rules.registry", "rules.engine", "api.alerts"])
def test_rules_and_alerts_load_no_pixels(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {HEAVY_IN_RULES!r}))"
    assert in_fresh_python(code).strip() == ""


def test_help_loads_nothing_heavy() -> None:
    heavy = HEAVY_IN_RULES | {"fastapi", "scipy", "pyarrow", "sqlalchemy"}
    code = (
        f"import sys, gatewatch.cli as c; code = c.run(['--help']); "
        f"print('HEAVY', code, *sorted(set(sys.modules) & {heavy!r}))"
    )
    assert in_fresh_python(code).splitlines()[-1] == "HEAVY 0"


def test_modules_and_functions_stay_small() -> None:
    large = []
    for path in modules():
        if "migrations" in path.parts:  # A migration spells out a schema.
            continue
        source = path.read_text()
        if len(source.splitlines()) > MODULE_LINES:
            large.append(f"{name_of(path)} has {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES:
                    large.append(f"{name_of(path)}: {node.name} has {lines} lines")
    assert not large
