"""TrackedFrame -> RuleEvent: runs the rules of one camera."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pipeline.types import TrackedFrame
from rules.base import ALWAYS, Finding, Rule, RuleConfig, Seen, Setting, View
from rules.geometry import Anchor, Polyline, Zone, anchor_of, check_line, check_zone
from rules.registry import rule_class
from rules.schedules import Schedule, Window
from rules.stitch import Present, Stitcher, Tracked
from rules.types import Input, Point, RuleError, RuleEvent

PATH_BEFORE_S = 5.0
"""An event's path begins this long before the event."""

Reason = Literal["disarmed", "schedule", "blind"]


@dataclass(slots=True)
class Counters:
    """What went in, what came out and what was of no use; for summaries and metrics."""

    frames: int = 0
    events: int = 0
    stitched: int = 0
    """Tracks that continued an object whose track broke."""
    samples_dropped: int = 0
    """Samples of tracks that were out of order of time."""
    inputs: int = 0
    inputs_unused: int = 0
    """Inputs that no rule of the camera takes (another camera's, unknown line or kind) or that never came due."""
    ineffective_s: dict[str, dict[Reason, float]] = field(default_factory=dict)
    """Rule -> reason -> seconds of footage in which the rule was not in effect. A second has one reason, in the order
    disarmed, schedule, blind."""


class _Running:
    """A rule at work, with its gate: schedule and arming."""

    def __init__(self, rule: Rule[Any], schedule: Schedule | None) -> None:
        config: RuleConfig = rule.config
        self.rule = rule
        self.config = config
        self.place: str | None = getattr(config, "zone", None) or getattr(config, "line", None)
        self.line: str | None = getattr(config, "line", None)
        self.schedule = schedule
        self.armed = True
        self.events = 0
        self.since_s = -math.inf
        self.on = True
        self._wall: datetime | None = None
        self._time_s = 0.0

    def begin(self, frame: TrackedFrame) -> Reason | None:
        """Looks at the gate at this frame; returns why the rule is not in effect."""
        self._wall, self._time_s = frame.wall_time, frame.media_time_s
        if self.schedule is not None and frame.wall_time is None:
            raise RuleError(
                f"rule '{self.config.name}' of camera '{frame.camera}' follows the schedule '{self.config.schedule}', "
                "but the time at which the recording started is unknown; give it with --started-at"
            )
        reason: Reason | None = None
        if not self.armed:
            reason = "disarmed"
        elif not self.effective(frame.media_time_s):
            reason = "schedule"
        on = reason is None
        if on and not self.on:
            self.since_s = frame.media_time_s
        self.on = on
        return reason or ("blind" if frame.blind else None)

    def effective(self, time_s: float) -> bool:
        """Is the rule in effect at this media time, a little before this frame or at it?"""
        if not self.armed:
            return False
        if self.schedule is None or self._wall is None:
            return True
        return self.schedule.is_open(self._wall + timedelta(seconds=time_s - self._time_s))


class Engine:
    """The rules of one camera, fed frame by frame."""

    def __init__(
        self,
        camera: str,
        rules: Sequence[RuleConfig],
        *,
        zones: Mapping[str, Sequence[Point]],
        lines: Mapping[str, Sequence[Point]],
        schedules: Mapping[str, Sequence[Window]],
        timezone: ZoneInfo,
        versions: Mapping[str, str],
    ) -> None:
        """Rules are validated `Config` instances of `rules.registry.RULES`; points are normalised.

        Raises RuleError for a rule that names a zone, line or schedule which is not there, for two rules of one name,
        and for zones and lines that are none.
        """
        self.camera = camera
        self.counters = Counters()
        self._versions = dict(versions)
        self._setting = Setting(
            {name: Zone(check_zone(name, points)) for name, points in zones.items()},
            {name: Polyline(check_line(name, points)) for name, points in lines.items()},
        )
        self._rules: list[_Running] = []
        for config in rules:
            self._rules.append(self._start(config, schedules, timezone))
            self.counters.ineffective_s[config.name] = {"disarmed": 0.0, "schedule": 0.0, "blind": 0.0}
        self._anchors: tuple[Anchor, ...] = tuple(sorted({one.config.anchor for one in self._rules}))
        self._stitcher = Stitcher(max((one.rule.memory_s() for one in self._rules), default=0.0))
        self._inputs: list[tuple[float, int, Input]] = []
        self._received = 0
        self._last: TrackedFrame | None = None

    def receive(self, message: Input) -> None:
        """Takes an input; it is applied before the first frame whose media_time_s is >= its `at`.

        `arm` and `disarm` hold for the rules whose name, line or zone is `message.line`, or for all where it is empty;
        every other kind goes to the rules on that line.
        """
        self._received += 1
        self.counters.inputs += 1
        heapq.heappush(self._inputs, (message.at, self._received, message))

    def update(self, frame: TrackedFrame) -> list[RuleEvent]:
        """Events decided at this frame, ordered by raised_s, then event_id.

        Raises RuleError where the frame is older than the one before, and where a rule has a schedule but the frame has
        no wall time.
        """
        interval_s = 0.0 if self._last is None else frame.media_time_s - self._last.media_time_s
        if interval_s < 0:
            raise RuleError(
                f"camera '{self.camera}': a frame at {frame.media_time_s:.3f} s follows one at "
                f"{frame.media_time_s - interval_s:.3f} s; expected frames in order of time"
            )
        self.counters.frames += 1
        while self._inputs and self._inputs[0][0] <= frame.media_time_s:
            self._apply(heapq.heappop(self._inputs)[2])
        present, ended = self._stitcher.update(frame)
        seen = self._seen(present, frame)
        events: list[RuleEvent] = []
        for running in self._rules:
            reason = running.begin(frame)
            if reason is not None:
                self.counters.ineffective_s[running.config.name][reason] += interval_s
            events += self._run(running, frame, seen[running.config.anchor], ended, interval_s)
        for object_id in self._stitcher.expired(frame.media_time_s):
            self._forget(object_id)
        self._last = frame
        return self._ordered(events)

    def finish(self) -> list[RuleEvent]:
        """The stream is over: every track ends; returns the events this decides.

        Inputs that never came due are counted as unused.
        """
        self.counters.inputs_unused += len(self._inputs)
        self._inputs.clear()
        if self._last is None:
            return []
        remembered = dict(self._stitcher.objects)
        ended, known = self._stitcher.finish()
        events: list[RuleEvent] = []
        for running in self._rules:
            events += self._run(running, self._last, [], ended, 0.0, remembered)
        for object_id in known:
            self._forget(object_id)
        return self._ordered(events)

    def state_size(self) -> int:
        """How many things the engine and its rules keep about objects now; it must not grow with time."""
        return len(self._stitcher.objects) + sum(one.rule.state_size() for one in self._rules)

    def _start(self, config: RuleConfig, schedules: Mapping[str, Sequence[Window]], timezone: ZoneInfo) -> _Running:
        what = f"rule '{config.name}' of camera '{self.camera}'"
        if any(one.config.name == config.name for one in self._rules):
            raise RuleError(f"camera '{self.camera}' has two rules named '{config.name}'; names must differ")
        for word, known in (("zone", self._setting.zones), ("line", self._setting.lines)):
            name = getattr(config, word, None)
            if name is not None and name not in known:
                raise RuleError(f"{what} names the {word} '{name}'; the camera has {_list(known)}")
        schedule = None
        if config.schedule in schedules:
            schedule = Schedule(schedules[config.schedule], timezone)
        elif config.schedule != ALWAYS:
            raise RuleError(f"{what} names the schedule '{config.schedule}'; the site has {_list(schedules)}")
        return _Running(rule_class(config.kind)(config, self._setting), schedule)

    def _apply(self, message: Input) -> None:
        used = False
        for running in self._rules if message.camera == self.camera else ():
            if message.kind in ("arm", "disarm"):
                if message.line in ("", running.config.name, running.place):
                    running.armed = message.kind == "arm"
                    used = True
            elif message.line == running.line:
                used = running.rule.receive(message) or used
        self.counters.inputs_unused += not used

    def _seen(self, present: list[Present], frame: TrackedFrame) -> dict[Anchor, list[Seen]]:
        self.counters.stitched = self._stitcher.stitched
        self.counters.samples_dropped = self._stitcher.samples_dropped
        width_px, height_px = frame.width_px, frame.height_px
        return {
            anchor: [
                Seen(
                    one.tracked.object_id,
                    one.track.label,
                    [(s.media_time_s, *anchor_of(s.box, anchor, width_px, height_px)) for s in one.samples],
                    one.track.box,
                    one.tracked.group,
                    one.track.state == "held",
                )
                for one in present
            ]
            for anchor in self._anchors
        }

    def _run(
        self,
        running: _Running,
        frame: TrackedFrame,
        seen: list[Seen],
        ended: list[int],
        interval_s: float,
        objects: Mapping[int, Tracked] | None = None,
    ) -> list[RuleEvent]:
        rule = running.rule
        groups = rule.groups
        view = View(
            frame.media_time_s,
            interval_s,
            frame.width_px,
            frame.height_px,
            seen if groups is None else [one for one in seen if one.group in groups],
            ended,
            running.effective,
            running.since_s,
            frame.blind,
        )
        findings = rule.update(view)
        if len(findings) > 1:
            findings.sort(key=lambda finding: (finding.start_s, finding.object_id))
        known = self._stitcher.objects if objects is None else objects
        return [self._event(running, finding, frame, known) for finding in findings]

    def _event(
        self, running: _Running, finding: Finding, frame: TrackedFrame, objects: Mapping[int, Tracked]
    ) -> RuleEvent:
        running.events += 1
        self.counters.events += 1
        config = running.config
        tracked = objects[finding.object_id]
        others = [objects[other] for other in finding.others if other in objects]
        started_at = None
        if frame.wall_time is not None:
            started_at = frame.wall_time + timedelta(seconds=finding.start_s - frame.media_time_s)
        return RuleEvent(
            event_id=f"{self.camera}.{config.name}.{running.events:06d}",
            camera=self.camera,
            rule=config.name,
            kind=config.kind,
            severity=config.severity,
            zone=getattr(config, "zone", None),
            line=running.line,
            direction=finding.direction,
            label=tracked.track.label,
            track_ids=tuple(dict.fromkeys(i for one in (tracked, *others) for i in one.track_ids)),
            start_s=finding.start_s,
            raised_s=frame.media_time_s,
            started_at=started_at,
            raised_at=frame.wall_time,
            measured=dict(finding.measured),
            path=_path(tracked, config.anchor, finding.start_s - PATH_BEFORE_S, frame),
            versions=self._versions_of(running.rule),
        )

    def _versions_of(self, rule: Rule[Any]) -> dict[str, str]:
        own = {"rule": f"{rule.kind}/{rule.version}"}
        if "gatewatch" in self._versions:
            return {"gatewatch": self._versions["gatewatch"], **own, **self._versions}
        return {**own, **self._versions}

    def _forget(self, object_id: int) -> None:
        for running in self._rules:
            running.rule.forget(object_id)

    @staticmethod
    def _ordered(events: list[RuleEvent]) -> list[RuleEvent]:
        if len(events) > 1:
            events.sort(key=lambda event: (event.raised_s, event.event_id))
        return events


def _path(
    tracked: Tracked, anchor: Anchor, from_s: float, frame: TrackedFrame
) -> tuple[tuple[float, float, float], ...]:
    places = [(t, box) for t, box in tracked.path if t >= from_s]
    if not places or places[-1][0] < tracked.last_s:
        places.append((tracked.last_s, tracked.box))
    return tuple((t, *anchor_of(box, anchor, frame.width_px, frame.height_px)) for t, box in places)


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in names) if names else "none"
