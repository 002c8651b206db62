"""Live: who gets the detector when there is not enough of it.

Each camera has a slot that holds only its newest frame, and asks for one look at a time. Looks run in the cameras' own
threads, as many at once as the detector is allowed: the dispatcher decides whose turn it is. What is not looked at is
counted, per camera.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING

from pipeline.errors import MediaError
from pipeline.types import Frame

if TYPE_CHECKING:
    import supervision as sv

    Detect = Callable[[Sequence[Frame]], Sequence[sv.Detections]]

Clock = Callable[[], float]

STARVED_S = 2.0
"""A look that waits this long goes before more important cameras, at most every second time."""


class DispatcherClosedError(MediaError):
    """The dispatcher was closed while a camera waited for its look, or before."""


class NewestFrame:
    """One camera's newest frame: a slow reader misses frames, never reads old ones. Thread-safe."""

    def __init__(self) -> None:
        self.offered = 0
        self.dropped = 0
        """Frames that were replaced by a newer one before anyone took them."""
        self._frame: Frame | None = None
        self._closed = False
        self._changed = Condition()

    def put(self, frame: Frame) -> None:
        """Offers a frame, in place of one not yet taken. Ignored after `close`."""
        with self._changed:
            if self._closed:
                return
            self.offered += 1
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify()

    def close(self) -> None:
        """Ends the iteration once the last frame is taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        """Waits for frames and yields them until `close`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._closed)
                frame, self._frame = self._frame, None
            if frame is None:
                return
            yield frame


@dataclass(slots=True)
class BudgetCounts:
    """Plain numbers for metrics; all but the last two only ever grow."""

    offered: int = 0
    dropped: int = 0
    """Frames that a newer one replaced while the camera waited for the detector."""
    looked: int = 0
    failed: int = 0
    waited_s: float = 0.0
    """Seconds that this camera's looks waited for their turn."""
    wanted_fps: float = 0.0
    priority: int = 0


@dataclass(slots=True, eq=False)
class Request:
    """One camera's wish for one look."""

    camera: str
    frame: Frame
    asked_s: float
    alone: bool = False
    """Its batch failed: it is tried once more by itself, so that a bad frame fails only its own camera."""
    granted: bool = False
    left: bool = False
    """Its camera waits no longer (closed meanwhile)."""
    found: sv.Detections | None = None


@dataclass(slots=True)
class CameraShare:
    """What one camera wants of the detector, and what it got."""

    priority: int
    wanted_fps: float
    slot: NewestFrame = field(default_factory=NewestFrame)
    due_s: float = 0.0
    """When the next look is due by the wanted rate."""
    looked: int = 0
    failed: int = 0
    waited_s: float = 0.0


class Turns:
    """Whose turn it is. Pure: no threads, no clock.

    A camera that is behind its wanted rate goes before one that is ahead of it; then the more important camera goes
    first (`priority`, higher is more important); then the one that is due longest. So under overload the least
    important camera gets fewer looks first. A look that waited `STARVED_S` is served all the same, at most every
    second time.
    """

    def __init__(self) -> None:
        self.cameras: dict[str, CameraShare] = {}
        self.waiting: list[Request] = []
        self._rescued = False

    def take(self, now_s: float) -> Request | None:
        """Takes the request whose turn it is, None where nobody waits."""
        if not self.waiting:
            return None
        starved = [request for request in self.waiting if now_s - request.asked_s >= STARVED_S]
        self._rescued = bool(starved) and not self._rescued
        if self._rescued:
            chosen = min(starved, key=lambda request: request.asked_s)
        else:
            chosen = min(self.waiting, key=lambda request: self._rank(request, now_s))
        self.waiting.remove(chosen)
        camera = self.cameras.get(chosen.camera)
        if camera is not None:
            camera.waited_s += now_s - chosen.asked_s
            # No more than one look can be owed: a camera that was idle does not catch up.
            camera.due_s = max(camera.due_s, now_s - 1.0 / camera.wanted_fps) + 1.0 / camera.wanted_fps
        return chosen

    def _rank(self, request: Request, now_s: float) -> tuple[bool, int, float]:
        camera = self.cameras.get(request.camera)
        if camera is None:
            return True, 0, now_s
        return camera.due_s > now_s + 1e-6, -camera.priority, camera.due_s


class Dispatcher:
    """Shares one detector among the cameras of a worker.

    `detect`: (frames) -> one Detections each, called by up to `threads` camera threads at once with up to `batch`
    frames. On a CPU several single-threaded calls are the faster way; a GPU wants batches. `clock`: seconds, monotonic.

    See `Turns` for the order of service.
    """

    def __init__(self, detect: Detect, *, threads: int = 1, batch: int = 1, clock: Clock = time.monotonic) -> None:
        if threads < 1 or batch < 1:
            raise ValueError(f"threads and batch must be at least 1, but got {threads} and {batch}")
        self._detect = detect
        self._threads = threads
        self._batch = batch
        self._clock = clock
        self._turns = Turns()
        self._running = 0
        self._open = False
        self._changed = Condition()

    def start(self) -> None:
        """Lets looks run. After `close`, cameras have to be added anew."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wakes every camera that waits (`DispatcherClosedError`) and returns once no look is running."""
        with self._changed:
            self._open = False
            slots = [camera.slot for camera in self._turns.cameras.values()]
            self._changed.notify_all()
        for slot in slots:
            slot.close()
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0)

    def add(self, camera: str, *, priority: int = 0, wanted_fps: float = 5.0) -> NewestFrame:
        """Registers a camera and returns its slot; a camera known already gets a new slot and the new values."""
        if wanted_fps <= 0.0:
            raise ValueError(f"wanted_fps must be above 0, but got {wanted_fps}")
        with self._changed:
            known = self._turns.cameras.get(camera)
            self._turns.cameras[camera] = CameraShare(priority, wanted_fps)
        if known is not None:
            known.slot.close()
        return self._turns.cameras[camera].slot

    def remove(self, camera: str) -> None:
        """Forgets a camera and closes its slot; a look of it that is running still ends."""
        with self._changed:
            known = self._turns.cameras.pop(camera)
        known.slot.close()

    def look(self, camera: str, frame: Frame) -> sv.Detections:
        """Waits for this camera's turn and returns what the detector finds in `frame`.

        Raises what the detector raises for this frame, `DispatcherClosedError` once closed, KeyError for a camera that
        was not added.
        """
        with self._changed:
            if camera not in self._turns.cameras:
                raise KeyError(camera)
            request = Request(camera, frame, self._clock())
            self._turns.waiting.append(request)
            self._grant()
        while True:
            batch = self._turn(request)
            if batch:
                self._run(request, batch)
            if request.found is not None:
                return request.found

    def counts(self) -> dict[str, BudgetCounts]:
        """What became of each camera's frames so far."""
        with self._changed:
            return {
                name: BudgetCounts(
                    offered=camera.slot.offered,
                    dropped=camera.slot.dropped,
                    looked=camera.looked,
                    failed=camera.failed,
                    waited_s=camera.waited_s,
                    wanted_fps=camera.wanted_fps,
                    priority=camera.priority,
                )
                for name, camera in self._turns.cameras.items()
            }

    def _turn(self, request: Request) -> list[Request]:
        """Waits until the request may run or was served along with another; returns the batch that it leads."""
        with self._changed:
            self._changed.wait_for(lambda: request.granted or request.found is not None or not self._open)
            if request.found is not None:
                return []
            if not request.granted:
                request.left = True
                if request in self._turns.waiting:
                    self._turns.waiting.remove(request)
                raise DispatcherClosedError(f"camera {request.camera}: the detector is closed")
            batch = [request]
            while len(batch) < self._batch and not request.alone:
                other = self._turns.take(self._clock())
                if other is None:
                    break
                if other.alone:
                    self._turns.waiting.append(other)
                    break
                batch.append(other)
            return batch

    def _run(self, request: Request, batch: list[Request]) -> None:
        found: Sequence[sv.Detections] = ()
        try:
            found = self._detect([member.frame for member in batch])
            if len(found) != len(batch):
                raise ValueError(f"the detector must answer {len(batch)} frames, but gave {len(found)} answers")
        except Exception:
            found = ()
            if len(batch) == 1:
                raise
        finally:
            with self._changed:
                self._running -= 1
                request.granted = False
                self._settle(batch, found)
                self._grant()
                self._changed.notify_all()

    def _settle(self, batch: list[Request], found: Sequence[sv.Detections]) -> None:
        """Hands out the answers of a batch; after a failed one each member is tried alone."""
        for index, member in enumerate(batch):
            if found:
                member.found = found[index]
            elif len(batch) > 1 and not member.left:
                member.alone = True
                self._turns.waiting.append(member)
            camera = self._turns.cameras.get(member.camera)
            if camera is not None:
                camera.looked += bool(found)
                camera.failed += not found and len(batch) == 1

    def _grant(self) -> None:
        """Gives free places to those that wait, in order of importance."""
        while self._open and self._running < self._threads:
            request = self._turns.take(self._clock())
            if request is None:
                break
            request.granted = True
            self._running += 1
        self._changed.notify_all()
