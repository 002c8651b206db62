"""One camera from frames to tracked frames: gate, look, track."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from pipeline.motion import Motion, MotionGate, motion_detections
from pipeline.motion_policy import CameraCounts as CameraCounts
from pipeline.motion_policy import LookPolicy, why_blind
from pipeline.types import Frame, TrackedFrame

if TYPE_CHECKING:
    import supervision as sv

    from pipeline.track import Tracker

    Look = Callable[[Frame], sv.Detections]
    Pending = Future[sv.Detections] | sv.Detections | None


def track_camera(
    camera: str, frames: Iterable[Frame], look: Look | None, *, gate: MotionGate, tracker: Tracker,
    executor: Executor | None = None, window: int = 8, use_gate: bool = True, counts: CameraCounts | None = None,
) -> Iterator[TrackedFrame]:  # fmt: skip
    """Tracked frames in the order of `frames`, at most `window` - 1 frames behind them.

    `look` runs on `executor` (None: at once, in this thread); None in its place takes the gate's blobs for detections
    (`detector: motion`). Whether to look at a frame depends on pixels up to it and on the tracks as they stood
    `window` frames earlier, so the number of threads changes nothing. What `look` raises is raised here; closing the
    generator cancels what waits. Live, use a window of 1; after a reconnect, `gate.reset()` before the next frame.
    """
    policy, counts = LookPolicy(), counts or CameraCounts()
    waiting: deque[tuple[Frame, Motion, Pending]] = deque()

    def pending(frame: Frame, motion: Motion) -> Pending:
        if look is None:
            return motion_detections(motion)
        if use_gate and (not policy.due(motion, tracker.boxes()) or motion.flat):
            return None
        return executor.submit(look, frame) if executor else look(frame)

    try:
        for frame in frames:
            motion = gate.update(frame.luma, frame.media_time_s)
            waiting.append((frame, motion, pending(frame, motion)))
            if len(waiting) >= window:
                yield _tracked(camera, *waiting.popleft(), tracker, counts, settles=look is None)
        while waiting:
            yield _tracked(camera, *waiting.popleft(), tracker, counts, settles=look is None)
    finally:
        for _, _, future in waiting:
            if isinstance(future, Future):
                future.cancel()


def _tracked(
    camera: str, frame: Frame, motion: Motion, found: Pending, tracker: Tracker, counts: CameraCounts, *, settles: bool
) -> TrackedFrame:
    if isinstance(found, Future):
        found = found.result()
    looked, blind = found is not None, why_blind(motion, settles=settles)
    if motion.flat and not looked:
        found = motion_detections(motion)  # Nothing: what was there cannot be seen, so it is not held either.
    if found is None:
        update = tracker.hold(frame.media_time_s)
    else:
        update = tracker.update(found, frame.media_time_s, motion, frame.image)
    counts.note(looked=looked, blind=blind is not None, scene_change=motion.scene_change)
    return TrackedFrame(
        camera, frame.index, frame.media_time_s, frame.wall_time, frame.width_px, frame.height_px,
        update.tracks, update.ended, looked, blind,
    )  # fmt: skip
