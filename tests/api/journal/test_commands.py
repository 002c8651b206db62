"""backup, restore and retention as somebody types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.heads import HEADS_FILE, SignedHead
from api.keys import KEY_FILE, SiteKeys
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


def test_the_audit_says_which_kept_heads_it_compared(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["audit", "--data", str(data)]
    heads = data / HEADS_FILE
    good = heads.read_text()
    assert run(command) == 0
    assert capsys.readouterr().out.endswith("1 signed heads, 1 kept outside compared with it.\n")
    heads.write_text(good + '{"seq": 1\n' + "x\n" * 4 + good)
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "Not checked: line 2 of journal-heads.jsonl: it is no signed head." in said
    assert "Not checked: 2 more lines of journal-heads.jsonl." in said
    assert "2 kept outside compared" in said
    heads.unlink()
    assert run(command) == 0
    said = capsys.readouterr().out
    assert f"Not checked: whether all of it was put back to an earlier state: {heads} is missing." in said
    assert "0 kept outside compared" in said
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept_heads"] == 0


def test_the_audit_believes_heads_beyond_the_end_if_they_are_signed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = data / HEADS_FILE
    good, keys = heads.read_text(), SiteKeys.load(data / KEY_FILE)
    head = SignedHead.of(keys, 900, "0" * 64, datetime(2026, 3, 1, 14, tzinfo=UTC)).to_json()
    heads.write_text(good + json.dumps(head) + "\n")
    assert run(["audit", "--data", str(data)]) == 1
    assert "at 2026-03-01 14:00:00 UTC it had reached entry 900 (journal-heads.jsonl)" in capsys.readouterr().out
    del head["public_key"]  # Nobody believes it, so nobody needs it.
    heads.write_text(good + json.dumps(head | {"signature": "AAAA"}) + "\n")
    assert run(["audit", "--data", str(data)]) == 1
    assert "the signature of the head at entry 900 (journal-heads.jsonl) does not hold" in capsys.readouterr().out


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
