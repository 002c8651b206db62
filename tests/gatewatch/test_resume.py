"""A re-analysis that was killed, stopped or ran out of room goes on and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import supervision as sv

from gatewatch.spool import MAGIC, Spool
from tests.conftest import ROOT
from tests.gatewatch.conftest import Piece, Run, analyse

# What happens to the process and when; run in a process of its own around the real command line.
ACCIDENTS = {
    "killed after the first look": """
from gatewatch.spool import Spool
put = Spool.put
def dies(self, index, detections):
    put(self, index, detections)
    os.kill(os.getpid(), signal.SIGKILL)
Spool.put = dies
""",
    "killed in the middle of a record": """
from gatewatch import spool
packed, put = spool._packed, spool.Spool.put
def dies(self, index, detections):
    if index < 20:
        return put(self, index, detections)
    os.write(self._file.fileno(), spool._FRAME.pack(500, 1) + b"half a record")
    os.kill(os.getpid(), signal.SIGKILL)
spool.Spool.put = dies
""",
    "killed between two results": """
from gatewatch.outputs import OutFolder
publish = OutFolder.publish
def dies(self, name):
    if name == "events.jsonl":
        os.kill(os.getpid(), signal.SIGKILL)
    publish(self, name)
OutFolder.publish = dies
""",
    "killed after the first clip": """
from gatewatch.evidence import Evidence
of = Evidence.of
def dies(self, *arguments):
    of(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
Evidence.of = dies
""",
    "asked to stop by SIGTERM": """
from gatewatch.spool import Spool
put = Spool.put
def stops(self, index, detections):
    if index == 15:
        os.kill(os.getpid(), signal.SIGTERM)
    return put(self, index, detections)
Spool.put = stops
""",
    "asked to stop by Ctrl-C": """
from gatewatch.spool import Spool
put = Spool.put
def stops(self, index, detections):
    if index == 15:
        os.kill(os.getpid(), signal.SIGINT)
    return put(self, index, detections)
Spool.put = stops
""",
    "out of room": """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
""",
}
ENDS = {
    "asked to stop by SIGTERM": "of the footage; the same command goes on from there.\n",
    "asked to stop by Ctrl-C": "of the footage; the same command goes on from there.\n",
    "out of room": "no room left to write; make some and run the same command again, it goes on there.\n",
}


def command(piece: Piece, out: Path, accident: str) -> subprocess.CompletedProcess[str]:
    arguments = ["reanalyse", str(piece.site), str(piece.recording), "--out", str(out), "--quiet", "--workers", "1"]
    script = f"import os, signal\n{accident}\nfrom gatewatch.cli import main\nmain({arguments!r})\n"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("accident", list(ACCIDENTS))
def test_it_goes_on_after(accident: str, piece: Piece, reference: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = command(piece, out, ACCIDENTS[accident])
    if accident in ENDS:
        assert ended.returncode == 1
        assert ended.stderr.endswith(ENDS[accident])
        assert ended.stderr.count("\n") == 1
    else:
        assert ended.returncode == -signal.SIGKILL
    for name in ("tracks.parquet", "frames.parquet"):
        if (out / name).exists():
            assert pq.read_table(out / name) == pq.read_table(reference.out / name), "complete or absent"
    assert not (out / "summary.json").exists()
    resumed = analyse(piece, out, workers=1)
    assert resumed.events == reference.events
    assert (out / "alerts.jsonl").read_bytes() == (reference.out / "alerts.jsonl").read_bytes()
    kept = reference.result.summary["frames_looked_at"] - resumed.result.summary["frames_detected_in_this_run"]
    assert kept > 0, "what was detected before the accident is used"


def some(count: int, kind: type = np.float32) -> sv.Detections:
    """Detections whose numbers use every bit of their type."""
    values = np.random.default_rng(count).random((count, 5)) * 777
    return sv.Detections(
        xyxy=values[:, :4].astype(kind), confidence=(values[:, 4] / 777).astype(kind), class_id=np.arange(count) % 11
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_come_back_bit_by_bit(tmp_path: Path, kind: type) -> None:
    written = [some(count, kind) for count in (3, 0, 1, 40)]
    spool = Spool(tmp_path / "spool")
    for index, detections in enumerate(written):
        spool.put(index * 2, detections)
    spool.close()
    spool = Spool(tmp_path / "spool")
    for index, detections in enumerate(written):
        back = spool.get(index * 2)
        assert back is not None
        assert back.xyxy.dtype == kind
        assert back.xyxy.tobytes() == detections.xyxy.tobytes()
        assert back.confidence.tobytes() == detections.confidence.tobytes()
        assert back.class_id.tolist() == detections.class_id.tolist()
        assert spool.get(index * 2 + 1) is None
    spool.close()


def test_a_spool_cut_or_spoilt_anywhere_keeps_the_records_before(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    spool = Spool(path)
    ends = []
    for index in range(3):
        spool.put(index, some(2))
        ends.append(path.stat().st_size)
    spool.close()
    whole = path.read_bytes()
    for size in range(len(MAGIC), len(whole), 7):
        for data in (whole[:size], whole[:size] + bytes([whole[size] ^ 0x40]) + whole[size + 1 :]):
            path.write_bytes(data)
            spool = Spool(path)
            good = sum(end <= size for end in ends)
            assert [spool.get(index) is not None for index in range(3)] == [index < good for index in range(3)]
            spool.put(2, some(5))
            spool.close()
            spool = Spool(path)
            last = spool.get(2)
            assert last is not None
            assert len(last) == 5
            spool.close()
