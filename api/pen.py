"""Lines, dots and arrows that show on bright and on dark pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

Xy = tuple[float, float]
Colour = tuple[int, int, int]

HALO: Colour = (12, 16, 22)
_HALO_ALPHA = 190


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws in picture pixels on a layer that is `scale` times too large, so that shrinking it makes edges smooth.

    Every bright shape lies on a dark halo.
    """

    draw: ImageDraw.ImageDraw
    scale: int
    stroke_px: float

    def line(self, points: Sequence[Xy], colour: Colour, weight: float = 1.0) -> None:
        xy = [(x * self.scale, y * self.scale) for x, y in points]
        width = self.stroke_px * weight * self.scale
        self.draw.line(xy, fill=(*HALO, _HALO_ALPHA), width=max(3, round(width * 2.2)), joint="curve")
        self.draw.line(xy, fill=(*colour, 255), width=max(1, round(width)), joint="curve")

    def dot(self, at: Xy, colour: Colour, radius: float) -> None:
        """`radius` in strokes."""
        x, y = at[0] * self.scale, at[1] * self.scale
        for factor, fill in ((1.5, (*HALO, _HALO_ALPHA)), (1.0, (*colour, 255))):
            r = radius * factor * self.stroke_px * self.scale
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def area(self, points: Sequence[Xy], colour: Colour, alpha: int) -> None:
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=(*colour, alpha))

    def arrow(self, start: Xy, end: Xy, colour: Colour) -> None:
        """A shaft from `start` with a head that ends at `end`."""
        length = math.dist(start, end)
        if length == 0:
            return
        ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        head = min(self.stroke_px * 7, length * 0.6)

        def triangle(grow: float) -> list[Xy]:
            tip = (end[0] + ux * grow * 1.6, end[1] + uy * grow * 1.6)
            neck = (end[0] - ux * (head + grow * 0.8), end[1] - uy * (head + grow * 0.8))
            wing = head * 0.6 + grow
            return [tip, (neck[0] - uy * wing, neck[1] + ux * wing), (neck[0] + uy * wing, neck[1] - ux * wing)]

        self.line([start, (end[0] - ux * head, end[1] - uy * head)], colour, 1.3)
        self.area(triangle(self.stroke_px), HALO, _HALO_ALPHA)
        self.area(triangle(0.0), colour, 255)
