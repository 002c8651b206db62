"""Constant-velocity Kalman filters for boxes, all tracks of a camera at once, in seconds.

Each of centre x, centre y, width and height has its own two-state filter (value, change per second), so the covariance
is three numbers per coordinate and every step is plain array arithmetic: no matrix is inverted. Noise scales with the
height of the box, because a pixel means more on a distant object. Time steps are whatever the frame timestamps say.
The model is the white-noise-acceleration model of Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to
Tracking and Navigation" (2001), section 6.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Standard deviations in box heights (position, size), per second where they drive change.
POSITION_NOISE = 0.07
SIZE_NOISE = np.array([0.20, 0.15])
ACCELERATION = 0.7
SIZE_DRIFT = 0.12
START_SPEED = 0.8
"""Spread of the unknown speed of a new object, in its heights per second: a walker does about 0.8."""
START_SIZE_SPEED = 0.1


class BoxFilter:
    """States of n tracks. Arrays are (n, 4) in the order centre x, centre y, width, height (source pixels)."""

    def __init__(self) -> None:
        self.value: FloatArray = np.zeros((0, 4))
        self.speed: FloatArray = np.zeros((0, 4))
        self._var_value: FloatArray = np.zeros((0, 4))
        self._covar: FloatArray = np.zeros((0, 4))
        self._var_speed: FloatArray = np.zeros((0, 4))
        self._boxes: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.value)

    def predict(self, elapsed_s: float) -> None:
        """Moves every state `elapsed_s` seconds on."""
        self._boxes = None
        dt = elapsed_s
        height = np.maximum(self.value[:, 3:4], 1.0)
        drive = height * np.array([ACCELERATION, ACCELERATION, SIZE_DRIFT, SIZE_DRIFT])
        drive = drive * drive
        self.value += dt * self.speed
        self._var_value += 2 * dt * self._covar + dt * dt * self._var_speed + drive * dt**3 / 3
        self._covar += dt * self._var_speed + drive * dt**2 / 2
        self._var_speed += drive * dt
        self.value[:, 2:] = np.maximum(self.value[:, 2:], 1.0)

    def spread(self) -> FloatArray:
        """(n, 2) standard deviation of the next measured centre, in pixels."""
        return np.sqrt(self._var_value[:, :2] + self._measurement_var(np.ones(len(self)))[:, :2])

    def update(self, rows: NDArray[np.int64], measured: FloatArray, trust: FloatArray) -> None:
        """Corrects the states `rows` by `measured` (m, 4); `trust` (m,) scales the noise down (1) or up (towards 0)."""
        self._boxes = None
        noise = self._measurement_var(trust, rows)
        total = self._var_value[rows] + noise
        gain_value = self._var_value[rows] / total
        gain_speed = self._covar[rows] / total
        error = measured - self.value[rows]
        self.value[rows] += gain_value * error
        self.speed[rows] += gain_speed * error
        self._var_speed[rows] -= gain_speed * self._covar[rows]
        self._covar[rows] *= 1 - gain_value
        self._var_value[rows] *= 1 - gain_value

    def rest(self, rows: NDArray[np.int64], elapsed_s: float) -> None:
        """Moves every state `elapsed_s` seconds on but `rows`: nothing moved there, so nothing is less sure.

        Did their spread grow while nobody looks, a track would in the end be found again in anything near or far.
        """
        self._boxes = None
        value, var_value, var_speed = self.value[rows], self._var_value[rows], self._var_speed[rows]
        self.predict(elapsed_s)
        self.value[rows], self._var_value[rows], self._var_speed[rows] = value, var_value, var_speed
        self.speed[rows] = self._covar[rows] = 0.0

    def add(self, measured: FloatArray) -> None:
        """Appends new states at `measured` (m, 4), standing still with unknown speed."""
        self._boxes = None
        height = np.maximum(measured[:, 3:4], 1.0)
        noise = height * np.array([POSITION_NOISE, POSITION_NOISE, *SIZE_NOISE])
        speed = height * np.array([START_SPEED, START_SPEED / 2, START_SIZE_SPEED, START_SIZE_SPEED])
        self.value = np.vstack((self.value, measured))
        self.speed = np.vstack((self.speed, np.zeros_like(measured)))
        self._var_value = np.vstack((self._var_value, noise**2))
        self._covar = np.vstack((self._covar, np.zeros_like(measured)))
        self._var_speed = np.vstack((self._var_speed, speed**2))

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drops the states where `mask` (n,) is False."""
        self._boxes = None
        self.value, self.speed = self.value[mask], self.speed[mask]
        self._var_value, self._covar = self._var_value[mask], self._covar[mask]
        self._var_speed = self._var_speed[mask]

    def boxes(self) -> FloatArray:
        """(n, 4) left, top, right, bottom; not to be written to."""
        if self._boxes is None:
            self._boxes = to_corners(self.value)
        return self._boxes

    def _measurement_var(self, trust: FloatArray, rows: NDArray[np.int64] | None = None) -> FloatArray:
        value = self.value if rows is None else self.value[rows]
        height = np.maximum(value[:, 3:4], 1.0)
        noise = height * np.array([POSITION_NOISE, POSITION_NOISE, *SIZE_NOISE]) / np.maximum(trust[:, None], 0.2)
        return np.asarray(noise * noise)


def to_centres(corners: FloatArray) -> FloatArray:
    """(n, 4) corners -> centre x, centre y, width, height."""
    return np.column_stack(
        (
            (corners[:, 0] + corners[:, 2]) / 2,
            (corners[:, 1] + corners[:, 3]) / 2,
            corners[:, 2] - corners[:, 0],
            corners[:, 3] - corners[:, 1],
        )
    )


def to_corners(centres: FloatArray) -> FloatArray:
    """(n, 4) centre x, centre y, width, height -> corners."""
    half = centres[:, 2:] / 2
    return np.hstack((centres[:, :2] - half, centres[:, :2] + half))
