"""Cameras and the processes that look at them, as JSON."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class CameraOut(BaseModel):
    """How one camera is doing; the numbers count from the start of its worker, once a second."""

    camera: str
    connected: bool
    reason: str | None = Field(description="Why there is no picture or no analysis now; null while all is well.")
    last_frame_at: datetime | None = Field(description="When the newest analysed frame was taken.")
    media_time_s: float | None
    fps: float = Field(description="Pictures per second that came in over the last five seconds.")
    analysed_fps: float
    width_px: int | None
    height_px: int | None
    received: int = Field(description="Pictures decoded.")
    analysed: int
    looked: int = Field(description="Frames that the detector looked at; the others were still.")
    dropped: int = Field(description="Frames that were not analysed because there was no time for them.")
    decode_errors: int
    irregular_times: int = Field(description="Timestamps that were missing, repeated or leapt, and were mended.")
    connections: int
    reconnects: int
    failures: int = Field(description="Attempts to connect that failed, and connections that broke.")
    blind_s: float = Field(description="Seconds without a picture, or with one in which nothing can be judged.")
    faults: int = Field(description="Errors while analysing; the camera went on after each.")
    events: int
    inputs: int
    inputs_unused: int = Field(description="Inputs that no rule takes.")
    state_size: int = Field(description="How many things are remembered about objects now.")
    ring_s: float = Field(description="Seconds of footage kept for clips.")
    ring_bytes: int
    ring_short: int = Field(description="Groups of pictures that left the ring early, as it was full.")


class WorkerOut(BaseModel):
    """A process that looks at cameras; the numbers count from the start of Gatewatch."""

    name: str
    running: bool
    pid: int | None
    starts: int
    restarts: int
    events: int
    events_lost: int = Field(description="Events that ended with the process before they became alerts.")
    inputs: int
    inputs_lost: int
    evidence_lost: int = Field(description="Alerts whose snapshot or clip ended with the process.")
    store_retries: int = Field(description="How often an event had to wait for the database.")
    waiting: int = Field(description="Messages that wait to be taken over.")
    rss_bytes: int
    threads: int
    descriptors: int


class CamerasOut(BaseModel):
    items: list[CameraOut]
    workers: list[WorkerOut]
