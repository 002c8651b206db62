"""Pictures of cameras for those who look: drawn in the worker while somebody wants them, handed over as a file.

A file begins with a line of JSON (what the picture is), then the JPEG; it is replaced at once, never half written.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gatewatch.live_messages import FromWorker, PictureDone, PictureWanted
from pipeline.errors import MediaError

if TYPE_CHECKING:
    from api.live_view import Picture
    from gatewatch.live_camera import LiveCamera
    from pipeline.types import Frame, Image

FOLDER = ".live"
FPS = 5.0
"""Pictures per second of one camera at most, however many look."""
QUALITY = 80


class LivePictures:
    """In the worker: one thread for all cameras, asleep while nobody looks."""

    def __init__(self, cameras: Mapping[str, LiveCamera], data_dir: Path, send: Callable[[FromWorker], object]) -> None:
        self._cameras, self._send, self._folder = cameras, send, data_dir / FOLDER
        self._change = threading.Condition()
        self._until: dict[str, float] = {}
        self._full: set[str] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)

    def start(self) -> LivePictures:
        self._thread.start()
        return self

    def want(self, wanted: PictureWanted) -> None:
        """Pictures of this camera for a while; asked for again while somebody looks."""
        with self._change:
            self._until[wanted.camera] = time.monotonic() + wanted.for_s
            if wanted.full:
                self._full.add(wanted.camera)
            self._cameras[wanted.camera].picture_wanted = True
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        shown: dict[str, int] = {}
        while True:
            with self._change:
                self._change.wait_for(lambda: self._until or self._closing)
                if self._closing:
                    return
                now = time.monotonic()
                for camera in [name for name, until in self._until.items() if until < now]:
                    del self._until[camera]
                    self._full.discard(camera)
                    self._cameras[camera].forget_picture()
                wanted = list(self._until)
            for camera in wanted:
                frame = self._cameras[camera].picture
                if frame is not None and (frame.index != shown.get(camera) or camera in self._full):
                    shown[camera] = frame.index
                    self._show(camera, frame)
            with self._change:
                self._change.wait_for(lambda: self._closing, 1 / FPS)

    def _show(self, camera: str, frame: Frame) -> None:
        with self._change:
            full = camera in self._full
            self._full.discard(camera)
        image = self._full_size(camera, frame) if full else None
        jpeg = _jpeg(frame.image if image is None else image)
        path = self._folder / f"{camera}.picture"
        try:
            write(path, jpeg, frame, full=image is not None)
        except OSError as error:
            self._send(PictureDone(camera, None, f"The picture cannot be written: {error.strerror}."))
        else:
            self._send(PictureDone(camera, f"{FOLDER}/{path.name}"))

    def _full_size(self, camera: str, frame: Frame) -> Image | None:
        live = self._cameras[camera]
        try:
            return live.recorder.picture_at(frame.media_time_s + live.footage_shift_s())
        except MediaError:
            return None  # Its footage is not in the ring: the analysed picture has to do.


def write(path: Path, jpeg: bytes, frame: Frame, *, full: bool) -> None:
    head = {
        "at": None if frame.wall_time is None else frame.wall_time.isoformat(),
        "media_time_s": frame.media_time_s,
        "full": full,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(json.dumps(head).encode() + b"\n" + jpeg)
    os.replace(temporary, path)  # noqa: PTH105 - one of the two is enough


def read(path: Path) -> Picture:
    """In the API process. Raises OSError where there is none."""
    from api.live_view import Picture

    line, _, jpeg = path.read_bytes().partition(b"\n")
    head = json.loads(line)
    at = None if head["at"] is None else datetime.fromisoformat(head["at"])
    return Picture(jpeg, at, head["media_time_s"], head["full"])


def _jpeg(image: Image) -> bytes:
    import cv2

    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise RuntimeError("a picture could not be encoded")
    return content.tobytes()
