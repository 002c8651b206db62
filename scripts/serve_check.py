"""Starts `gatewatch demo`, logs in with what it says, asks whether it is well, lists its alerts and stops it."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 240


def main() -> int:
    """Returns 0 when the server started, let in whoever has the password alone, answered and stopped as it should."""
    command = [sys.executable, "-m", "gatewatch", "demo", "--port", "0", "--out"]
    with tempfile.TemporaryDirectory() as out:
        server = subprocess.Popen([*command, out], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            found = _welcome(server.stdout)
            if found is None:
                print(f"The server ended with code {server.wait()} and never said how to get in.", file=sys.stderr)
                return 1
            address, file = found
            user, password = file.read_text(encoding="ascii").split()
            mode = stat.S_IMODE(file.stat().st_mode)
            health = _ask(urllib.request.build_opener(), f"{address}/api/v1/health")
            visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
            _ask(visitor, f"{address}/api/v1/session", {"user": user, "password": password})
            alerts = _ask(visitor, f"{address}/api/v1/alerts")
            server.send_signal(signal.SIGTERM)
            rest = server.stdout.read()
            code = server.wait(timeout=TIME_LIMIT_S)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
        kept = password in rest or file.exists()
    count = len(alerts["items"])
    print(f"{address} health {health['status']}, {count} alerts for {user} alone, stopped with code {code}")
    return 0 if code == 0 and count and mode == 0o600 and not kept else 1


def _welcome(lines: Iterable[str]) -> tuple[str, Path] | None:
    """The address, and the file that holds user and password."""
    for line in lines:
        found = re.search(r"(http://127\.0\.0\.1:\d+)/ .*?(/\S+)\s*$", line)
        if found is not None:
            return found[1], Path(found[2])
    return None


def _ask(opener: urllib.request.OpenerDirector, address: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"})
    with opener.open(request, timeout=TIME_LIMIT_S) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


if __name__ == "__main__":
    sys.exit(main())
