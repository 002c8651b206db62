"""What every benchmark result says about itself: machine, versions, weights; and footage cut short for a quick look."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gatewatch.machine import cores

PARTS = ("av", "numpy", "onnxruntime", "opencv-python", "supervision", "trackers", "gatewatch")


def about(weights: Sequence[str]) -> dict[str, Any]:
    """Machine, versions, and the hash of each of `weights` (catalogue names or paths)."""
    from models.load import load_detector

    return {
        "machine": {
            "processor": _processor(),
            "cores": cores(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in PARTS},
        "weights_sha256": {name: load_detector(name).weights_sha256 for name in weights},
    }


@contextmanager
def shortened(footage: Path, seconds: float | None) -> Iterator[Path]:
    """The footage, or a passing copy of its packets up to the first key frame at or after `seconds`."""
    if seconds is None:
        yield footage
        return
    import av

    with TemporaryDirectory(prefix="gatewatch-bench-") as folder:
        target = Path(folder) / f"{footage.stem}.mkv"
        with av.open(str(footage)) as source, av.open(str(target), "w") as out:
            video = source.streams.video[0]
            stream = out.add_stream_from_template(video)
            for packet in source.demux(video):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                if packet.is_keyframe and float(packet.pts * packet.time_base) >= seconds:
                    break
                packet.stream = stream
                out.mux(packet)
        yield target


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
