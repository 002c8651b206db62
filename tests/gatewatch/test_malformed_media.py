"""Files that are no recordings end in one sentence and exit code 1, and nothing is written."""

from __future__ import annotations

import os
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from gatewatch.cli import run
from tests.gatewatch.conftest import SITE, Piece


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "not a video")


MALFORMED: dict[str, Callable[[Path], object]] = {
    "missing.mp4": lambda _: None,
    "folder.mp4": Path.mkdir,
    "empty.mp4": Path.touch,
    "text.mp4": lambda path: path.write_text("dear diary"),
    "page.mp4": lambda path: path.write_text("<html><body>404 Not Found</body></html>"),
    "zeros.mp4": lambda path: path.write_bytes(bytes(50_000)),
    "noise.ts": lambda path: path.write_bytes(bytes(number * 7919 % 251 for number in range(50_000))),
    "boxes.mp4": lambda path: path.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(500)),
    "matroska.mkv": lambda path: path.write_bytes(b"\x1aE\xdf\xa3" + bytes(200)),
    "riff.avi": lambda path: path.write_bytes(b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(200)),
    "sound.wav": sound,
    "archive.zip": archive,
    "titles.srt": lambda path: path.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n"),
    "playlist.m3u8": lambda path: path.write_text("#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n"),
    "picture.txt": lambda path: Image.new("L", (8, 8)).save(path, format="PPM"),
    "pipe.mp4": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("name", list(MALFORMED))
def test_it_is_refused_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    recording = tmp_path / name
    MALFORMED[name](recording)
    out = tmp_path / "out"
    assert run(["reanalyse", str(site), str(recording), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert name in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert not out.exists()


def test_a_recording_that_breaks_off_is_analysed_as_far_as_it_goes(
    piece: Piece, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = piece.recording.read_bytes()
    broken = tmp_path / "broken.avi"
    broken.write_bytes(data[: len(data) // 2])
    out = tmp_path / "out"
    arguments = ["reanalyse", str(piece.site), str(broken), "--out", str(out), "--quiet", "--no-clips"]
    assert run(arguments) == 0
    assert "of footage" in capsys.readouterr().out
    assert (out / "summary.json").is_file()
