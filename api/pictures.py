"""Draws the snapshot of an event: the picture with box, path, zone or line, and a caption that explains the event.

Only what lies in the scene is drawn on the picture; all text goes into a caption strip below it, so that nothing of
the evidence is covered and the text is readable whatever the picture looks like.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from api.errors import DeskError
from api.fonts import Font, cjk_font_path, drawable, load_font
from api.pen import Colour, Pen, Xy
from api.texts import measured_words, moment_words, texts, word
from pipeline.types import Box, Image
from rules.types import Point, RuleEvent

SEVERITY_COLOURS: Mapping[str, Colour] = {
    "low": (86, 180, 255),
    "medium": (255, 205, 60),
    "high": (255, 138, 48),
    "critical": (255, 76, 84),
}
_PLACE_COLOUR: Colour = (64, 224, 208)
_PATH_COLOUR: Colour = (255, 255, 255)
_STRIP: Colour = (16, 21, 28)
_TEXT: Colour = (240, 244, 248)
_SOFT_TEXT: Colour = (172, 184, 198)


@dataclass(frozen=True, slots=True)
class _Caption:
    title: str
    severity: str
    colour: Colour
    values: str
    place_and_time: str


def draw_snapshot(
    image: Image,
    event: RuleEvent | Mapping[str, Any],
    *,
    box: Box | None = None,
    zone_points: Sequence[Point] | None = None,
    line_points: Sequence[Point] | None = None,
    language: str = "en",
    timezone: tzinfo | str = UTC,
    site: str = "",
    camera: str | None = None,
    source_size: tuple[int, int] | None = None,
    quality: int = 88,
) -> bytes:
    """The annotated still of an event as JPEG.

    `image`: BGR (height, width, 3), the frame at the event. `event`: the event or its line of `events.jsonl`.
    `box`: the object in source pixels (of `source_size`, by default the image's own size); it may reach out of the
    picture. `zone_points`, `line_points`: normalised 0..1. `camera`: a name to show instead of the event's camera.
    The result is as wide as the image and somewhat higher: the caption strip lies below the picture. Where no font has
    Chinese characters the caption is English (see `api.fonts`). Raises DeskError where the image has another shape or
    type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise DeskError(
            f"A snapshot needs a BGR picture of bytes (height, width, 3), found {image.dtype} {image.shape}."
        )
    facts = event.to_json() if isinstance(event, RuleEvent) else event
    language = language if cjk_font_path() is not None else "en"
    height, width = image.shape[:2]
    picture = Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1])).convert("RGBA")
    colour = SEVERITY_COLOURS.get(str(facts["severity"]), SEVERITY_COLOURS["medium"])

    scale = 2 if max(width, height) <= 2200 else 1
    layer = Pillow.new("RGBA", (width * scale, height * scale), (0, 0, 0, 0))
    pen = Pen(ImageDraw.Draw(layer), scale, max(1.8, min(width, height) / 330))
    size = (float(width), float(height))
    _draw_place(pen, facts, size, zone_points, line_points)
    if box is not None:
        source = source_size or (width, height)
        _draw_box(pen, _scaled(box, size, source), size, colour)
    _draw_path(pen, facts, size)
    picture.alpha_composite(layer.resize((width, height), Pillow.Resampling.BOX) if scale > 1 else layer)

    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    whole = _with_caption(picture.convert("RGB"), _caption(facts, language, zone, site, camera, colour))
    out = io.BytesIO()
    whole.save(out, format="JPEG", quality=quality, subsampling=0 if max(width, height) <= 1000 else 2)
    return out.getvalue()


def _scaled(box: Box, size: Xy, source: tuple[int, int]) -> Box:
    sx, sy = size[0] / source[0], size[1] / source[1]
    return box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy


def _draw_place(
    pen: Pen,
    facts: Mapping[str, Any],
    size: Xy,
    zone_points: Sequence[Point] | None,
    line_points: Sequence[Point] | None,
) -> None:
    if zone_points:
        outline = [(x * size[0], y * size[1]) for x, y in zone_points]
        pen.area(outline, _PLACE_COLOUR, 38)
        pen.line([*outline, outline[0]], _PLACE_COLOUR)
    if line_points:
        points = [(x * size[0], y * size[1]) for x, y in line_points]
        pen.line(points, _PLACE_COLOUR, 1.3)
        for point in points:
            pen.dot(point, _PLACE_COLOUR, 1.6)
        if facts.get("direction") is not None:
            start, end = _crossing_arrow(points, facts, size, pen.stroke_px * 20)
            pen.arrow(start, end, _PLACE_COLOUR)


def _crossing_arrow(points: Sequence[Xy], facts: Mapping[str, Any], size: Xy, length: float) -> tuple[Xy, Xy]:
    """An arrow across the line where the object met it, pointing the way it went."""
    met = _path_at(facts, float(facts["media_time_s"]["start"]), size)
    legs = list(pairwise(points))
    if met is None:
        a, b = legs[len(legs) // 2]
        foot = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    else:
        feet = [_foot(leg, met) for leg in legs]
        nearest = min(range(len(legs)), key=lambda i: math.dist(feet[i], met))
        (a, b), foot = legs[nearest], feet[nearest]
    span = math.dist(a, b) or 1.0
    # Seen by someone who looks from a to b, with y downwards, the right hand points along (-dy, dx).
    right = (-(b[1] - a[1]) / span, (b[0] - a[0]) / span)
    sign = 1.0 if facts["direction"] == "left_to_right" else -1.0
    half = (right[0] * sign * length / 2, right[1] * sign * length / 2)
    return (foot[0] - half[0], foot[1] - half[1]), (foot[0] + half[0], foot[1] + half[1])


def _foot(leg: tuple[Xy, Xy], point: Xy) -> Xy:
    """The point of the leg that is nearest to `point`."""
    (ax, ay), (bx, by) = leg
    dx, dy = bx - ax, by - ay
    along = ((point[0] - ax) * dx + (point[1] - ay) * dy) / ((dx * dx + dy * dy) or 1.0)
    along = min(max(along, 0.0), 1.0)
    return ax + along * dx, ay + along * dy


def _path_at(facts: Mapping[str, Any], media_time_s: float, size: Xy) -> Xy | None:
    path = facts["path"]
    if not path:
        return None
    _, x, y = min(path, key=lambda sample: abs(sample[0] - media_time_s))
    return x * size[0], y * size[1]


def _draw_path(pen: Pen, facts: Mapping[str, Any], size: Xy) -> None:
    """The way of the anchor; a dot marks where it is at the event."""
    points = [(x * size[0], y * size[1]) for _, x, y in facts["path"]]
    if len(points) > 1:
        pen.line(points, _PATH_COLOUR, 0.8)
    if points:
        pen.dot(points[-1], _PATH_COLOUR, 2.2)


def _draw_box(pen: Pen, box: Box, size: Xy, colour: Colour) -> None:
    """The part of the box that lies in the picture; its edges stay visible at the picture's border."""
    edge = pen.stroke_px
    left, top = max(box[0], edge), max(box[1], edge)
    right, bottom = min(box[2], size[0] - 1 - edge), min(box[3], size[1] - 1 - edge)
    if left < right and top < bottom:
        pen.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)], colour, 1.2)


def _caption(
    facts: Mapping[str, Any], language: str, zone: tzinfo, site: str, camera: str | None, colour: Colour
) -> _Caption:
    book = texts(language)["picture"]
    raised_at = facts.get("raised_at")
    moment = datetime.fromisoformat(raised_at) if raised_at else None
    place = f"{book['line']} {facts['line']}" if facts.get("line") else f"{book['zone']} {facts.get('zone')}"
    if facts.get("direction"):
        place += f" ({word(language, 'direction', facts['direction'])})"
    label = word(language, "label", facts["label"])
    label = label if language != "en" else label.lower()
    values = [label, *measured_words(language, facts["measured"])]
    when = moment_words(language, moment, float(facts["media_time_s"]["raised"]), zone)
    return _Caption(
        title=f"{word(language, 'kind', facts['kind'])} · {facts['rule']}",
        severity=word(language, "severity", facts["severity"]),
        colour=colour,
        values=str(book["list_separator"]).join(values),
        place_and_time=" · ".join(part for part in (when, site, camera or facts["camera"], place) if part),
    )


def _with_caption(
    picture: Pillow.Image,
    caption: _Caption,
) -> Pillow.Image:
    """The picture with the caption strip below."""
    width, height = picture.size
    text_px = round(min(max(math.sqrt(width * height) / 38, 11), 64))
    big, small = load_font(round(text_px * 1.2)), load_font(text_px)
    pad, bar = round(text_px * 0.7), max(3, text_px // 3)
    room = width - bar - 2 * pad
    chip_width = round(small.getlength(caption.severity) + text_px)
    title = _wrapped(caption.title, big, max(room - chip_width - pad, room // 2))
    lines = [(text, big, _TEXT) for text in title]
    lines += [(text, small, _TEXT) for text in _wrapped(caption.values, small, room)]
    lines += [(text, small, _SOFT_TEXT) for text in _wrapped(caption.place_and_time, small, room)]
    steps = [round(font.size * 1.45) for _, font, _ in lines]

    whole = Pillow.new("RGB", (width, height + sum(steps) + 2 * pad), _STRIP)
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    draw.rectangle((0, height, bar - 1, whole.height), fill=caption.colour)
    y = height + pad
    chip = (width - pad - chip_width, y, width - pad, y + round(text_px * 1.45))
    draw.rounded_rectangle(chip, radius=text_px // 3, fill=caption.colour)
    middle = ((chip[0] + chip[2]) / 2, (chip[1] + chip[3]) / 2)
    draw.text(middle, drawable(caption.severity), font=small, fill=_STRIP, anchor="mm")
    for (text, font, colour), step in zip(lines, steps, strict=True):
        draw.text((bar + pad, y + step / 2), text, font=font, fill=colour, anchor="lm")
        y += step
    return whole


def _wrapped(text: str, font: Font, room_px: int) -> list[str]:
    """Lines that fit; broken at spaces, and within a word where it alone is too long, as Chinese is."""
    text = drawable(text)
    if text and font.getlength(text) <= room_px:
        return [text]
    lines, line = [], ""
    for character in text:
        if line and font.getlength(line + character) > room_px:
            cut = line.rfind(" ")
            head, tail = (line[:cut], line[cut + 1 :]) if cut > len(line) // 2 else (line, "")
            lines.append(head.rstrip())
            line = (tail + character).lstrip()
        else:
            line += character
    return [*lines, line] if line else lines
