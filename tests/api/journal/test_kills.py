"""A few of the 200 kills; `python -m tests.api.journal.kills` does them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.api.databases import KIND


def test_a_kill_loses_nothing_that_was_answered() -> None:
    # By a process of its own, as it forks.
    kind = ["--postgresql"] if KIND == "postgresql" else []
    line = [sys.executable, "-m", "tests.api.journal.kills", "--times", "6", "--seed", "3", *kind]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(line, capture_output=True, text=True, cwd=root, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills" in done.stdout
    assert "0 faults" in done.stdout
