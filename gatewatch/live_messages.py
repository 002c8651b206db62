"""The small messages between the API process and its workers. No pictures: those lie in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.alerts import Clip
from gatewatch.last_seen import Seen
from rules.types import RuleEvent

# From a worker


@dataclass(frozen=True, slots=True)
class Ready:
    """The detectors are loaded and the cameras are being connected."""

    pid: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot work as the site is configured; it ends."""

    message: str


@dataclass(frozen=True, slots=True)
class EventRaised:
    """A rule fired."""

    event: RuleEvent
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class SnapshotDone:
    """Where the snapshot lies in the data folder, or why there is none."""

    alert_id: str
    path: str | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ClipsDone:
    """The clips that were just cut for an alert, or why there are none."""

    alert_id: str
    clips: tuple[Clip, ...]
    why: str | None = None


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How one camera is doing; the numbers count from the start of its worker."""

    camera: str
    connected: bool = False
    reason: str | None = None
    """Why there is no picture or no analysis now, in one sentence without credentials."""
    last_frame_at: datetime | None = None
    """UTC of the newest analysed frame."""
    media_time_s: float | None = None
    fps: float = 0.0
    """Pictures per second that came in over the last seconds."""
    analysed_fps: float = 0.0
    width_px: int | None = None
    height_px: int | None = None
    received: int = 0
    """Pictures decoded."""
    analysed: int = 0
    """Frames that went through gate, tracker and rules."""
    looked: int = 0
    """Frames that the detector looked at."""
    dropped: int = 0
    """Frames and packets that were not analysed because there was no time for them."""
    decode_errors: int = 0
    irregular_times: int = 0
    """Timestamps that were missing, repeated or leapt, and were mended."""
    connections: int = 0
    reconnects: int = 0
    failures: int = 0
    """Attempts to connect that failed, and connections that broke."""
    blind_s: float = 0.0
    """Seconds without a picture, or with one in which nothing can be judged."""
    faults: int = 0
    """Errors of ours while analysing; the camera went on after each."""
    events: int = 0
    inputs: int = 0
    inputs_unused: int = 0
    state_size: int = 0
    """How many things tracker and rules remember about objects now; must not grow with time."""
    ring_s: float = 0.0
    """Seconds of footage kept for clips."""
    ring_bytes: int = 0
    ring_short: int = 0
    """Groups of pictures that left the ring before their time, as it was full."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says once a second."""

    cameras: tuple[CameraStatus, ...]
    waiting: int
    """Messages that wait for the API process."""
    rss_bytes: int
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Asked to stop: no camera runs any more and every event was sent before this."""


@dataclass(frozen=True, slots=True)
class PictureDone:
    """Where the newest picture of a camera lies in the data folder, or why there is none; see
    `gatewatch.live_pictures`."""

    camera: str
    path: str | None
    why: str | None = None


FromWorker = Ready | Failed | EventRaised | SnapshotDone | ClipsDone | PictureDone | Report | Drained

# To a worker


@dataclass(frozen=True, slots=True)
class InputGiven:
    """A message from outside the picture; see `rules.types.Input`."""

    camera: str
    line: str
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EvidenceWanted:
    """A clip of this event for the alert, and a snapshot where the event opened it."""

    alert_id: str
    event: RuleEvent
    run: str
    """The run that the event's id counts in."""
    seen: Seen | None
    snapshot: bool
    at: datetime | None = None
    """When it happened, where that is all that is known: an event from outside has no media time."""


@dataclass(frozen=True, slots=True)
class PictureWanted:
    """Somebody looks at a camera: pictures of it for the next `for_s` seconds, the first of `full` size if so asked."""

    camera: str
    for_s: float
    full: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Close the cameras, send what the rules still decide, then `Drained`."""


@dataclass(frozen=True, slots=True)
class Finish:
    """After `Drained`: write the evidence that was asked for until now, then end."""


ToWorker = InputGiven | EvidenceWanted | PictureWanted | Stop | Finish
