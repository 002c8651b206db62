"""Starts `gatewatch demo`, waits for its address, asks it whether it is well, lists its alerts and stops it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

TIME_LIMIT_S = 240


def main() -> int:
    """Returns 0 when the server started, answered and stopped as it should."""
    command = [sys.executable, "-m", "gatewatch", "demo", "--port", "0", "--out"]
    with tempfile.TemporaryDirectory() as out:
        server = subprocess.Popen([*command, out], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            address = next(
                (found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line))), None
            )
            if address is None:
                print(f"The server ended with code {server.wait()} and never said its address.", file=sys.stderr)
                return 1
            health, alerts = _get(f"{address}/api/v1/health"), _get(f"{address}/api/v1/alerts")
            server.send_signal(signal.SIGTERM)
            server.stdout.read()
            code = server.wait(timeout=TIME_LIMIT_S)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
    count = len(alerts.get("items", alerts.get("alerts", [])))
    print(f"{address} health {health.get('status')}, {count} alerts, stopped with code {code}")
    return 0 if code == 0 and count else 1


def _get(address: str) -> dict[str, object]:
    with urllib.request.urlopen(address, timeout=TIME_LIMIT_S) as answer:
        content: dict[str, object] = json.load(answer)
    return content


if __name__ == "__main__":
    sys.exit(main())
