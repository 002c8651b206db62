"""Recordings -> events, alerts and evidence: the batch side of the front door.

plan.py       which camera, which recordings, where in time      identity.py, outputs.py   the output folder
footage.py    the frames of all recordings as one stream         spool.py                  detections kept on disk
tables.py     Parquet                                            evidence.py               snapshots and clips
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.alerts import Alert, Policy, group, joined, joins, opened
from gatewatch.errors import RecordingsError, StoppedError
from gatewatch.footage import FootageReader
from gatewatch.identity import identity_of
from gatewatch.inputs import load_inputs
from gatewatch.last_seen import LastSeen, Seen
from gatewatch.machine import cores
from gatewatch.outputs import OutFolder, writing
from gatewatch.plan import Plan, make_plan
from gatewatch.progress import Progress, make_progress
from gatewatch.site import Site
from gatewatch.spool import Spool
from gatewatch.stopping import Stopper, stoppable
from gatewatch.summary import summary
from gatewatch.tables import Tables
from gatewatch.version import version
from gatewatch.words import clock, damage_line, event_line, say
from models.types import Detector
from pipeline.camera import CameraCounts, track_camera
from pipeline.motion import MotionGate
from pipeline.motion_track import blob_picture_size, blob_tracker
from pipeline.track import Tracker
from pipeline.types import Frame, TrackedFrame
from rules.engine import Engine
from rules.types import Input, RuleEvent

if TYPE_CHECKING:
    import supervision as sv

    from models.detector import OnnxDetector

MOTION = "motion"


@dataclass(frozen=True)
class Options:
    """What the command line says beside the site and its recordings."""

    out: Path
    camera: str | None = None
    started_at: str | None = None
    workers: int | None = None
    inputs: Path | None = None
    overwrite: bool = False
    fresh: bool = False
    """Begin again even where an earlier run left something to go on from."""
    use_gate: bool = True
    clips: bool = True
    snapshots: bool = True
    """Off only where the analysis alone is measured: an alert without a picture is of little use to anyone."""
    quiet: bool = False


@dataclass
class Result:
    """What came out."""

    out: Path
    alerts: list[Alert]
    events: list[RuleEvent]
    """In the order of `events.jsonl`."""
    summary: dict[str, Any]


def reanalyse(
    site: Site, recordings: Sequence[Path], options: Options, *, say_line: Callable[[str], None] = print
) -> Result:
    """Analyses the recordings and writes `options.out`; `say_line` hears each event as it comes.

    Raises FrontError, MediaError, ModelError, RuleError or DeskError with sentences for the user; what was done until
    then is kept, and the same call goes on from there.
    """
    if not recordings:
        raise RecordingsError("Expected at least one recording, found none.")
    began = time.monotonic()
    plan = make_plan(site, recordings, camera=options.camera, started_at=options.started_at)
    inputs = [] if options.inputs is None else load_inputs(options.inputs, plan)
    with ExitStack() as stack:
        stopper = stack.enter_context(stoppable())
        detector = _detector(plan)
        weights = MOTION if detector is None else detector.weights_sha256
        providers = () if detector is None else detector.providers
        identity = identity_of(
            plan, weights=weights, inputs=options.inputs, use_gate=options.use_gate, providers=providers
        )
        out = stack.enter_context(OutFolder(options.out))
        resumed = out.claim(identity, overwrite=options.overwrite, fresh=options.fresh)
        if resumed:
            say_line(say(site.language, "resumed"))
        progress = stack.enter_context(make_progress(site.language, quiet=options.quiet))
        run = _Run(plan, out, detector, weights, inputs, options, stopper, progress, say_line)
        try:
            with writing(out.path):
                run.analyse()
                alerts = run.evidence()
                facts = summary(
                    plan, run.reader, run.counts, run.engine.counters,
                    alerts=len(alerts), events=len(run.events), weights=weights, resumed=resumed,
                    workers=run.workers, looked_now=run.looked_now, evidence_missing=len(run.evidence_missing),
                    wall_s=time.monotonic() - began,
                )  # fmt: skip
                out.write_lines("alerts.jsonl", (alert.to_json() for alert in alerts))
                out.write_summary(facts)
        except StoppedError:
            words = "stopped_afresh" if options.fresh else "stopped"
            raise StoppedError(say(site.language, words, time=clock(site.language, run.time_s))) from None
    return Result(options.out, alerts, run.events, facts)


def _detector(plan: Plan) -> OnnxDetector | None:
    """The camera's detector, warm; None for `detector: motion`. Raises ModelError."""
    config = plan.site.detector_of(plan.camera)
    if isinstance(config, str):
        return None
    from models.load import load_detector

    return load_detector(plan.site.weights_of(config), input_px=config.input_px)


@dataclass
class _Run:
    plan: Plan
    out: OutFolder
    detector: Detector | None
    weights: str
    inputs: Sequence[Input]
    options: Options
    stopper: Stopper
    progress: Progress
    say_line: Callable[[str], None]
    events: list[RuleEvent] = field(default_factory=list)
    counts: CameraCounts = field(default_factory=CameraCounts)
    time_s: float = 0.0
    looked_now: int = 0
    evidence_missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan, camera = self.plan, self.plan.site.cameras[self.plan.camera]
        info = plan.parts[0].info
        self.size = (info.width_px, info.height_px)
        self.workers = self.options.workers or cores()
        self.policy = Policy(cooldowns={(plan.camera, rule.name): rule.cooldown_s for rule in camera.rules})
        self.reader = FootageReader(
            plan.parts,
            analyse_fps=camera.analyse_fps,
            analysis_size=self.detector.analysis_size(*self.size) if self.detector else blob_picture_size(*self.size),
            started_at=plan.started_at,
        )
        self.engine = Engine(
            plan.camera,
            camera.rules,
            zones=camera.zones,
            lines=camera.lines,
            schedules=plan.site.schedules,
            timezone=plan.site.timezone,
            versions={"gatewatch": version(), "weights_sha256": self.weights, "site_sha256": plan.site.sha256},
        )
        self._open: dict[str, Alert] = {}
        self._first: dict[str, RuleEvent] = {}
        self._last_seen = LastSeen()
        self._seen: dict[str, Seen] = {}

    def analyse(self) -> None:
        """Frames to events; writes the tables and `events.jsonl`."""
        for message in self.inputs:
            self.engine.receive(message)
        self.progress.begin("analysing", self.plan.duration_s, footage=True)
        tables = Tables(self.out.part("tracks.parquet"), self.out.part("frames.parquet"))
        with ExitStack() as stack:
            stack.enter_context(tables)
            spool = Spool(self.out.spool)
            stack.callback(spool.close)
            executor = ThreadPoolExecutor(self.workers, thread_name_prefix="look")
            stack.callback(executor.shutdown, wait=True, cancel_futures=True)
            tracked = self._tracked(spool, executor)
            stack.callback(tracked.close)
            for frame in tracked:
                self._take(frame, tables)
            for event in self.engine.finish():
                self._event(event)
            self.looked_now = spool.added
        self.out.publish("tracks.parquet")
        self.out.publish("frames.parquet")
        self.events.sort(key=lambda event: (round(event.raised_s, 3), event.event_id))
        self.out.write_lines("events.jsonl", (self._line(event) for event in self.events))

    def evidence(self) -> list[Alert]:
        """Alerts with their snapshots and clips."""
        from gatewatch.evidence import Evidence
        from pipeline.clip import Footage

        alerts = group(self.events, self.policy)
        events = {event.event_id: event for event in self.events}
        footage = Footage(self.reader.recordings(), damaged_s=self.reader.damaged_s)
        self.progress.begin("evidence", len(alerts), footage=False)
        done = []
        with Evidence(
            self.plan.site, self.out, footage,
            clips=self.options.clips, snapshots=self.options.snapshots, workers=self.workers,
        ) as maker:  # fmt: skip
            for number, alert in enumerate(alerts):
                self.stopper.check()
                done.append(maker.of(alert, events, self._seen))
                self.progress.at(number + 1)
        self.evidence_missing = maker.missing
        for place in self.reader.places:
            if place.decode_errors:
                times_s = [time_s - place.start_s for time_s in place.damaged_s]
                self.say_line(damage_line(self.plan.site.language, place.path.name, place.decode_errors, times_s))
        for sentence in maker.missing:
            self.say_line(sentence)
        return done

    def _tracked(self, spool: Spool, executor: ThreadPoolExecutor) -> Any:
        config = self.plan.site.detector_of(self.plan.camera)
        detector = self.detector

        def look(frame: Frame) -> sv.Detections:
            kept = spool.get(frame.index)
            if kept is None and detector is not None:
                kept = spool.put(frame.index, detector.detect([frame.image], [self.size])[0])
            assert kept is not None
            return kept

        if isinstance(config, str):
            tracker = blob_tracker(*self.size)
        else:
            tracker = Tracker(*self.size, min_score=config.min_score)
        return track_camera(
            self.plan.camera,
            self.reader.frames(self.stopper.check),
            None if detector is None else look,
            gate=MotionGate(*self.size),
            tracker=tracker,
            executor=executor,
            use_gate=self.options.use_gate,
            counts=self.counts,
        )

    def _take(self, frame: TrackedFrame, tables: Tables) -> None:
        self.time_s = frame.media_time_s
        tables.add(frame, *self.reader.where(frame.media_time_s))
        self._last_seen.note(frame)
        for event in self.engine.update(frame):
            self._event(event)
        self.progress.at(frame.media_time_s)

    def _event(self, event: RuleEvent) -> None:
        self.events.append(event)
        seen = self._last_seen.of(event)
        if seen is not None:
            self._seen[event.event_id] = seen
        alert = self._open.get(event.rule)
        part_of = alert is not None and joins(alert, event, self.policy)
        self._open[event.rule] = joined(alert, event) if alert is not None and part_of else opened(event)
        if not part_of:
            self._first[event.rule] = event
        site = self.plan.site
        self.say_line(event_line(event, site.language, site.timezone, joins=part_of, first=self._first[event.rule]))

    def _line(self, event: RuleEvent) -> dict[str, Any]:
        return event.to_json(*self.reader.where(event.start_s))
