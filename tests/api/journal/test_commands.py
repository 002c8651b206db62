"""backup, restore and retention as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.cli import run
from tests.api.journal.lives import live, reopened

SITE = """\
site: {name: Lakeside, timezone: Asia/Shanghai}
retention: {closed_alerts_days: 30}
cameras: {north-gate: {source: clip.mp4}}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    with reopened(str(folder / "gatewatch.db"), folder) as services:
        live(services)
    return folder


def test_there_and_back(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, new = str(tmp_path / "b.tar.gz"), str(tmp_path / "new")
    assert run(["backup", out, "--data", str(data)]) == 0
    assert "key is in it" in capsys.readouterr().out
    assert run(["restore", out, "--data", new]) == 0
    assert "Intact" in capsys.readouterr().out
    assert run(["audit", "--data", new]) == 0
    assert run(["restore", out, "--data", new]) == 1
    assert "expected no database to restore into" in capsys.readouterr().err
    assert run(["backup", str(tmp_path / "b.zip"), "--data", str(data)]) == 1
    assert run(["backup", out, "--data", str(tmp_path / "nowhere")]) == 1
    assert not (tmp_path / "nowhere").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_retention_does_what_the_site_says(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    command = ["retention", str(site), "--data", str(data)]
    assert run([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out == "0 alerts would be removed.\n"
    assert run(command) == 0
    assert "Removed 0 alerts closed more than 30 days ago" in capsys.readouterr().out
    assert run(["retention", "--data", str(data)]) == 2
    site.write_text(SITE.replace("30", "0"))
    assert run(command) == 1
    assert "site.yaml" in capsys.readouterr().err
    assert run(["check", str(site)]) == 1
