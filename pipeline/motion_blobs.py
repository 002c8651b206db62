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


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part of the mask."""

    rect: Rect
    area_px: int
    changed_px: int
    """How many of its pixels changed against a moment ago."""


def connected(apart: Plane, changed: Plane, min_area_px: int) -> tuple[list[Part], NDArray[np.int32]]:
    """Connected parts of `apart` (0 or 255), small gaps closed; the second value labels them (0: none), in order."""
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, CLOSE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    hits = np.bincount(labels[changed > 0], minlength=count)
    parts: list[Part] = []
    keep = np.zeros(count, np.int32)
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        if area >= min_area_px:
            parts.append(Part((left, top, left + width, top + height), area, int(hits[index])))
            keep[index] = len(parts)
    return parts, keep[labels]


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


def merge(parts: list[Part]) -> list[tuple[Part, list[int]]]:
    """Joins parts that belong together; with each, the indices of its parts."""
    groups: list[tuple[Part, list[int]]] = [(part, [index]) for index, part in enumerate(parts)]
    joined = True
    while joined:
        joined = False
        for i in range(len(groups)):
            for j in range(i + 1, len(groups)):
                if belong(groups[i][0].rect, groups[j][0].rect):
                    groups[i] = (_union(groups[i][0], groups[j][0]), groups[i][1] + groups[j][1])
                    del groups[j]
                    joined = True
                    break
            if joined:
                break
    return groups


def _union(a: Part, b: Part) -> Part:
    rect = (
        min(a.rect[0], b.rect[0]),
        min(a.rect[1], b.rect[1]),
        max(a.rect[2], b.rect[2]),
        max(a.rect[3], b.rect[3]),
    )
    return Part(rect, a.area_px + b.area_px, a.changed_px + b.changed_px)
