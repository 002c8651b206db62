"""A short piece of real footage, a site for it, and one re-analysis of it that many tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from gatewatch.reanalyse import Options, Result, reanalyse
from gatewatch.site import load_site

SITE = """\
site: {name: Lakeside, timezone: Asia/Shanghai}
detector: {input_px: 320, min_score: 0.4}
clips: {pre_s: 1, post_s: 1}
cameras:
  view1:
    source: piece.avi
    analyse_fps: 5
    zones: {lawn: [[0.0, 0.45], [0.56, 0.66], [0.93, 0.9], [0.0, 1.0]]}
    lines: {road: [[0.5, 0.2], [0.5, 0.95]]}
    rules:
      - {name: lawn-intrusion, kind: intrusion, zone: lawn, labels: [person], severity: high}
      - {name: road-line, kind: line_crossing, line: road, labels: [person]}
"""


def cut(source: Path, target: Path, from_s: float, to_s: float) -> Path:
    """The packets from the first key frame at or after `from_s` up to `to_s`, copied."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        video = given.streams.video[0]
        copy = made.add_stream_from_template(video)
        first = None
        for packet in given.demux(video):
            if packet.pts is None or packet.dts is None:
                continue
            time_s = float(packet.pts * packet.time_base)
            if first is None and (not packet.is_keyframe or time_s < from_s):
                continue
            if time_s >= to_s:
                break
            first = packet.dts if first is None else first
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = copy
            made.mux(packet)
    return target


@dataclass(frozen=True)
class Piece:
    """Where the footage and its site file lie."""

    site: Path
    recording: Path


@pytest.fixture(scope="session")
def piece(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Piece:
    """About eleven seconds in which two people step on the lawn and others walk along the road."""
    folder = tmp_path_factory.mktemp("piece")
    site = folder / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    return Piece(site, cut(footage / "vtest.avi", folder / "piece.avi", 50.0, 62.0))


@dataclass(frozen=True)
class Run:
    """A finished re-analysis."""

    out: Path
    result: Result
    printed: list[str]

    @property
    def events(self) -> bytes:
        return (self.out / "events.jsonl").read_bytes()


def analyse(piece: Piece, out: Path, **options: object) -> Run:
    """Re-analyses the piece in this process."""
    printed: list[str] = []
    settings = Options(out=out, quiet=True, **options)
    return Run(out, reanalyse(load_site(piece.site), [piece.recording], settings, say_line=printed.append), printed)


@pytest.fixture(scope="session")
def reference(piece: Piece, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The piece re-analysed once without an interruption, by two workers. Tests only look at it."""
    return analyse(piece, tmp_path_factory.mktemp("reference") / "out", workers=2)
