"""Snapshots show where and why, on any picture; no empty boxes for characters that a font lacks."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from api import fonts
from api.errors import DeskError
from api.pictures import draw_snapshot
from api.texts import LANGUAGES, measured_words, moment_words, number, texts
from tests.api.scenes import LINE, SHANGHAI, START, ZONE, crossing, make_event

PLACE = np.array([64, 224, 208])
HIGH = np.array([255, 138, 48])


def drawn(level: int, size: tuple[int, int] = (640, 480), **changes: Any) -> np.ndarray[Any, Any]:
    width, height = size
    box = (0.5 * width, 0.3 * height, 0.6 * width, 0.8 * height)
    jpeg = draw_snapshot(
        np.full((height, width, 3), level, np.uint8),
        make_event(),
        **{"box": box, "zone_points": ZONE, "timezone": "Asia/Shanghai"} | changes,
    )
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def near(pixels: np.ndarray[Any, Any], colour: np.ndarray[Any, Any], within: int = 60) -> np.ndarray[Any, Any]:
    return np.abs(pixels - colour).max(axis=-1) <= within


@pytest.mark.parametrize("level", [4, 128, 252])
@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (3840, 2160)])
def test_box_and_zone_stand_out(level: int, size: tuple[int, int]) -> None:
    width, height = size
    picture = drawn(level, size)
    left = picture[int(0.5 * height), int(0.5 * width) - width // 80 : int(0.5 * width) + width // 80]
    assert near(left, HIGH).any()
    assert picture.shape[1] == width
    assert height * 1.08 < picture.shape[0] < height * 1.6
    edge = picture[int(0.7 * height), int(0.05 * width) - width // 80 : int(0.05 * width) + width // 80]
    assert near(edge, PLACE).any()
    outside = picture[int(0.05 * height), int(0.95 * width)]
    assert np.abs(outside - level).max() <= 4  # The scene itself is left alone.
    strip = picture[height + 4 :, width // 8 : width * 3 // 4]
    assert strip.min() < 40
    assert strip.max() > 200


@pytest.mark.parametrize("direction", ["left_to_right", "right_to_left"])
def test_the_arrow_points_the_way_the_object_went(direction: str) -> None:
    # The line runs upwards: who looks along it has the right side of the picture at the right hand.
    event = crossing(direction=direction, path=((6.0, 0.3, 0.65), (10.0, 0.3, 0.65)), start_s=6.0)
    jpeg = draw_snapshot(np.full((480, 640, 3), 20, np.uint8), event, line_points=LINE)
    picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    head = near(picture, PLACE, 70)
    x, y = int(0.3 * 640), int(0.65 * 480)
    head[y - 3 : y + 4] = False  # The shaft reaches to both sides, the head to one.
    left, right = (head[y - 15 : y + 16, side].sum() for side in (slice(x - 24, x - 4), slice(x + 5, x + 25)))
    assert (right > 10, left) == (True, 0) if direction == "left_to_right" else (left > 10, right) == (True, 0)


def test_a_box_that_leaves_the_picture_and_no_box() -> None:
    assert near(drawn(20, box=(600, 200, 800, 900))[:480], HIGH).any()
    assert not near(drawn(20, box=None)[:480], HIGH, 20).any()
    assert not near(drawn(20, box=(700, 500, 800, 900))[:480], HIGH, 20).any()


def test_boxes_of_the_source_are_brought_to_the_size_of_the_picture() -> None:
    assert np.array_equal(drawn(20), drawn(20, box=(960, 432, 1152, 1152), source_size=(1920, 1440)))


def test_other_pictures_are_refused() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(DeskError, match="needs a BGR picture"):
            draw_snapshot(wrong, make_event())


def test_words_for_measured_values() -> None:
    measured = make_event().to_json()["measured"]
    assert measured_words("en", measured) == ["dwell 34.2 s, limit 30 s"]
    assert measured_words("zh-CN", measured) == ["停留 34.2 秒，阈值 30 秒"]
    new_rule = {"gap_to_wall_m": {"value": 0.25, "threshold": 1}, "people": {"value": 12, "threshold": 10}}
    assert measured_words("en", new_rule) == ["gap to wall 0.25 m, limit 1 m", "people 12, limit 10"]


def test_times_are_those_of_the_site() -> None:
    assert moment_words("en", START, 0.0, SHANGHAI) == "2026-03-01 22:00:00.0 UTC+08:00"
    assert moment_words("en", None, 3725.26, SHANGHAI) == "1:02:05.3 into the recording"
    assert moment_words("zh-CN", None, 59.97, SHANGHAI) == "录像 0:01:00.0 处"


def test_every_language_has_every_text() -> None:
    def keys(value: Any) -> Any:
        return {name: keys(inner) for name, inner in value.items()} if isinstance(value, dict) else None

    english, chinese = (texts(language) for language in LANGUAGES)
    assert keys(english) == keys(chinese)
    for group, words in ((name, inner) for name, inner in chinese.items() if isinstance(inner, dict)):
        for key, text in words.items():
            assert text.strip() or group == "unit", (group, key)
            assert group == "unit" or key == "list_separator" or any(ord(c) > 0x2E80 for c in text), (group, key)


@pytest.fixture
def other_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    caches = (fonts.cjk_font_path, fonts.load_font, fonts._has)
    for cached in caches:
        cached.cache_clear()
    yield monkeypatch
    for cached in caches:
        cached.cache_clear()


def test_without_a_chinese_font_the_text_is_english_and_it_is_said_once(
    other_fonts: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other_fonts.setattr(fonts, "CJK_FONTS", ())
    other_fonts.delenv("GATEWATCH_FONT", raising=False)
    with caplog.at_level(logging.WARNING):
        chinese, english = (drawn(20, language=language) for language in ("zh-CN", "en"))
    assert np.array_equal(chinese, english)
    assert [record.message for record in caplog.records] == [
        "No font with Chinese characters was found: snapshots are labelled in English. "
        "Install fonts-wqy-microhei, or set GATEWATCH_FONT to a font file."
    ]
    assert fonts.drawable("lawn 草坪") == "lawn ??"


def test_a_named_font_that_will_not_do_is_said(
    other_fonts: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    (tmp_path / "no.ttf").write_bytes(b"no font")
    other_fonts.setenv("GATEWATCH_FONT", str(tmp_path / "no.ttf"))
    fonts.cjk_font_path()
    assert "is not a font with Chinese characters" in caplog.text


def test_chinese_is_drawn_and_unknown_scripts_are_no_boxes() -> None:
    if fonts.cjk_font_path() is None:
        pytest.skip("needs a font with Chinese characters (fonts-wqy-microhei)")
    assert fonts.drawable("围界-北侧 阈值 Ab1 ≥") == "围界-北侧 阈值 Ab1 ≥"
    assert fonts.drawable("ก") == "?"
    assert not np.array_equal(drawn(20, language="zh-CN"), drawn(20, language="en"))


def test_a_snapshot_rounds_as_the_page_does_from_what_the_files_say() -> None:
    """Values are written with three decimals; 0.58497 must not be 0.58 here and, from 0.585, 0.59 there."""
    for value in (0.5852, 0.58461, 34.2496, 0.12449):
        assert number(value) == number(round(value, 3))
