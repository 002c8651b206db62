"""One live camera: its streams, ring, gate, tracker and rules, each in the thread where it belongs.

read (LiveSource) -> ring (Recorder)
                  -> decode -> newest-frame slot -> gate, look, track, rules -> events
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from gatewatch.last_seen import LastSeen, Seen
from gatewatch.live_messages import CameraStatus, InputGiven
from gatewatch.live_source import Opener, Stream, is_recording, opener_of
from gatewatch.live_status import Pace, RuleTime
from gatewatch.site import Site
from gatewatch.version import version
from pipeline.address import mask_text
from pipeline.budget import NewestFrame
from pipeline.camera import CameraCounts, track_camera
from pipeline.decode import DecodeCounts, Decoder
from pipeline.errors import MediaError
from pipeline.live_source import LiveSource, live_frames
from pipeline.motion import MotionGate
from pipeline.motion_track import blob_tracker
from pipeline.recorder import Recorder
from pipeline.track import Tracker
from pipeline.types import Frame, TrackedFrame
from rules.engine import Engine
from rules.types import Input, RuleEvent

if TYPE_CHECKING:
    import supervision as sv

    Look = Callable[[Frame], sv.Detections]

Emit = Callable[[RuleEvent, Seen | None], None]
Size = Callable[[int, int], tuple[int, int]]

RING_BYTES = 64_000_000
RING_SPARE_S = 15.0
"""How much more the ring keeps than pre-roll and the longest dwell: settling, the way of a request, late streams."""
INPUTS_KEPT = 1000
FAULT_PAUSE_S = (0.5, 30.0)
STEADY_S = 30.0
"""After this long without a fault the pauses begin anew."""


@dataclass(frozen=True)
class Eyes:
    """What a camera sees with: its detector's look, or None for `detector: motion`."""

    weights: str
    """Hash of the weights, or `motion`."""
    size: Size
    """Source size -> size of the analysed picture."""
    look: Look | None
    slot: NewestFrame | None
    """Where decoded frames go; None analyses every frame, whatever time that takes."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all cameras."""

    ring_bytes: int = RING_BYTES
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0


class LiveCamera:
    """A camera at work. `start()`, then `stop()` and `close()`; other cameras never notice what goes wrong here."""

    def __init__(
        self,
        site: Site,
        name: str,
        eyes: Eyes,
        emit: Emit,
        *,
        settings: Settings | None = None,
        opener: Opener | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._log = structlog.get_logger().bind(camera=name)
        self._site, self._camera, self._eyes, self._emit = site, site.cameras[name], eyes, emit
        self._clock, self._wall = clock, wall
        self._closing = threading.Event()
        self._inputs: deque[InputGiven] = deque()
        self._inputs_refused = 0
        settings = settings or Settings()
        dwell_s = max((getattr(rule, "dwell_s", 0.0) for rule in self._camera.rules), default=0.0)
        self.recorder = Recorder(
            name, keep_s=site.clips.pre_s + dwell_s + RING_SPARE_S, max_bytes=settings.ring_bytes, clock=clock
        )
        self._live = self._source("analyse" if self._camera.analyse else "source", settings, opener)
        self._main = self._source("source", settings, None) if self._camera.analyse else self._live
        self._engine = Engine(
            name, self._camera.rules, zones=self._camera.zones, lines=self._camera.lines, schedules=site.schedules,
            timezone=site.timezone,
            versions={"gatewatch": version(), "weights_sha256": eyes.weights, "site_sha256": site.sha256},
        )  # fmt: skip
        self.picture_wanted = False
        """Somebody looks: `picture` is the newest frame, its colours already made."""
        self.picture: Frame | None = None
        self._counts = CameraCounts()
        self._seen = LastSeen()
        self._pace = Pace(clock)
        self._time = RuleTime(clock)
        self._decoder: Decoder | None = None
        self._before = DecodeCounts()
        self._resets: deque[int] = deque()
        self._newest: TrackedFrame | None = None
        self._tracker: Tracker | None = None
        self._ids = 0
        """What is added to the tracker's ids."""
        self._orphans: tuple[int, ...] = ()
        self._faults = 0
        self._fault: str | None = None
        self._threads = [threading.Thread(target=self._analyse, name=f"analyse {name}", daemon=True)]
        if eyes.slot is not None:
            self._threads.append(threading.Thread(target=self._decode, name=f"decode {name}", daemon=True))
        if self._main is not self._live:
            self._threads.append(threading.Thread(target=self._drain, name=f"main {name}", daemon=True))

    def start(self) -> LiveCamera:
        self.recorder.start()
        for live in {self._live, self._main}:
            live.start()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Asks everything but the ring to end, without waiting."""
        self._closing.set()
        for live in {self._live, self._main}:
            live.close(wait_s=0.0)
        if self._eyes.slot is not None:
            self._eyes.slot.close()

    def join(self, timeout_s: float = 10.0) -> None:
        """After `stop()`: returns once the rules have sent their last event."""
        until = self._clock() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock()))

    def close(self) -> None:
        """After `join()`: cuts the clips that are still wanted with what is there."""
        self.recorder.close()

    def receive(self, message: InputGiven) -> None:
        """Takes an input for the rules; it is applied before the next frame that is as late as it. While no picture
        comes they wait, up to `INPUTS_KEPT` of them; more count as unused."""
        if len(self._inputs) < INPUTS_KEPT:
            self._inputs.append(message)
        else:
            self._inputs_refused += 1

    def footage_shift_s(self) -> float:
        """What to add to a media time to get the ring's: the two differ where another stream is analysed."""
        if self._main is self._live:
            return 0.0
        return (self._live.wall_time(0.0) - self._main.wall_time(0.0)).total_seconds()

    def media_time_at(self, moment: datetime) -> float | None:
        """The media time of a moment (UTC); None where no picture came yet."""
        newest = self._newest
        if newest is None or newest.wall_time is None:
            return None
        return newest.media_time_s + (moment - newest.wall_time) / timedelta(seconds=1)

    def forget_picture(self) -> None:
        """Nobody looks any more."""
        self.picture_wanted, self.picture = False, None

    def status(self) -> CameraStatus:
        """How the camera is doing now. Called once a second."""
        live, frame, engine = self._live.status, self._newest, self._engine.counters
        main = self._main.status
        decoded = self._decoded()
        ring = self.recorder.span_s
        slot = self._eyes.slot
        self._pace.at(decoded.read, engine.frames)
        connected = live.connected and main.connected
        return CameraStatus(
            camera=self.name,
            connected=connected,
            reason=live.reason or main.reason or self._fault or (None if connected else "The camera is being called."),
            last_frame_at=frame.wall_time if frame else None,
            media_time_s=frame.media_time_s if frame else None,
            fps=self._pace.fps, analysed_fps=self._pace.analysed_fps,
            width_px=frame.width_px if frame else None, height_px=frame.height_px if frame else None,
            received=decoded.read, analysed=engine.frames, looked=self._counts.looked,
            dropped=live.dropped + (slot.dropped if slot else 0),
            decode_errors=decoded.decode_errors, irregular_times=decoded.irregular_times + live.time_jumps,
            connections=live.connections, reconnects=max(0, live.connections - 1),
            failures=live.failures + (main.failures if main is not live else 0),
            blind_s=round(self._time.blind_s(live.connected), 3),
            faults=self._faults, events=engine.events, inputs=engine.inputs + self._inputs_refused,
            inputs_unused=engine.inputs_unused + self._inputs_refused,
            state_size=self._engine.state_size() + (self._tracker.state_size() if self._tracker else 0),
            ring_s=round(ring[1] - ring[0], 3) if ring else 0.0,
            ring_bytes=self.recorder.bytes_kept, ring_short=self.recorder.over_limit,
        )  # fmt: skip

    # Threads

    def _decode(self) -> None:
        slot = self._eyes.slot
        assert slot is not None

        def decode() -> None:
            for frame in self._frames():
                slot.put(frame)

        self._guarded(decode)

    def _drain(self) -> None:
        """The main stream is only recorded here: nobody decodes its packets."""
        for connection in self._main.connections():
            for _ in connection.packets():
                pass

    def _analyse(self) -> None:
        slot = self._eyes.slot
        self._guarded(lambda: self._follow(self._frames() if slot is None else iter(slot)))
        for event in self._engine.finish():
            self._raise(event)

    def _guarded(self, work: Callable[[], None]) -> None:
        """The camera's boundary: whatever a picture, a model or a rule does to us, the other cameras go on, and so does
        this one with its next frame."""
        pause_s = FAULT_PAUSE_S[0]
        while not self._closing.is_set():
            began = self._clock()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the boundary said above
                if self._closing.is_set() and isinstance(error, MediaError):
                    return
                self._faults += 1
                self._fault = f"The analysis failed and is tried again: {type(error).__name__}: {mask_text(str(error))}"
                self._log.exception("analysis failed")
                pause_s = FAULT_PAUSE_S[0] if self._clock() - began > STEADY_S else min(2 * pause_s, FAULT_PAUSE_S[1])
                self._closing.wait(pause_s)

    def _follow(self, frames: Iterator[Frame]) -> None:
        """Frames to events. Pictures of another size (a camera that was set up anew) get a gate and tracker anew."""
        for size, group in groupby(frames, key=lambda frame: (frame.width_px, frame.height_px)):
            gate = MotionGate(*size)
            if self._tracker is not None:
                self._orphans += tuple(track_id + self._ids for track_id in self._tracker.finish())
            self._ids = self._seen.highest_id
            config = self._site.detector_of(self.name)
            if isinstance(config, str):
                self._tracker = blob_tracker(*size)
            else:
                self._tracker = Tracker(*size, min_score=config.min_score)
            tracked = track_camera(
                self.name, self._reset_after_reconnects(group, gate), self._eyes.look, gate=gate,
                tracker=self._tracker, window=1, counts=self._counts,
            )  # fmt: skip
            for frame in tracked:
                self._take(self._own_ids(frame))

    def _frames(self) -> Iterator[Frame]:
        return live_frames(
            self._live, analyse_fps=self._camera.analyse_fps, analysis_size=self._eyes.size,
            on_decoder=self._new_decoder,
        )  # fmt: skip

    def _new_decoder(self, decoder: Decoder) -> None:
        self._before, self._decoder = self._decoded(), decoder
        self._resets.append(decoder.next_index)

    def _reset_after_reconnects(self, frames: Iterable[Frame], gate: MotionGate) -> Iterator[Frame]:
        for frame in frames:
            if self._resets and frame.index >= self._resets[0]:
                while self._resets and frame.index >= self._resets[0]:
                    self._resets.popleft()
                gate.reset()
                self._time.reconnected()
            if self.picture_wanted:
                _ = frame.image  # Made by this thread alone, before another one may ask.
                self.picture = frame
            yield frame

    def _own_ids(self, frame: TrackedFrame) -> TrackedFrame:
        """Ids go on where a tracker was replaced, whose tracks end now: they are never used again in a run."""
        if not self._ids and not self._orphans:
            return frame
        tracks = tuple(replace(track, track_id=track.track_id + self._ids) for track in frame.tracks)
        ended = (*self._orphans, *(track_id + self._ids for track_id in frame.ended))
        self._orphans = ()
        return replace(frame, tracks=tracks, ended=ended)

    def _take(self, frame: TrackedFrame) -> None:
        self._receive_inputs(frame)
        self._seen.note(frame)
        self._time.note(frame)
        events = self._engine.update(frame)
        self._newest = frame
        self._fault = None
        for event in events:
            self._raise(event)

    def _raise(self, event: RuleEvent) -> None:
        self._emit(event, self._seen.of(event))

    def _receive_inputs(self, frame: TrackedFrame) -> None:
        """Wall time becomes the camera's media time here, where both are known."""
        while self._inputs and frame.wall_time is not None:
            given = self._inputs.popleft()
            at_s = frame.media_time_s + (given.at - frame.wall_time) / timedelta(seconds=1)
            self._engine.receive(Input(given.camera, given.line, given.kind, at_s))

    def _source(self, stream: Stream, settings: Settings, opener: Opener | None) -> LiveSource:
        recording = is_recording(self._site, self.name, stream)
        pauses = (0.05, 0.05) if recording else (settings.first_pause_s, settings.longest_pause_s)
        return LiveSource(
            getattr(self._camera, stream),
            opener=opener or opener_of(self._site, self.name, stream, self._closing),
            recorder=self.recorder if stream == "source" else None,
            lossless=self._eyes.slot is None,
            first_pause_s=pauses[0], longest_pause_s=pauses[1],
            clock=self._clock, wall=self._wall,
        )  # fmt: skip

    def _decoded(self) -> DecodeCounts:
        """Summed up over connections."""
        past, now = self._before, self._decoder.counts if self._decoder else DecodeCounts()
        return DecodeCounts(
            past.read + now.read, past.analysed + now.analysed, past.decode_errors + now.decode_errors,
            past.irregular_times + now.irregular_times,
        )  # fmt: skip
