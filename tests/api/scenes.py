"""Events, drawn footage and a served application for the tests of the API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import numpy as np
import uvicorn
from fastapi import FastAPI

from api.pictures import draw_snapshot
from rules.types import Measured, RuleEvent

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
ZONE = ((0.05, 0.5), (0.6, 0.55), (0.9, 0.95), (0.05, 0.95))
LINE = ((0.3, 0.9), (0.3, 0.4))


@dataclass(frozen=True)
class Site:
    name: str = "Lakeside Gardens"
    timezone: tzinfo = SHANGHAI
    language: str = "en"


def make_event(number: int = 1, at_s: float = 10.0, **changes: Any) -> RuleEvent:
    """A loitering on the lawn that was raised `at_s` into the run."""
    known = changes.pop("timed", True)
    values: dict[str, Any] = {
        "camera": "north-gate", "rule": "lawn-loitering", "kind": "loitering", "severity": "high", "zone": "lawn",
        "line": None, "direction": None, "label": "person", "track_ids": (number,), "start_s": at_s - 4.0,
        "raised_s": at_s, "measured": {"dwell_s": Measured(34.23, 30.0)},
        "path": tuple((at_s - 4 + i, 0.2 + 0.05 * i, 0.7 + 0.02 * i) for i in range(5)),
        "versions": {"gatewatch": "0", "rule": "1"},
    } | changes  # fmt: skip
    values.setdefault("event_id", f"{values['camera']}.{values['rule']}.{number:06}")
    values.setdefault("started_at", START + timedelta(seconds=values["start_s"]) if known else None)
    values.setdefault("raised_at", START + timedelta(seconds=at_s) if known else None)
    return RuleEvent(**values)


def crossing(number: int = 1, at_s: float = 10.0, **changes: Any) -> RuleEvent:
    return make_event(
        number, at_s,
        **{"rule": "road", "kind": "line_crossing", "zone": None, "line": "kerb", "direction": "left_to_right",
           "severity": "medium", "measured": {"settle_s": Measured(0.5, 0.5)}} | changes,
    )  # fmt: skip


def write_clip(path: Path, *, seconds: float = 6.0, size: tuple[int, int] = (320, 240), fps: int = 10) -> Path:
    """Drawn H.264 footage with fast start: a bright block that walks to the right."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        count = int(seconds * fps)
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(size, number / count), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def picture(size: tuple[int, int] = (320, 240), along: float = 0.5) -> np.ndarray[Any, np.dtype[np.uint8]]:
    width, height = size
    image = np.full((height, width, 3), 60, np.uint8)
    image[height // 2 :] = (50, 90, 60)
    left = int(along * (width - 30))
    image[int(height * 0.45) : int(height * 0.8), left : left + 20] = (200, 190, 180)
    return image


def snapshot_of(event: RuleEvent, **extra: Any) -> bytes:
    place = {"zone_points": ZONE} if event.line is None else {"line_points": LINE}
    return draw_snapshot(picture(), event, box=(150, 108, 170, 192), timezone="Asia/Shanghai", **place, **extra)


@contextmanager
def serving(app: FastAPI, **options: Any) -> Iterator[str]:
    """The application on a free port of this machine, until the block ends; gives its address. `options`: uvicorn's."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        app, port=0, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2, **options
    )  # fmt: skip
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(20)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(20)
