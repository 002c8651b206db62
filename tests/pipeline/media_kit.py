"""Small drawn videos for the tests of the media path: every picture carries its number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 10


def numbered(number: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """RGB picture whose top quarter holds `number` as black and white bars; below, a texture that moves."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    ramp = (np.arange(width)[None, :] + np.arange(height)[:, None] * 2 + number * 3) % 160 + 40
    image[:] = ramp[..., None]
    image[..., 2] //= 2
    step = width // BITS
    for bit in range(BITS):
        image[: height // 4, bit * step : (bit + 1) * step] = 235 if number >> bit & 1 else 16
    return image


def number_in(image: np.ndarray) -> int:
    """The number that `numbered` drew, from a BGR or grey picture of any size."""
    height, width = image.shape[:2]
    grey = image if image.ndim == 2 else image[..., 1]
    row = grey[height // 16 : height // 6].mean(axis=0)
    centres = [int((bit + 0.5) * (width // BITS * BITS) / BITS) for bit in range(BITS)]
    return sum(int(row[centre] > 125) << bit for bit, centre in enumerate(centres))


def write_video(
    path: Path,
    *,
    frames: int = 40,
    fps: float = 10,
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 10,
    bframes: int = 0,
    times: Iterable[float] | None = None,
    first: int = 0,
    audio: str | None = None,
    form: str | None = None,
    encoder: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    rotation: int = 0,
    change: Callable[[av.Packet, int], av.Packet | None] | None = None,
) -> Path:
    """Encodes numbered pictures. `times`: seconds of each picture; `change` may alter or drop packets."""
    output = av.open(str(path), "w", format=form, options=container or {})
    output.metadata.update(metadata or {})
    rate = Fraction(fps).limit_denominator(1000)
    video: Any = output.add_stream(codec, rate=rate, width=size[0], height=size[1], pix_fmt=pixels)
    video.codec_context.gop_size = gop
    video.codec_context.max_b_frames = bframes
    video.codec_context.time_base = Fraction(1, 1000) if times is not None else 1 / rate
    x264 = {"preset": "ultrafast", "sc_threshold": "0"} if codec == "libx264" else {}
    video.options = x264 | (encoder or {})
    if rotation:
        video.set_display_rotation(rotation)
    sound: Any = output.add_stream(audio, rate=48000) if audio else None
    count = 0
    at = list(times) if times is not None else [index / fps for index in range(frames)]
    for index, time_s in enumerate(at):
        frame = av.VideoFrame.from_ndarray(numbered(first + index, size), "rgb24").reformat(format=pixels)
        base = video.codec_context.time_base
        frame.pts, frame.time_base = round(time_s / base), base
        count = _mux(output, video.encode(frame), change, count)
        if sound is not None:
            _sound(output, sound, time_s, 1 / fps)
    _mux(output, video.encode(None), change, count)
    if sound is not None:
        output.mux(sound.encode(None))
    output.close()
    return path


def _mux(output: Any, packets: list[av.Packet], change: Any, count: int) -> int:
    for packet in packets:
        altered = change(packet, count) if change else packet
        count += 1
        if altered is not None:
            output.mux(altered)
    return count


def _sound(output: Any, sound: Any, time_s: float, length_s: float) -> None:
    samples = int(48000 * length_s)
    wave = (np.sin(np.arange(samples) * 440 * 2 * np.pi / 48000) * 3000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, round(time_s * 48000), Fraction(1, 48000)
    output.mux(sound.encode(frame))


def picture_sums(path: Path | str) -> list[tuple[float, str]]:
    """(seconds, checksum of the decoded samples) of every picture, in order of presentation."""
    with av.open(str(path)) as source:
        video = source.streams.video[0]
        return [
            (float(f.pts * f.time_base), hashlib.md5(f.to_ndarray().tobytes()).hexdigest())
            for f in source.decode(video)
        ]
