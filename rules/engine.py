"""TrackedFrame -> RuleEvent: runs the rules of one camera. (Contract only; the rules' author writes the body.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from pipeline.types import TrackedFrame
from rules.types import Input, Point, RuleEvent


class Engine:
    """The rules of one camera, fed frame by frame."""

    def __init__(
        self,
        camera: str,
        rules: Sequence[object],
        *,
        zones: Mapping[str, Sequence[Point]],
        lines: Mapping[str, Sequence[Point]],
        schedules: Mapping[str, object],
        timezone: ZoneInfo,
        versions: Mapping[str, str],
    ) -> None:
        raise NotImplementedError

    def receive(self, message: Input) -> None:
        """Takes an input; it is applied before the first frame whose media_time_s is >= its `at`."""
        raise NotImplementedError

    def update(self, frame: TrackedFrame) -> list[RuleEvent]:
        """Events decided at this frame, ordered by raised_s, then event_id."""
        raise NotImplementedError

    def finish(self) -> list[RuleEvent]:
        """The stream is over: every track ends; returns the events this decides."""
        raise NotImplementedError
