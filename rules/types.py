"""The words between rules and the rest: what a rule is told, and what it answers.

Points of zones, lines and paths are normalised: 0..1 of the picture's width and height, origin in the top left corner.
They may lie outside 0..1 (an anchor below the picture).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Point = tuple[float, float]
Direction = Literal["left_to_right", "right_to_left"]
Severity = Literal["low", "medium", "high", "critical"]


class RuleError(Exception):
    """A rule cannot be built or run as configured; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Input:
    """A small message from outside the picture: an authorisation, a beam, arm or disarm."""

    camera: str
    line: str
    kind: str
    """`authorisation` today; rules ignore kinds they do not know."""
    at: float
    """`media_time_s` of the camera's run."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One condition of an event: what was measured, against what."""

    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """A rule fired: a fact. Immutable."""

    event_id: str
    """`<camera>.<rule>.<six digits>`, counted per camera and rule from 1."""
    camera: str
    rule: str
    kind: str
    severity: Severity
    zone: str | None
    line: str | None
    direction: Direction | None
    label: str
    track_ids: tuple[int, ...]
    start_s: float
    """`media_time_s` when the condition began or the line was met."""
    raised_s: float
    """`media_time_s` when the rule decided."""
    started_at: datetime | None
    raised_at: datetime | None
    """UTC, None where the start of the recording is unknown."""
    measured: Mapping[str, Measured]
    path: tuple[tuple[float, float, float], ...]
    """(media_time_s, x, y) of the anchor, normalised."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, recording: str | None = None, recording_time_s: float | None = None) -> dict[str, Any]:
        """The event as the line of `events.jsonl`, keys in the documented order."""
        place: dict[str, Any] = (
            {"zone": self.zone} if self.line is None else {"line": self.line, "direction": self.direction}
        )
        return {
            "id": self.event_id,
            "camera": self.camera,
            "rule": self.rule,
            "kind": self.kind,
            "severity": self.severity,
            **place,
            "label": self.label,
            "track_ids": list(self.track_ids),
            "media_time_s": {"start": round(self.start_s, 3), "raised": round(self.raised_s, 3)},
            "started_at": utc_text(self.started_at),
            "raised_at": utc_text(self.raised_at),
            "recording": recording,
            "recording_time_s": None if recording_time_s is None else round(recording_time_s, 3),
            "measured": {
                name: {"value": round(m.value, 3), "threshold": round(m.threshold, 3)}
                for name, m in self.measured.items()
            },
            "path": [[round(t, 3), round(x, 4), round(y, 4)] for t, x, y in self.path],
            "versions": dict(self.versions),
        }


def utc_text(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and a Z, or None."""
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
