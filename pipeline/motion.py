"""Is anything moving, and where? Seen on a small grey plane, for a fraction of the cost of one look of a detector.

A pixel stands out where it differs from the view without objects by more than its own noise allows; a connected part
of such pixels moves where enough of it differs from a moment ago as well. Changes of exposure are taken out first.
What stands out and does not move is either an object that stopped (kept for a minute or so) or the hole that an object
left behind (taken as background at once).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.motion_background import Background, Plane
from pipeline.motion_blobs import CLOSE, NEIGHBOURS, Part, Rect, connected, merge, relit, without_shadow
from pipeline.types import Box

if TYPE_CHECKING:
    import supervision as sv

LONGER_SIDE_PX = 320

SETTLE_S = 3.0
SETTLE_MAX_S = 15.0
RECENT_S = 1.5
"""How long ago a pixel may have moved to count in `Motion.share`."""
ABSORB_S = 60.0
"""What stands longer without moving becomes part of the view."""
HEAL_EVERY_S = 0.25
HOLE = 1.2
FRESH_HOLE = 2.0
"""How much stronger a part's outline must be in the old view than in the new one to be a hole: what stood there left.
More is asked of what still changes."""
STAMP_EVERY_S = 0.15
"""How often it is noted where it moved; a tenth of what `share` looks back over."""
MIN_AREA_PX = 8
MIN_CHANGED_PX = 4
STILL_MIN_PX = 30
SPECK_PX = 60
SPECKS = 12
"""More parts smaller than `SPECK_PX` than this are weather."""
CAMERA_WIDE = 0.6
"""Part of the view that must stand out at once to be a change of the camera or the light, not of objects."""
EXPOSURE_STEP = math.log(1.45)
STILL_SCORE = 0.4
SURE_PX = 60.0
"""Area of a blob's box on the plane from which its score, 0.5 there, starts a track by default."""
FLAT_LEVELS = 2.0
"""Standard deviation below which a picture shows nothing (black, covered, no signal)."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved in one frame. Boxes are in source pixels."""

    media_time_s: float
    moving: bool
    blobs: tuple[Box, ...]
    """Objects that move now."""
    settled: bool
    """False until the background is known: at start, after a reconnect and after a camera-wide change."""
    scene_change: bool
    """The whole view changed in this frame (light switched, camera moved or swapped): nothing of it is motion."""
    still: tuple[Box, ...] = ()
    """Objects that moved, stopped, and are not yet background."""
    flat: bool = False
    """The picture shows nothing: black, covered, or no signal."""
    recent: Plane | None = field(default=None, repr=False, compare=False)
    """Plane of 0 and 1, 1 where something moved within `RECENT_S`; None: nowhere."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Plane pixels per source pixel, x and y."""

    def share(self, box: Box) -> float:
        """Part of `box` (source pixels), 0..1, that moved now or within the last 1.5 s; of its visible part only."""
        return float(self.shares(np.array([box]))[0])

    def shares(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) `share` of each of `boxes` (n, 4), which costs little more than that of one."""
        if self.recent is None or not len(boxes):
            return np.zeros(len(boxes))
        height, width = self.recent.shape
        most = np.array([width, height] * 2)
        scaled = boxes * np.array([*self.scale, *self.scale])
        corners = np.hstack((np.floor(scaled[:, :2]), np.ceil(scaled[:, 2:])))
        left, top, right, bottom = np.clip(corners, 0, most).astype(np.int64).T
        area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
        total = np.asarray(cv2.integral(self.recent))
        moved = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        solid = (area > 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return np.asarray(np.where(solid, moved / np.maximum(area, 1), 0.0))


class MotionGate:
    """Watches one camera, frame by frame in order of time. Deterministic; not thread-safe."""

    def __init__(self, width_px: int, height_px: int) -> None:
        """`width_px` and `height_px` are those of the source picture."""
        self.width_px = width_px
        self.height_px = height_px
        self.scene_changes = 0
        """How often the whole view changed since the start."""
        self.reset()

    def reset(self) -> None:
        """Forgets the view (start, reconnect)."""
        self._background: Background | None = None
        self._time_s = 0.0
        self._settling_since_s = 0.0
        self._settled = False
        self._moved_at: NDArray[np.float64] = np.zeros((0, 0))
        self._stood_at = self._moved_at
        self._last_moved_s = -math.inf
        self._last_heal_s = -math.inf
        self._last_parts_s = -math.inf
        self._still: list[Part] = []

    def update(self, luma: Plane, media_time_s: float) -> Motion:
        """Takes the next frame's grey plane, (height, width), any size; times must rise."""
        plane = self._plane(luma)
        deviation = float(cv2.meanStdDev(plane)[1][0, 0])
        background = self._background
        if background is None or background.mean.shape != plane.shape:
            return self._begin(plane, media_time_s, flat=deviation < FLAT_LEVELS)
        dt_s = min(max(media_time_s - self._time_s, 0.001), 10.0)
        self._time_s = media_time_s

        background.compensate(plane)
        apart, changed, change = background.differs(plane)
        apart = np.asarray(cv2.medianBlur(apart, 3), np.uint8)
        standing = cv2.countNonZero(apart) / apart.size
        step = abs(math.log(max(background.gain, 0.05))) > EXPOSURE_STEP
        if step or standing > CAMERA_WIDE:
            self.scene_changes += 1
            return self._begin(plane, media_time_s, flat=deviation < FLAT_LEVELS, changed=True)
        moving, still = self._parts(plane, apart, changed) if standing > 0.0 else ([], [])
        covered = np.asarray(cv2.dilate(apart, NEIGHBOURS), np.uint8)
        background.learn(plane, covered, change, dt_s, settling=not self._settled)
        self._settle(media_time_s, standing)
        return self._motion(moving, still, deviation < FLAT_LEVELS)

    def _plane(self, luma: Plane) -> Plane:
        height, width = luma.shape
        longer = max(height, width)
        if longer > LONGER_SIDE_PX * 1.25:
            size = (max(8, round(width * LONGER_SIDE_PX / longer)), max(8, round(height * LONGER_SIDE_PX / longer)))
            luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.asarray(cv2.blur(luma, (3, 3)), np.uint8)

    def _begin(self, plane: Plane, media_time_s: float, *, flat: bool, changed: bool = False) -> Motion:
        self._background = Background(plane)
        self._time_s = self._settling_since_s = media_time_s
        self._settled = False
        self._moved_at = np.full(plane.shape, -math.inf)
        self._stood_at = np.full(plane.shape, math.inf)
        self._last_moved_s = -math.inf
        self._last_heal_s = media_time_s
        self._last_parts_s = -math.inf
        self._still = []
        return Motion(media_time_s, False, (), False, changed, flat=flat, scale=self._scale())

    def _settle(self, media_time_s: float, standing: float) -> None:
        since_s = media_time_s - self._settling_since_s
        if not self._settled and since_s >= SETTLE_S:
            self._settled = standing < CAMERA_WIDE / 2 or since_s >= SETTLE_MAX_S

    def _parts(self, plane: Plane, apart: Plane, changed: Plane) -> tuple[list[Part], list[Part]]:
        """Objects that move, and objects that stand."""
        changed = np.asarray(cv2.bitwise_and(changed, apart), np.uint8)
        busy = cv2.countNonZero(changed) >= MIN_CHANGED_PX
        if not busy and self._time_s - self._last_parts_s < 0.5:
            return [], self._still
        self._last_parts_s = self._time_s
        assert self._background is not None
        solid = without_shadow(plane, self._background.mean8, apart)
        moving: list[Part] = []
        still: list[Part] = []
        found = connected(solid, changed, MIN_AREA_PX)
        self._clutter(found)
        for part in merge(found):
            moves = part.changed_px >= max(MIN_CHANGED_PX, part.area_px // 25)
            (moving if moves else still).append(part)
        if self._time_s - self._last_heal_s > HEAL_EVERY_S:
            self._last_heal_s = self._time_s
            self._absorb(plane, apart, still)
            still = [part for part in still if not self._healed(plane, apart, part.rect, HOLE)]
            moving = [part for part in moving if not self._healed(plane, apart, part.rect, FRESH_HOLE)]
        if moving and self._time_s - self._last_moved_s >= STAMP_EVERY_S:
            self._stamp(plane, apart, moving)
        self._still = [part for part in still if part.area_px >= STILL_MIN_PX]
        return moving, self._still

    def _stamp(self, plane: Plane, apart: Plane, moving: list[Part]) -> None:
        """Notes where it moved now."""
        assert self._background is not None
        self._last_moved_s = self._time_s
        for left, top, right, bottom in (piece for part in moving for piece in part.pieces):
            # A margin, because structure is compared with what is around.
            window = (slice(max(0, top - 4), bottom + 4), slice(max(0, left - 4), right + 4))
            seen = (apart[window] > 0) & ~relit(plane[window], self._background.mean8[window])
            self._moved_at[window][seen] = self._time_s

    def _clutter(self, parts: list[Part]) -> None:
        """Grows deaf to specks while there are very many of them: rain, snow, a storm in the trees, a noisy night."""
        assert self._background is not None
        specks = sum(part.area_px < SPECK_PX for part in parts)
        self._background.listen((specks - SPECKS) / SPECKS)

    def _absorb(self, plane: Plane, apart: Plane, still: list[Part]) -> None:
        """What stood for long without moving becomes background."""
        assert self._background is not None
        self._stood_at[apart == 0] = math.inf
        since_s = self._time_s - ABSORB_S
        for left, top, right, bottom in (piece for part in still for piece in part.pieces):
            window = (slice(top, bottom), slice(left, right))
            stood_at = self._stood_at[window]
            stood_at[(apart[window] > 0) & (stood_at > self._time_s)] = self._time_s
            self._background.heal(plane, (stood_at < since_s) & (self._moved_at[window] < since_s), window)

    def _healed(self, plane: Plane, apart: Plane, rect: Rect, ratio: float) -> bool:
        """Takes a part as background if its outline is there in the old view and not in the new one."""
        height, width = plane.shape
        window = (
            slice(max(0, rect[1] - 2), min(height, rect[3] + 2)),
            slice(max(0, rect[0] - 2), min(width, rect[2] + 2)),
        )
        inside = np.asarray(cv2.morphologyEx(apart[window], cv2.MORPH_CLOSE, CLOSE), np.uint8)
        assert self._background is not None
        outline = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, NEIGHBOURS) > 0
        # What belongs to the place itself has its edges in both views and tells nothing.
        gained = (_edges(plane[window]) - _edges(self._background.mean8[window]))[outline]
        if -float(gained[gained < 0].sum()) < ratio * float(gained[gained > 0].sum()):
            return False
        self._background.heal(plane, cv2.dilate(inside, NEIGHBOURS) > 0, window)
        return True

    def _motion(self, moving: list[Part], still: list[Part], flat: bool) -> Motion:
        recent: Plane | None = None
        if self._time_s - self._last_moved_s <= RECENT_S:
            recent = (self._moved_at >= self._time_s - RECENT_S).view(np.uint8)
        return Motion(
            media_time_s=self._time_s,
            moving=bool(moving) and not flat,
            blobs=() if flat else tuple(self._box(part.rect) for part in moving),
            settled=self._settled,
            scene_change=False,
            still=() if flat else tuple(self._box(part.rect) for part in still),
            flat=flat,
            recent=recent,
            scale=self._scale(),
        )

    def _scale(self) -> tuple[float, float]:
        assert self._background is not None
        height, width = self._background.mean.shape
        return width / self.width_px, height / self.height_px

    def _box(self, rect: Rect) -> Box:
        x, y = self._scale()
        return rect[0] / x, rect[1] / y, rect[2] / x, rect[3] / y


def _edges(plane: Plane) -> NDArray[np.float32]:
    return np.asarray(cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, NEIGHBOURS), np.float32)


def motion_detections(motion: Motion) -> sv.Detections:
    """The blobs of one frame as detections labelled `object`, for cameras with `detector: motion`.

    Boxes in source pixels, `data["class_name"]` is `object` throughout, `class_id` is 0 (there is only one class).
    What moves scores 0.3 to 0.9 by its size on the plane (specks may extend a track and start none); what stopped
    scores no more than 0.4. While the background settles there are none.
    """
    import supervision as sv

    blobs = motion.blobs if motion.settled else ()
    still = motion.still if motion.settled else ()
    boxes = np.asarray([*blobs, *still], np.float32)
    if not len(boxes):
        return sv.Detections.empty()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * motion.scale[0] * motion.scale[1]
    scores = np.clip(0.5 + 0.2 * np.log2(areas / SURE_PX), 0.3, 0.9)
    scores[len(blobs) :] = np.minimum(scores[len(blobs) :], STILL_SCORE)
    return sv.Detections(
        xyxy=boxes,
        confidence=scores.astype(np.float32),
        class_id=np.zeros(len(boxes), np.int64),
        data={"class_name": np.asarray(["object"] * len(boxes))},
    )
