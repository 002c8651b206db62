"""What the API process does with a worker's messages: events become alerts, alerts ask for evidence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from api.alerts import EXTERNAL, Alert
from api.arming import Arming, ArmingState
from api.desk import Desk
from api.errors import DeskError, NotFoundError, UnavailableError
from api.live_view import LiveView
from api.routes_service import InputMessage
from gatewatch.live_board import Board
from gatewatch.live_messages import (
    CameraStatus,
    ClipsDone,
    EventRaised,
    EvidenceWanted,
    FromWorker,
    InputGiven,
    PictureDone,
    PictureWanted,
    Report,
    SnapshotDone,
)
from gatewatch.live_pictures import read
from gatewatch.live_words import say
from gatewatch.site import Site
from gatewatch.words import event_line
from rules.types import RuleEvent

if TYPE_CHECKING:
    from gatewatch.live_supervisor import Supervisor

RETRY_S = (0.2, 5.0)
LEFT_BEHIND = 1000
"""Newest alerts that are looked through at the start for evidence that nobody works on any more."""


class LiveDesk:
    """Takes messages of workers over into the desk, and inputs of the API to the workers."""

    def __init__(self, site: Site, desk: Desk, arming: Arming, board: Board, say_line: Callable[[str], None]) -> None:
        self._site, self._desk, self._arming, self._board, self._say_line = site, desk, arming, board, say_line
        self.view = LiveView(self._want_pictures)
        self._disarmed: frozenset[tuple[str, str]] = frozenset()
        """(camera, rule): what workers were told."""
        self._telling = threading.Lock()
        self._log = structlog.get_logger()
        self._workers: dict[str, Supervisor] = {}
        self._waiting: dict[str, set[str]] = {}
        self._closing = threading.Event()

    def serves(self, worker: Supervisor, cameras: tuple[str, ...]) -> None:
        """From now on messages for these cameras go to this worker."""
        self._waiting[worker.status.name] = set()
        for camera in cameras:
            self._workers[camera] = worker
        self._tell(self._arming.disarmed(), datetime.now(UTC))

    def arm(self, state: ArmingState) -> None:
        """The site is armed in another way: tells the workers. Does not block."""
        self._tell(self._arming.disarmed(state), datetime.now(UTC))

    def give_up(self) -> None:
        """No more waiting for a database that does not answer."""
        self._closing.set()

    def take(self, worker: Supervisor, message: FromWorker, run: str) -> None:
        """A worker's message. Facts wait for the database as long as it takes; the worker holds back meanwhile."""
        if isinstance(message, EventRaised):
            self._until_stored(worker, lambda: self._event(worker, message, run))
        elif isinstance(message, SnapshotDone):
            self._until_stored(worker, lambda: self._snapshot(message))
        elif isinstance(message, ClipsDone):
            self._until_stored(worker, lambda: self._clips(worker, message))
        elif isinstance(message, PictureDone):
            self._picture(message)
        elif isinstance(message, Report):
            for before, now in self._board.report(message):
                self._changed(before, now)

    def lost(self, worker: Supervisor) -> int:
        """The worker is gone: says of each alert that waits for its evidence that none will come."""
        waiting, self._waiting[worker.status.name] = self._waiting[worker.status.name], set()
        why = "The camera process ended before the clip was cut."
        for alert_id in waiting:
            self._until_stored(worker, lambda alert_id=alert_id: self._missing(alert_id, why))  # type: ignore[misc]
        return len(waiting)

    def clear_left_behind(self) -> int:
        """At the start: evidence that was still wanted when an earlier process ended will not come any more."""
        count, position = 0, None
        for _ in range(LEFT_BEHIND // 100):
            page = self._desk.list(after=position, limit=100)
            for record in page.records:
                if record.media == "pending":
                    self._missing(record.alert.alert_id, "Gatewatch ended before the clip was cut.")
                    count += 1
            position = page.next
            if position is None:
                break
        return count

    def on_input(self, message: InputMessage) -> None:
        """Hands an input to the camera's worker at once; see `api.routes_service.InputSink`."""
        camera = self._site.cameras.get(message.camera)
        if camera is None:
            raise NotFoundError(f"There is no camera {message.camera}.")
        if message.line not in camera.lines:
            raise NotFoundError(f"Camera {message.camera} has no line {message.line}.")
        given = InputGiven(message.camera, message.line, message.kind, message.at)
        if not self._workers[message.camera].send(given):
            raise UnavailableError("The camera's process is not running, or cannot take more now.")

    def authorise(self, camera: str, line: str, at: datetime) -> None:
        """Lets one pass, see `api.external.Authorise`."""
        self.on_input(InputMessage(camera, line, "authorisation", at))

    def on_external(self, alert: Alert, event: RuleEvent, at: datetime) -> None:
        """An event from outside became an alert: the camera that looks there, if any, shows it."""
        opened = len(alert.event_ids) == 1
        self._say_line(event_line(event, self._site.language, self._site.timezone, joins=not opened))
        worker = self._workers.get(event.camera)
        if worker is None:
            return
        waiting = self._waiting[worker.status.name]
        waiting.add(alert.alert_id)
        if not worker.send(EvidenceWanted(alert.alert_id, event, EXTERNAL, None, snapshot=opened, at=at)):
            waiting.discard(alert.alert_id)
            if opened:
                self._missing(alert.alert_id, "The camera process could not take the wish for a clip.")

    def _tell(self, disarmed: frozenset[tuple[str, str]], at: datetime) -> None:
        with self._telling:
            changed = sorted(disarmed ^ self._disarmed)
            self._disarmed = disarmed
            for camera, rule in changed:
                kind = "disarm" if (camera, rule) in disarmed else "arm"
                # Where the worker cannot be told now it is told later, see `Supervisor.send`.
                self._workers[camera].send(InputGiven(camera, rule, kind, at))

    def _want_pictures(self, camera: str, for_s: float, full: bool) -> bool:
        worker = self._workers.get(camera)
        return worker is not None and worker.send(PictureWanted(camera, for_s, full))

    def _picture(self, message: PictureDone) -> None:
        if message.path is None:
            self.view.shown(message.camera, None, message.why)
            return
        try:
            picture = read(self._desk.media_dir / message.path)
        except OSError as error:
            self.view.shown(message.camera, None, f"The picture cannot be read: {error.strerror}.")
        else:
            self.view.shown(message.camera, picture)

    def _event(self, worker: Supervisor, message: EventRaised, run: str) -> None:
        event = message.event
        alert = self._desk.take(event, run=run, drill=self._arming.state.profile.drill)
        worker.took_event()
        opened = alert.run == run and alert.event_ids == (event.event_id,)
        wanted = EvidenceWanted(alert.alert_id, event, run, message.seen, snapshot=opened)
        self._say_line(event_line(event, self._site.language, self._site.timezone, joins=not opened))
        if worker.send(wanted):
            self._waiting[worker.status.name].add(alert.alert_id)
        elif opened:
            self._missing(alert.alert_id, "The camera process could not take the wish for a clip.")

    def _snapshot(self, message: SnapshotDone) -> None:
        if message.path is not None:
            self._desk.attach_media(message.alert_id, snapshot=message.path)
        else:
            self._log.warning("no snapshot", alert=message.alert_id, why=message.why)

    def _clips(self, worker: Supervisor, message: ClipsDone) -> None:
        if message.clips:
            known = self._desk.get(message.alert_id).alert.clips
            new = {clip.path: clip for clip in (*known, *message.clips)}
            self._desk.attach_media(message.alert_id, clips=list(new.values()))
        else:
            self._log.warning("no clip", alert=message.alert_id, why=message.why)
            self._missing(message.alert_id, message.why or "No clip could be cut.")
        self._waiting[worker.status.name].discard(message.alert_id)

    def _missing(self, alert_id: str, why: str) -> None:
        if not self._desk.get(alert_id).alert.clips:
            self._desk.media_missing(alert_id, why)

    def _until_stored(self, worker: Supervisor, step: Callable[[], None]) -> None:
        pause_s = RETRY_S[0]
        while True:
            try:
                return step()
            except UnavailableError as error:
                if self._closing.is_set():
                    self._log.error("a message could not be stored", why=str(error))
                    return None
                worker.waited_for_database()
                self._log.warning("waiting for the database", why=str(error), pause_s=pause_s)
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, RETRY_S[1])
            except DeskError as error:
                self._log.error("a message could not be stored", why=str(error))
                return None

    def _changed(self, before: CameraStatus, now: CameraStatus) -> None:
        language = self._site.language
        if now.connected and not before.connected:
            self._log.info("camera connected", camera=now.camera)
            self._say_line(say(language, "camera_on", camera=now.camera))
        elif now.reason and now.reason != before.reason and (before.connected or now.failures or now.faults):
            self._log.warning("camera", camera=now.camera, why=now.reason)
            self._say_line(say(language, "camera_off", camera=now.camera, why=now.reason))
