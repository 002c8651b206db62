"""Serving results: an address that answers, another port where one is taken, and a quiet end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
serve_results(
    site, Result(out, [], [], {}), port, on_terminal=sys.argv[4] == "terminal",
    started=lambda to: print(to.address, to.user, to.password, to.file, to.link, sep="\\n", flush=True),
)
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


@contextmanager
def serving(reference: Run, piece: Piece, port: int, out: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    if not out.exists():
        shutil.copytree(reference.out, out)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(piece.site), str(out), str(port), how],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> list[str]:
    """Address, user, password, file and link."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(5)]
    assert lines[0].startswith(f"http://{HOST}:"), process.stderr.read() if process.stderr else ""
    return lines


def logged_in(address: str, user: str, password: str) -> urllib.request.OpenerDirector:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    body = json.dumps({"user": user, "password": password}).encode()
    request = urllib.request.Request(f"{address}api/v1/session", body, {"content-type": "application/json"})
    opener.open(request, timeout=10)
    return opener


@pytest.mark.parametrize(("stop", "how"), [(signal.SIGINT, "terminal"), (signal.SIGTERM, "pipe")])
def test_results_are_served_until_it_is_asked_to_stop(
    stop: signal.Signals, how: str, reference: Run, piece: Piece, taken: int, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with serving(reference, piece, taken, out, how) as process:
        address, user, password, file, link = said(process)
        assert not address.endswith(f":{taken}/")
        assert link == f"{address}#user={user}&password={password}"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}api/v1/alerts", timeout=10)
        if how == "pipe":
            assert Path(file).read_text() == f"{user}\n{password}\n"
            assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
        else:
            assert (file, [path.name for path in out.rglob("*login*")]) == ("None", [])
        alerts = json.load(logged_in(address, user, password).open(f"{address}api/v1/alerts", timeout=10))
        written = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
        assert json.dumps(alerts).count('"alert.view1.') >= len(written)
        process.send_signal(stop)
        printed, errors = process.communicate(timeout=30)
        assert (process.returncode, printed, errors) == (0, "ended\n", "")
        assert not list(out.rglob("*login*"))  # Good for nothing any more.


def test_each_demo_has_a_password_of_its_own(reference: Run, piece: Piece, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving(reference, piece, 0, out, "terminal") as process:
        _, _, before, *_ = said(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    with serving(reference, piece, 0, out, "terminal") as process:
        address, user, now, *_ = said(process)
        assert now != before
        with pytest.raises(urllib.error.HTTPError, match="401"):
            logged_in(address, user, before)
        logged_in(address, user, now)
