"""Opens what a camera gives: a recording, a stream or a capture device, as compressed packets.

FFmpeg's own messages never reach the user: they name addresses with passwords and speak of internals. Every refusal is
a `MediaError` of one sentence.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.stream import Disposition

from pipeline.address import mask_text, mask_url, source_kind
from pipeline.errors import MediaError, StreamLostError
from pipeline.refusals import check_file, check_format, check_size, reason

__all__ = ["Source", "StreamInfo", "mask_text", "mask_url", "open_source", "source_kind"]

READ_ERRORS_IN_A_ROW = 20
"""Damaged stretches of a file that are skipped one after another before the rest counts as lost."""

PROBE_PACKETS = 600
"""Packets searched for a recording's first picture."""

_NO_DISPLAY_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo"}
"""Containers whose packets say when they are decoded, not when they are shown."""

_NO_CLOCK = {"mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo"}
"""Formats without any timestamps: live, a picture's time is when it comes."""

_HTTP = "http,https,tcp,tls,crypto,httpproxy"
_RTSP = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https"
_RTMP = "rtmp,rtmps,tcp,tls"
_PROTOCOLS = {
    "file": "file",
    "http": _HTTP,
    "https": _HTTP,
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "rtmp": _RTMP,
    "rtmps": _RTMP,
    "srt": "srt,udp",
    "udp": "udp,rtp",
}
"""What FFmpeg may open on behalf of a source: a playlist or a redirect that names a local file, or speaks to anything
else than a server of streams, stays powerless."""

_HTTP_FORMATS = (
    "mpjpeg,mjpeg,mjpeg_2000,jpeg_pipe,mpegts,mpeg,mov,mp4,flv,live_flv,matroska,webm,avi,asf,ogg,nut,ivf,obu,av1,h264,"
    "hevc,vvc,m4v,mpegvideo,dhav"
)
"""What a camera may answer with over HTTP: pictures, not lists that make this machine ask other servers."""
_PLAYLIST = ".m3u8"
"""Ends the path of a source that is meant to be a list (HLS)."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a source is, as far as it says."""

    width_px: int
    height_px: int
    """Size of the picture as shown: after the rotation that the container asks for."""
    codec: str
    duration_s: float | None
    creation_time: datetime | None
    """UTC, from the container; None where it says nothing believable."""
    average_fps: float | None
    has_audio: bool
    audio_codec: str | None = None
    pixel_format: str | None = None
    container: str = ""
    decode_order_times: bool = False
    """The container stores no display times although pictures are reordered (AVI with B-frames)."""
    rotation: int = 0
    """Degrees counterclockwise by which a decoded picture is turned before it is shown: 0, 90, 180 or -90."""


class Source:
    """One open recording, stream or device. Made by `open_source`; also a context manager.

    One thread reads `packets()`. `close()` may be called from any thread: a read that is under way ends first (at the
    latest after the read time-out), and the file is closed by whoever of the two comes last.
    """

    def __init__(self, address: str | Path, container: Any, *, live: bool, read_timeout_s: float) -> None:
        self.name = mask_url(address)
        self.live = live
        self.address = address
        self.container = container
        self.read_errors = 0
        self.read_timeout_s = read_timeout_s
        self.video = _video_stream(container, self.name)
        self.audio = container.streams.audio[0] if container.streams.audio else None
        check_size(self.video.codec_context.width, self.video.codec_context.height, self.name)
        self.first_pts: int | None = None
        """Timestamp of the first picture in `video.time_base`; None for live sources and where files have none."""
        self.info = _describe(container, self.video, self.audio)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reading = False

    @property
    def has_clock(self) -> bool:
        """Whether packets bring timestamps of their own."""
        return self.info.container not in _NO_CLOCK

    def packets(self, *, audio: bool = False) -> Iterator[av.Packet[Any]]:
        """Compressed packets in the order of the file; with `audio` also those of the first audio stream.

        A damaged stretch of a recording is skipped and counted in `read_errors`. Raises StreamLostError where a live
        stream ends, falls silent for the read time-out or breaks; ends quietly after `close()`.
        """
        streams = [self.video] + ([self.audio] if audio and self.audio is not None else [])
        failed = 0
        while self._begin():
            ended = False
            try:
                for packet in _demuxed(self.container, *streams):
                    if self._closing.is_set():
                        return
                    if packet.size:
                        failed = 0
                        yield packet
                ended = True
            except av.FFmpegError as error:
                if self._closing.is_set():
                    return
                if self.live:
                    raise StreamLostError(reason(error, self.name, self.address, live=True)) from None
                self.read_errors += 1
                failed += 1
                ended = failed >= READ_ERRORS_IN_A_ROW
            finally:
                self._end()
            if ended:
                if self.live:
                    raise StreamLostError(f"{self.name}: the stream ended.")
                return

    def seek(self, media_time_s: float) -> None:
        """Goes to the key frame at or before a time counted from the first picture. Not while `packets()` is read."""
        first = self.first_pts or 0
        target = first + math.floor((media_time_s + 0.001) / self.video.time_base)
        self.container.seek(target, stream=self.video, backward=True)

    def close(self) -> None:
        """Closes the source; twice does no harm."""
        with self._lock:
            self._closing.set()
            if not self._reading:
                self.container.close()

    def _begin(self) -> bool:
        with self._lock:
            self._reading = not self._closing.is_set()
            return self._reading

    def _end(self) -> None:
        with self._lock:
            self._reading = False
            if self._closing.is_set():
                self.container.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_source(
    address: str | Path,
    *,
    read_timeout_s: float = 10.0,
    open_timeout_s: float | None = None,
    rtsp_transport: str = "tcp",
    tls_verify: bool = False,
    probe: bool = True,
) -> Source:
    """Opens a file, an RTSP(S)/HTTP(S)/RTMP/SRT URL or a capture device.

    A file is opened only if a picture can be decoded from it (`probe=False` leaves that out: faster, for a file known
    to be good). `tls_verify` makes RTSPS and HTTPS check the certificate. Raises MediaError with one sentence;
    StreamLostError, which is one, where another attempt may succeed.
    """
    kind = source_kind(address)
    name = mask_url(address)
    live = kind != "file"
    if kind == "file":
        address = check_file(address)
    options = _options(str(address), kind, read_timeout_s, rtsp_transport, tls_verify)
    timeout = (open_timeout_s or max(read_timeout_s, 5.0), read_timeout_s) if live else None
    try:
        container = av.open(
            str(address), format="v4l2" if kind == "device" else None, options=options, timeout=timeout,
            metadata_errors="replace",
        )  # fmt: skip
    except (av.FFmpegError, ValueError) as error:
        failure = StreamLostError if live else MediaError
        raise failure(reason(error, name, address, live=live)) from None
    try:
        check_format(container.format.name, name, lists=live)
        source = Source(address, container, live=live, read_timeout_s=read_timeout_s)
        if not live:
            _find_first_picture(source, options, needed=probe)
    except BaseException:
        container.close()
        raise
    return source


def _options(address: str, kind: str, read_timeout_s: float, rtsp_transport: str, tls_verify: bool) -> dict[str, str]:
    scheme = address.partition("://")[0].lower() if kind == "url" else "file"
    if kind == "device":
        return {}
    if scheme not in _PROTOCOLS:
        raise MediaError(
            f"{mask_url(address)}: expected a file, /dev/video* or a URL that begins with rtsp, rtsps, http, https, "
            f"rtmp, srt or udp, but found {scheme}://."
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme]}
    if scheme in ("http", "https"):
        path = address.partition("#")[0].partition("?")[0].lower()
        options["format_whitelist"] = f"hls,{_HTTP_FORMATS}" if path.endswith(_PLAYLIST) else _HTTP_FORMATS
    if scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": rtsp_transport, "timeout": str(int(read_timeout_s * 1e6))}
    if tls_verify and scheme in ("rtsps", "https"):
        options["tls_verify"] = "1"
    return options


def _demuxed(container: Any, *streams: Any) -> Iterator[av.Packet[Any]]:
    """The packets of some streams.

    PyAV stumbles at the end over a stream that only the middle of a damaged file announced.
    """
    with suppress(IndexError):
        yield from container.demux(*streams)


def _video_stream(container: Any, name: str) -> Any:
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise MediaError(f"{name}: the video is in a format that this build cannot decode.")
        return stream
    if container.streams.audio:
        raise MediaError(f"{name}: holds sound but no video.")
    raise MediaError(f"{name}: holds no video.")


def _describe(container: Any, video: Any, audio: Any) -> StreamInfo:
    context = video.codec_context
    duration: float | None = None
    if video.duration and video.time_base:
        duration = float(video.duration * video.time_base)
    elif container.duration:
        duration = container.duration / av.time_base
    return StreamInfo(
        width_px=context.width,
        height_px=context.height,
        codec=context.codec.canonical_name,
        duration_s=duration if duration and duration > 0 else None,
        creation_time=_creation_time(container.metadata.get("creation_time")),
        average_fps=_average_fps(_fps(video.average_rate), _fps(video.guessed_rate)),
        has_audio=audio is not None,
        audio_codec=audio.codec_context.codec.canonical_name
        if audio is not None and audio.codec_context is not None
        else None,
        pixel_format=context.pix_fmt,
        container=container.format.name,
    )


def _average_fps(average: float | None, guessed: float | None) -> float | None:
    """The average, unless one broken timestamp has spoilt it."""
    if average is not None and average < 1 and guessed is not None and guessed >= 1:
        return guessed
    return average or guessed


def _fps(rate: Fraction | None) -> float | None:
    """A believable frame rate; containers also offer their clock's (90000, 1000) or nothing."""
    return float(rate) if rate and 0.01 < rate <= 480 else None


def _creation_time(text: str | None) -> datetime | None:
    """UTC. Zero and other placeholders of cameras without a clock (1904, 1970, 2000-01-01) count as nothing."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment if moment > datetime(2000, 1, 2, tzinfo=UTC) else None


def _find_first_picture(source: Source, options: dict[str, str], *, needed: bool) -> None:
    """Decodes a recording's first picture on a second handle: its timestamp, real size and rotation."""
    if not needed:
        return
    frame = None
    last_error: Exception | None = None
    with av.open(str(source.address), options=options, metadata_errors="replace") as container:
        stream = next((one for one in container.streams.video if one.index == source.video.index), None)
        if stream is None:
            raise MediaError(f"{source.name}: is damaged: what it holds cannot be told.")
        try:
            for count, packet in enumerate(_demuxed(container, stream)):
                try:
                    frame = next(iter(packet.decode()), None)
                except av.FFmpegError as error:
                    last_error = error
                if frame is not None or count >= PROBE_PACKETS:
                    break
        except av.FFmpegError as error:
            last_error = error
        if frame is None:
            why = "no picture in it can be decoded" if last_error else "it holds no pictures"
            raise MediaError(f"{source.name}: {why}.")
        _adopt(source, frame, reordered=bool(stream.codec_context.has_b_frames))


def _adopt(source: Source, frame: av.VideoFrame, *, reordered: bool) -> None:
    check_size(frame.width, frame.height, source.name)
    rotation = quarter_turn(frame.rotation)
    width, height = (frame.height, frame.width) if rotation in (90, -90) else (frame.width, frame.height)
    source.first_pts = frame.pts
    source.info = replace(
        source.info, width_px=width, height_px=height, pixel_format=frame.format.name, rotation=rotation,
        decode_order_times=reordered and source.info.container in _NO_DISPLAY_TIMES,
    )  # fmt: skip


def quarter_turn(degrees: int) -> int:
    """The nearest of 0, 90, 180 and -90 degrees."""
    turn = round(degrees / 90) % 4
    return -90 if turn == 3 else turn * 90
