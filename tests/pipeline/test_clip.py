"""Clips: what a guard plays and a court gets; copied to the bit where browsers play it, else rendered, and said."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.clip import Footage, Recording, cut_clip, picture_at
from pipeline.decode import Decoder
from pipeline.errors import MediaError
from pipeline.index import file_index
from pipeline.source import open_source
from tests.pipeline.media_kit import number_in, numbered, picture_sums, write_video


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as source:
        return [number_in(frame.to_ndarray(format="bgr24")) for frame in source.decode(source.streams.video[0])]


def assert_same_pictures(path: Path, recording: Path, start_s: float) -> None:
    """Every picture of `path` is, to the bit, the recording's at its time, from `start_s` on and without holes."""
    source = picture_sums(recording)
    got = picture_sums(path)
    first = min(range(len(source)), key=lambda i: abs(source[i][0] - source[0][0] - start_s))
    assert [check for _, check in got] == [check for _, check in source[first : first + len(got)]]
    offset = source[first][0]
    assert [time_s for time_s, _ in got] == pytest.approx(
        [time_s - offset for time_s, _ in source[first : first + len(got)]], abs=0.0011
    )
    assert got[0][0] == 0.0


def has_index_in_front(path: Path) -> bool:
    data = path.read_bytes()
    return 0 < data.find(b"moov") < data.find(b"mdat")


REAL = [
    # recording                          event          clip from, to   sound
    ("car-detection.mp4", (16.3, 16.9), (9.6, 21.9), True),
    ("car-detection.mp4", (6.6, 6.6), (0.0, 11.6), True),
    ("one-by-one-person-detection.mp4", (23.0, 38.0), (18.0, 43.0), False),
]


@pytest.mark.parametrize(("name", "event", "span", "sound"), REAL)
def test_playable_recording_is_copied_to_the_bit(
    footage: Path, tmp_path: Path, name: str, event: tuple[float, float], span: tuple[float, float], sound: bool
) -> None:
    clip = cut_clip(footage / name, *event, tmp_path / "clip.mp4")
    assert (clip.rendered, clip.original_path, clip.shortfall_s, clip.post_shortfall_s) == (False, None, 0.0, 0.0)
    assert clip.clip_from_s == pytest.approx(span[0])
    assert span[1] <= clip.clip_to_s <= span[1] + 0.5
    assert_same_pictures(clip.path, footage / name, clip.clip_from_s)
    assert has_index_in_front(clip.path)
    with av.open(str(clip.path)) as opened:
        assert len(opened.streams.audio) == sound
        assert opened.start_time == 0
        if sound:
            heard = [packet for packet in opened.demux(opened.streams.audio[0]) if packet.size]
            last = max(float((p.pts + p.duration) * p.time_base) for p in heard)
            assert last == pytest.approx(clip.clip_to_s - clip.clip_from_s, abs=0.1)


def test_sound_is_the_recordings_and_stays_in_step(footage: Path, tmp_path: Path) -> None:
    recording = footage / "car-detection.mp4"
    clip = cut_clip(recording, 16.3, 16.9, tmp_path / "clip.mp4")

    def sound(path: Path) -> list[tuple[float, str]]:
        with av.open(str(path)) as opened:
            packets = [p for p in opened.demux(opened.streams.audio[0]) if p.size]
            return [(float(p.pts * p.time_base), hashlib.md5(bytes(p)).hexdigest()) for p in packets]

    part = sound(clip.path)
    whole = [(at - clip.clip_from_s, check) for at, check in sound(recording) if at >= clip.clip_from_s]
    assert len(part) > 500
    assert [check for _, check in part] == [check for _, check in whole[: len(part)]]
    assert [at for at, _ in part] == pytest.approx([at for at, _ in whole[: len(part)]], abs=0.002)


def test_unplayable_recording_is_kept_as_copied_and_rendered_once(footage: Path, tmp_path: Path) -> None:
    recording = footage / "vtest.avi"
    shares: list[float] = []
    clip = cut_clip(recording, 51.3, 51.8, tmp_path / "clip.mp4", progress=shares.append)
    assert clip.rendered
    assert clip.original_path == tmp_path / "clip.original.mkv"
    assert clip.parts[0].original_span_s == (25.0, pytest.approx(56.9))
    assert_same_pictures(clip.original_path, recording, 25.0)  # its key frames lie 25 s apart
    with av.open(str(clip.path)) as opened:
        assert opened.streams.video[0].codec_context.name == "h264"
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert "Rendering" in opened.metadata["comment"]
        assert "clip.original.mkv" in opened.metadata["comment"]
        rendered = [frame.to_ndarray(format="bgr24") for frame in opened.decode(video=0)]
    assert 44.3 <= clip.clip_from_s <= 46.3
    assert clip.clip_to_s == pytest.approx(56.9, abs=0.05)
    assert len(rendered) == round((clip.clip_to_s - clip.clip_from_s) * 10)
    assert has_index_in_front(clip.path)
    for number in (0, 50, len(rendered) - 1):
        original = picture_at(recording, clip.clip_from_s + number / 10).astype(int)
        assert np.abs(rendered[number] - original).mean() < 4
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_same_cut_gives_the_same_bytes(footage: Path, tmp_path: Path) -> None:
    for name, event in (("car-detection.mp4", (16.3, 16.9)), ("vtest.avi", (12.0, 13.0))):
        clips = []
        for folder in ("a", "b"):
            many = Footage(footage / name)
            if folder == "b":
                many.cut(2.0, 3.0, tmp_path / folder / f"other-{name}.mp4")  # what was cut before changes nothing
            clips.append(many.cut(*event, tmp_path / folder / f"{name}.mp4"))
        assert clips[0].path.read_bytes() == clips[1].path.read_bytes()
        if clips[0].original_path is not None:
            assert clips[0].original_path.read_bytes() == clips[1].original_path.read_bytes()


def test_overlapping_alerts_have_whole_clips_and_share_the_rendering(footage: Path, tmp_path: Path) -> None:
    many = Footage(footage / "vtest.avi")
    first = many.cut(12.0, 13.0, tmp_path / "1.mp4")
    once = many.pictures_rendered
    second = many.cut(14.0, 14.5, tmp_path / "2.mp4")
    assert many.pictures_rendered == once
    for clip in (first, second):
        times = [time_s for time_s, _ in picture_sums(clip.path)]
        assert len(times) == round((clip.clip_to_s - clip.clip_from_s) * 10)
    assert second.clip_from_s <= 9.0
    assert second.clip_to_s >= 19.5


def test_clip_tells_what_it_lacks_at_both_ends(footage: Path, tmp_path: Path) -> None:
    clip = cut_clip(footage / "car-detection.mp4", 2.0, 29.0, tmp_path / "all.mp4")
    assert clip.shortfall_s == pytest.approx(3.0)
    assert clip.post_shortfall_s == pytest.approx(34.0 - 30.16, abs=0.01)
    assert (clip.clip_from_s, clip.clip_to_s) == (0.0, pytest.approx(30.16))
    with pytest.raises(MediaError, match=r"none\.mp4: there is no footage between 95\.0 s and 106\.0 s"):
        cut_clip(footage / "car-detection.mp4", 100.0, 101.0, tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()


def test_long_situation_gets_parts_that_meet_without_a_gap(footage: Path, tmp_path: Path) -> None:
    recording = footage / "one-by-one-person-detection.mp4"
    clip = cut_clip(recording, 10.0, 130.0, tmp_path / "long.mp4", max_s=50.0)
    assert [part.path.name for part in clip.parts] == ["long.mp4", "long.part2.mp4", "long.part3.mp4"]
    assert all(part.to_s - part.from_s <= 50.2 for part in clip.parts)
    whole = [check for part in clip.parts for _, check in picture_sums(part.path)]
    source = picture_sums(recording)
    first = round(clip.clip_from_s * 10)
    assert whole == [check for _, check in source[first : first + len(whole)]]
    assert clip.clip_to_s >= 135.0


def test_long_rendering_gets_parts_that_meet_without_a_gap(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "old.avi", frames=400, codec="mpeg4", gop=30)
    clip = cut_clip(recording, 6.0, 34.0, tmp_path / "long.mp4", max_s=15.0)
    shown = [number for part in clip.parts for number in numbers(part.path)]
    assert len(clip.parts) == 3
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert shown[0] <= 10
    assert shown[-1] >= 389
    assert clip.parts[0].original_path is not None
    assert clip.parts[1].original_path == tmp_path / "long.part2.original.mkv"


def test_recordings_in_a_row_are_cut_across_their_boundary(tmp_path: Path) -> None:
    for bframes in (0, 2):
        one = write_video(tmp_path / f"one{bframes}.mp4", frames=100, bframes=bframes)
        two = write_video(tmp_path / f"two{bframes}.mp4", frames=100, first=100, bframes=bframes)
        clip = cut_clip([Recording(one), Recording(two, 10.0)], 9.5, 10.5, tmp_path / f"across{bframes}.mp4")
        assert len(clip.parts) == 1
        assert numbers(clip.path)[:110] == list(range(40, 150))
        times = [time_s for time_s, _ in picture_sums(clip.path)]
        assert np.diff(times) == pytest.approx(0.1, abs=0.03)


def test_only_the_recordings_of_the_clip_are_read(tmp_path: Path) -> None:
    recordings = [Recording(write_video(tmp_path / f"{n}.mp4", frames=20, first=20 * n), 2.0 * n) for n in range(6)]
    for number in (0, 1, 5):
        recordings[number].path.write_bytes(b"gone")
    clip = cut_clip(recordings, 6.5, 7.0, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=1.0)
    assert numbers(clip.path)[:30] == list(range(50, 80))


def test_recordings_of_another_kind_become_parts(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.mp4", frames=50)
    two = write_video(tmp_path / "two.mp4", frames=50, size=(160, 128))
    clip = cut_clip([Recording(one), Recording(two, 5.0)], 4.0, 6.0, tmp_path / "two-kinds.mp4", pre_roll_s=1.0)
    assert [part.path.name for part in clip.parts] == ["two-kinds.mp4", "two-kinds.part2.mp4"]
    assert (clip.parts[0].to_s, clip.parts[1].from_s) == (pytest.approx(5.0), pytest.approx(5.0))


def test_open_groups_lose_only_what_cannot_be_decoded(tmp_path: Path) -> None:
    recording = write_video(
        tmp_path / "open.mkv", frames=90, bframes=3, gop=15, encoder={"x264-params": "open-gop=1:keyint=15:b-adapt=0"}
    )
    clip = cut_clip(recording, 6.0, 6.5, tmp_path / "open.mp4", pre_roll_s=1.0, post_roll_s=1.0)
    shown = numbers(clip.path)
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert shown[0] == round(clip.clip_from_s * 10) <= 50
    assert shown[-1] >= 75
    assert_same_pictures(clip.path, recording, clip.clip_from_s)


@pytest.mark.parametrize(
    ("how", "note"),
    [
        ({"audio": "aac"}, None),
        ({"audio": "libmp3lame"}, None),
        ({"audio": "pcm_mulaw"}, "The sound (pcm_mulaw) does not play in browsers and was left out."),
    ],
)
def test_sound_is_kept_where_it_plays_and_said_where_not(tmp_path: Path, how: dict, note: str | None) -> None:
    recording = write_video(tmp_path / "sound.mov", frames=40, **how)
    clip = cut_clip(recording, 1.0, 2.0, tmp_path / "clip.mp4")
    assert clip.notes == ((note,) if note else ())
    with av.open(str(clip.path)) as opened:
        assert len(opened.streams.audio) == (note is None)


def test_hevc_keeps_its_original_and_is_rendered(tmp_path: Path) -> None:
    recording = write_video(
        tmp_path / "h265.mp4", frames=40, codec="libx265", audio="aac", encoder={"x265-params": "log-level=none"}
    )
    clip = cut_clip(recording, 1.0, 2.0, tmp_path / "clip.mp4")
    assert clip.rendered
    assert clip.original_path is not None
    assert_same_pictures(clip.original_path, recording, 0.0)
    with av.open(str(clip.path)) as opened:
        assert opened.streams.video[0].codec_context.name == "h264"
        assert len(opened.streams.audio) == 1
    assert numbers(clip.path) == list(range(40))


def test_av1_is_copied(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "av1.mkv", frames=60, codec="libsvtav1", gop=15, encoder={"preset": "11"})
    clip = cut_clip(recording, 3.0, 3.5, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=1.0)
    assert not clip.rendered
    assert clip.clip_from_s == pytest.approx(1.5)
    assert_same_pictures(clip.path, recording, 1.5)


def test_ten_bit_h264_is_rendered_because_browsers_do_not_play_it(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "ten.mkv", frames=20, pixels="yuv420p10le")
    clip = cut_clip(recording, 0.5, 1.0, tmp_path / "clip.mp4")
    assert clip.rendered
    assert numbers(clip.path) == list(range(20))


@pytest.mark.parametrize("degrees", [90, 180])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_turned_recording_is_upright_in_its_clip(tmp_path: Path, degrees: int, codec: str) -> None:
    recording = write_video(tmp_path / "turned.mp4", frames=20, rotation=degrees, codec=codec)
    clip = cut_clip(recording, 0.5, 1.0, tmp_path / "clip.mp4")
    shown = picture_at(clip.path, 0.5)
    assert np.abs(shown.astype(int) - picture_at(recording, clip.clip_from_s + 0.5)).mean() < 6


@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("a.ts", {"container": {"output_ts_offset": "90000"}}),
        ("a.h264", {"form": "h264"}),
        ("a.flv", {}),
        ("odd.mkv", {"size": (322, 242)}),
        ("live.mkv", {"container": {"live": "1"}}),
        ("frag.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
        ("plain.avi", {}),
    ],
)
def test_clip_and_picture_from_other_containers(tmp_path: Path, file: str, how: dict) -> None:
    recording = write_video(tmp_path / file, frames=60, fps=25, **how)
    clip = cut_clip(recording, 1.4, 1.6, tmp_path / "clip.mp4", pre_roll_s=0.2, post_roll_s=0.2)
    shown = numbers(clip.path)
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert shown[0] in (29, 30)
    assert shown[-1] in (45, 46, 47)
    assert number_in(picture_at(recording, 1.4)) == 35


def test_far_key_frames_make_a_rendering_not_an_endless_clip(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "one-key.mp4", frames=1300, gop=9999, size=(64, 48))
    clip = cut_clip(recording, 120.0, 121.0, tmp_path / "clip.mp4")
    assert clip.rendered
    assert clip.clip_to_s - clip.clip_from_s < 15
    assert "far apart" in clip.notes[0]


def test_no_part_lasts_longer_than_may_be_where_key_frames_are_farther_apart(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "one-key.mp4", frames=1600, gop=9999, size=(64, 48))
    clip = cut_clip(recording, 10.0, 148.0, tmp_path / "clip.mp4")
    assert max(part.to_s - part.from_s for part in clip.parts) <= 120.0 + 1e-6
    assert len(clip.parts) == 2
    assert clip.parts[0].to_s == pytest.approx(clip.parts[1].from_s)
    assert clip.clip_from_s == pytest.approx(5.0, abs=2.0)
    assert clip.clip_to_s == pytest.approx(153.0, abs=0.2)
    assert "far apart" in clip.notes[0]


def test_recording_whose_clock_was_set_back_is_cut_where_time_went_on(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.ts", frames=60, container={"output_ts_offset": "5000"})
    two = write_video(tmp_path / "two.ts", frames=60, first=60)
    glued = tmp_path / "glued.ts"
    glued.write_bytes(one.read_bytes() + two.read_bytes())
    assert not file_index(glued).regular
    assert [number_in(picture_at(glued, at)) for at in (0.0, 5.9, 6.0, 11.0)] == [0, 59, 60, 110]
    clip = cut_clip(glued, 5.5, 6.5, tmp_path / "clip.mp4", pre_roll_s=1.0, post_roll_s=1.0)
    assert numbers(clip.path)[:36] == list(range(40, 76))
    assert np.diff([time_s for time_s, _ in picture_sums(clip.path)]) == pytest.approx(0.1, abs=0.05)


def test_container_without_display_times_is_rendered_in_the_right_order(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "b.avi", frames=60, bframes=2)
    with open_source(recording) as source:
        decoder = Decoder(source, analyse_fps=None, analysis_size=(160, 120))
        seen = [(f.media_time_s, number_in(f.image)) for f in decoder.frames(source.packets())]
    assert seen == [(pytest.approx(number / 10), number) for number in range(60)]
    assert number_in(picture_at(recording, 3.3)) == 33
    clip = cut_clip(recording, 3.0, 3.5, tmp_path / "clip.mp4", pre_roll_s=1, post_roll_s=1)
    assert numbers(clip.path) == list(range(20, 46))
    assert clip.rendered
    assert "does not say when its pictures are shown" in clip.notes[0]


@pytest.mark.parametrize("at", [0.0, 0.3, 2.4, 2.5, 5.9])
def test_picture_is_the_exact_one(tmp_path: Path, at: float) -> None:
    recording = write_video(tmp_path / "b.mp4", frames=60, bframes=3, gop=25)
    many = Footage([Recording(recording, 100.0)])
    picture = many.picture_at(100.0 + at)
    assert picture.shape == (240, 320, 3)
    assert number_in(picture) == round(at * 10)
    assert number_in(many.picture_at(100.0 + at + 0.06)) == round(at * 10)


def test_picture_before_and_after_the_footage_is_the_nearest(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "b.mp4", frames=20)
    assert number_in(picture_at(recording, -3.0)) == 0
    assert number_in(picture_at(recording, 99.0)) == 19


def test_picture_of_the_right_recording(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.mp4", frames=20)
    two = write_video(tmp_path / "two.mp4", frames=20, first=20)
    many = Footage([Recording(two, 2.0), Recording(one)])
    assert [number_in(many.picture_at(i / 10)) for i in (0, 19, 20, 39)] == [0, 19, 20, 39]


def test_exact_colours_of_a_full_size_picture(tmp_path: Path) -> None:
    recording = write_video(tmp_path / "c.mkv", frames=3, codec="ffv1", pixels="bgr0")
    assert np.array_equal(picture_at(recording, 0.1), numbered(1)[..., ::-1])


def test_index_knows_key_frames_and_end(footage: Path) -> None:
    index = file_index(footage / "vtest.avi")
    assert index.regular
    assert index.key_times_s == (0.0, 25.0, 50.0, 75.0)
    assert index.end_s == pytest.approx(79.5)


def test_nothing_half_written_is_left_when_the_process_dies(footage: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom pipeline import clip, remux\n"
        "count = 0\nplain = remux.up_to\n"
        "def dying(packets, end_s):\n"
        "    for number, packet in enumerate(plain(packets, end_s)):\n"
        "        if number == 60: os._exit(9)\n"
        "        yield packet\n"
        "clip.up_to = dying\n"
        "clip.cut_clip(Path(sys.argv[1]), 12, 13, Path(sys.argv[2]) / 'clip.mp4')\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(footage / "car-detection.mp4"), str(tmp_path)], check=False)
    assert run.returncode == 9
    assert not (tmp_path / "clip.mp4").exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())


def test_clip_that_cannot_be_written_is_one_sentence_and_leaves_nothing(footage: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(MediaError, match=r"clip\.mp4: cannot be written: File exists\.") as failed:
        cut_clip(footage / "car-detection.mp4", 12, 13, blocked / "clip.mp4")
    assert failed.value.__cause__ is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
