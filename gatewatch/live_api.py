"""What a running site adds to the API: `/api/v1/cameras`, and `/metrics` in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api import routes_cameras
from api.access.principal import Principal
from api.access.requiring import requires
from api.live_view import LiveView
from api.schemas import PREFIX
from api.schemas_cameras import CameraOut, WorkerOut
from gatewatch.connection_metrics import ConnectionCollector
from gatewatch.connections import Door
from gatewatch.live_board import Board
from gatewatch.webhook_metrics import WebhookCollector


class BoardCameras:
    """`api.routes_cameras.Cameras` over the board."""

    def __init__(self, board: Board, view: LiveView) -> None:
        self._board, self.view = board, view

    def cameras(self) -> Sequence[CameraOut]:
        return [CameraOut(**asdict(camera)) for camera in self._board.cameras()]

    def workers(self) -> Sequence[WorkerOut]:
        return [WorkerOut(**asdict(worker)) for worker in self._board.workers()]


def add_live_routes(app: FastAPI, board: Board, view: LiveView | None = None, door: Door | None = None) -> None:
    """Adds the routes to the application; without a `view` no picture can be had, without a `door` nothing is known of
    connections."""
    registry = CollectorRegistry()
    registry.register(_BoardCollector(board))
    registry.register(WebhookCollector(app.state.services.webhooks))
    if door is not None:
        registry.register(ConnectionCollector(door))
    view = view or LiveView(lambda _camera, _for_s, _full: False)
    app.state.cameras = BoardCameras(board, view)
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    def get_metrics(_: Annotated[Principal, requires("metrics.read")]) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app.include_router(routes_cameras.router, prefix=PREFIX)
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
