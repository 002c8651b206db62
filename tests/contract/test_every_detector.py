"""What holds for every detector that a camera can have, those that are added later too: embedded weights and `motion`.

Weights that users fetch are not here to be run; their families answer in tests/models/test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewatch.site_model import DetectorConfig
from models.catalogue import catalogue
from models.family import families
from models.load import load_detector
from models.types import LABELS
from pipeline.decode import Decoder
from pipeline.motion import Motion, MotionGate, motion_detections
from pipeline.source import open_source
from pipeline.track import TrackerConfig
from pipeline.types import Image

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "sample_footage" / "pedestrians.mp4"
EMBEDDED = pytest.mark.parametrize("name", [row.name for row in catalogue().values() if row.origin == "embedded"])

load = cache(load_detector)


@cache
def shown() -> tuple[tuple[Image, Image], ...]:
    """(picture, grey plane) of real frames half a second apart."""
    with open_source(CLIP) as source:
        size = load("nanodet-g").analysis_size(source.info.width_px, source.info.height_px)
        frames = Decoder(source, analyse_fps=2.0, analysis_size=size).frames(source.packets())
        return tuple((frame.image.copy(), frame.luma.copy()) for frame, _ in zip(frames, range(12), strict=False))


def told(detections: Any) -> tuple[Any, ...]:
    """Every bit of some detections."""
    names = tuple(detections.data.get("class_name", ()))
    parts = (detections.xyxy, detections.confidence, detections.class_id)
    return names, *(None if part is None else np.ascontiguousarray(part).tobytes() for part in parts)


def motions() -> list[Motion]:
    gate = MotionGate(768, 576)
    return [gate.update(luma, number / 2) for number, (_, luma) in enumerate(shown())]


@EMBEDDED
def test_the_same_pictures_give_the_same_bytes_in_any_order_and_thread(name: str) -> None:
    pictures = [picture for picture, _ in shown()[:4]]
    detector = load(name)
    first = [told(detector.detect([picture])[0]) for picture in pictures]
    assert len(set(first)) == len(first), "the pictures differ, and so do the answers"
    assert [told(detector.detect([picture])[0]) for picture in reversed(pictures)] == first[::-1]
    assert [told(one) for one in load_detector(name).detect(pictures)] == first
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda picture: told(detector.detect([picture])[0]), pictures)) == first


@EMBEDDED
def test_nothing_in_nothing_out(name: str) -> None:
    assert load(name).detect([]) == []
    assert len(load(name).detect([np.zeros((352, 448, 3), np.uint8)])[0]) == 0


@EMBEDDED
def test_it_speaks_our_labels_in_source_pixels(name: str) -> None:
    found = load(name).detect([shown()[0][0]], [(768, 576)])[0]
    assert list(found.data["class_name"]) == [LABELS[number] for number in found.class_id]
    assert "person" in found.data["class_name"]
    assert found.xyxy[:, 2].max() > 448, "the picture was reduced to 448 px"
    assert sorted(found.confidence, reverse=True) == list(found.confidence)


def test_motion_gives_the_same_bytes_speaks_of_objects_and_of_nothing_in_nothing() -> None:
    first, second = ([told(motion_detections(motion)) for motion in motions()] for _ in range(2))
    assert first == second
    assert {label for names, *_ in first for label in names} == {"object"}
    gate = MotionGate(768, 576)
    still = [gate.update(np.full((240, 320), 90, np.uint8), number / 2) for number in range(12)]
    assert [len(motion_detections(motion)) for motion in still] == [0] * 12


@pytest.mark.parametrize(
    "make",
    [DetectorConfig.model_construct, lambda: DetectorConfig(weights="nanodet-g-int8", input_px=640, min_score=0.25)],
)
def test_its_configuration_comes_back_from_json(make: Callable[[], DetectorConfig]) -> None:
    config = make()
    assert DetectorConfig.model_validate_json(config.model_dump_json()) == config


def test_every_one_is_documented() -> None:
    page = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    assert [name for name in families() if f"| `{name}` | `models/family_{name}.py` |" not in page] == []
    named = [name.strip("`") for name in page.split("## What a detector reports")[0].replace(",", " ").split()]
    starts = [name[:-1] for name in named if len(name) > 4 and name.endswith("*")]
    missing = [row for row in catalogue() if row not in named and not any(row.startswith(start) for start in starts)]
    assert missing == []
    assert "`detector: motion`" in page
    words = " ".join(page.split())
    assert f"overlap by more than {load('nanodet-g').nms_iou:g}" in words
    assert f"Scores start at {load('nanodet-g').min_score:g}" in words
    assert f"detections from {TrackerConfig().weak_score:g} up extend one" in words
