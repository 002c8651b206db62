"""Packets -> Frame: decodes every picture, converts only those that are analysed, straight to analysis size."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.source import StreamInfo, quarter_turn
from pipeline.timeline import DisplayTimes, Timeline
from pipeline.types import Frame, Image

LUMA_PX = 320
"""Longer side of the grey plane that the motion gate looks at."""
SLOT_TOLERANCE_S = 0.001
DAMAGE_STEP_S = 1.0
DAMAGE_KEPT = 10_000
COMB = 20
"""Grey levels by which a line of the other field stands out from both its neighbours where something moved."""
FILTER = Interpolation.AREA
"""Area averaging keeps small figures whole and is the cheapest of swscale's filters when shrinking."""

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, -90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180}


class DecodableSource(Protocol):
    """What a decoder needs of a source: its video stream, what it says of itself, and the timestamp of `start_s`."""

    @property
    def video(self) -> Any: ...

    @property
    def info(self) -> StreamInfo: ...

    @property
    def first_pts(self) -> int | None: ...


@dataclass(slots=True)
class DecodeCounts:
    """What became of the pictures of one source."""

    read: int = 0
    """Pictures decoded."""
    analysed: int = 0
    decode_errors: int = 0
    """Packets that the decoder refused, and pictures that it marked as damaged."""
    skipped: int = 0
    """Pictures that were not decoded because the decoder was told to skip them."""
    irregular_times: int = 0
    """Pictures whose timestamp was missing, repeated or ran backwards, placed by the average rate."""


class Decoder:
    """Makes the analysed frames of one source, or of one recording of a camera's several.

    `analyse_fps`: analysed frame k is the first whose media time is at least k / analyse_fps (1 ms tolerance; slots
    already past are skipped); None takes every frame. `analysis_size`: (width, height) of `Frame.image` in pixels, of
    the picture as shown. `start_s`: media time of this source's first picture, where it continues a time line;
    `first_index`: index of its first analysed frame; `wall_start`: UTC of media time 0, or None; live, `wall_clock`
    gives the UTC of any media time instead. `threads`: of the decoder; more than one delays a live picture.
    """

    def __init__(
        self,
        source: DecodableSource,
        *,
        analyse_fps: float | None,
        analysis_size: tuple[int, int],
        start_s: float = 0.0,
        wall_start: datetime | None = None,
        first_index: int = 0,
        threads: int = 1,
        wall_clock: Callable[[float], datetime] | None = None,
    ) -> None:
        if analyse_fps is not None and not analyse_fps > 0:
            raise ValueError(f"analyse_fps must be above 0 or None, but got {analyse_fps}")
        self.counts = DecodeCounts()
        self.next_index = first_index
        self.last_time_s: float | None = None
        """Media time of the last picture decoded."""
        self.damaged_s: deque[float] = deque(maxlen=DAMAGE_KEPT)
        """Media times near which something could not be decoded, about a second apart; the newest ones."""
        self._start_s = start_s
        self._rate = analyse_fps
        self._slot = math.ceil((start_s - SLOT_TOLERANCE_S) * analyse_fps) if analyse_fps else 0
        self._wall_clock = wall_clock
        if wall_clock is None and wall_start is not None:
            self._wall_clock = lambda media_time_s: wall_start + timedelta(seconds=media_time_s)
        self._convert = Converter(analysis_size)
        self._timeline = Timeline(source.video.time_base, source.info.average_fps, start_s, source.first_pts)
        self._skipping = False
        self._times = DisplayTimes(sort=source.info.decode_order_times)
        self._context = source.video.codec_context
        self._index = source.video.index
        if not self._context.is_open:
            self._context.thread_type = "AUTO"
            self._context.thread_count = threads

    @property
    def step_s(self) -> float:
        """Seconds from one picture to the next on average."""
        return self._timeline.step_s

    def skip(self, what: Literal["nothing", "non-reference", "all but key frames"]) -> None:
        """From the next packet on leaves pictures undecoded, which saves time where nothing happens.

        Only for streams whose pictures may be missed: those that are analysed are then the first *decoded* ones at or
        after their slots. What is skipped is counted.
        """
        self._skipping = what != "nothing"
        self._context.skip_frame = {"nothing": "DEFAULT", "non-reference": "NONREF"}.get(what, "NONKEY")

    def frames(self, packets: Iterable[av.Packet[Any]]) -> Iterator[Frame]:
        """The analysed frames in order of presentation. Packets that cannot be decoded are counted, not raised."""
        for picture, media_time_s in self.pictures(packets):
            if self._due(media_time_s):
                yield self._frame(picture, media_time_s)

    def pictures(self, packets: Iterable[av.Packet[Any]]) -> Iterator[tuple[av.VideoFrame, float]]:
        """Every decoded picture with its media time, unconverted."""
        for packet in packets:
            if packet.stream_index == self._index:
                yield from self._decoded(packet)
        yield from self._decoded(None)

    def _decoded(self, packet: av.Packet[Any] | None) -> Iterator[tuple[av.VideoFrame, float]]:
        if packet is not None:
            self._times.sent(packet)
        try:
            pictures = self._context.decode(packet)
        except av.FFmpegError as error:
            if not isinstance(error, av.error.EOFError):
                self.counts.decode_errors += 1
                self._damaged()
            return
        if self._skipping:
            self.counts.skipped += (packet is not None) - len(pictures)
        for picture in pictures:
            self.counts.read += 1
            self.counts.decode_errors += picture.is_corrupt
            self.last_time_s = self._timeline.place(self._times.of(picture))
            self.counts.irregular_times = self._timeline.irregular
            if picture.is_corrupt:
                self._damaged()
            yield picture, self.last_time_s

    def _damaged(self) -> None:
        time_s = self._start_s if self.last_time_s is None else self.last_time_s
        if not self.damaged_s or time_s - self.damaged_s[-1] > DAMAGE_STEP_S:
            self.damaged_s.append(time_s)

    def _due(self, media_time_s: float) -> bool:
        if self._rate is None:
            return True
        reached = (media_time_s + SLOT_TOLERANCE_S) * self._rate
        if reached < self._slot:
            return False
        self._slot = math.floor(reached) + 1
        return True

    def _frame(self, picture: av.VideoFrame, media_time_s: float) -> Frame:
        turned = quarter_turn(picture.rotation) in (90, -90)
        frame = Frame(
            index=self.next_index,
            media_time_s=media_time_s,
            wall_time=self._wall_clock(media_time_s) if self._wall_clock else None,
            image=partial(self._convert.image, picture),
            luma=self._convert.luma(picture),
            width_px=picture.height if turned else picture.width,
            height_px=picture.width if turned else picture.height,
        )
        self.next_index += 1
        self.counts.analysed += 1
        return frame


class Converter:
    """Decoded picture -> BGR image at analysis size, and small grey plane, both rotated as the container asks."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._grey = VideoReformatter()
        self._local = threading.local()

    def image(self, picture: av.VideoFrame) -> Image:
        """For any thread: whoever looks at the picture converts it."""
        colour: VideoReformatter | None = getattr(self._local, "colour", None)
        if colour is None:
            # A reformatter keeps the scaler it set up, and is for one thread.
            colour = self._local.colour = VideoReformatter()
        turn = quarter_turn(picture.rotation)
        return turned(_scaled(colour, picture, _swapped(self._size, turn), "bgr24"), turn)

    def luma(self, picture: av.VideoFrame) -> Image:
        """For one thread at a time."""
        size = luma_size(picture.width, picture.height)
        return turned(_scaled(self._grey, picture, size, "gray"), quarter_turn(picture.rotation))


def luma_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Size (width, height) of the grey plane: longer side `LUMA_PX`, or the picture's own where it is smaller."""
    scale = min(1.0, LUMA_PX / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def full_picture(picture: av.VideoFrame) -> Image:
    """BGR (height, width, 3) at full size, rotated as shown, without combs where two fields of a moving thing meet."""
    image = _scaled(VideoReformatter(), picture, (picture.width, picture.height), "bgr24")
    if picture.interlaced_frame:
        image = _combed_out(image)
    return turned(image, quarter_turn(picture.rotation))


def _combed_out(image: Image) -> Image:
    """Replaces every second line where it differs from both its neighbours in the same direction, and only there.

    So still parts, a number plate say, keep all their lines. Analysis needs none of this: shrinking averages fields.
    """
    lines = image[: image.shape[0] // 2 * 2 - 1].astype(np.int32)
    above, here, below = lines[:-1:2], lines[1::2], lines[2::2]
    stands_out = np.any((above - here) * (below - here) > COMB**2, axis=2)
    comb = cv2.dilate(np.asarray(stands_out, np.uint8), np.ones((3, 3), np.uint8))
    smooth = image.copy()
    smooth[1 : lines.shape[0] : 2] = np.where(comb[..., None] > 0, (above + below) // 2, here)
    return smooth


def turned(image: Image, degrees: int) -> Image:
    """The image turned counterclockwise by 0, 90, 180 or -90 degrees."""
    return np.asarray(cv2.rotate(image, _TURNS[degrees]), np.uint8) if degrees else image


def _swapped(size: tuple[int, int], degrees: int) -> tuple[int, int]:
    return (size[1], size[0]) if degrees in (90, -90) else size


def _scaled(reformatter: VideoReformatter, picture: av.VideoFrame, size: tuple[int, int], pixels: str) -> Image:
    # One thread, so that the caller decides how many cores are busy.
    small = reformatter.reformat(picture, *size, pixels, interpolation=FILTER, threads=1)
    return np.asarray(small.to_ndarray(), np.uint8)
