"""From a mask of pixels to boxes: one box for one car or person, also where its inside looks like the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Rect = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the plane, right and bottom exclusive."""

CLOSE = np.ones((5, 5), np.uint8)
CLOSE_HALF = np.ones((3, 3), np.uint8)
NEIGHBOURS = np.ones((3, 3), np.uint8)
HALVE_FROM_PX = 240
MOST_PARTS = 40
SAME_STRUCTURE = 0.85
"""Squared correlation above which a place looks like itself under another light."""
BETWEEN = np.ones((7, 7), np.uint8)
EVEN = 3.0
"""Standard deviation in grey levels below which the ground has no structure to compare."""


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part of the mask, or several that belong together."""

    rect: Rect
    area_px: int
    changed_px: int
    """How many of its pixels changed against a moment ago."""

    pieces: tuple[Rect, ...]
    """Rectangles of the connected parts it was joined from."""


def without_shadow(plane: Plane, background: Plane, apart: Plane) -> Plane:
    """The mask less what is only darker and as even as the ground under it; outlines and objects remain."""
    dark = cv2.bitwise_and(cv2.compare(plane, background, cv2.CMP_LT), apart)
    deepest = cv2.convertScaleAbs(background, alpha=0.35)
    texture = cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, NEIGHBOURS)
    even = cv2.compare(texture, cv2.convertScaleAbs(plane, alpha=0.06, beta=5.0), cv2.CMP_LT)
    shadow = cv2.bitwise_and(cv2.bitwise_and(dark, even), cv2.compare(plane, deepest, cv2.CMP_GT))
    return np.asarray(cv2.subtract(apart, shadow), np.uint8)


def relit(plane: Plane, background: Plane) -> NDArray[np.bool_]:
    """Where the view shows what it always shows, only brighter or darker: a beam of light or a hard shadow crosses it.

    There the small structure (7 x 7 pixels) goes with that of the background. On even ground nothing can be told,
    unless it lies between such places.
    """
    now, before = plane.astype(np.float32), background.astype(np.float32)
    side = (7, 7)
    mean_now, mean_before = cv2.blur(now, side), cv2.blur(before, side)
    var_now = cv2.blur(now * now, side) - mean_now * mean_now
    var_before = cv2.blur(before * before, side) - mean_before * mean_before
    common = cv2.blur(now * before, side) - mean_now * mean_before
    alike = (common > 0.0) & (common * common > SAME_STRUCTURE * var_now * var_before)
    known = (alike & (var_before > EVEN * EVEN)).view(np.uint8)
    return np.asarray(cv2.morphologyEx(known, cv2.MORPH_CLOSE, BETWEEN) > 0)


def connected(mask: Plane, changed: Plane, min_area_px: int) -> list[Part]:
    """Connected parts of `mask` (0 or 255), small gaps closed; areas and rectangles in pixels of the mask.

    Larger planes are labelled at half size, which costs a quarter and loses no part of two pixels.
    """
    factor = 1
    if max(mask.shape) >= HALVE_FROM_PX:
        factor = 2
        size = ((mask.shape[1] + 1) // 2, (mask.shape[0] + 1) // 2)
        reduced = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
        changed = np.asarray(cv2.resize(changed, size, interpolation=cv2.INTER_AREA), np.uint8)
        closed = cv2.morphologyEx((reduced > 63).view(np.uint8), cv2.MORPH_CLOSE, CLOSE_HALF)
    else:
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, CLOSE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    parts: list[Part] = []
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        if area * factor * factor < min_area_px:
            continue
        window = (slice(top, top + height), slice(left, left + width))
        hits = int(changed[window][labels[window] == index].sum()) * factor * factor // 255
        right, bottom = (left + width) * factor, (top + height) * factor
        rect = (left * factor, top * factor, min(right, mask.shape[1]), min(bottom, mask.shape[0]))
        parts.append(Part(rect, area * factor * factor, hits, (rect,)))
    return parts


def belong(a: Rect, b: Rect) -> bool:
    """Whether two parts are likely one object: close for their size, one beside or above the other."""
    gap_x = max(a[0], b[0]) - min(a[2], b[2])
    gap_y = max(a[1], b[1]) - min(a[3], b[3])
    if gap_x <= 0 and gap_y <= 0:
        return True
    widths = (a[2] - a[0], b[2] - b[0])
    heights = (a[3] - a[1], b[3] - b[1])
    stacked = -gap_x >= 0.5 * min(widths) and gap_y <= max(3.0, 0.35 * max(heights))
    beside = -gap_y >= 0.5 * min(heights) and gap_x <= max(2.0, 0.25 * max(widths))
    return stacked or beside


def merge(parts: list[Part]) -> list[Part]:
    """Joins parts that belong together; of very many parts only the largest are kept."""
    groups = sorted(parts, key=lambda part: -part.area_px)[:MOST_PARTS]
    joined = True
    while joined:
        joined = False
        for i in range(len(groups)):
            for j in range(len(groups) - 1, i, -1):
                if belong(groups[i].rect, groups[j].rect):
                    groups[i] = _union(groups[i], groups.pop(j))
                    joined = True
    return groups


def _union(a: Part, b: Part) -> Part:
    rect = (
        min(a.rect[0], b.rect[0]),
        min(a.rect[1], b.rect[1]),
        max(a.rect[2], b.rect[2]),
        max(a.rect[3], b.rect[3]),
    )
    return Part(rect, a.area_px + b.area_px, a.changed_px + b.changed_px, a.pieces + b.pieces)
