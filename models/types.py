"""What every detector offers, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision as sv

Image = NDArray[np.uint8]

LABELS: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "bus", "truck",
    "backpack", "handbag", "suitcase", "dog", "cat",
)  # fmt: skip
"""Our labels; `class_id` of a Detections indexes this tuple. Names are those of COCO."""


class ModelError(Exception):
    """A detector, its weights or its runtime cannot be used as asked; the message is one sentence for the user."""


class Detector(Protocol):
    """Finds objects in pictures. Stateless: the same pictures give the same detections in any order."""

    weights_sha256: str

    def analysis_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Size (width, height) to which a source picture is reduced before `detect`, aspect ratio kept."""
        ...

    def detect(
        self, images: Sequence[Image], source_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[sv.Detections]:
        """Detections of each BGR image (height, width, 3).

        Boxes are in pixels of the source picture: of `source_sizes` (width_px, height_px) where the images were
        reduced already, else of the images themselves. They are not clipped. `class_id` indexes `LABELS`,
        `confidence` is 0..1, ordered by falling confidence; `data["class_name"]` holds the labels.
        """
        ...
