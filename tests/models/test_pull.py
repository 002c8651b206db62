"""Fetching weights from a real server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from models.catalogue import Row, pin_file
from models.pull import pull
from models.types import ModelError

PAYLOAD = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves PAYLOAD and remembers what was asked; may cut a transfer short or ignore ranges."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.cut_after: int | None = None
        self.ranges = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_args):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if "missing" in self.path:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(PAYLOAD):
            self.send_error(416)
            return
        body = PAYLOAD[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def row(server, sha256=SHA256, path="/w.onnx"):
    return Row(
        "some", "yolox", "pull", "some.onnx", "here", "Apache-2.0", "coco80", 640, sha256=sha256, url=server.url + path
    )


def test_fetches_and_reports_progress(server, folder):
    seen = []
    path = pull(row(server), progress=lambda done, total: seen.append((done, total)))
    assert path == folder / "some.onnx"
    assert path.read_bytes() == PAYLOAD
    assert seen[-1] == (len(PAYLOAD), len(PAYLOAD))
    assert not list(folder.glob("*.part"))


def test_what_is_here_and_right_is_not_fetched_again(server, folder):
    (folder / "some.onnx").write_bytes(PAYLOAD)
    pull(row(server))
    assert server.asked == []


def test_a_damaged_file_is_fetched_again(server, folder):
    (folder / "some.onnx").write_bytes(b"damaged")
    assert pull(row(server)).read_bytes() == PAYLOAD


def test_goes_on_where_it_broke_off(server):
    server.cut_after = 100_000
    with pytest.raises(ModelError, match=r"100000 of 512000 bytes \(100000 bytes are kept for the next try\)"):
        pull(row(server))
    server.cut_after = None
    assert pull(row(server)).read_bytes() == PAYLOAD
    assert server.asked[-1] == ("/w.onnx", "bytes=100000-")


def test_starts_anew_where_the_server_knows_no_ranges(server, folder):
    (folder / "some.onnx.part").write_bytes(PAYLOAD[:1000])
    server.ranges = False
    assert pull(row(server)).read_bytes() == PAYLOAD


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, folder):
    (folder / "some.onnx.part").write_bytes(PAYLOAD + b"more")
    assert pull(row(server)).read_bytes() == PAYLOAD


def test_another_file_than_expected_is_thrown_away(server, folder):
    with pytest.raises(ModelError, match="is not the file expected: SHA-256 0{64}, found " + SHA256):
        pull(row(server, sha256="0" * 64))
    assert list(folder.iterdir()) == []


def test_without_a_published_hash_one_must_be_given_or_accepted(server):
    unknown = row(server, sha256="")
    with pytest.raises(ModelError, match="give one with --sha256, or accept what comes with --pin"):
        pull(unknown)
    assert server.asked == []
    with pytest.raises(ModelError, match="not the file expected"):
        pull(unknown, sha256="0" * 64)
    pull(unknown, pin=True)
    assert pin_file(unknown).read_text().startswith(SHA256)


def test_a_pinned_hash_holds_for_later_pulls(server):
    unknown = row(server, sha256="")
    pin_file(unknown).write_text("0" * 64)
    with pytest.raises(ModelError, match=r"expected: SHA-256 0{64}"):
        pull(unknown, pin=True)


def test_goes_through_the_proxy_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    elsewhere = replace(row(server), url="http://weights.invalid/w.onnx")
    pull(elsewhere)
    assert server.asked == [("http://weights.invalid/w.onnx", None)]


@pytest.mark.parametrize(
    ("path", "reason"), [("/missing.onnx", "the server answered 404 Not Found"), (None, "refused")]
)
def test_without_the_server_it_says_what_to_put_where(server, folder, path, reason):
    wanted = row(server, path=path or "/w.onnx")
    if path is None:
        wanted = replace(wanted, url="http://127.0.0.1:9/w.onnx")
    with pytest.raises(ModelError) as refusal:
        pull(wanted)
    text = str(refusal.value)
    assert reason in text
    assert f"fetch {wanted.url} elsewhere with SHA-256 {SHA256} and put it at {folder / 'some.onnx'}" in text
    assert "\n" not in text


def test_embedded_weights_are_not_fetched(server):
    with pytest.raises(ModelError, match="some is part of Gatewatch"):
        pull(replace(row(server), origin="embedded"))
