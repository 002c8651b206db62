"""A live camera that stays: connects, reads, and connects again after growing, jittered pauses; it never gives up."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import av

from pipeline.decode import Decoder
from pipeline.errors import MediaError
from pipeline.index import TimedPacket
from pipeline.remux import Template
from pipeline.source import Source, StreamInfo, mask_url, open_source
from pipeline.timeline import Stamper
from pipeline.types import Frame

QUEUE_PACKETS = 1024
STEADY_S = 30.0
"""A connection that held this long starts the pauses anew."""
CREEP = 0.001
"""How fast (s per s) the estimate of the network's delay may grow; shrinks at once. More than any clock drifts."""
STEP_S = 2.0
"""A camera's clock that is off the wall clock by more than this was set, and is followed at once."""


class PacketSink(Protocol):
    """Who wants every packet as it comes: the recorder."""

    def connected(self, template: Template) -> None: ...

    def add(self, packet: TimedPacket) -> None: ...

    def lost(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a live camera is doing."""

    connected: bool = False
    reason: str | None = None
    """Why there is no picture, in one sentence without credentials; None while connected."""
    connections: int = 0
    failures: int = 0
    """Attempts that failed, and connections that broke."""
    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    """Video packets that nobody fetched in time, up to the next key frame each time."""
    time_jumps: int = 0
    """Timestamps that were missing, repeated or leapt, and were mended."""


class Connection:
    """One connection of a live camera. `Decoder` takes it for a source.

    The timestamps of its packets are media time of the run (`pts x time base`), which goes on over reconnects.
    """

    def __init__(self, source: Source, start_s: float) -> None:
        self.source = source
        self.name = source.name
        self.info: StreamInfo = source.info
        self.video, self.audio = source.video, source.audio
        self.first_pts = 0
        """The timestamp of media time 0."""
        self.start_s = start_s
        """Media time of its first picture."""
        self._packets: deque[av.Packet[Any]] = deque()
        self._change = threading.Condition()
        self._over = False

    def packets(self, *, audio: bool = False) -> Iterator[av.Packet[Any]]:
        """Packets as they come, from a key frame on; ends when the connection does."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._packets or self._over)
                if not self._packets:
                    return
                packet = self._packets.popleft()
                self._change.notify_all()
            if audio or packet.stream_index == self.video.index:
                yield packet

    def put(self, packet: av.Packet[Any], wait: bool) -> bool:
        """Hands a packet to whoever reads; False where there is no room, or nobody reads any more."""
        with self._change:
            if wait:
                self._change.wait_for(lambda: self._over or len(self._packets) < QUEUE_PACKETS)
            if self._over or len(self._packets) >= QUEUE_PACKETS:
                return False
            self._packets.append(packet)
            self._change.notify_all()
            return True

    def end(self, *, forget: bool = False) -> None:
        """No more packets come: `packets()` ends with those that wait, or at once with `forget`."""
        with self._change:
            self._over = True
            if forget:
                self._packets.clear()
            self._change.notify_all()


class LiveSource:
    """Keeps a live camera connected. `start()`, then read `connections()` in one thread; `close()` from any.

    A stream that ends, breaks, or stays silent for `read_timeout_s` is connected to again after a pause that doubles
    from `first_pause_s` to `longest_pause_s`, shortened at random by up to half, so that the cameras of a site do not
    come back all at once. `recorder` gets every packet, whether or not the analysis keeps up. With `lossless` the
    reader waits for whoever reads `connections()` instead of dropping to the next key frame.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        read_timeout_s: float = 10.0,
        rtsp_transport: str = "tcp",
        tls_verify: bool = False,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 30.0,
        recorder: PacketSink | None = None,
        lossless: bool = False,
        opener: Callable[[], Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
        on_status: Callable[[LiveStatus], None] | None = None,
    ) -> None:
        self.name = mask_url(address)
        self._open = opener or (
            lambda: open_source(
                address, read_timeout_s=read_timeout_s, rtsp_transport=rtsp_transport, tls_verify=tls_verify
            )
        )
        self._first_pause_s, self._longest_pause_s = first_pause_s, longest_pause_s
        self._recorder, self._lossless = recorder, lossless
        self._clock, self._wall, self._jitter, self._on_status = clock, wall, jitter, on_status
        self._status = LiveStatus()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ready: queue.Queue[Connection | None] = queue.Queue()
        self._current: Connection | None = None
        self._fetched: Connection | None = None
        self._zero = 0.0
        self._last_s: float | None = None
        self._offset_s: float | None = None
        self._offset_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"read {self.name}", daemon=True)

    @property
    def status(self) -> LiveStatus:
        return self._status

    def start(self) -> LiveSource:
        """Begins to connect; media time counts from the first picture."""
        self._thread.start()
        return self

    def connections(self) -> Iterator[Connection]:
        """Each connection as it comes about, until `close()`. Read the packets of one before asking for the next."""
        while (connection := self._ready.get()) is not None:
            try:
                with self._lock:
                    self._fetched = connection
                if not self._closing.is_set():
                    yield connection
            finally:
                connection.source.close()

    def wall_time(self, media_time_s: float) -> datetime:
        """UTC of a media time, by when packets arrived: follows the wall clock where the camera's clock drifts."""
        with self._lock:
            offset = self._offset_s
        if offset is None:
            return self._wall()
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=offset + media_time_s)

    def close(self, wait_s: float = 1.0) -> None:
        """Ends `connections()` at once. A read that is under way ends by itself within the time-out."""
        self._closing.set()
        with self._lock:
            open_ones = [one for one in (self._current, self._fetched) if one is not None]
        for connection in open_ones:
            connection.end(forget=True)
        self._ready.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(wait_s)

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while not self._closing.is_set():
            began = self._clock()
            reason = self._connect_and_read()
            if self._closing.is_set():
                break
            self._tell(connected=False, reason=reason, failures=self._status.failures + 1)
            if self._clock() - began > STEADY_S:
                pause_s = self._first_pause_s
            self._closing.wait(pause_s * (1.0 - 0.5 * self._jitter()))
            pause_s = min(pause_s * 2, self._longest_pause_s)

    def _connect_and_read(self) -> str:
        """Reads one connection to its end; returns why it ended."""
        try:
            source = self._open()
        except MediaError as error:
            return str(error)
        try:
            self._read(source)
        except MediaError as error:
            return str(error)
        finally:
            self._end(source)
        return f"{self.name}: the stream ended."

    def _read(self, source: Source) -> None:
        """Reads until the stream ends; whoever took the connection closes the source."""
        stamper: Stamper | None = None
        skipping = False
        connection: Connection | None = None
        before = self._clock()
        for packet in source.packets(audio=True):
            if self._closing.is_set():
                return
            now = self._clock()
            video = packet.stream_index == source.video.index
            if stamper is None or connection is None:
                if not (video and packet.is_keyframe):
                    continue
                connection, stamper = self._begin(source)
            if video:
                if not source.has_clock:
                    packet.pts = packet.dts = None  # FFmpeg made them up, from a frame rate that it made up.
                stamper.stamp(packet, now - before)
                before = now
            elif not stamper.stamp_other(packet):
                continue
            timed = self._note(packet, video, now, stamper.irregular)
            if self._recorder is not None:
                self._recorder.add(timed)
            skipping = skipping and not (video and packet.is_keyframe)
            if skipping or not connection.put(packet, self._lossless):
                skipping = True
                self._tell(dropped=self._status.dropped + video)

    def _begin(self, source: Source) -> tuple[Connection, Stamper]:
        start_s = self._clock() - self._zero
        if self._last_s is None:
            start_s, self._zero = 0.0, self._clock()
        else:
            start_s = max(start_s, self._last_s + 1.0 / (source.info.average_fps or 25.0))
        connection = Connection(source, start_s)
        if self._recorder is not None:
            self._recorder.connected(
                Template(
                    source.video, source.audio,
                    average_fps=source.info.average_fps, pixel_format=source.info.pixel_format,
                )
            )  # fmt: skip
        with self._lock:
            self._current = connection
            self._offset_s = None
        self._ready.put(connection)
        self._tell(connected=True, reason=None, connections=self._status.connections + 1)
        return connection, Stamper(source.video.time_base, source.info.average_fps, start_s)

    def _end(self, source: Source) -> None:
        with self._lock:
            connection, self._current = self._current, None
        if connection is None:
            source.close()
            return
        # The source stays open until its reader is through: decoders still look at its streams.
        connection.end()
        if self._recorder is not None:
            self._recorder.lost()

    def _note(self, packet: av.Packet[Any], video: bool, now: float, time_jumps: int) -> TimedPacket:
        pts_s = float((packet.pts or 0) * packet.time_base)
        dts_s = float((packet.dts or 0) * packet.time_base)
        if video:
            self._last_s = max(self._last_s or 0.0, pts_s)
            self._follow_wall(dts_s, now)
        status = self._status
        self._status = replace(
            status, packets=status.packets + 1, bytes=status.bytes + packet.size, time_jumps=time_jumps
        )
        return TimedPacket(packet, video, pts_s, dts_s)

    def _follow_wall(self, media_time_s: float, now: float) -> None:
        """Network delay only ever adds: the smallest difference seen is nearest to the truth."""
        seen = self._wall().timestamp() - media_time_s
        with self._lock:
            known = self._offset_s
            if known is None or seen < known or seen - known > STEP_S:
                self._offset_s = seen
            else:
                self._offset_s = min(seen, known + CREEP * (now - self._offset_at))
            self._offset_at = now

    def _tell(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        if self._on_status is not None and "dropped" not in changes:
            self._on_status(self._status)


def live_frames(
    live: LiveSource,
    *,
    analyse_fps: float | None,
    analysis_size: Callable[[int, int], tuple[int, int]],
    threads: int = 1,
    on_decoder: Callable[[Decoder], None] | None = None,
) -> Iterator[Frame]:
    """The analysed frames of a live camera, over all its connections, until `close()`.

    `analysis_size(width_px, height_px)` gives the size of `Frame.image`; `on_decoder` hears of each connection's
    decoder, whose counts it may read.
    """
    index = 0
    for connection in live.connections():
        size = analysis_size(connection.info.width_px, connection.info.height_px)
        decoder = Decoder(
            connection, analyse_fps=analyse_fps, analysis_size=size, first_index=index, wall_clock=live.wall_time,
            threads=threads,
        )  # fmt: skip
        if on_decoder is not None:
            on_decoder(decoder)
        yield from decoder.frames(connection.packets())
        index = decoder.next_index
