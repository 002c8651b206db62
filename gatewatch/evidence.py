"""Snapshots and clips of a re-analysis' alerts. What an earlier run made is kept."""

from __future__ import annotations

import errno
import hashlib
import json
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from api.alerts import Alert, Clip
from api.pictures import draw_snapshot
from gatewatch.last_seen import Seen
from gatewatch.outputs import NO_ROOM, OutFolder
from gatewatch.site import Site
from pipeline.clip import ClipResult, Footage
from pipeline.errors import MediaError
from rules.types import RuleEvent

MAX_NAME_BYTES = 180
"""Some file systems take names of 255 bytes; parts and originals add to a clip's name."""


class Evidence:
    """Makes the files of one alert after another. Leaving the context waits for the snapshots that are being drawn.

    Pictures are decoded in the caller's thread and drawn on `workers` others, while the next is decoded.
    """

    def __init__(
        self, site: Site, out: OutFolder, footage: Footage, *, clips: bool, snapshots: bool = True, workers: int = 1
    ) -> None:
        self._site = site
        self._out = out
        self._footage = footage
        self._clips, self._snapshots = clips, snapshots
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="draw")
        self._drawing: deque[Future[None]] = deque()
        self._drawing_max = 2 * workers
        self.missing: list[str] = []
        """Why a snapshot or a clip could not be made, one sentence each."""

    def __enter__(self) -> Evidence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises DeskError or OSError where a drawing failed."""
        self._executor.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self._await(0)

    def of(self, alert: Alert, events: Mapping[str, RuleEvent], seen: Mapping[str, Seen]) -> Alert:
        """The alert with its snapshot and clips, made now or by an earlier run.

        `seen`: event id -> where its object was when the event was raised.
        The snapshot is there once the context is left. A snapshot or clip that the footage does not yield is left out
        and said in `missing`. Raises DeskError or OSError, of an earlier alert's drawing too.
        """
        name = file_stem(alert.event_ids[0])
        first = events[alert.event_ids[0]]
        snapshot = f"snapshots/{name}.jpg"
        try:
            if self._snapshots:
                if not (self._out.path / snapshot).is_file():
                    self._draw(snapshot, first, seen.get(first.event_id))
                alert = alert.with_media(snapshot=snapshot)
        except MediaError as error:
            self._note_missing(error)
        try:
            return alert.with_media(clips=self._cut(alert, name)) if self._clips else alert
        except MediaError as error:
            self._note_missing(error)
            return alert

    def _note_missing(self, error: MediaError) -> None:
        """One damaged stretch of a recording does not cost the other alerts their evidence; a full disk stops all."""
        if getattr(error.__context__, "errno", None) in NO_ROOM:
            raise OSError(errno.ENOSPC, "no room")
        self.missing.append(str(error))

    def _draw(self, path: str, event: RuleEvent, seen: Seen | None) -> None:
        """Decodes the picture now, and has it drawn and written to `path`."""
        camera = self._site.cameras[event.camera]
        draw = partial(
            draw_snapshot,
            self._footage.picture_at(event.raised_s if seen is None else seen.media_time_s),
            event,
            box=None if seen is None else seen.box,
            zone_points=camera.zones.get(event.zone or ""),
            line_points=camera.lines.get(event.line or ""),
            language=self._site.language,
            timezone=self._site.timezone,
            site=self._site.name,
        )
        self._await(self._drawing_max - 1)
        self._drawing.append(self._executor.submit(lambda: self._out.write_bytes(path, draw())))

    def _await(self, left: int) -> None:
        """Waits until at most `left` pictures are held for drawing."""
        while len(self._drawing) > left:
            self._drawing.popleft().result()

    def _cut(self, alert: Alert, name: str) -> tuple[Clip, ...]:
        wanted = self._site.clips
        note = self._out.state / f"clip.{name}.json"
        key = [round(alert.start_s, 3), round(alert.end_s, 3), wanted.pre_s, wanted.post_s]
        kept = self._kept(note, key)
        if kept is not None:
            return kept
        target = self._out.path / "clips" / f"{name}.mp4"
        target.parent.mkdir(exist_ok=True)
        result = self._footage.cut(
            alert.start_s, alert.end_s, target, pre_roll_s=wanted.pre_s, post_roll_s=wanted.post_s
        )
        clips = clips_of(result, PurePosixPath("clips"))
        note.write_text(json.dumps({"for": key, "clips": [asdict(clip) for clip in clips]}), encoding="utf-8")
        return clips

    def _kept(self, note: Path, key: list[float]) -> tuple[Clip, ...] | None:
        try:
            content: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
            clips = tuple(Clip(**clip) for clip in content["clips"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        files = [path for clip in clips for path in (clip.path, clip.original) if path]
        whole = content.get("for") == key and all((self._out.path / path).is_file() for path in files)
        return clips if whole else None


def clips_of(result: ClipResult, folder: PurePosixPath, shift_s: float = 0.0) -> tuple[Clip, ...]:
    """The parts of a clip in `folder` of the media folder; `shift_s` is taken off their times."""
    return tuple(
        Clip(
            path=(folder / part.path.name).as_posix(),
            from_s=part.from_s - shift_s,
            to_s=part.to_s - shift_s,
            original=None if part.original_path is None else (folder / part.original_path.name).as_posix(),
            shortfall_s=result.shortfall_s if number == 0 else 0.0,
        )
        for number, part in enumerate(result.parts)
    )


def file_stem(event_id: str) -> str:
    """The event's id as a file name; a very long one is cut and told apart by a hash."""
    data = event_id.encode()
    if len(data) <= MAX_NAME_BYTES:
        return event_id
    digest = hashlib.sha256(data).hexdigest()[:12]
    return data[: MAX_NAME_BYTES - 13].decode(errors="ignore") + "-" + digest
