"""The detectors of a worker's cameras, one for each kind of weights, and who gets them when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from api.alerts import SEVERITIES
from gatewatch.live_camera import Eyes
from gatewatch.machine import cores
from gatewatch.site import Site
from models.types import Detector
from pipeline.budget import Dispatcher, NewestFrame
from pipeline.motion_track import blob_picture_size
from pipeline.types import Frame

if TYPE_CHECKING:
    import supervision as sv

WANTED_FPS = 10.0
"""What a camera without `analyse_fps` counts as owed when detectors are short."""


class Detectors:
    """Loads what the cameras of a site ask for. Raises ModelError where weights cannot be used."""

    def __init__(self, site: Site, cameras: Sequence[str]) -> None:
        self._site = site
        self._detectors: dict[tuple[str, int], tuple[Detector, Dispatcher]] = {}
        self._eyes = {name: self._eyes_of(name) for name in cameras}

    def eyes(self, name: str) -> Eyes:
        return self._eyes[name]

    def _eyes_of(self, name: str) -> Eyes:
        config, camera = self._site.detector_of(name), self._site.cameras[name]
        if isinstance(config, str) or not camera.rules:  # Without a rule there is nothing to look for.
            return Eyes("motion", blob_picture_size, None, NewestFrame())
        detector, dispatcher = self._load(self._site.weights_of(config), config.input_px)
        importance = max((SEVERITIES.index(rule.severity) for rule in camera.rules), default=-1)
        slot = dispatcher.add(name, priority=importance, wanted_fps=camera.analyse_fps or WANTED_FPS)
        return Eyes(
            detector.weights_sha256, detector.analysis_size, lambda frame: dispatcher.look(name, frame), slot
        )  # fmt: skip

    def close(self) -> None:
        """Ends every look that waits, and returns once none is running."""
        for _, dispatcher in self._detectors.values():
            dispatcher.close()

    def _load(self, weights: str, input_px: int) -> tuple[Detector, Dispatcher]:
        known = self._detectors.get((weights, input_px))
        if known is None:
            from models.load import load_detector

            detector = load_detector(weights, input_px=input_px)
            dispatcher = Dispatcher(looking(detector), threads=cores())
            dispatcher.start()
            known = self._detectors[weights, input_px] = (detector, dispatcher)
        return known


def looking(detector: Detector) -> Callable[[Sequence[Frame]], list[sv.Detections]]:
    """`Dispatcher`'s way to call a detector."""

    def look(frames: Sequence[Frame]) -> list[sv.Detections]:
        return detector.detect(
            [frame.image for frame in frames], [(frame.width_px, frame.height_px) for frame in frames]
        )

    return look
