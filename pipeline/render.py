"""Renders footage that browsers cannot play as H.264, each second at most once.

A recording is rendered in chunks of `CHUNK_S` on its own time line, each encoded on its own; a clip is put together
from chunks. So clips over overlapping stretches share the work, and the bytes of a clip do not depend on which other
clips were made before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from pipeline.decode import full_picture
from pipeline.source import quarter_turn

CHUNK_S = 10.0
KEY_S = 2.0
"""A rendering can be entered every so many seconds."""
Pictures = Generator[tuple[av.VideoFrame, float], None, None]
"""Decoded pictures with their times in seconds from the beginning of their footage."""
NEAR_S = 1e-4
"""Times are rounded to the encoder's clock; two this close are the same."""
MAX_SIDE_PX = 1920
CACHE_BYTES = 48_000_000
THREADS = 2
"""Fixed, because x264's output depends on it."""
_BASE = Fraction(1, 90000)
_OPTIONS = {"preset": "veryfast", "crf": "23", "forced-idr": "1", "x264-params": "bframes=0:keyint=infinite:scenecut=0"}


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One rendered picture; `time_s` counts from the recording's first picture."""

    data: bytes
    time_s: float
    key: bool


class Renderer:
    """Renderings of one stretch of footage, chunk by chunk, the last ones kept.

    `pictures_from(time_s)` decodes from the key frame at or before a time on; `size` is that of the pictures as shown.
    """

    def __init__(self, size: tuple[int, int], pictures_from: Callable[[float], Pictures]) -> None:
        self._pictures_from = pictures_from
        self.size = rendered_size(*size)
        self._chunks: OrderedDict[int, list[EncodedPicture]] = OrderedDict()
        self._bytes = 0
        self.pictures_encoded = 0
        """How many pictures were encoded so far; sharing shows in it."""

    def pictures(
        self, from_s: float, to_s: float, progress: Callable[[float], None] | None = None
    ) -> Iterator[EncodedPicture]:
        """Rendered pictures from the entry point at or before `from_s` to just before `to_s`.

        Entry points lie every `KEY_S` seconds, so stretches that meet at a multiple of it meet without gap or overlap.
        """
        entry_s = int((max(0.0, from_s) + 1e-6) // KEY_S) * KEY_S
        number = int(entry_s // CHUNK_S)
        while number * CHUNK_S < to_s - NEAR_S:
            for picture in self._chunk(number):
                if entry_s - NEAR_S <= picture.time_s < to_s - NEAR_S:
                    yield picture
            number += 1
            if progress is not None:
                progress(min(1.0, (number * CHUNK_S - entry_s) / max(to_s - entry_s, KEY_S)))

    def _chunk(self, number: int) -> list[EncodedPicture]:
        if number not in self._chunks:
            self._keep(number, self._encode(number * CHUNK_S, (number + 1) * CHUNK_S))
        self._chunks.move_to_end(number)
        return self._chunks[number]

    def _keep(self, number: int, pictures: list[EncodedPicture]) -> None:
        self._chunks[number] = pictures
        self._bytes += sum(len(picture.data) for picture in pictures)
        while self._bytes > CACHE_BYTES and len(self._chunks) > 1:
            oldest = next(iter(self._chunks))
            self._bytes -= sum(len(picture.data) for picture in self._chunks.pop(oldest))

    def _encode(self, from_s: float, to_s: float) -> list[EncodedPicture]:
        encoder = _ChunkEncoder(self.size)
        with closing(self._pictures_from(from_s)) as pictures:
            for picture, time_s in pictures:
                if time_s >= to_s - 1e-6:
                    break
                if time_s >= from_s - 1e-6:
                    encoder.add(picture, time_s)
                    self.pictures_encoded += 1
        return encoder.finish() if encoder.begun else []


class _ChunkEncoder:
    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._scale = VideoReformatter()
        self._key_slot = -1
        self._out: list[EncodedPicture] = []
        self._context: Any = av.CodecContext.create("libx264", "w")
        self._context.width, self._context.height = size
        self._context.pix_fmt = "yuv420p"
        self._context.time_base = _BASE
        self._context.framerate = Fraction(25)
        self._context.thread_count = THREADS
        self._context.options = dict(_OPTIONS)

    @property
    def begun(self) -> bool:
        return self._key_slot >= 0

    def add(self, picture: av.VideoFrame, time_s: float) -> None:
        turn = quarter_turn(picture.rotation)
        source = av.VideoFrame.from_ndarray(full_picture(picture), "bgr24") if turn else picture
        frame = self._scale.reformat(source, *self._size, "yuv420p", dst_color_range="MPEG", threads=1)
        if frame is picture:
            frame = _duplicate(picture)
        slot = int((time_s + 1e-6) // KEY_S)
        frame.pict_type = PictureType.I if slot != self._key_slot else PictureType.NONE
        self._key_slot = slot
        frame.pts, frame.time_base = round(time_s / _BASE), _BASE
        self._take(self._context.encode(frame))

    def finish(self) -> list[EncodedPicture]:
        self._take(self._context.encode(None))
        return self._out

    def _take(self, packets: list[av.Packet[Any]]) -> None:
        for packet in packets:
            self._out.append(EncodedPicture(bytes(packet), float((packet.pts or 0) * _BASE), packet.is_keyframe))


def _duplicate(picture: av.VideoFrame) -> av.VideoFrame:
    """The decoder may still refer to its picture: what is to be changed is copied."""
    copy = av.VideoFrame.from_ndarray(picture.to_ndarray(), picture.format.name)
    copy.color_range = picture.color_range
    copy.colorspace = picture.colorspace
    return copy


def rendered_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Even sides, the longer at most `MAX_SIDE_PX`."""
    scale = min(1.0, MAX_SIDE_PX / max(width_px, height_px))
    return max(2, int(width_px * scale) // 2 * 2), max(2, int(height_px * scale) // 2 * 2)
