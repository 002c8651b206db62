"""What the API's page says is so: its commands work as they stand, its table is the code's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from gatewatch.contract import PAGE, page_with_codes
from tests.api.scenes import serving
from tests.api.whole import whole_site


def test_the_codes_are_todays() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_with_codes(PAGE.read_text(encoding="utf-8"))


def test_the_commands_work_as_they_stand(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    media = tmp_path / "media"
    media.mkdir()
    with whole_site(media, alerts=5) as site, serving(site.app) as address:
        script = "set -euo pipefail\n" + "\n".join(blocks).replace("http://127.0.0.1:8470", address.rstrip("/"))
        password = site.services.accounts.demo_login("admin")
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, input=f"{password}\n", capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    assert '"state":"false_alarm"' in done.stdout
    assert "event: alert.false_alarm" in done.stdout
    assert (tmp_path / "snapshot.jpg").read_bytes().startswith(b"\xff\xd8")
