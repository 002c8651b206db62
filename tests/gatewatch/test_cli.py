"""The command line: what it lists, how fast it answers, its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gatewatch.cli import COMMANDS, run
from tests.conftest import ROOT

HEAVY = ("av", "cv2", "fastapi", "numpy", "onnxruntime", "pyarrow", "shapely", "supervision", "trackers")


def in_fresh_process(code: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )  # fmt: skip
    return ended.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check", "--help"], ["reanalyse", "--help"]])
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    out = in_fresh_process(
        f"import sys; from gatewatch.cli import run; code = run({arguments!r}); "
        f"print('CODE', code, sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    assert out.splitlines()[-1] == "CODE 0 []"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", ["check", "demo", "reanalyse"])
def test_each_command_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"gatewatch {command}" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["models", "bench"])
def test_completion_is_offered_by_the_program_alone(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([group, "--help"]) == 0
    assert "--install-completion" not in capsys.readouterr().out


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    name, _, number = capsys.readouterr().out.strip().partition(" ")
    assert name == "gatewatch"
    assert number[0].isdigit()


@pytest.mark.parametrize(
    "arguments",
    [["chek"], ["check", "--no-such-option", "x"], ["--log-level", "loud", "check", "x"], ["check"], ["reanalyse"]],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_schema_describes_every_kind_of_rule(capsys: pytest.CaptureFixture[str]) -> None:
    from rules.registry import RULES

    assert run(["check", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    kinds = {
        schema["$defs"][item["$ref"].rpartition("/")[2]]["properties"]["kind"]["const"]
        for item in schema["$defs"]["Camera"]["properties"]["rules"]["items"]["oneOf"]
    }
    assert kinds == set(RULES)
    assert schema["$defs"]["Camera"]["additionalProperties"] is False
