"""Pictures and video of the synthetic scenes: `python -m sample_footage.scenes_draw NAME OUT.mp4 [FPS]`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Frame
from sample_footage.scenes import HEIGHT_PX, SCENES, WIDTH_PX, Bush, Mover, Scene

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
ARM_SWING_S = 0.8
GRAIN_SPARE_PX = 64
SWEEP_S = 2.5
"""How long headlights take over the whole view."""


def pictures(scene: Scene, fps: float) -> Iterator[tuple[float, Image]]:
    """(time, BGR picture) of the whole scene; each picture depends on the scene and its number only."""
    ground, grain = _ground(scene), _grain(scene)
    for number, at_s in enumerate(scene.times(fps)):
        yield at_s, draw(scene, ground, grain, number, at_s)


def frames(scene: Scene, fps: float) -> Iterator[Frame]:
    """The scene as the decoder hands it on: a small grey plane at once, the picture when somebody looks at it."""
    ground, grain = _ground(scene), _grain(scene)
    for number, at_s in enumerate(scene.times(fps)):
        image = partial(draw, scene, ground, grain, number, at_s)
        yield Frame(number, at_s, None, image, _plane(scene, ground, grain, number, at_s), WIDTH_PX, HEIGHT_PX)


def draw(scene: Scene, ground: Image, grain: Floats, number: int, at_s: float) -> Image:
    """One picture."""
    chance = np.random.default_rng([scene.seed, number])
    shade = _lit(scene, _clean(scene, ground, chance, at_s).astype(np.float32), at_s)
    if scene.noise:
        left, top = chance.integers(0, GRAIN_SPARE_PX, 2)
        shade += np.float32(scene.noise) * grain[top : top + HEIGHT_PX, left : left + WIDTH_PX]
    result: Image = np.clip(shade, 0, 255).astype(np.uint8)
    return result


def _plane(scene: Scene, ground: Image, grain: Floats, number: int, at_s: float) -> Image:
    """The grey picture at half size; its noise is half as strong."""
    chance = np.random.default_rng([scene.seed, number])
    grey = cv2.cvtColor(_clean(scene, ground, chance, at_s), cv2.COLOR_BGR2GRAY)
    size = WIDTH_PX // 2, HEIGHT_PX // 2
    shade = _lit(scene, np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32), at_s)
    if scene.noise:
        left, top = chance.integers(0, size)
        shade += np.float32(scene.noise / 2) * grain[top : top + size[1], left : left + size[0], 0]
    return np.asarray(np.clip(shade, 0, 255), np.uint8)


def _lit(scene: Scene, shade: Floats, at_s: float) -> Floats:
    """The picture in the light of its time."""
    shade *= np.float32(scene.light * scene.gain(at_s))
    for begin_s in scene.sweeps_s:
        if 0.0 <= at_s - begin_s < SWEEP_S:
            height, width = shade.shape[:2]
            across = (np.arange(width) / width - 1.6 * (at_s - begin_s) / SWEEP_S + 0.3) / 0.12
            down = (np.arange(height) / height - 0.7) / 0.2
            beam = 1.0 + 1.2 * np.outer(np.exp(-down * down / 2), np.exp(-across * across / 2)).astype(np.float32)
            shade *= beam if shade.ndim == 2 else beam[:, :, None]
    return shade


def _clean(scene: Scene, ground: Image, chance: np.random.Generator, at_s: float) -> Image:
    """The picture by even light and without noise."""
    picture = ground.copy()
    for bush in scene.bushes:
        _sway(picture, bush, at_s)
    for mover, _ in sorted(scene.truth(at_s), key=lambda seen: seen[1][3]):
        _mover(picture, mover, at_s)
    if scene.arm_up_s:
        _arm(picture, scene, at_s)
    falls = not scene.falls_s or any(begin <= at_s < end for begin, end in scene.falls_s)
    for x, y, length in chance.integers((0, 0, 8), (WIDTH_PX, HEIGHT_PX, 22), (scene.rain * falls, 3)):
        cv2.line(picture, (int(x), int(y)), (int(x) - 2, int(y + length)), (190, 190, 190), 1)
    for x, y, radius in chance.integers((0, 0, 1), (WIDTH_PX, HEIGHT_PX, 4), (scene.snow * falls, 3)):
        cv2.circle(picture, (int(x), int(y)), int(radius), (235, 235, 235), -1)
    return picture


def write_video(scene: Scene, path: Path, fps: float = 10.0) -> int:
    """Encodes the scene as H.264 and returns the number of pictures."""
    rate = Fraction(fps).limit_denominator(1000)
    count = 0
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH_PX, HEIGHT_PX, "yuv420p", 1
        stream.options = {"crf": "20", "preset": "veryfast", "x264-params": "keyint=20:min-keyint=20:scenecut=0"}
        for count, (_, picture) in enumerate(pictures(scene, fps), 1):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts, frame.time_base = count - 1, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return count


def _grain(scene: Scene) -> Floats:
    """Noise of deviation 1, larger than a picture: each picture takes its own cut, cheaper than drawing anew."""
    side = HEIGHT_PX + GRAIN_SPARE_PX, WIDTH_PX + GRAIN_SPARE_PX, 3
    return np.random.default_rng(scene.seed).standard_normal(side if scene.noise else (1, 1, 3), np.float32)


def _ground(scene: Scene) -> Image:
    """What never moves: sky line, texture, the road, posts."""
    chance = np.random.default_rng(scene.seed)
    grain = cv2.GaussianBlur(chance.normal(0, 14, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.float32), (5, 5), 0)
    picture: Image = np.clip(np.full_like(grain, scene.ground) + grain, 0, 255).astype(np.uint8)
    cv2.rectangle(picture, (0, 0), (WIDTH_PX, HEIGHT_PX // 3), (150, 140, 130), -1)
    cv2.rectangle(picture, (60, 40), (WIDTH_PX - 90, HEIGHT_PX // 3), (95, 105, 125), -1)
    if scene.doorway:
        (left, top), (right, bottom) = scene.doorway
        corners = (int(left * WIDTH_PX), int(top * HEIGHT_PX)), (int(right * WIDTH_PX), int(bottom * HEIGHT_PX))
        cv2.rectangle(picture, *corners, (60, 45, 40), -1)
    for x, y in scene.posts:
        foot = int(x * WIDTH_PX), int(y * HEIGHT_PX)
        cv2.rectangle(picture, (foot[0] - 8, foot[1] - 90), (foot[0] + 8, foot[1]), (200, 200, 200), -1)
        cv2.circle(picture, (foot[0], foot[1] - 96), 10, (230, 230, 230), -1)
    return picture


def _sway(picture: Image, bush: Bush, at_s: float) -> None:
    """Leaves that are pushed a few pixels to and fro."""
    left, top, right, bottom = (round(edge) for edge in bush.box())
    size = right - left, bottom - top
    leaves = np.random.default_rng(5).normal(140, 40, (size[1] // 4, size[0] // 4, 1)).clip(0, 255).astype(np.uint8)
    by = 2.6 * math.sin(2.1 * at_s) + 1.6 * math.sin(5.3 * at_s)
    shift = np.array([[1.0, 0.0, by], [0.0, 1.0, 0.0]], np.float32)
    shown = cv2.warpAffine(cv2.resize(leaves, size), shift, size, borderMode=cv2.BORDER_REFLECT)
    picture[top:bottom, left:right] = cv2.merge([shown] * 3)


def _mover(picture: Image, mover: Mover, at_s: float) -> None:
    box = mover.box(at_s)
    if box is None:
        return
    left, top, right, bottom = (round(edge) for edge in box)
    width, height = right - left, bottom - top
    if mover.label == "person":
        head = max(4, height // 8)
        cv2.circle(picture, ((left + right) // 2, top + head), head, (150, 170, 200), -1)
        cv2.rectangle(picture, (left, top + 2 * head), (right, top + height * 6 // 10), mover.colour, -1)
        swing = 0 if mover.anchor(at_s - 0.01) == mover.anchor(at_s) else round(math.sin(at_s * 8) * width / 4)
        for side in (-1, 1):
            hip = (left + right) // 2 + side * width // 6
            cv2.line(picture, (hip, top + height * 6 // 10), (hip + side * swing, bottom), (50, 40, 40), width // 4)
        return
    cv2.rectangle(picture, (left, top + height // 3), (right, bottom - height // 8), mover.colour, -1)
    cv2.rectangle(picture, (left + width // 5, top), (right - width // 5, top + height // 3), mover.colour, -1)
    cv2.rectangle(picture, (left + width // 4, top + 4), (right - width // 4, top + height // 3), (220, 200, 180), -1)
    for x in (left + width // 5, right - width // 5):
        cv2.circle(picture, (x, bottom - height // 8), height // 8, (25, 25, 25), -1)


def _arm(picture: Image, scene: Scene, at_s: float) -> None:
    """The barrier's arm, turning about its post."""
    up = 0.0
    for begin, end in scene.arm_up_s:
        up = max(up, min(1.0, (at_s - begin) / ARM_SWING_S, (end - at_s) / ARM_SWING_S))
    x, y = round(scene.line[0][0] * WIDTH_PX), round(scene.line[0][1] * HEIGHT_PX)
    angle = math.pi / 2 * (1 - max(0.0, up))
    tip = round(x + 20 * math.sin(angle)), round(y - 110 * math.cos(angle) + 140 * math.sin(angle))
    cv2.rectangle(picture, (x - 8, y - 40), (x + 8, y + 6), (40, 40, 40), -1)
    cv2.line(picture, (x, y - 30), tip, (50, 50, 220), 6)


def main(arguments: list[str]) -> int:
    """Runs the script; returns the exit code."""
    if len(arguments) not in (2, 3) or arguments[0] not in SCENES:
        print(f"{__doc__}\nScenes: {', '.join(SCENES)}", file=sys.stderr)
        return 2
    count = write_video(SCENES[arguments[0]](), Path(arguments[1]), float(arguments[2]) if arguments[2:] else 10.0)
    print(f"{arguments[1]}: {count} synthetic pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
