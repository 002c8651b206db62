"""How everything is doing, as the API process knows it: for health, `/api/v1/cameras` and `/metrics`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatewatch.live_messages import CameraStatus, Report


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker process and what passed between it and the API process."""

    name: str
    running: bool = False
    pid: int | None = None
    starts: int = 0
    restarts: int = 0
    events: int = 0
    """Events taken over into alerts, over all starts."""
    events_lost: int = 0
    """Events that ended with a worker before they got here."""
    inputs: int = 0
    inputs_lost: int = 0
    """Inputs that were given to a worker that ended before it took them."""
    evidence_lost: int = 0
    """Alerts whose snapshot or clip ended with a worker."""
    store_retries: int = 0
    """How often an event had to wait for the database."""
    waiting: int = 0
    rss_bytes: int = 0
    threads: int = 0
    descriptors: int = 0


class Board:
    """The newest word on each camera and worker. Thread-safe."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._cameras = {name: CameraStatus(name, reason="The camera is not started yet.") for name in cameras}
        self._workers: dict[str, WorkerStatus] = {}

    def cameras(self) -> tuple[CameraStatus, ...]:
        with self._lock:
            return tuple(self._cameras.values())

    def workers(self) -> tuple[WorkerStatus, ...]:
        with self._lock:
            return tuple(self._workers.values())

    def camera_count(self) -> tuple[int, int]:
        """(cameras watched, cameras of them that are connected)."""
        cameras = self.cameras()
        return len(cameras), sum(camera.connected for camera in cameras)

    def worker(self, status: WorkerStatus) -> None:
        with self._lock:
            self._workers[status.name] = status

    def report(self, report: Report) -> list[tuple[CameraStatus, CameraStatus]]:
        """Takes it over; returns what each camera was and is now, where it came, went, or has another reason."""
        with self._lock:
            changed = []
            for status in report.cameras:
                before = self._cameras[status.camera]
                if (before.connected, before.reason) != (status.connected, status.reason):
                    changed.append((before, status))
                self._cameras[status.camera] = status
            return changed

    def down(self, cameras: Sequence[str], reason: str) -> None:
        """Their worker is gone: nothing of them runs."""
        with self._lock:
            for name in cameras:
                self._cameras[name] = replace(
                    self._cameras[name], connected=False, reason=reason, fps=0.0, analysed_fps=0.0
                )
