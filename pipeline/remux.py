"""Writes compressed packets into a new file, untouched: copies that end atomically and are the same each time."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import Flags

from pipeline.errors import MediaError
from pipeline.index import TimedPacket

PLAYABLE_AUDIO = ("aac", "mp3", "opus")
_PLAYABLE_PIXELS = ("yuv420p", "yuvj420p")


class Template:
    """Codec parameters of a source, kept so that they outlive it."""

    def __init__(self, video: Any, audio: Any | None, *, average_fps: float | None, pixel_format: str | None) -> None:
        # A stream of a closed container must not be touched: the parameters are copied into one that stays open.
        self._holder = av.open(io.BytesIO(), "w", format="matroska")
        self.video = self._holder.add_stream_from_template(video, opaque=True)
        self.codec = str(video.codec_context.codec.canonical_name)
        self._decoder = str(video.codec_context.name)
        self.width_px, self.height_px = int(video.codec_context.width), int(video.codec_context.height)
        self.step_s = 1.0 / (average_fps or 25.0)
        self.time_base = video.time_base
        self.pixel_format = pixel_format
        self.audio_codec: str | None = None
        self.audio: Any | None = None
        # A stream without a rate is a damaged file's invention, and no container takes it.
        if audio is not None and audio.codec_context is not None and audio.codec_context.sample_rate > 0:
            self.audio_codec = str(audio.codec_context.codec.canonical_name)
            try:
                self.audio = self._holder.add_stream_from_template(audio, opaque=True)
            except ValueError:
                self.audio = None  # A codec that no container of ours takes.
        self.key = (
            self.codec, self.width_px, self.height_px, pixel_format, bytes(video.codec_context.extradata or b""),
            self.audio_codec,
        )  # fmt: skip
        """Equal for sources whose packets may follow one another in one file."""

    def decoder(self) -> Any:
        """A fresh decoder for packets of this kind."""
        context: Any = av.CodecContext.create(self._decoder, "r")
        context.width, context.height = self.width_px, self.height_px
        extradata = self.key[4]
        if extradata:
            context.extradata = extradata
        return context

    @property
    def plays_in_browsers(self) -> bool:
        """H.264 in 8 bit 4:2:0, or AV1."""
        if self.codec == "av1":
            return True
        return self.codec == "h264" and self.pixel_format in _PLAYABLE_PIXELS

    @property
    def audio_plays(self) -> bool:
        return self.audio is not None and self.audio_codec in PLAYABLE_AUDIO


@dataclass(frozen=True, slots=True)
class Written:
    """What a copied file holds, in seconds of media time."""

    from_s: float
    to_s: float
    """Where the last picture's display ends."""
    pictures: int


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except av.FFmpegError as error:
        raise MediaError(f"{path}: cannot be written: {(error.strerror or 'unknown reason').rstrip('.')}.") from None
    except OSError as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def open_output(path: Path | io.BytesIO, form: str, metadata: Mapping[str, str]) -> Any:
    """An output container whose bytes depend on nothing but what is put in."""
    options = {"movflags": "+faststart"} if form == "mp4" else {}
    file = path if isinstance(path, io.BytesIO) else str(path)
    output: Any = av.open(file, "w", format=form, options=options)
    output.flags |= Flags.bitexact.value
    output.metadata.update(metadata)
    return output


def copy_packets(
    output: Any, template: Template, packets: Iterable[TimedPacket], *, sound: bool, keep_packets: bool = False
) -> Written | None:
    """Copies packets, the first of which is a key frame, into an output whose time then starts at 0.

    Pictures that come after the first in the file but before it in time cannot be decoded and are left out.
    `keep_packets` copies each packet before it is changed (for packets that others use too). None: nothing to write.
    """
    video = output.add_stream_from_template(template.video, opaque=True)
    video.time_base = template.time_base
    audio = output.add_stream_from_template(template.audio, opaque=True) if sound and template.audio else None
    start: float | None = None
    end = 0.0
    pictures = 0
    lasts: dict[int, int] = {}
    for packet, is_video, pts_s, dts_s in packets:
        if start is None:
            if not is_video:
                continue
            start = pts_s
        if pts_s < start - 1e-6 or (not is_video and audio is None):
            continue
        target: Any = video if is_video else audio
        base = packet.time_base
        fresh = copy_of(packet) if keep_packets else packet
        fresh.pts, fresh.dts = round((pts_s - start) / base), round((dts_s - start) / base)
        if target.index in lasts and fresh.dts <= lasts[target.index]:
            fresh.dts = lasts[target.index] + 1
        fresh.pts = max(fresh.pts, fresh.dts)
        lasts[target.index] = fresh.dts
        if is_video and not fresh.duration:
            # Without it MP4 gives the last picture no time, and players leave it out.
            fresh.duration = max(1, round(template.step_s / base))
        fresh.stream = target
        output.mux(fresh)
        if is_video:
            pictures += 1
            end = max(end, pts_s)
    return None if start is None else Written(start, end + template.step_s, pictures)


def copy_of(packet: av.Packet[Any]) -> av.Packet[Any]:
    copy: av.Packet[Any] = av.Packet(bytes(packet))
    copy.time_base = packet.time_base
    copy.duration = packet.duration
    copy.is_keyframe = packet.is_keyframe
    return copy


def write_copy(
    path: Path, template: Template, packets: Iterable[TimedPacket], *, metadata: Mapping[str, str], shared: bool = False
) -> Written:
    """Stream copy to `path`: MP4 with its index in front, or Matroska for whatever MP4 or browsers do not take.

    `shared`: the packets belong to others too and are not to be changed. Raises MediaError.
    """
    form = "mp4" if path.suffix == ".mp4" else "matroska"
    sound = template.audio_plays if form == "mp4" else template.audio is not None
    with finished_file(path) as temporary:
        output = open_output(temporary, form, metadata)
        try:
            written = copy_packets(output, template, packets, sound=sound, keep_packets=shared)
            if written is None:
                raise MediaError(f"{path}: there is no footage to cut this clip from.")
        except BaseException:
            abandon(output)
            raise
        output.close()
    return written


def abandon(output: Any) -> None:
    """Closes an output whose content is not wanted any more."""
    with suppress(av.FFmpegError, ValueError):  # What went wrong is on its way to the caller.
        output.close()


def up_to(packets: Iterable[TimedPacket], end_s: float) -> Iterator[TimedPacket]:
    """The packets needed to show everything up to `end_s`, without holes, however the pictures are reordered.

    Where a picture after the end is needed to decode one before it, the clip goes on to that picture.
    """
    limit = end_s
    held: list[TimedPacket] = []
    for packet in packets:
        if not packet.video:
            if packet.pts_s <= limit:
                yield packet
            continue
        if packet.dts_s > limit + 1e-6:
            # Sound is stored a little behind the pictures in many files; a second more of reading collects it.
            if packet.dts_s > limit + 1.0:
                return
            continue
        held.append(packet)
        if packet.pts_s <= limit + 1e-6:
            limit = max(limit, max(one.pts_s for one in held))
            yield from held
            held.clear()
