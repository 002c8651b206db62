"""A camera that wants this machine to read its own files, or to ask others: nothing but its own pictures is taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import pytest

from pipeline.errors import MediaError, StreamLostError
from pipeline.source import open_source
from tests.pipeline.media_kit import write_video


class Camera:
    """Serves what it is given, by path, and remembers what was asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    port = 0


@pytest.fixture
def camera() -> Iterator[Camera]:
    served = Camera()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            if self.path in served.redirects:
                self.send_response(302)
                self.send_header("location", served.redirects[self.path])
                self.end_headers()
                return
            body = served.answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served.port = server.server_address[1]
        thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Footage on this machine that is none of the camera's business, as a piece of a stream."""
    whole = write_video(tmp_path / "private.mp4", frames=20)
    piece = tmp_path / "private.ts"
    with av.open(str(whole)) as source, av.open(str(piece), "w", format="mpegts") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return piece


def playlist(*pieces: str) -> bytes:
    entries = "".join(f"#EXTINF:1.0,\n{piece}\n" for piece in pieces)
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n{entries}#EXT-X-ENDLIST\n".encode()


@pytest.mark.parametrize(
    "piece",
    [
        "file://{path}", "file:{path}", "concat:{path}", "concat:{path}|{path}", "subfile,,start,0,end,0,,:{path}",
        "crypto:file:{path}", "async:file:{path}", "cache:file:{path}", "data:video/mp2t;base64,{path}",
        "tcp://127.0.0.1:{port}", "udp://127.0.0.1:{port}", "ftp://127.0.0.1/{path}", "gopher://127.0.0.1:{port}/_x",
        "unix:{path}", "pipe:0",
    ],
)  # fmt: skip
def test_a_playlist_of_a_camera_reaches_neither_files_nor_other_protocols(
    camera: Camera, private: Path, piece: str
) -> None:
    camera.answers["/live.m3u8"] = playlist(piece.format(path=private, port=camera.port))
    with pytest.raises(StreamLostError):
        open_source(camera.address("/live.m3u8"), read_timeout_s=2.0)
    assert set(camera.asked) == {"/live.m3u8"}


@pytest.mark.parametrize(
    "inner",
    [
        '#EXT-X-KEY:METHOD=AES-128,URI="file://{path}"\n',
        '#EXT-X-MAP:URI="file://{path}"\n',
    ],
)
def test_keys_and_headers_of_a_playlist_are_not_read_from_files(camera: Camera, private: Path, inner: str) -> None:
    listed = playlist(camera.address("/piece.ts")).decode()
    camera.answers["/live.m3u8"] = listed.replace("#EXTINF", inner.format(path=private) + "#EXTINF", 1).encode()
    camera.answers["/piece.ts"] = bytes(188 * 20)
    with pytest.raises(StreamLostError):
        open_source(camera.address("/live.m3u8"), read_timeout_s=2.0)


def test_a_playlist_in_a_playlist_does_not_either(camera: Camera, private: Path) -> None:
    camera.answers["/live.m3u8"] = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/inner.m3u8\n"
    camera.answers["/inner.m3u8"] = playlist(f"file://{private}")
    with pytest.raises(StreamLostError):
        open_source(camera.address("/live.m3u8"), read_timeout_s=2.0)


def test_a_source_that_is_no_playlist_by_its_address_cannot_become_one(camera: Camera, private: Path) -> None:
    camera.answers["/piece.ts"] = private.read_bytes()
    camera.answers["/video"] = playlist(camera.address("/piece.ts"))
    with pytest.raises(StreamLostError):
        open_source(camera.address("/video?format=.m3u8"), read_timeout_s=2.0)
    camera.answers["/video"] = b"ffconcat version 1.0\nfile '" + camera.address("/piece.ts").encode() + b"'\n"
    with pytest.raises(StreamLostError):
        open_source(camera.address("/video"), read_timeout_s=2.0)
    assert "/piece.ts" not in camera.asked


def test_an_honest_playlist_plays(camera: Camera, private: Path) -> None:
    camera.answers["/piece.ts"] = private.read_bytes()
    camera.answers["/live.m3u8"] = playlist("piece.ts")
    with open_source(camera.address("/live.m3u8"), read_timeout_s=2.0) as source:
        assert source.info.container == "hls"
        packets = 0
        with pytest.raises(StreamLostError, match="ended"):  # noqa: PT012 - it is read until it ends
            for _ in source.packets():
                packets += 1
    assert packets == 20


@pytest.mark.parametrize("to", ["file://{path}", "concat:{path}", "subfile,,start,0,end,0,,:{path}"])
def test_a_redirect_to_a_file_is_not_followed(camera: Camera, private: Path, to: str) -> None:
    camera.redirects["/video"] = to.format(path=private)
    with pytest.raises(StreamLostError):
        open_source(camera.address("/video"), read_timeout_s=2.0)


@pytest.mark.parametrize(
    "address",
    ["httpfoo://127.0.0.1/x", "rtspx://127.0.0.1/x", "filex:///etc/passwd", "crypto://x", "unix:///tmp/x", "tcp://127.0.0.1:80",
     "concat:///etc/passwd", "data://x", "ffconcat://x"],
)  # fmt: skip
def test_addresses_of_anything_but_streams_are_refused_before_they_are_opened(address: str) -> None:
    with pytest.raises(MediaError, match="expected a file, /dev/video"):
        open_source(address, read_timeout_s=1.0)


def test_a_recording_that_lists_other_files_is_refused(private: Path) -> None:
    listed = private.with_name("list.m3u8")
    listed.write_bytes(playlist(str(private)))
    with pytest.raises(MediaError, match="found a list of other files"):
        open_source(listed)
