"""The ring of a live camera: what it keeps, what it lets go, and clips whose post-roll is still to come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from pipeline.errors import MediaError
from pipeline.index import TimedPacket
from pipeline.live_source import LiveSource
from pipeline.recorder import GRACE_S, Recorder
from pipeline.remux import Template
from pipeline.source import Source, open_source
from tests.pipeline.media_kit import number_in, picture_sums, write_video


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def feed(recorder: Recorder, path: Path, start_s: float = 0.0) -> Iterator[float]:
    """Plays a recording into the ring as one connection; yields the time of each video packet after it went in."""
    with open_source(path) as source:
        recorder.connected(
            Template(
                source.video, source.audio,
                average_fps=source.info.average_fps, pixel_format=source.info.pixel_format,
            )
        )  # fmt: skip
        for packet in source.packets(audio=True):
            base = packet.time_base
            shift = round(start_s / base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            video = packet.stream_index == source.video.index
            recorder.add(TimedPacket(packet, video, float(packet.pts * base), float(packet.dts * base)))
            if video:
                yield float(packet.pts * base)
    recorder.lost()


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as opened:
        return [number_in(frame.to_ndarray(format="bgr24")) for frame in opened.decode(video=0)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Iterator[Recorder]:
    recorder = Recorder("gate", keep_s=5.0, clock=clock).start()
    yield recorder
    recorder.close()


def test_ring_keeps_its_seconds_and_one_group_and_no_more(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=300, gop=20)
    for time_s in feed(recorder, path):
        oldest, newest = recorder.span_s
        assert newest == pytest.approx(time_s)
        assert oldest == 0.0 or 5.0 <= newest - oldest <= 7.0 + 1e-6
    assert recorder.over_limit == 0


def test_ring_stays_within_its_bytes(tmp_path: Path, clock: Clock) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=300, gop=20)
    recorder = Recorder("gate", keep_s=1000.0, max_bytes=60_000, clock=clock).start()
    for _ in feed(recorder, path):
        assert recorder.bytes_kept <= 60_000
    assert recorder.over_limit > 0
    assert number_in(recorder.picture_at(29.9)) == 299
    recorder.close()


def test_clip_waits_for_its_post_roll_and_is_complete(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=300, gop=20, bframes=2, audio="aac")
    playing = feed(recorder, path)
    for time_s in playing:
        if time_s >= 10.0:
            break
    answer = recorder.request(9.5, 9.8, tmp_path / "clip.mp4", pre_roll_s=3.0, post_roll_s=6.0)
    for time_s in playing:
        if time_s < 15.8:
            assert not answer.done()
        if time_s > 17.0:
            break
    clip = answer.result(timeout=10)
    assert (clip.shortfall_s, clip.post_shortfall_s, clip.rendered) == (0.0, 0.0, False)
    shown = numbers(clip.path)
    assert shown == list(range(60, shown[-1] + 1))
    assert shown[-1] >= 158
    source = dict(enumerate(check for _, check in picture_sums(path)))
    assert [check for _, check in picture_sums(clip.path)] == [source[number] for number in shown]
    with av.open(str(clip.path)) as opened:
        assert len(opened.streams.audio) == 1
    assert clip.clip_from_s == pytest.approx(6.0)


def test_waiting_clip_holds_its_pre_roll(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=300, gop=20)
    playing = feed(recorder, path)
    for time_s in playing:
        if time_s >= 10.0:
            break
    answer = recorder.request(8.0, 18.0, tmp_path / "clip.mp4", pre_roll_s=2.0, post_roll_s=2.0)
    for _ in playing:
        pass
    clip = answer.result(timeout=10)
    assert clip.clip_from_s == pytest.approx(6.0)
    assert clip.clip_to_s >= 20.0


def test_clip_that_began_before_the_ring_says_what_it_lacks(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=300, gop=20)
    for _ in feed(recorder, path):
        pass
    clip = recorder.request(20.0, 25.0, tmp_path / "clip.mp4", post_roll_s=2.0).result(timeout=10)
    assert clip.clip_from_s == pytest.approx(24.0)
    assert clip.shortfall_s == pytest.approx(9.0)


def test_camera_that_does_not_come_back_gives_the_clip_there_is(
    tmp_path: Path, recorder: Recorder, clock: Clock
) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=100, gop=20)
    for _ in feed(recorder, path):
        pass
    answer = recorder.request(9.0, 9.5, tmp_path / "clip.mp4", post_roll_s=5.0)
    assert not answer.done()
    clock.now += 4.6 + GRACE_S + 0.1
    recorder.lost()  # wakes it
    clip = answer.result(timeout=10)
    assert clip.post_shortfall_s == pytest.approx(4.5)
    assert numbers(clip.path) == list(range(40, 100))


def test_clip_over_a_reconnect_holds_both_sides(tmp_path: Path, recorder: Recorder) -> None:
    one = write_video(tmp_path / "one.mp4", frames=60, gop=20)
    two = write_video(tmp_path / "two.mp4", frames=100, gop=20, first=100)
    for _ in feed(recorder, one):
        pass
    answer = recorder.request(5.0, 5.5, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=5.0)
    for _ in feed(recorder, two, start_s=8.0):
        pass
    clip = answer.result(timeout=10)
    assert len(clip.parts) == 1
    shown = numbers(clip.path)
    assert shown[:20] == list(range(40, 60))
    assert shown[20:44] == list(range(100, 124))
    times = [time_s for time_s, _ in picture_sums(clip.path)]
    assert times[20] - times[19] == pytest.approx(2.1, abs=0.01)


def test_hevc_camera_gets_original_and_rendering(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(
        tmp_path / "cam.mp4", frames=100, codec="libx265", gop=20, encoder={"x265-params": "log-level=none:keyint=20"}
    )
    for _ in feed(recorder, path, start_s=50.0):
        pass
    assert number_in(recorder.picture_at(57.3)) == 73
    clip = recorder.request(57.0, 57.5, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=1.0).result(timeout=10)
    assert clip.rendered
    assert clip.original_path is not None
    assert set(range(60, 85)) <= set(numbers(clip.original_path))
    assert set(range(60, 85)) <= set(numbers(clip.path))


def test_picture_from_the_ring_is_exact(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=100, gop=20, bframes=2)
    for _ in feed(recorder, path, start_s=30.0):
        pass
    assert [number_in(recorder.picture_at(30.0 + n / 10)) for n in (55, 60, 73, 99)] == [55, 60, 73, 99]
    assert recorder.picture_at(39.0).shape == (240, 320, 3)


def test_empty_ring_has_neither_clip_nor_picture(tmp_path: Path, recorder: Recorder, clock: Clock) -> None:
    with pytest.raises(MediaError):
        recorder.picture_at(1.0)
    answer = recorder.request(1.0, 2.0, tmp_path / "clip.mp4")
    clock.now += 60
    recorder.lost()
    with pytest.raises(MediaError):
        answer.result(timeout=10)
    assert list(tmp_path.iterdir()) == []


def test_closing_cuts_what_was_promised(tmp_path: Path, clock: Clock) -> None:
    recorder = Recorder("gate", keep_s=5.0, clock=clock).start()
    for _ in feed(recorder, write_video(tmp_path / "cam.mp4", frames=100, gop=20)):
        pass
    answer = recorder.request(9.0, 9.5, tmp_path / "clip.mp4", post_roll_s=60.0)
    recorder.close()
    assert numbers(answer.result(timeout=0).path)[-1] == 99
    late = recorder.request(9.0, 9.5, tmp_path / "late.mp4")
    with pytest.raises(MediaError, match="the camera was closed"):
        late.result(timeout=1)
    recorder.close()


def test_ring_may_be_asked_while_it_fills(tmp_path: Path, recorder: Recorder) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=400, gop=20, size=(64, 48))
    asked = threading.Event()
    failed: list[BaseException] = []

    def ask() -> int:
        pictures = 0
        while not asked.is_set():
            span = recorder.span_s
            if span is not None:
                recorder.picture_at(span[1] - 0.5)
                pictures += 1
        return pictures

    with ThreadPoolExecutor(2) as pool:
        askers = [pool.submit(ask) for _ in range(2)]
        answers = []
        for number, time_s in enumerate(feed(recorder, path)):
            if number % 80 == 50:
                answers.append(recorder.request(time_s, time_s, tmp_path / f"{number}.mp4", post_roll_s=1.0))
        asked.set()
        assert sum(asker.result(timeout=10) for asker in askers) > 0
    assert not failed
    for answer in answers:
        clip = answer.result(timeout=10)
        assert clip.post_shortfall_s == 0.0
        assert len(picture_sums(clip.path)) >= round((clip.clip_to_s - clip.clip_from_s) * 10)


def test_live_source_fills_the_ring_with_media_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=50, gop=10, audio="aac")
    recorder = Recorder("cam", keep_s=60.0).start()
    live = LiveSource(
        "cam", recorder=recorder, lossless=True, first_pause_s=0.001, longest_pause_s=0.001,
        opener=lambda: Source(path, av.open(str(path)), live=True, read_timeout_s=1.0),
    )  # fmt: skip
    live.start()
    for count, connection in enumerate(live.connections()):
        packets = list(connection.packets())
        assert len(packets) == 50
        if count == 1:
            break
    live.close()
    assert number_in(recorder.picture_at(4.9)) == 49
    assert number_in(recorder.picture_at(connection.start_s + 1.3)) == 13
    clip = recorder.request(4.0, 6.0, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=1.0).result(timeout=10)
    shown = numbers(clip.path)
    assert shown[:30] == [*range(30, 50), *range(10)]
    recorder.close()
