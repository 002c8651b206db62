"""Finds a font that has the characters to be drawn; where there is none, says so once and draws no empty boxes."""

from __future__ import annotations

import logging
import os
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

CJK_FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/simhei.ttf",
)
_PROBE = "区域入侵阈值秒"
_log = logging.getLogger(__name__)

Font = ImageFont.FreeTypeFont


@cache
def cjk_font_path() -> str | None:
    """The font file for Chinese text: the one that GATEWATCH_FONT names, else the first known one, else None.

    What is missing is logged, once.
    """
    named = os.environ.get("GATEWATCH_FONT")
    for path in ([named] if named else []) + list(CJK_FONTS):
        if _has_all(path, _PROBE):
            return path
        if path == named:
            _log.warning("GATEWATCH_FONT names %s, which is not a font with Chinese characters.", named)
    _log.warning(
        "No font with Chinese characters was found: snapshots are labelled in English. "
        "Install fonts-wqy-microhei, or set GATEWATCH_FONT to a font file."
    )
    return None


def _has_all(path: str, text: str) -> bool:
    if not Path(path).is_file():
        return False
    try:
        font = ImageFont.truetype(path, 20)
    except OSError:
        return False
    return all(_has(font, character) for character in text)


@lru_cache(maxsize=64)
def load_font(size_px: int) -> Font:
    """The font for labels at this size: with Chinese characters where there is one, else Pillow's own."""
    path = cjk_font_path()
    if path is not None:
        return ImageFont.truetype(path, size_px)
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):  # pragma: no cover - Pillow built without FreeType
        raise OSError("Pillow was built without FreeType: text cannot be drawn.")
    return font


def drawable(text: str) -> str:
    """The text with a question mark for every character that the font lacks."""
    font = load_font(20)
    return "".join(character if character.isspace() or _has(font, character) else "?" for character in text)


@lru_cache(maxsize=8192)
def _has(font: Font, character: str) -> bool:
    if character.isascii() and character.isprintable():
        return True
    try:
        return _picture(font, character) != _picture(font, "\uffff")
    except OSError:
        return False


def _picture(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
