"""What becomes of a recording's pictures: which are analysed, when they stand, how they look."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.clip import picture_at
from pipeline.decode import Decoder, luma_size
from pipeline.source import open_source
from pipeline.timeline import Stamper, Timeline
from tests.pipeline.media_kit import number_in, numbered, write_video


def analyse(path: Path, fps: float | None = None, size: tuple[int, int] = (160, 120), **more: object):
    with open_source(path) as source:
        decoder = Decoder(source, analyse_fps=fps, analysis_size=size, **more)
        return list(decoder.frames(source.packets())), decoder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("media") / "plain.mp4", frames=100)


@pytest.mark.parametrize(("fps", "expected"), [(None, 100), (10, 100), (5, 50), (3.3, 33), (25, 100), (0.5, 5)])
def test_mean_rate_comes_out_right_on_ten_frames_a_second(plain: Path, fps: float | None, expected: int) -> None:
    frames, decoder = analyse(plain, fps)
    assert len(frames) == decoder.counts.analysed == expected
    assert decoder.counts.read == 100
    assert [frame.index for frame in frames] == list(range(expected))


@pytest.mark.parametrize("fps", [5, 3.3, 7])
def test_analysed_frame_is_the_first_at_or_after_its_slot(plain: Path, fps: float) -> None:
    frames, _ = analyse(plain, fps)
    every = [i / 10 for i in range(100)]
    wanted = []
    slot = 0
    for time_s in every:
        if time_s >= slot / fps - 0.001:
            wanted.append(time_s)
            while slot / fps <= time_s + 0.001:
                slot += 1
    assert [frame.media_time_s for frame in frames] == pytest.approx(wanted)
    assert [number_in(frame.image) for frame in frames] == [round(time_s * 10) for time_s in wanted]


def test_slots_that_a_gap_swallowed_are_not_caught_up(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.3, 5.0, 5.05, 5.1, 5.2, 5.3]
    path = write_video(tmp_path / "gap.mkv", times=times)
    frames, _ = analyse(path, 5)
    assert [round(f.media_time_s, 3) for f in frames] == [0.0, 0.2, 5.0, 5.2]


def test_variable_rate_keeps_the_times_of_the_timestamps(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 0.9, 1.4, 1.44, 3.0]
    frames, decoder = analyse(write_video(tmp_path / "vfr.mkv", times=times))
    assert [f.media_time_s for f in frames] == pytest.approx(times, abs=0.001)
    assert decoder.counts.irregular_times == 0


def test_second_recording_carries_time_and_numbers_on(plain: Path) -> None:
    first, decoder = analyse(plain, 3.3, wall_start=datetime(2026, 1, 1, tzinfo=UTC))
    start_s = decoder.last_time_s + decoder.step_s
    second, _ = analyse(
        plain, 3.3, start_s=start_s, first_index=decoder.next_index, wall_start=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert start_s == pytest.approx(10.0)
    assert [f.index for f in first + second] == list(range(66))
    assert second[0].media_time_s == pytest.approx(10.0)  # slot 33 is 10.0 s
    assert second[1].media_time_s == pytest.approx(10.4)  # slot 34 is 10.303 s
    assert second[0].wall_time == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)


def test_continued_recording_does_not_serve_a_slot_twice(plain: Path) -> None:
    frames, _ = analyse(plain, 2, start_s=9.75)
    assert frames[0].media_time_s == pytest.approx(10.05)  # the slot at 9.5 is past, the next is 10.0


def test_time_starts_at_zero_whatever_the_container_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "offset.ts", frames=20, container={"output_ts_offset": "1000"})
    frames, _ = analyse(path)
    assert [f.media_time_s for f in frames] == pytest.approx([i / 10 for i in range(20)])


def test_wrap_of_the_transport_streams_clock_goes_unnoticed(tmp_path: Path) -> None:
    # 33 bits at 90 kHz: the clock starts anew in the middle of this file.
    path = write_video(tmp_path / "wrap.ts", frames=60, container={"output_ts_offset": str(2**33 / 90000 - 4.4)})
    frames, _ = analyse(path)
    assert len(frames) == 60
    assert np.diff([f.media_time_s for f in frames]) == pytest.approx(0.1, abs=0.001)


def test_raw_stream_without_timestamps_runs_at_its_average_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", frames=30, fps=25, form="h264")
    frames, _ = analyse(path)
    assert len(frames) == 30
    assert np.diff([f.media_time_s for f in frames]) == pytest.approx(0.04, abs=0.001)


TIMELINES = [
    # name                        timestamps (10 a second)             seconds                                irregular
    ("even", [0, 1, 2, 3], [0.0, 0.1, 0.2, 0.3], 0),
    ("starts late", [70, 71, 72], [0.0, 0.1, 0.2], 0),
    ("starts below zero", [-3, -2, -1], [0.0, 0.1, 0.2], 0),
    ("one repeated", [0, 1, 1, 2, 3], [0.0, 0.1, 0.15, 0.2, 0.3], 1),
    ("one a little back", [0, 5, 4, 6, 7], [0.0, 0.5, 0.55, 0.6, 0.7], 1),
    ("all the same", [5, 5, 5, 5], [0.0, 0.05, 0.15, 0.25], 3),
    ("none at all", [None, None, None], [0.0, 0.1, 0.2], 3),
    ("one missing", [0, 1, None, 3], [0.0, 0.1, 0.2, 0.3], 1),
    ("first missing", [None, 40, 41], [0.0, 0.1, 0.2], 1),
    ("clock set back an hour", [36000, 36001, 2, 3, 4], [0.0, 0.1, 0.2, 0.3, 0.4], 1),
    ("pause", [0, 1, 51, 52], [0.0, 0.1, 5.1, 5.2], 0),
]


@pytest.mark.parametrize(("name", "stamps", "seconds", "irregular"), TIMELINES, ids=[row[0] for row in TIMELINES])
def test_broken_timestamps(name: str, stamps: list[int | None], seconds: list[float], irregular: int) -> None:
    line = Timeline(Fraction(1, 10), 10.0)
    assert [line.place(stamp) for stamp in stamps] == pytest.approx(seconds), name
    assert line.irregular == irregular


def test_live_timestamps_that_leap_ahead_without_a_wait_do_not_move_time() -> None:
    stamper = Stamper(Fraction(1, 10), 10.0, start_s=100.0)
    times = []
    for stamp, waited_s in [(7, 0.0), (8, 0.1), (90000, 0.1), (90001, 0.1), (90301, 30.0)]:
        packet = av.Packet(b"x")
        packet.pts = packet.dts = stamp
        packet.time_base = Fraction(1, 10)
        stamper.stamp(packet, waited_s)
        times.append(packet.pts / 10)
    assert times == pytest.approx([100.0, 100.1, 100.2, 100.3, 130.3])
    assert stamper.irregular == 1


ODD = [
    # name              how it is written                                                        shown size
    ("odd sizes", {"size": (321, 241), "pixels": "yuv444p"}, (321, 241)),
    ("grey", {"codec": "ffv1", "pixels": "gray"}, (320, 240)),
    ("grey mjpeg full range", {"codec": "mjpeg", "pixels": "yuvj420p"}, (320, 240)),
    ("10 bit", {"codec": "libx265", "pixels": "yuv420p10le", "encoder": {"x265-params": "log-level=none"}}, (320, 240)),
    ("rgb", {"codec": "ffv1", "pixels": "bgr0"}, (320, 240)),
    ("interlaced", {"codec": "mpeg2video", "fps": 25, "encoder": {"flags": "+ilme+ildct"}}, (320, 240)),
    ("tiny", {"size": (64, 48)}, (64, 48)),
    ("wide", {"size": (1280, 96)}, (1280, 96)),
    ("b-frames", {"bframes": 3}, (320, 240)),
]


@pytest.mark.parametrize(("name", "how", "size"), ODD, ids=[row[0] for row in ODD])
def test_odd_but_good_video(tmp_path: Path, name: str, how: dict, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "odd.mkv", frames=12, **how)
    frames, decoder = analyse(path)
    assert len(frames) == 12, name
    assert decoder.counts.decode_errors == 0
    for number, frame in enumerate(frames):
        assert (frame.width_px, frame.height_px) == size
        assert frame.image.shape == (120, 160, 3)
        assert frame.image.dtype == frame.luma.dtype == np.uint8
        assert frame.luma.shape[::-1] == luma_size(*size)
        if size[0] >= 160:
            assert number_in(frame.image) == number_in(frame.luma) == number
    expected = cv2.resize(numbered(0, size)[..., ::-1].copy(), (160, 120), interpolation=cv2.INTER_AREA)
    bottom = frames[0].image[40:].astype(int)
    if "grey" not in name and size[1] > 100:
        assert np.abs(bottom - expected[40:]).mean() < 8, "colours or range are off"


@pytest.mark.parametrize(("degrees", "shown"), [(90, (240, 320)), (-90, (240, 320)), (180, (320, 240))])
def test_rotated_recording_is_seen_upright(tmp_path: Path, degrees: int, shown: tuple[int, int]) -> None:
    path = write_video(tmp_path / "turned.mp4", frames=6, rotation=degrees)
    with open_source(path) as source:
        assert (source.info.width_px, source.info.height_px) == shown
    frames, _ = analyse(path, size=shown)
    upright = np.rot90(frames[0].image, k=-degrees // 90)
    assert number_in(upright) == 0
    assert number_in(np.rot90(frames[5].image, k=-degrees // 90)) == 5
    assert frames[0].image.shape == (*shown[::-1], 3)
    assert frames[0].luma.shape == shown[::-1]
    assert picture_at(path, 0.0).shape == (*shown[::-1], 3)


def test_snapshot_of_an_interlaced_camera_has_no_combs_and_keeps_still_lines(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "fields.mkv"), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25, width=320, height=240, pix_fmt="yuv420p")
        stream.bit_rate = 20_000_000
        stream.options = {"flags": "+ilme+ildct"}
        woven = np.full((240, 320, 3), 60, np.uint8)
        woven[0::2, 100:140] = 220  # a white post as the first field saw it
        woven[1::2, 112:152] = 220  # and 20 ms later
        woven[100:102, 200:300] = 200  # a still mark of two lines
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(woven, "rgb24").reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    picture = picture_at(tmp_path / "fields.mkv", 0.08).astype(int)[..., 1]
    post = picture[20:90, 90:160]
    assert np.abs(np.diff(post, axis=0)).mean() < 3, "lines of two fields still alternate"
    assert picture[100:102, 210:290].mean() > 150, "a still mark was smoothed away"
    assert post[:, 15:45].mean() > 180


def test_damaged_packets_are_counted_and_the_rest_is_seen(tmp_path: Path) -> None:
    def damage(packet: av.Packet, number: int) -> av.Packet:
        if number not in (7, 8):
            return packet
        noise = av.Packet(b"\x00\x00\x00\x01" + bytes(200))
        noise.pts, noise.dts, noise.time_base, noise.stream = packet.pts, packet.dts, packet.time_base, packet.stream
        return noise

    path = write_video(tmp_path / "damaged.mkv", frames=30, codec="mpeg4", change=damage)
    frames, decoder = analyse(path)
    assert decoder.counts.decode_errors > 0
    assert len(frames) >= 20
    assert number_in(frames[-1].image) == 29
    assert frames[-1].media_time_s == pytest.approx(2.9)


def test_truncated_tail_is_analysed_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", frames=60)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    frames, _ = analyse(cut)
    assert 30 <= len(frames) <= 50
    assert [number_in(f.image) for f in frames] == list(range(len(frames)))


def test_fragmented_mp4_cut_while_written_is_analysed(tmp_path: Path) -> None:
    whole = write_video(
        tmp_path / "whole.mp4", frames=60, container={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    )
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    frames, _ = analyse(cut)
    assert 20 <= len(frames) <= 50


def test_matroska_without_duration_is_analysed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "live.mkv", frames=25, container={"live": "1"})
    with open_source(path) as source:
        assert source.info.duration_s is None
    frames, _ = analyse(path)
    assert len(frames) == 25


def test_decoder_threads_change_nothing(plain: Path) -> None:
    one, _ = analyse(plain, 5, threads=1)
    two, _ = analyse(plain, 5, threads=2)
    assert [f.media_time_s for f in one] == [f.media_time_s for f in two]
    assert all(
        np.array_equal(a.image, b.image) and np.array_equal(a.luma, b.luma) for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize(
    ("what", "numbers"), [("non-reference", range(0, 60, 2)), ("all but key frames", range(0, 60, 10))]
)
def test_decoder_may_skip_pictures_while_nothing_happens(tmp_path: Path, what: str, numbers: range) -> None:
    x264 = {"x264-params": "b-adapt=0:b-pyramid=0:open-gop=0:keyint=10:min-keyint=10"}
    path = write_video(tmp_path / "b.mp4", frames=60, bframes=1, encoder=x264)
    with open_source(path) as source:
        decoder = Decoder(source, analyse_fps=None, analysis_size=(160, 120))
        decoder.skip(what)
        frames = list(decoder.frames(source.packets()))
    seen = [number_in(frame.image) for frame in frames]
    assert set(numbers) <= set(seen)
    assert len(seen) <= len(numbers) + 6
    assert [round(frame.media_time_s * 10) for frame in frames] == seen
    assert decoder.counts.skipped + decoder.counts.read == 60


def test_refuses_a_rate_that_is_none(plain: Path) -> None:
    with (
        open_source(plain) as source,
        pytest.raises(ValueError, match="analyse_fps must be above 0 or None, but got 0"),
    ):
        Decoder(source, analyse_fps=0, analysis_size=(160, 120))


def test_real_footage_keeps_its_rate(footage: Path) -> None:
    for fps, expected in ((10, 795), (5, 398), (3.3, 263)):
        frames, _ = analyse(footage / "vtest.avi", fps)
        assert len(frames) == expected
