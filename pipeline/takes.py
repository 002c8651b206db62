"""Footage that clips and pictures are taken from: a recording on disk, or a stretch of a live camera's ring."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import av

from pipeline.errors import MediaError
from pipeline.index import FileIndex, TimedPacket, file_index, timed_packets
from pipeline.remux import Template
from pipeline.render import Pictures, Renderer
from pipeline.source import open_source
from pipeline.timeline import DisplayTimes, Timeline

THREADS = 2


class Take(Protocol):
    """Uninterrupted footage of one camera with one set of codec parameters.

    Times are seconds from its first picture, which stands at `start_s` of the camera's media time.
    """

    name: str
    start_s: float
    shared: bool
    """Its packets belong to others too and must not be changed."""

    @property
    def index(self) -> FileIndex: ...

    @property
    def template(self) -> Template: ...

    @property
    def renderer(self) -> Renderer: ...

    def packets(self, key_s: float) -> Iterator[TimedPacket]:
        """Video and sound from the key frame at `key_s` (one of the index) to the end."""
        ...

    def pictures(self, time_s: float) -> Pictures:
        """Decoded pictures from the key frame at or before `time_s` to the end; damaged ones are left out."""
        ...


class FileTake:
    """A recording on disk. Raises MediaError where it cannot be read."""

    shared = False

    def __init__(self, path: Path, start_s: float) -> None:
        self.path = path
        self.name = path.name
        self.start_s = start_s

    @property
    def index(self) -> FileIndex:
        return file_index(self.path)

    @cached_property
    def template(self) -> Template:
        with open_source(self.path) as source:
            return Template(
                source.video, source.audio,
                average_fps=source.info.average_fps, pixel_format=source.info.pixel_format,
            )  # fmt: skip

    @cached_property
    def renderer(self) -> Renderer:
        with open_source(self.path) as source:
            return Renderer((source.info.width_px, source.info.height_px), self.pictures)

    def packets(self, key_s: float) -> Iterator[TimedPacket]:
        with open_source(self.path) as source:
            yield from timed_packets(source, self.index, key_s, audio=True)

    def pictures(self, time_s: float) -> Pictures:
        index = self.index
        # Where timestamps are broken only a decoder that saw every picture places them as the analysis did.
        key_s = index.key_at(time_s) if index.regular else 0.0
        with open_source(self.path) as source:
            context = source.video.codec_context
            context.thread_type, context.thread_count = "AUTO", THREADS
            base = source.video.time_base
            zero = None if source.first_pts is None else source.first_pts + round(key_s / base)
            line = Timeline(base, source.info.average_fps, key_s, zero=zero)
            packets: Iterable[av.Packet[Any]] = source.packets()
            if index.regular:
                packets = (timed.packet for timed in timed_packets(source, index, key_s))
            yield from _decoded(context, packets, line, DisplayTimes(sort=source.info.decode_order_times))


class RingTake:
    """Packets of one connection of a live camera, whose timestamps are media time already."""

    shared = True

    def __init__(self, name: str, template: Template, packets: Sequence[TimedPacket]) -> None:
        """`packets` begin with a key frame; their times are seconds of media time."""
        if not packets:
            raise MediaError(f"{name}: nothing has been recorded yet.")
        self.name = name
        self.template = template
        self.start_s = packets[0].pts_s
        self._packets = [p._replace(pts_s=p.pts_s - self.start_s, dts_s=p.dts_s - self.start_s) for p in packets]
        self._keys = [(p.pts_s, i) for i, p in enumerate(self._packets) if p.video and p.packet.is_keyframe]
        end = max(p.pts_s for p in self._packets if p.video) + template.step_s
        self.index = FileIndex(True, tuple(time for time, _ in self._keys), end)

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer((self.template.width_px, self.template.height_px), self.pictures)

    def packets(self, key_s: float) -> Iterator[TimedPacket]:
        at = bisect_left(self._keys, (key_s - 1e-6, 0))
        yield from self._packets[self._keys[min(at, len(self._keys) - 1)][1] :]

    def pictures(self, time_s: float) -> Pictures:
        context = self.template.decoder()
        context.thread_type, context.thread_count = "AUTO", THREADS
        line = Timeline(
            self.template.time_base, 1 / self.template.step_s, 0.0, zero=round(self.start_s / self.template.time_base)
        )
        packets = (timed.packet for timed in self.packets(self.index.key_at(time_s)) if timed.video)
        yield from _decoded(context, packets, line, DisplayTimes(sort=False))


def _decoded(context: Any, packets: Iterable[av.Packet[Any]], line: Timeline, times: DisplayTimes) -> Pictures:
    def decode(packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return list(context.decode(packet))
        except av.FFmpegError:
            return []

    for packet in packets:
        times.sent(packet)
        for picture in decode(packet):
            yield picture, line.place(times.of(picture))
    for picture in decode(None):
        yield picture, line.place(times.of(picture))
