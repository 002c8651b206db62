"""What opens, what is refused and with which sentence, and what is never said aloud."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.clip import cut_clip, picture_at
from pipeline.decode import Decoder
from pipeline.errors import MediaError, StreamLostError
from pipeline.source import mask_text, mask_url, open_source
from tests.pipeline.media_kit import numbered, write_video


def _cut(path: Path, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def _bad_head(path: Path) -> None:
    path.write_bytes(b"\xff" * 64 + write_video(path).read_bytes()[64:])


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _music_with_cover(path: Path) -> None:
    _audio_only(path)
    with av.open(str(path)) as source, av.open(str(path.with_suffix(".mka")), "w", format="matroska") as output:
        output.add_attachment("cover.png", "image/png", av.codec.CodecContext.create("png", "w").name.encode())
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    path.with_suffix(".mka").replace(path)


def _picture(path: Path) -> None:
    av.VideoFrame.from_ndarray(numbered(1), "rgb24").save(str(path))


def _no_samples(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as output:
        output.add_stream("libx264", rate=10, width=320, height=240, pix_fmt="yuv420p")
        output.start_encoding()


def _garbage_pictures(path: Path) -> None:
    def ruin(packet: av.Packet, _number: int) -> av.Packet:
        bad = av.Packet(b"\xff" * 50)
        bad.pts, bad.dts, bad.time_base, bad.stream = packet.pts, packet.dts, packet.time_base, packet.stream
        return bad

    write_video(path, frames=5, codec="mpeg4", change=ruin)


def _huge(path: Path) -> None:
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_mux_stream("mjpeg", width=20000, height=10000)
        packet = av.Packet(b"\xff\xd8\xff\xd9")
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 1000), stream, True
        output.mux(packet)


def _unknown_codec(path: Path) -> None:
    write_video(path, frames=3, codec="ffv1", form="avi")
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"QQQQ"))


def _unreadable(path: Path) -> None:
    write_video(path, frames=3)
    path.chmod(0)


NOT_RECORDING = "is not a recording that can be read (damaged, cut off while written, or another kind of file)."
REFUSED = [
    # name               file              made by                                              the sentence
    ("missing", "none.mp4", lambda _path: None, "there is no such file."),
    ("folder", "folder.mp4", lambda path: path.mkdir(), "expected a recording but found a folder."),
    ("empty", "empty.mp4", _bytes(b""), "is empty (0 bytes)."),
    ("text", "notes.txt", _bytes(b"Guard rota\n" * 500), "expected a recording but found a text or data file."),
    ("text named mp4", "notes.mp4", _bytes(b"Guard rota\n" * 500), NOT_RECORDING),
    ("random bytes", "noise.avi", _bytes(np.random.default_rng(1).bytes(40_000)), NOT_RECORDING),
    ("zeros", "zeros.mkv", _bytes(bytes(40_000)), NOT_RECORDING),
    ("mp4 without its index", "cut.mp4", lambda path: _cut(write_video(path), 0.6), NOT_RECORDING),
    ("header only", "head.mp4", lambda path: _cut(write_video(path), 0.002), NOT_RECORDING),
    ("corrupt header", "bad.mp4", _bad_head, NOT_RECORDING),
    ("sound only", "sound.mp4", _audio_only, "holds sound but no video."),
    ("sound with attachment", "music.mp4", _music_with_cover, "holds sound but no video."),
    ("no pictures", "nothing.mp4", _no_samples, "it holds no pictures."),
    ("only garbage", "garbage.mkv", _garbage_pictures, "no picture in it can be decoded."),
    ("single picture", "snap.png", _picture, "expected a recording but found a single picture."),
    ("single jpeg", "snap.jpg", _picture, "expected a recording but found a single picture."),
    ("picture named mp4", "snap.mp4", lambda p: (_picture(p.with_suffix(".png")), p.with_suffix(".png").rename(p)),
     "expected a recording but found a single picture."),
    ("absurd size", "huge.mkv", _huge,
     "expected pictures of 16 to 16384 px a side and at most 64 megapixels but found 20000x10000."),
    ("unknown codec", "codec.avi", _unknown_codec, "the video is in a format that this build cannot decode."),
    ("playlist of other files", "list.m3u8",
     _bytes(b"#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/secret.ts\n#EXT-X-ENDLIST\n"), None),
    ("subtitles", "film.srt", _bytes(b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"), None),
    ("a pipe", "pipe.mp4", lambda path: os.mkfifo(path),
     "expected a recording but found something that is not a plain file."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "make", "sentence"), REFUSED, ids=[row[0] for row in REFUSED])
def test_malformed_media_get_one_clear_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, file: str, make: Callable[[Path], object],
    sentence: str | None,
) -> None:  # fmt: skip
    path = tmp_path / file
    make(path)
    capfd.readouterr()
    with pytest.raises(MediaError) as refusal:
        open_source(path)
    said = str(refusal.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert said.endswith(".")
    assert "Errno" not in said
    if sentence is not None:
        assert said in (f"{path}: {sentence}", f"{path} {sentence}"), name
    assert refusal.value.__cause__ is None, "the decoder's own error would be shown as a traceback"
    with pytest.raises(MediaError):
        picture_at(path, 0.0)
    out = capfd.readouterr()
    assert out.out == out.err == "", "the decoder's own messages reach the terminal"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.mp4"
    _unreadable(path)
    with pytest.raises(MediaError, match="may not be read by this user"):
        open_source(path)


def test_denied_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "theirs.mp4", frames=3)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MediaError, match=r"theirs.mp4: may not be read by this user\.$"):
        open_source(path)


def test_says_what_a_recording_is(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "all.mp4", frames=25, fps=12.5, audio="aac", metadata={"creation_time": "2024-01-31T10:00:00Z"}
    )
    with open_source(path) as source:
        info = source.info
    assert (info.width_px, info.height_px, info.codec, info.audio_codec) == (320, 240, "h264", "aac")
    assert info.average_fps == pytest.approx(12.5)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    assert info.has_audio
    assert info.creation_time is not None
    assert info.creation_time.isoformat() == "2024-01-31T10:00:00+00:00"


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00Z", "2000-01-01T00:00:13Z", "not a time"])
def test_clock_of_a_camera_that_never_was_set_counts_as_nothing(tmp_path: Path, stamp: str) -> None:
    path = write_video(tmp_path / "unset.mkv", frames=3, metadata={"creation_time": stamp})
    with open_source(path) as source:
        assert source.info.creation_time is None


def test_file_url_and_closing_twice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a b.mp4", frames=10)
    source = open_source(f"file://{path}")
    packets = source.packets()
    next(packets)
    source.close()
    source.close()
    assert list(packets) == []


def test_sound_comes_only_where_wanted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "sound.mp4", frames=10, audio="aac")
    with open_source(path) as source:
        assert {p.stream_index for p in source.packets()} == {source.video.index}
    with open_source(path) as source:
        assert {p.stream_index for p in source.packets(audio=True)} == {0, 1}


MASKED = [
    ("rtsp://guard:s3cret@192.0.2.8/main", "rtsp://guard:***@192.0.2.8/main"),
    ("rtsps://guard:s3c%2Fret@[2001:db8::8]:322/main", "rtsps://guard:***@[2001:db8::8]:322/main"),
    ("rtsp://guard:p@ss@192.0.2.8/main", "rtsp://guard:***@192.0.2.8/main"),
    ("rtsp://guard:p/a?s#s@192.0.2.8/main", "rtsp://guard:***@192.0.2.8/main"),
    ("rtsp://guard:12/34@192.0.2.8/main", "rtsp://guard:***@192.0.2.8/main"),
    ("rtsp://:s3cret@192.0.2.8/", "rtsp://:***@192.0.2.8/"),
    ("rtsp://guard@192.0.2.8/main", "rtsp://guard@192.0.2.8/main"),
    ("rtsp://192.0.2.8:554/main", "rtsp://192.0.2.8:554/main"),
    ("http://192.0.2.8/cgi?user=admin&password=s3cret&ch=1", "http://192.0.2.8/cgi?user=***&password=***&ch=1"),
    ("http://192.0.2.8/live.m3u8?access_token=abc#t", "http://192.0.2.8/live.m3u8?access_token=***#t"),
    ("http://192.0.2.8:8080/@home/cam", "http://192.0.2.8:8080/@home/cam"),
    ("/recordings/20240131_235959.mp4", "/recordings/20240131_235959.mp4"),
]


@pytest.mark.parametrize(("url", "masked"), MASKED)
def test_passwords_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert mask_text(f"cannot open {url}: refused", url) == f"cannot open {masked}: refused"


def test_password_is_masked_in_text_wherever_it_stands() -> None:
    url = "rtsp://guard:s3c%2Fret@192.0.2.8/main"
    said = mask_text("401 for guard with s3c/ret at rtsp://guard:s3c%2Fret@192.0.2.8:554/main", url)
    assert "s3c" not in said


UNREACHABLE = "rtsp://guard:s3cret@127.0.0.1:{port}/main"


def _refused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(lines: bytes) -> int:
    """A server on a free port that answers everything with `lines`, for one client."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client:
                while request := client.recv(4096):
                    number = next((x for x in request.split(b"\r\n") if x.lower().startswith(b"cseq")), b"CSeq: 1")
                    client.sendall(lines.replace(b"CSEQ", number))

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_nobody_answers() -> None:
    with pytest.raises(StreamLostError) as lost:
        open_source(UNREACHABLE.format(port=_refused_port()))
    assert "nothing answers at this address and port (connection refused)." in str(lost.value)
    assert "s3cret" not in str(lost.value)
    assert "guard:***@" in str(lost.value)


def test_wrong_password_is_said_and_not_shown() -> None:
    port = _answers(b'RTSP/1.0 401 Unauthorized\r\nCSEQ\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')
    with pytest.raises(StreamLostError) as lost:
        open_source(UNREACHABLE.format(port=port))
    assert "refuses this user name and password" in str(lost.value)
    assert "s3cret" not in str(lost.value)


def test_silent_server_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(StreamLostError) as lost:
        open_source(UNREACHABLE.format(port=listener.getsockname()[1]), read_timeout_s=0.3, open_timeout_s=0.3)
    assert "within the time-out" in str(lost.value)
    assert "s3cret" not in str(lost.value)


@pytest.mark.parametrize("address", ["ftp://guard:s3cret@192.0.2.8/x.mp4", "concat:/etc/passwd", "gopher://x/y"])
def test_other_protocols_are_refused(address: str) -> None:
    with pytest.raises(MediaError) as refusal:
        open_source(address)
    assert "s3cret" not in str(refusal.value)


def test_missing_capture_device_is_one_sentence() -> None:
    with pytest.raises(StreamLostError, match=r"^/dev/video99: cannot be opened: .*\.$"):
        open_source("/dev/video99")


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
def test_recordings_damaged_anywhere_never_end_in_a_traceback(tmp_path: Path, kind: str) -> None:
    whole = write_video(
        tmp_path / f"whole.{kind}", frames=30, codec="mpeg4" if kind == "avi" else "libx264"
    ).read_bytes()
    dice = random.Random(kind)
    path = tmp_path / f"damaged.{kind}"
    opened = 0
    said: list[str] = []
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 5, 50, 500))):
            data[dice.randrange(len(data) if dice.random() < 0.5 else 2000)] = dice.randrange(256)
        path.write_bytes(data[: dice.randrange(len(data) // 2, len(data))] if dice.random() < 0.3 else data)
        try:
            with open_source(path) as source:
                decoder = Decoder(source, analyse_fps=5, analysis_size=(64, 48))
                times = [frame.media_time_s for frame in decoder.frames(source.packets())]
            assert all(later > earlier for earlier, later in pairwise(times))
            opened += 1
            cut_clip(path, 1.0, 1.5, tmp_path / "clip.mp4", pre_roll_s=0.5, post_roll_s=0.5)
        except MediaError as refusal:
            said.append(str(refusal))
    assert opened > 0
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in said)
