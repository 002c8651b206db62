"""What a running site adds to the API: `/api/v1/cameras`, and `/metrics` in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field

from api.access.principal import Principal
from api.access.requiring import requires
from api.failures import documented
from api.schemas import PREFIX
from gatewatch.live_board import Board


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


def add_live_routes(app: FastAPI, board: Board) -> None:
    """Adds the routes to the application."""
    registry = CollectorRegistry()
    registry.register(_BoardCollector(board))
    router = APIRouter()

    @router.get(f"{PREFIX}/cameras", operation_id="list_cameras", tags=["service"], responses=documented(401, 429))
    def list_cameras(principal: Annotated[Principal, requires("cameras.read")]) -> CamerasOut:
        """Every camera of the site and how it is doing now, once a second."""
        return CamerasOut(
            items=[CameraOut(**asdict(camera)) for camera in board.cameras() if principal.sees(camera.camera)],
            workers=[WorkerOut(**asdict(worker)) for worker in board.workers()],
        )

    @router.get("/metrics", include_in_schema=False)
    def get_metrics(_: Annotated[Principal, requires("metrics.read")]) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app.include_router(router)


_CAMERA_GAUGES = {
    "connected": "1 while the camera sends pictures that are analysed.",
    "fps": "Pictures per second that came in over the last five seconds.",
    "analysed_fps": "Analysed frames per second over the last five seconds.",
    "state_size": "Things remembered about objects.",
    "ring_s": "Seconds of footage kept for clips.",
    "ring_bytes": "Bytes of footage kept for clips.",
}
_CAMERA_COUNTERS = {
    "received": "Pictures decoded.",
    "analysed": "Frames analysed.",
    "looked": "Frames that the detector looked at.",
    "dropped": "Frames dropped for lack of time.",
    "decode_errors": "Packets and pictures that could not be decoded.",
    "irregular_times": "Timestamps that were mended.",
    "reconnects": "Connections after the first.",
    "failures": "Failed attempts to connect and broken connections.",
    "blind_s": "Seconds in which nothing could be judged.",
    "faults": "Errors while analysing.",
    "events": "Events that rules raised.",
    "inputs": "Inputs taken.",
    "inputs_unused": "Inputs that no rule takes.",
    "ring_short": "Groups of pictures that left the ring early.",
}
_WORKER_GAUGES = {
    "running": "1 while the process runs.",
    "waiting": "Messages that wait to be taken over.",
    "rss_bytes": "Resident memory.",
    "threads": "Threads.",
    "descriptors": "Open descriptors.",
}
_WORKER_COUNTERS = {
    "restarts": "Starts after the first.",
    "events": "Events taken over.",
    "events_lost": "Events lost with a process.",
    "inputs": "Inputs handed over.",
    "inputs_lost": "Inputs lost with a process.",
    "evidence_lost": "Alerts left without evidence.",
    "store_retries": "Waits for the database.",
}


class _BoardCollector(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        cameras = {camera.camera: asdict(camera) for camera in self._board.cameras()}
        workers = {worker.name: asdict(worker) for worker in self._board.workers()}
        now = datetime.now(UTC)
        for label, rows, gauges, counters in (
            ("camera", cameras, _CAMERA_GAUGES, _CAMERA_COUNTERS),
            ("worker", workers, _WORKER_GAUGES, _WORKER_COUNTERS),
        ):
            for kind, words in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
                for key, text in words.items():
                    name = f"gatewatch_{label}_{key.removesuffix('_s') + '_seconds' if key.endswith('_s') else key}"
                    family = kind(name, text, labels=[label])
                    for who, row in rows.items():
                        family.add_metric([who], float(row[key]))
                    yield family
        age = GaugeMetricFamily("gatewatch_camera_frame_age_seconds", "Age of the newest frame.", labels=["camera"])
        for who, row in cameras.items():
            if row["last_frame_at"] is not None:
                age.add_metric([who], (now - row["last_frame_at"]).total_seconds())
        yield age
