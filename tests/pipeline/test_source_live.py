"""A live camera over real RTSP: it plays, it dies, it comes back, it freezes, and its password stays unsaid."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import pytest

from pipeline.errors import StreamLostError
from pipeline.live_source import LiveSource, LiveStatus, live_frames
from pipeline.recorder import Recorder
from pipeline.source import Source, open_source
from tests.pipeline.media_kit import number_in, numbered, write_video
from tests.rtsp import RtspCamera


class Camera(RtspCamera):
    """One that loops one file, with a password."""

    @property
    def address(self) -> str:
        return self.url("cam.mp4", "guard:s3cret")


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    write_video(tmp_path / "cam.mp4", frames=100, fps=25, gop=10, audio="aac")
    camera = Camera(tmp_path)
    camera.start()
    yield camera
    camera.kill()


def test_camera_dies_and_comes_back_and_time_goes_on(camera: Camera) -> None:
    told: list[LiveStatus] = []
    live = LiveSource(camera.address, read_timeout_s=3.0, first_pause_s=0.1, longest_pause_s=0.2, on_status=told.append)
    times: list[float] = []
    walls: list[datetime] = []
    began = datetime.now(UTC)
    frames = live_frames(live.start(), analyse_fps=10, analysis_size=lambda w, h: (w // 2, h // 2))
    killed_at = 0.0
    for frame in frames:
        times.append(frame.media_time_s)
        walls.append(frame.wall_time)
        assert frame.index == len(times) - 1
        assert (frame.width_px, frame.height_px) == (320, 240)
        if len(times) == 8:
            camera.kill()
            killed_at = time.monotonic()
            threading.Timer(0.6, camera.start).start()
        if live.status.connections == 2 and len(times) >= 16:
            break
    away_s = time.monotonic() - killed_at
    live.close()
    assert times[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(times))
    gap_s = max(later - earlier for earlier, later in pairwise(times))
    assert 0.3 < gap_s < away_s + 0.5
    assert all(began - timedelta(seconds=1) < wall < datetime.now(UTC) + timedelta(seconds=1) for wall in walls)
    lost = [status for status in told if not status.connected]
    assert lost
    assert all(status.reason and "s3cret" not in status.reason for status in lost)
    assert live.status.failures >= 1
    assert "s3cret" not in live.name


def test_end_of_a_live_stream_is_a_disconnect(camera: Camera) -> None:
    with open_source(camera.address, read_timeout_s=3.0) as source:
        packets = source.packets(audio=True)
        kinds = {next(packets).stream_index for _ in range(40)}
        assert kinds == {0, 1}
        camera.kill()
        with pytest.raises(StreamLostError, match=r"guard:\*\*\*@.*(the stream ended|cannot be opened|time-out)"):
            for _ in packets:
                pass


def test_frozen_camera_is_lost_after_the_timeout(camera: Camera) -> None:
    assert camera.process is not None
    with open_source(camera.address, read_timeout_s=0.5) as source:
        packets = source.packets()
        next(packets)
        camera.process.send_signal(19)  # SIGSTOP: the connection stays, nothing comes
        began = time.monotonic()
        with pytest.raises(StreamLostError, match="no answer within the time-out"):
            for _ in packets:
                pass
        assert time.monotonic() - began < 5


def test_close_from_another_thread_does_not_wait_for_a_frozen_camera(camera: Camera) -> None:
    assert camera.process is not None
    live = LiveSource(camera.address, read_timeout_s=8.0)
    got = threading.Event()

    def consume() -> int:
        count = 0
        for connection in live.connections():
            for _ in connection.packets():
                count += 1
                got.set()
        return count

    with ThreadPoolExecutor(1) as pool:
        live.start()
        counted = pool.submit(consume)
        assert got.wait(10)
        camera.process.send_signal(19)
        began = time.monotonic()
        live.close(wait_s=0.2)
        assert counted.result(timeout=2) > 0
        assert time.monotonic() - began < 2


def test_motion_jpeg_over_http_is_as_late_as_it_comes() -> None:
    ended = threading.Event()
    pace_s = 0.15  # nothing like the 25 pictures a second that the demuxer assumes
    pictures = []
    for number in range(8):
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 240, "yuvj420p", Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(numbered(number), "rgb24").reformat(format="yuvj420p")
        pictures.append(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for jpeg in pictures:
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                self.wfile.write(head + jpeg + b"\r\n")
                ended.wait(pace_s)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        live = LiveSource(f"http://127.0.0.1:{server.server_port}/cgi?user=guard&password=s3cret", read_timeout_s=3.0)
        connections = live.start().connections()
        connection = next(connections)
        times = [float(packet.pts * packet.time_base) for packet in connection.packets()]
        connections.close()
        live.close()
        ended.set()
        server.shutdown()
    assert "s3cret" not in live.name
    assert len(times) >= 5
    # The first pictures wait while the stream is examined; those that follow come at their pace.
    assert times[-1] - times[-3] == pytest.approx(2 * pace_s, abs=0.08)


def replay(path: Path, times: int, log: list[str]) -> Callable[[], Source]:
    """A camera that plays a file as fast as it is read, `times` times, and cannot be reached after that."""

    def opener() -> Source:
        log.append("open")
        if len([entry for entry in log if entry == "open"]) > times:
            raise StreamLostError("cam: nothing answers.")
        return Source(path, av.open(str(path)), live=True, read_timeout_s=1.0)

    return opener


def test_pauses_grow_with_jitter_up_to_the_longest_and_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    live = LiveSource(
        "rtsp://192.0.2.1/x", opener=replay(Path("none"), 0, []), first_pause_s=1.0, longest_pause_s=30.0,
        jitter=lambda: 0.5,
    )  # fmt: skip

    def wait(pause_s: float) -> bool:
        pauses.append(pause_s)
        if len(pauses) == 200:
            live.close()
        return False

    monkeypatch.setattr(live._closing, "wait", wait)
    live.start()
    assert list(live.connections()) == []
    live._thread.join(5)
    assert pauses[:7] == [0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5]
    assert pauses[-1] == 22.5
    assert live.status.failures == 199 or live.status.failures == 200
    assert live.status.reason == "cam: nothing answers."


def test_recording_played_as_a_camera_over_three_connections(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=50, fps=10, bframes=2)
    live = LiveSource("cam", opener=replay(path, 3, []), first_pause_s=0.001, longest_pause_s=0.001, lossless=True)
    seen: list[tuple[float, int]] = []
    for frame in live_frames(live.start(), analyse_fps=None, analysis_size=lambda w, h: (w, h)):
        seen.append((frame.media_time_s, number_in(frame.image)))
        if len(seen) == 150:
            break
    live.close()
    assert [number for _, number in seen] == [*range(50)] * 3
    assert [time_s for time_s, _ in seen] == pytest.approx([i / 10 for i in range(150)], abs=0.35)
    assert all(b[0] > a[0] for a, b in pairwise(seen))


def test_hundred_reconnects_leave_no_threads_or_descriptors(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=6, size=(64, 48))
    others = set(threading.enumerate())
    recorder = Recorder("cam", keep_s=1.0).start()
    live = LiveSource(
        "cam", opener=replay(path, 100, []), first_pause_s=0.0, longest_pause_s=0.0, lossless=True, recorder=recorder
    )
    descriptors: list[int] = []
    frames = 0
    for connection in live.start().connections():
        frames += sum(1 for _ in connection.packets())
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        if len(descriptors) == 100:
            break
    live.close()
    recorder.close()
    live._thread.join(5)
    assert frames == 600
    # What earlier tests left may end meanwhile: only growth is a leak.
    assert descriptors[-1] - descriptors[10] <= 3
    assert set(threading.enumerate()) <= others
    assert recorder.bytes_kept == 0


def test_reader_that_falls_behind_loses_whole_groups_and_it_is_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=3000, fps=25, gop=25, size=(64, 48))
    done = threading.Event()
    live = LiveSource(
        "cam", opener=replay(path, 1, []), first_pause_s=30.0, on_status=lambda s: None if s.connected else done.set()
    )
    live.start()
    connections = live.connections()
    connection = next(connections)
    assert done.wait(10)
    packets = list(connection.packets())
    connections.close()
    live.close()
    assert live.status.dropped == 3000 - len(packets) > 0
    steps = [(b.pts - a.pts) * b.time_base for a, b in pairwise(packets)]
    assert all(step < 0.05 or b.is_keyframe for step, b in zip(steps, packets[1:], strict=False))
