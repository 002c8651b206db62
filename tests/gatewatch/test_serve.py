"""Serving results: an address that answers, another port where one is taken, and a quiet end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewatch.serve import HOST, free_socket
from tests.conftest import ROOT
from tests.gatewatch.conftest import Piece, Run

SCRIPT = """
import sys
from pathlib import Path
from gatewatch.demo import serve_results
from gatewatch.reanalyse import Result
from gatewatch.site import load_site
site, out, port = load_site(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
serve_results(site, Result(out, [], [], {}), port, started=lambda address: print(address, flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen(1)
        yield other.getsockname()[1]


def test_a_taken_port_gives_another_one(taken: int) -> None:
    with free_socket(taken) as sock:
        assert sock.getsockname()[1] not in (0, taken)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_results_are_served_until_it_is_asked_to_stop(
    stop: signal.Signals, reference: Run, piece: Piece, taken: int, tmp_path: Path
) -> None:
    out = shutil.copytree(reference.out, tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(piece.site), str(out), str(taken)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith(f"http://{HOST}:"), process.stderr.read() if process.stderr else ""
    assert not address.endswith(f":{taken}/")
    alerts = json.load(urllib.request.urlopen(f"{address}api/v1/alerts", timeout=10))
    written = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    assert json.dumps(alerts).count('"alert.view1.') >= len(written)
    process.send_signal(stop)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed, errors) == (0, "ended\n", "")
