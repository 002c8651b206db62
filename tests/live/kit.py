"""`gatewatch run` in a process of its own, and how to ask and end it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from api.services import open_services
from gatewatch.live import DATABASE
from tests.api.kit import token_for
from tests.conftest import ROOT

PASSWORD = "s3cr3t-of-the-gate"
SAMPLE = ROOT / "sample_footage" / "pedestrians.mp4"

T = TypeVar("T")


def until(look: Callable[[], T | None], at_most_s: float, what: str = "") -> T:
    """What `look` finds, asked again and again until it is something true."""
    end = time.monotonic() + at_most_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {at_most_s} s: {what}")
        threading.Event().wait(0.1)


class Running:
    """`gatewatch run` in a process of its own."""

    def __init__(self, site: Path, data: Path, environ: dict[str, str], *options: str) -> None:
        self.data = data
        self.stderr = data.parent / f"{data.name}.stderr"
        self.lines: list[str] = []
        with open_services(data / DATABASE, media_dir=data) as services:
            self.token = token_for(services, "administrator")
        with self.stderr.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gatewatch", "--log-level", "info", "run", str(site), "--data", str(data),
                 "--port", "0", *options],
                cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore", **environ}, text=True,
                stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = until(self._address, 30, f"the address; {self.stderr.read_text()}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def _address(self) -> str | None:
        found = re.search(r"http://\S+/", "".join(self.lines))
        assert self.process.poll() is None, self.stderr.read_text()
        return found.group() if found else None

    @property
    def said(self) -> str:
        """Everything printed and logged so far."""
        return "".join(self.lines) + self.stderr.read_text()

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.address + path.removeprefix("/"), headers=self._headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
            return json.loads(body) if "json" in answer.headers["content-type"] else body

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {**self._headers, "content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def camera(self, name: str) -> dict[str, Any]:
        return next(item for item in self.get("api/v1/cameras")["items"] if item["camera"] == name)

    def worker(self) -> dict[str, Any]:
        return self.get("api/v1/cameras")["workers"][0]

    def alerts(self, **filters: str) -> list[dict[str, Any]]:
        """Newest first."""
        query = "&".join(f"{key}={value}" for key, value in filters.items())
        return self.get(f"api/v1/alerts?{query}")["items"]

    def family(self) -> set[int]:
        """Ids of the process and of all that it started."""
        return {self.process.pid, *descendants(self.process.pid)}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(10)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            for pid in self.family():
                _kill(pid)
            self.process.wait()
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield int(child)
            yield from descendants(int(child))


def alive(pids: Sequence[int] | set[int]) -> set[int]:
    """Those that still run; what only waits to be reaped does not."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.add(pid)
    return running


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
