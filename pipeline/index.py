"""Where a recording's key frames lie, found by reading its packets once without decoding."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from pipeline.source import Source, open_source
from pipeline.timeline import DEFAULT_FPS, LEAP_S, Stamper


class TimedPacket(NamedTuple):
    """A compressed packet on a camera's time line."""

    packet: av.Packet[Any]
    video: bool
    pts_s: float
    """When its picture is shown, or its sound heard; seconds of media time."""
    dts_s: float


@dataclass(frozen=True)
class FileIndex:
    """Times in seconds from the recording's first picture."""

    regular: bool
    """Every timestamp is there and unique: times can be trusted after a seek."""
    key_times_s: tuple[float, ...]
    """Of the pictures that decoding can start at, ascending."""
    end_s: float
    """Where the last picture's display ends."""
    copyable: bool = True
    """False where the container does not say when its pictures are shown, so that a copy could not say it either."""

    def key_at(self, time_s: float) -> float:
        """The key frame at or before a time, else the first."""
        at = bisect_right(self.key_times_s, time_s + 1e-6) - 1
        return self.key_times_s[max(at, 0)] if self.key_times_s else 0.0


def file_index(path: Path) -> FileIndex:
    """The index of a recording. Read once per version of the file; raises MediaError where it cannot be read."""
    state = path.stat() if path.exists() else None
    return _index(path, state.st_size if state else 0, state.st_mtime_ns if state else 0)


@lru_cache(maxsize=64)
def _index(path: Path, _size: int, _mtime_ns: int) -> FileIndex:
    with open_source(path) as source:
        pts: list[int | None] = []
        keys: list[int] = []
        dts_ok = True
        last: int | None = None
        for packet in source.packets():
            if packet.is_keyframe:
                keys.append(len(pts))
            pts.append(packet.pts)
            dts_ok &= last is None or packet.dts is None or packet.dts > last
            last = packet.dts if packet.dts is not None else last
        times = np.array([value for value in pts if value is not None], np.int64)
        sound = dts_ok and not source.info.decode_order_times
        steps = np.diff(np.sort(times))
        longest = int(LEAP_S / source.video.time_base)
        if sound and len(times) == len(pts) > 0 and bool(((steps > 0) & (steps < longest)).all()):
            return _regular(source, times, keys)
    with open_source(path) as source:
        return replace(_irregular(source), copyable=not source.info.decode_order_times)


def _regular(source: Source, times: np.ndarray[Any, np.dtype[np.int64]], keys: list[int]) -> FileIndex:
    base = source.video.time_base
    first = source.first_pts if source.first_pts is not None else int(times.min())
    seconds = (times - first) * base.numerator / base.denominator
    keyed = sorted(float(seconds[k]) for k in keys if seconds[k] >= -1e-6)
    return FileIndex(True, tuple(keyed) or (0.0,), float(seconds.max()) + step_of(source))


def _irregular(source: Source) -> FileIndex:
    keys: list[float] = []
    end = 0.0
    for packet in timed_packets(source, FileIndex(False, (0.0,), 0.0), 0.0):
        if packet.packet.is_keyframe:
            keys.append(packet.pts_s)
        end = max(end, packet.pts_s)
    return FileIndex(False, tuple(sorted(key for key in keys if key >= -1e-6)) or (0.0,), end + step_of(source))


def step_of(source: Source) -> float:
    """Seconds from one picture to the next on average."""
    return 1.0 / (source.info.average_fps or DEFAULT_FPS)


def timed_packets(source: Source, index: FileIndex, key_s: float, *, audio: bool = False) -> Iterator[TimedPacket]:
    """Packets of a freshly opened recording from the key frame at `key_s` (as the index names it) to the end."""
    if not index.regular:
        yield from _stamped(source, key_s, audio)
        return
    if key_s > 0:
        # Without an index, or with a broken one, the file is read from where it stands.
        with suppress(av.FFmpegError):
            source.seek(key_s)
    started = False
    early: list[TimedPacket] = []
    for packet in source.packets(audio=audio):
        timed = _timed(source, packet)
        if timed is None:
            continue
        if not started and timed.video and packet.is_keyframe and abs(timed.pts_s - key_s) < 1e-4:
            started = True
            yield timed
            # Sound that belongs to the key frame may be stored before it.
            yield from (sound for sound in early if sound.pts_s >= key_s)
            continue
        if not started and not timed.video:
            early.append(timed)
        if not started and timed.video and timed.dts_s > key_s + 1e-4:
            # The seek went past the key frame: read from the start after all.
            yield from _from_start(source, key_s, audio)
            return
        if started:
            yield timed


def _from_start(source: Source, key_s: float, audio: bool) -> Iterator[TimedPacket]:
    started = False
    with open_source(source.address, probe=False) as again:
        again.first_pts = source.first_pts
        for packet in again.packets(audio=audio):
            timed = _timed(again, packet)
            if timed is None:
                continue
            started = started or (timed.video and packet.is_keyframe and timed.pts_s > key_s - 1e-4)
            if started:
                yield timed


def _timed(source: Source, packet: av.Packet[Any]) -> TimedPacket | None:
    if packet.pts is None and packet.dts is None:
        return None
    first_s = float((source.first_pts or 0) * source.video.time_base)
    pts = packet.pts if packet.pts is not None else packet.dts
    dts = packet.dts if packet.dts is not None else packet.pts
    base = packet.time_base
    video = packet.stream_index == source.video.index
    return TimedPacket(packet, video, float((pts or 0) * base) - first_s, float((dts or 0) * base) - first_s)


def _stamped(source: Source, key_s: float, audio: bool) -> Iterator[TimedPacket]:
    stamper = Stamper(source.video.time_base, source.info.average_fps)
    started = False
    for packet in source.packets(audio=audio):
        video = packet.stream_index == source.video.index
        if video:
            stamper.stamp(packet)
        elif not stamper.stamp_other(packet):
            continue
        base = packet.time_base
        pts_s, dts_s = float((packet.pts or 0) * base), float((packet.dts or 0) * base)
        started = started or (video and packet.is_keyframe and pts_s >= key_s - 1e-4)
        if started:
            yield TimedPacket(packet, video, pts_s, dts_s)
