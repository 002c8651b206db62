"""Makes `pedestrians.mp4` from the `vtest.avi` that Debian's package opencv-doc carries.

    python -m sample_footage.make_clip VTEST.avi [OUT.mp4]

Every frame is kept, in order, at the source's 10 frames/s and 768x576. The encoder is told everything that decides its
output and runs in one thread, so that the same library versions give the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

SOURCE_SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"
FRAME_RATE = 10
KEY_FRAME_EVERY = 20
"""Frames: two seconds, so that a clip starts at most that much before its pre-roll."""


def make_clip(source: Path, target: Path) -> int:
    """Encodes `source` as H.264 into `target` and returns the number of frames."""
    written = 0
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(source)) as footage, av.open(str(target), "w", format="mp4", options=options) as out:
        pictures = footage.streams.video[0]
        stream = out.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, "yuv420p"
        stream.gop_size = KEY_FRAME_EVERY
        stream.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, FRAME_RATE)
        stream.options = {
            "crf": "29.5",
            "preset": "slow",
            "tune": "film",
            "profile": "high",
            "x264-params": f"keyint={KEY_FRAME_EVERY}:min-keyint={KEY_FRAME_EVERY}:scenecut=0:open-gop=0",
            "flags": "+bitexact",
        }
        for picture in footage.decode(pictures):
            frame = picture.reformat(format="yuv420p")
            frame.pts, frame.time_base = written, Fraction(1, FRAME_RATE)
            frame.pict_type = PictureType.NONE
            out.mux(stream.encode(frame))
            written += 1
        out.mux(stream.encode(None))
    return written


def main(arguments: list[str]) -> int:
    """Runs the script; returns the exit code."""
    if not 1 <= len(arguments) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    source = Path(arguments[0])
    target = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).with_name("pedestrians.mp4")
    if not source.is_file():
        print(f"{source}: no such file; Debian's package opencv-doc carries it as vtest.avi", file=sys.stderr)
        return 1
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        print(f"{source}: not the vtest.avi that the demo clip is made of (sha256 {found})", file=sys.stderr)
        return 1
    frames = make_clip(source, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target.name}: {frames} frames, {target.stat().st_size} bytes, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
