"""What an empty view looks like: the background, its noise, and how exposure changed since.

Everything here is in pixels of the small grey plane. Cost matters more than elegance: about fifteen OpenCV calls on a
plane of 320 pixels' width, so that a frame that need not be looked at costs next to nothing.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Floats = NDArray[Any]

CELL_PX = 16
TAU_S = 6.0
"""Time constant of the background where nothing is in front of it."""
TAU_SETTLING_S = 1.0
TAU_RECENT_S = 0.8
"""Time constant of the short memory against which change is seen."""
TAU_NOISE_S = 8.0
REFRESH_S = 0.8
"""Between two updates of the thresholds while all is calm."""
STRAIN_TAU_S = 5.0
"""How long an exposure change makes the model less sure of very bright and dark places."""
DEAF_MAX = 40.0
NOISE_CAP = np.uint8(24)
GAIN_RANGE = (0.2, 5.0)


def fraction(dt_s: float, tau_s: float) -> float:
    """Weight of a new sample in a running average, the same in seconds at every frame rate."""
    return 1.0 - math.exp(-dt_s / tau_s)


def middle(values: Floats) -> float:
    """The (upper) median; numpy's own takes several times as long on a few hundred values."""
    return float(np.partition(values, values.size // 2)[values.size // 2])


def fit_exposure(now: Floats, before: Floats, usable: NDArray[np.bool_]) -> tuple[float, float]:
    """Gain and offset (grey levels) that turn the cells `before` into most of the cells `now`.

    A median of ratios bears objects in up to half of the usable cells. The offset is only fitted where the scene has
    enough contrast to tell it from the gain (a changed black level, fog, gamma).
    """
    if int(usable.sum()) < max(8, usable.size // 4):
        usable = np.ones_like(usable)
    x = before[usable]
    y = now[usable]
    gain = middle((y + 1.0) / (x + 1.0))
    gain = min(max(gain, GAIN_RANGE[0]), GAIN_RANGE[1])
    residual = y - gain * x
    spread = middle(np.abs(residual))
    if spread < 1.5:
        return gain, 0.0
    offset = 0.0
    for _ in range(3):
        weight = 1.0 / (1.0 + ((y - gain * x - offset) / (3.0 + spread)) ** 2)
        total = float(weight.sum())
        mean_x = float((weight * x).sum()) / total
        mean_y = float((weight * y).sum()) / total
        variance = float((weight * (x - mean_x) ** 2).sum()) / total
        covariance = float((weight * (x - mean_x) * (y - mean_y)).sum()) / total
        # The ridge holds the fit at a pure gain where the scene is too even to know better.
        ridge = 60.0
        gain = min(max((covariance + ridge * gain) / (variance + ridge), GAIN_RANGE[0]), GAIN_RANGE[1])
        offset = mean_y - gain * mean_x
    return gain, offset


class Background:
    """Running mean, short memory and noise of each pixel of one view."""

    def __init__(self, first: Plane) -> None:
        self.mean: Floats = first.astype(np.float32)
        self.recent: Floats = self.mean.copy()
        self.noise: Floats = np.full(first.shape, 1.0, np.float32)
        self.mean8: Plane = first.copy()
        self.threshold: Plane = np.full(first.shape, 10, np.uint8)
        self._threshold_age_s = math.inf
        self._cells = (max(1, first.shape[1] // CELL_PX), max(1, first.shape[0] // CELL_PX))
        self._usable = np.ones(self._cells[::-1], np.bool_)
        self.gain = 1.0
        """Gain of the last frame against the one before."""
        self._strain = 0.0
        self._deaf = 0.0
        self._excess = 0.0
        self._refresh_threshold(0.0)

    def compensate(self, plane: Plane) -> None:
        """Brings the model to the exposure of this plane."""
        now = self._cell_means(plane)
        self.mean8 = _levels(self.mean)
        before = self._cell_means(self.mean8)
        gain, offset = fit_exposure(now, before, self._usable)
        self.gain = gain + offset / max(1.0, float(before.mean()))
        self._strain += abs(math.log(max(gain, 0.05)))
        if abs(gain - 1.0) < 0.004 and abs(offset) < 0.4:
            return
        for model in (self.mean, self.recent):
            np.multiply(model, gain, out=model)
            np.add(model, offset, out=model)
            np.clip(model, 0.0, 255.0, out=model)
        self.mean8 = _levels(self.mean)

    def differs(self, plane: Plane) -> tuple[Plane, Plane, Plane]:
        """Masks (0 or 255): differs from the empty view; differs from a moment ago. Third, the size of the latter."""
        apart = cv2.compare(cv2.absdiff(plane, self.mean8), self.threshold, cv2.CMP_GT)
        change = cv2.absdiff(plane, _levels(self.recent))
        changed = cv2.compare(change, self.threshold, cv2.CMP_GT)
        return np.asarray(apart, np.uint8), np.asarray(changed, np.uint8), np.asarray(change, np.uint8)

    def learn(self, plane: Plane, covered: Plane, change: Plane, dt_s: float, *, settling: bool) -> None:
        """Takes the plane in; behind what `covered` (0 or 255) marks, the view stays as it was before."""
        if settling:
            cv2.accumulateWeighted(plane, self.mean, fraction(dt_s, TAU_SETTLING_S))
        else:
            cv2.accumulateWeighted(plane, self.mean, fraction(dt_s, TAU_S), mask=cv2.bitwise_not(covered))
        cv2.accumulateWeighted(plane, self.recent, fraction(dt_s, TAU_RECENT_S))
        # Clipped, so that who walks by does not blind the pixels behind for long.
        fluctuation = np.minimum(change, NOISE_CAP)
        cv2.accumulateWeighted(fluctuation, self.noise, fraction(dt_s, TAU_SETTLING_S if settling else TAU_NOISE_S))
        self._refresh_threshold(dt_s)
        self._usable = self._cell_means(covered) < 100

    def listen(self, excess: float) -> None:
        """How many more specks than usual this frame had, as a ratio: above 0 raises the thresholds, below lowers."""
        self._excess = min(1.0, excess)

    def heal(self, plane: Plane, where: NDArray[np.bool_], window: tuple[slice, slice]) -> None:
        """Takes the plane as background at once in a part of the view: what stood there has left."""
        self.mean[window][where] = plane[window][where]

    def _cell_means(self, plane: Plane) -> Floats:
        # Whole cells only: shrinking by a whole number is several times faster.
        columns, rows = self._cells
        side = CELL_PX if min(plane.shape) >= CELL_PX else 1
        whole = plane[: rows * side, : columns * side]
        return np.asarray(cv2.resize(whole, self._cells, interpolation=cv2.INTER_AREA), np.float32)

    def _refresh_threshold(self, dt_s: float) -> None:
        self._strain *= 1.0 - fraction(dt_s, STRAIN_TAU_S)
        self._deaf = min(DEAF_MAX, max(0.0, self._deaf + dt_s * (40.0 if self._excess > 0.0 else 4.0) * self._excess))
        self._excess = -1.0
        self._threshold_age_s += dt_s
        if self._threshold_age_s < (REFRESH_S if self._strain < 0.1 and self._deaf == 0.0 else 0.1):
            return
        self._threshold_age_s = 0.0
        level = np.asarray(cv2.addWeighted(self.noise, 4.5, self.mean, 0.03, 4.0 + self._deaf))
        if self._strain > 0.02:
            # A camera's tone curve is no straight line: what is far from the usual brightness fits worst.
            usual = middle(self._cell_means(self.mean8).ravel())
            level = level + min(0.8, self._strain) * np.abs(self.mean - usual)
        self.threshold = np.asarray(cv2.blur(_levels(level), (3, 3)), np.uint8)


def _levels(plane: Floats) -> Plane:
    """Grey levels, rounded and clipped to 0..255."""
    return np.asarray(cv2.convertScaleAbs(plane), np.uint8)
