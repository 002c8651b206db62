"""Clips of real recordings play in a browser: copied ones, and rendered ones beside their original."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.clip import cut_clip

PLAYED = """
clip => new Promise(done => {
  const video = document.createElement('video');
  video.muted = true;
  video.onerror = () => done({error: video.error.message});
  video.ontimeupdate = () => {
    if (video.currentTime > 0.5) done({width: video.videoWidth, duration: video.duration});
  };
  video.src = clip;
  document.body.append(video);
  video.play();
})
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text("<!doctype html><title>clips</title><body></body>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("recording", "rendered"),
    [("car-detection.mp4", False), ("one-by-one-person-detection.mp4", False), ("vtest.avi", True)],
)
def test_a_clip_plays_in_a_browser(
    recording: str, rendered: bool, footage: Path, tmp_path: Path, served: str, browser: Any
) -> None:
    clip = cut_clip(footage / recording, 8.0, 9.0, tmp_path / "clip.mp4", pre_roll_s=2.0, post_roll_s=2.0)
    assert clip.rendered is rendered
    assert (clip.original_path is not None) is rendered, "what is rendered keeps its original"
    page = browser.new_page()
    page.goto(f"{served}/index.html")
    played = page.evaluate(PLAYED, "clip.mp4")
    page.close()
    assert played.get("width") == 768, played
    assert played["duration"] >= clip.clip_to_s - clip.clip_from_s - 0.2
