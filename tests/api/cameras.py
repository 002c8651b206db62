"""Cameras as a running site has them: one that sends pictures and one that does not."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from api.live_view import LiveView, Picture
from api.schemas_cameras import CameraOut, WorkerOut


def picture_of(width: int) -> Picture:
    file = io.BytesIO()
    Image.new("RGB", (width, width // 2), "teal").save(file, "JPEG")
    return Picture(file.getvalue(), datetime.now(UTC), 1.0, full=False)


class TwoCameras:
    """One sends pictures, the other is not connected."""

    def __init__(self) -> None:
        self.view = LiveView(lambda _camera, _for_s, _full: True)
        self.width = 320
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        while not self._ended.wait(0.1):
            self.view.shown("north-gate", picture_of(self.width))

    def end(self) -> None:
        self.view.end()
        self._ended.set()
        self._thread.join()

    def cameras(self) -> Sequence[CameraOut]:
        return [_camera("north-gate", connected=True), _camera("lake", connected=False)]

    def workers(self) -> Sequence[WorkerOut]:
        return []


def _camera(name: str, *, connected: bool) -> CameraOut:
    numbers: dict[str, Any] = {key: 0 for key, kind in CameraOut.__annotations__.items() if kind in ("int", "float")}
    return CameraOut(
        camera=name, connected=connected, reason=None if connected else "Connection refused.", media_time_s=None,
        last_frame_at=datetime.now(UTC), width_px=320, height_px=160, **numbers,
    )  # fmt: skip
