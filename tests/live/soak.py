"""`python -m tests.live.soak --minutes 10`: does a long run grow?

Runs a site of cameras over real RTSP, whose servers die again and again, and watches threads, descriptors, memory, the
ring and what tracker and rules remember, of both processes. Prints a line every ten seconds and a verdict as JSON; exit
code 1 where something grew, was lost or stood still. A quarter of the time is warm-up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.gatewatch.conftest import cut
from tests.live.kit import SAMPLE, Running, until
from tests.rtsp import RtspCamera

CAMERA = """\
  camera{number}:
    source: "{url}"
    analyse_fps: 5
    zones: {{all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}}
    lines: {{west-road: [[0.30, 0.30], [0.22, 0.48]]}}
    rules:
      - {{name: anybody, kind: intrusion, zone: all, labels: [person], cooldown_s: 5}}
      - {{name: crossing, kind: line_crossing, line: west-road, labels: [person]}}
      - {{name: waiting, kind: loitering, zone: all, labels: [person], dwell_s: 5}}
"""
HEAD = """\
site: {name: Soak, timezone: Asia/Shanghai}
detector: {input_px: 320, min_score: 0.4}
clips: {pre_s: 2, post_s: 2}
cameras:
"""
SAMPLE_S = 2.0


@dataclass(frozen=True)
class Sample:
    """Both processes at one time."""

    at_s: float
    worker_mb: float
    api_mb: float
    threads: int
    api_threads: int
    descriptors: int
    api_descriptors: int
    state_size: int
    ring_mb: float
    analysed: int
    events: int


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def sample(run: Running, began: float) -> Sample | None:
    """None where the worker did not report yet."""
    status = run.get("api/v1/cameras")
    worker, cameras, pid = status["workers"][0], status["items"], run.process.pid
    if not worker["rss_bytes"]:
        return None
    return Sample(
        at_s=round(time.monotonic() - began, 1),
        worker_mb=round(worker["rss_bytes"] / 1e6, 1), api_mb=round(rss_mb(pid), 1),
        threads=worker["threads"], api_threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        descriptors=worker["descriptors"], api_descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        state_size=sum(camera["state_size"] for camera in cameras),
        ring_mb=round(sum(camera["ring_bytes"] for camera in cameras) / 1e6, 2),
        analysed=sum(camera["analysed"] for camera in cameras), events=worker["events"],
    )  # fmt: skip


def slope_per_min(samples: Sequence[Sample], key: str) -> float:
    """Least squares over the samples."""
    times = [one.at_s / 60 for one in samples]
    return round(statistics.linear_regression(times, [getattr(one, key) for one in samples]).slope, 3)


def verdict(samples: Sequence[Sample], status: dict[str, object], limit_mb_per_min: float) -> dict[str, object]:
    """What grew, by comparing the quarters after the warm-up."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    rest = samples[quarter:]
    grew = [
        f"{key}: at most {highest} in the second quarter, {now} in the last"
        for key, spare in (
            ("threads", 2), ("api_threads", 3), ("descriptors", 4), ("api_descriptors", 6), ("state_size", 100),
            ("ring_mb", 1.0),
        )
        if (now := max(getattr(one, key) for one in last)) > (highest := max(getattr(o, key) for o in second)) + spare
    ]  # fmt: skip
    slopes = {key: slope_per_min(rest, key) for key in ("worker_mb", "api_mb", "threads", "descriptors", "state_size")}
    for key in ("worker_mb", "api_mb"):
        if slopes[key] > limit_mb_per_min:
            grew.append(f"{key}: {slopes[key]} MB a minute, allowed {limit_mb_per_min}")
    if last[-1].analysed <= last[0].analysed:
        grew.append("no frame was analysed in the last quarter")
    lost = {key: value for key, value in status.items() if key in ("events_lost", "inputs_lost", "restarts") and value}
    return {"ok": not grew and not lost, "grew": grew, "lost": lost, "slopes_per_min": slopes}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument(
        "--kill-every", type=float, default=30.0, metavar="S", help="seconds between deaths of the server"
    )
    parser.add_argument("--limit", type=float, default=4.0, metavar="MB", help="growth allowed per minute")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cut(SAMPLE, Path(folder) / "cam.mp4", 60.0, 79.0)
        server = RtspCamera(Path(folder))
        server.start()
        site = Path(folder) / "site.yaml"
        cameras = [CAMERA.format(number=number, url=server.url("cam.mp4")) for number in range(1, options.cameras + 1)]
        site.write_text(HEAD + "".join(cameras), encoding="utf-8")
        run = Running(site, Path(folder) / "data", {"GATE_PASSWORD": "x1y2z3"})
        try:
            samples, status = watch(run, server, options.minutes * 60, options.kill_every)
            code = run.stop()
        finally:
            run.kill()
            server.kill()
    result = verdict(samples, status, options.limit)
    print(json.dumps({**result, "exit_code": code, "last": asdict(samples[-1])}, indent=1))
    return 0 if result["ok"] and code == 0 else 1


def watch(
    run: Running, server: RtspCamera, length_s: float, kill_every_s: float
) -> tuple[list[Sample], dict[str, object]]:
    samples: list[Sample] = []
    until(lambda: all(camera["analysed"] for camera in run.get("api/v1/cameras")["items"]), 60, run.said)
    began = killed = said = time.monotonic()
    pause = threading.Event()
    while (now := time.monotonic()) - began < length_s:
        one = sample(run, began)
        if one is not None:
            samples.append(one)
            if now - said >= 10 or len(samples) == 1:
                said = now
                print(json.dumps(asdict(one)), flush=True)
        if now - killed >= kill_every_s:
            killed = now
            server.kill()
            server.start()
        pause.wait(SAMPLE_S)
    return samples, run.worker()


if __name__ == "__main__":
    sys.exit(main())
