"""Snapshots and clips of live alerts, cut from the cameras' rings into the data folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from api.alerts import alert_id_of
from api.errors import DeskError
from api.pictures import draw_snapshot
from gatewatch.evidence import clips_of, file_stem
from gatewatch.live_camera import LiveCamera
from gatewatch.live_messages import ClipsDone, EvidenceWanted, FromWorker, SnapshotDone
from gatewatch.site import Site
from pipeline.address import mask_text
from pipeline.clip import ClipResult
from pipeline.errors import MediaError
from rules.types import RuleEvent

WAITING_SNAPSHOTS = 200
ALERTS_KEPT = 500
LATE_STREAM_S = 2.0
"""How long a snapshot waits for a main stream that is later than the analysed one."""


@dataclass(slots=True)
class _Cut:
    """What is being cut, or was cut last, for an alert; ring time."""

    start_s: float
    end_s: float
    pre_roll_s: float
    path: PurePosixPath
    result: Future[ClipResult]


class LiveEvidence:
    """Makes what alerts ask for, in threads of its own; every wish is answered through `send`."""

    def __init__(
        self, site: Site, cameras: Mapping[str, LiveCamera], data_dir: Path, send: Callable[[FromWorker], object]
    ) -> None:
        self._site, self._cameras, self._data_dir, self._send = site, cameras, data_dir, send
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._lock = threading.Lock()
        self._snapshots = 0
        self._cuts: dict[str, _Cut] = {}
        self._closing = threading.Event()

    def want(self, wanted: EvidenceWanted) -> None:
        """Returns at once."""
        if wanted.at is not None:
            at_s = self._cameras[wanted.event.camera].media_time_at(wanted.at)
            if at_s is None:
                why = "The camera had not sent a picture yet."
                if wanted.snapshot:
                    self._send(SnapshotDone(wanted.alert_id, None, why))
                self._send(ClipsDone(wanted.alert_id, (), why))
                return
            event = replace(wanted.event, start_s=at_s, raised_s=at_s)
            wanted = replace(wanted, event=event, at=None)
        if wanted.snapshot:
            with self._lock:
                self._snapshots += 1
                room = self._snapshots <= WAITING_SNAPSHOTS
            if room:
                self._pool.submit(self._snapshot, wanted)
            else:
                self._answer_snapshot(wanted, None, "Too many snapshots were wanted at once.")
        self._clip(wanted)

    def close(self) -> None:
        """After the rings were closed: returns once every wish is answered."""
        self._closing.set()
        self._pool.shutdown()

    def _snapshot(self, wanted: EvidenceWanted) -> None:
        path = self._path("snapshots", wanted.event, file_stem(wanted.alert_id) + ".jpg")
        try:
            self._write(path, self._draw(wanted))
        except (MediaError, DeskError) as error:
            self._answer_snapshot(wanted, None, str(error))
        except OSError as error:
            self._answer_snapshot(wanted, None, f"The snapshot cannot be written: {error.strerror}.")
        else:
            self._answer_snapshot(wanted, path.as_posix(), None)

    def _answer_snapshot(self, wanted: EvidenceWanted, path: str | None, why: str | None) -> None:
        with self._lock:
            self._snapshots -= 1
        self._send(SnapshotDone(wanted.alert_id, path, None if why is None else mask_text(why)))

    def _draw(self, wanted: EvidenceWanted) -> bytes:
        event, seen = wanted.event, wanted.seen
        live, camera = self._cameras[event.camera], self._site.cameras[event.camera]
        at_s = (seen.media_time_s if seen else event.raised_s) + live.footage_shift_s()
        self._wait_for(live, at_s)
        return draw_snapshot(
            live.recorder.picture_at(at_s),
            event,
            box=seen.box if seen else None,
            source_size=(seen.width_px, seen.height_px) if seen else None,
            zone_points=camera.zones.get(event.zone or ""),
            line_points=camera.lines.get(event.line or ""),
            language=self._site.language,
            timezone=self._site.timezone,
            site=self._site.name,
        )

    def _wait_for(self, live: LiveCamera, at_s: float) -> None:
        for _ in range(int(LATE_STREAM_S / 0.1)):
            span = live.recorder.span_s
            if (span is not None and span[1] >= at_s - 0.001) or self._closing.wait(0.1):
                return

    def _write(self, path: PurePosixPath, content: bytes) -> None:
        target = self._data_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        temporary.write_bytes(content)
        os.replace(temporary, target)  # noqa: PTH105 - one of the two is enough

    def _clip(self, wanted: EvidenceWanted) -> None:
        """Asks the ring for the event's footage; an alert's events share one clip while it waits for its post-roll."""
        event, live = wanted.event, self._cameras[wanted.event.camera]
        shift_s = live.footage_shift_s()
        start_s, end_s = event.start_s + shift_s, event.raised_s + shift_s
        pre_s, post_s = self._site.clips.pre_s, self._site.clips.post_s
        # Named after its event: an alert may go on over several runs, whose clips must not replace one another.
        path = self._path("clips", event, file_stem(alert_id_of(event.event_id, wanted.run)) + ".mp4")
        known = self._cuts.pop(wanted.alert_id, None)
        if known is not None and known.result.cancel():
            path, pre_s = known.path, known.pre_roll_s
            start_s, end_s = min(start_s, known.start_s), max(end_s, known.end_s)
        elif known is not None and start_s - pre_s < known.end_s + post_s:
            start_s, pre_s = known.end_s + post_s, 0.0  # The earlier clip shows what came before.
            end_s = max(end_s, start_s)
        target = self._data_dir / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._send(ClipsDone(wanted.alert_id, (), f"The clip cannot be written: {error.strerror}."))
            return
        result = live.recorder.request(start_s, end_s, target, pre_roll_s=pre_s, post_roll_s=post_s)
        self._cuts[wanted.alert_id] = _Cut(start_s, end_s, pre_s, path, result)
        while len(self._cuts) > ALERTS_KEPT:
            del self._cuts[next(iter(self._cuts))]
        result.add_done_callback(partial(self._cut, wanted.alert_id, path.parent, shift_s))

    def _cut(self, alert_id: str, folder: PurePosixPath, shift_s: float, result: Future[ClipResult]) -> None:
        if result.cancelled():
            return
        error = result.exception()
        if error is None:
            self._send(ClipsDone(alert_id, clips_of(result.result(), folder, shift_s)))
        else:
            why = str(error) if isinstance(error, MediaError) else f"The clip could not be cut: {error}."
            self._send(ClipsDone(alert_id, (), mask_text(why)))

    def _path(self, kind: str, event: RuleEvent, name: str) -> PurePosixPath:
        """One folder a day, by the site's calendar, so that none grows without end."""
        day = event.raised_at.astimezone(self._site.timezone).date().isoformat() if event.raised_at else "undated"
        return PurePosixPath(kind, day, name)
