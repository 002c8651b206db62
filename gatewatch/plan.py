"""What a re-analysis is about to do: one camera, its recordings in order, and their place in time.

site + recordings -> Plan        everything that can be refused is refused here, before anything is written
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from gatewatch.errors import RecordingsError, UsageError
from gatewatch.site import Site
from gatewatch.start_time import from_text
from pipeline.address import mask_url, source_kind
from pipeline.recording_time import recording_start
from pipeline.source import StreamInfo, open_source
from rules.base import ALWAYS

StartFrom = Literal["--started-at", "file name", "container", "order", "unknown"]

OVERLAP_S = 2.0
"""Recordings whose stated times overlap by less than this follow one another; clocks in file names are coarse."""


@dataclass(frozen=True, slots=True)
class Part:
    """One recording and its place on the camera's time line."""

    path: Path
    info: StreamInfo
    own_start: datetime | None
    """UTC, as its file name or container says."""
    start_from: StartFrom
    offset_s: float | None = None
    """Media time of its first picture, or None: it follows where the one before ends."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A re-analysis of one camera."""

    site: Site
    camera: str
    parts: tuple[Part, ...]
    started_at: datetime | None
    """UTC of media time 0."""
    start_from: StartFrom

    @property
    def duration_s(self) -> float | None:
        """Seconds of footage, as far as the containers know."""
        known = [part.info.duration_s for part in self.parts]
        return sum(duration for duration in known if duration) if all(known) else None


def recording_files(names: Sequence[str]) -> list[Path]:
    """The recordings that a user named, as files. Raises RecordingsError for an address or a device."""
    for name in names:
        if source_kind(name) != "file":
            raise RecordingsError(
                f"{mask_url(name)}: expected a recorded file, found a live source; gatewatch run watches those."
            )
    return [Path(name) for name in names]


def make_plan(site: Site, recordings: Sequence[Path], *, camera: str | None, started_at: str | None) -> Plan:
    """Checks the recordings and places them in time. Raises UsageError, RecordingsError or MediaError: one sentence."""
    name = _camera(site, camera)
    parts = [_part(path, site) for path in recordings]
    _same_size(parts)
    given = _given(started_at, site)
    if all(part.own_start for part in parts) and given is None:
        parts.sort(key=lambda part: part.own_start.timestamp() if part.own_start else 0.0)
    start = given or parts[0].own_start
    source: StartFrom = "--started-at" if given else parts[0].start_from
    plan = Plan(site, name, tuple(_placed(parts, start)), start, source if start else "unknown")
    _schedules_have_a_clock(plan)
    return plan


def _camera(site: Site, camera: str | None) -> str:
    names = list(site.cameras)
    if camera is None:
        if len(names) > 1:
            raise UsageError(
                f"{site.path}: expected --camera with one of {', '.join(names)}, as the site has {len(names)} cameras."
            )
        return names[0]
    if camera not in site.cameras:
        raise UsageError(f"{site.path}: expected --camera with one of {', '.join(names)}, found {camera}.")
    return camera


def _part(path: Path, site: Site) -> Part:
    with open_source(path) as source:
        info = source.info
    own, how = recording_start(path, info, site.timezone)
    return Part(path, info, own, how)


def _same_size(parts: Sequence[Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if (part.info.width_px, part.info.height_px) != (first.info.width_px, first.info.height_px):
            raise RecordingsError(
                f"{part.path}: expected pictures of {first.info.width_px}x{first.info.height_px} as in "
                f"{first.path.name}, found {part.info.width_px}x{part.info.height_px}."
            )


def _given(started_at: str | None, site: Site) -> datetime | None:
    if started_at is None:
        return None
    moment = from_text(started_at, site.timezone)
    if moment is None:
        raise UsageError(
            f"--started-at: expected a date and time such as 2024-05-01T22:10:05+08:00, found {started_at!r}."
        )
    return moment


def _placed(parts: Sequence[Part], start: datetime | None) -> list[Part]:
    placed = [replace(parts[0], offset_s=0.0)]
    end_s = parts[0].info.duration_s
    for part in parts[1:]:
        offset_s = _offset(parts[0], part, start)
        if offset_s is not None and end_s is not None and offset_s < end_s - OVERLAP_S:
            raise RecordingsError(
                f"{part.path}: expected a recording that begins after {placed[-1].path.name} ends, found one that "
                f"begins {end_s - offset_s:.1f} s earlier (by its {part.start_from})."
            )
        placed.append(replace(part, offset_s=offset_s, start_from=part.start_from if offset_s is not None else "order"))
        duration_s = part.info.duration_s
        begins_s = offset_s if offset_s is not None else end_s
        end_s = begins_s + duration_s if begins_s is not None and duration_s is not None else None
    return placed


def _offset(first: Part, part: Part, start: datetime | None) -> float | None:
    """Seconds from the first picture of all; the recordings' own clock counts where --started-at corrects it."""
    if part.own_start is None or start is None:
        return None
    same_clock = first.own_start is not None and first.start_from == part.start_from
    zero = first.own_start if same_clock and first.own_start else start
    return (part.own_start - zero) / timedelta(seconds=1)


def _schedules_have_a_clock(plan: Plan) -> None:
    if plan.started_at is not None:
        return
    for rule in plan.site.cameras[plan.camera].rules:
        if rule.schedule != ALWAYS:
            raise RecordingsError(
                f"{plan.parts[0].path}: the rule {rule.name} has the schedule {rule.schedule}, but neither the file's "
                "name nor its container says when it began; say it with --started-at, such as "
                "--started-at 2024-05-01T22:10:05+08:00."
            )
