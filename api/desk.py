"""The desk: takes events, keeps alerts, hands them to guards. Thread-safe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, cast

from sqlalchemy.orm import Session

from api.access.principal import Principal, Role, permissions_of
from api.alerts import EXTERNAL, OPEN_STATES, Alert, Clip, Policy, State, joined, joins, opened
from api.desk_journal import evidence, facts, note_alert, step_taken
from api.errors import DeskError, InvalidError, NotFoundError
from api.importing import read_reanalysis
from api.journal import SYSTEM, Actor, canonical
from api.lifecycle import VERDICT_OF, Action, Step, act
from api.reasons import Reasons, reasons_of
from api.records import NO_CAMERA, Filters, ListPage, Position, Record
from api.response_times import MAX_ALERTS, Grouping, Summary, summarised
from api.storage import listing, store
from api.storage.ledger import Ledger, Write
from api.storage.tables import AlertRow
from api.storage.tables_access import UserRow
from api.storage.told import latest_told
from rules.types import RuleEvent, Severity, utc_text


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """Something that happened outside the pictures, as its source told it."""

    source: str
    """Who told it: a name of the site file; groups its alerts as a rule's name does."""
    event_id: str
    """The source's own id of it; the same id again is the same event."""
    kind: str
    """`panic_button`, `fire_alarm`, ..."""
    severity: Severity
    at: datetime
    """UTC."""
    camera: str | None = None
    """The camera that looks there, if one does."""
    label: str = "external"
    text: str | None = None
    """What the source said, for guards."""
    at_given: datetime | None = None
    """What the source's clock said, where that could not be believed."""

    def as_rule_event(self) -> RuleEvent:
        """In the currency of rules: nothing measured, no tracks, and no media clock."""
        return RuleEvent(
            event_id=_external_id(self.source, self.event_id), camera=self.camera or "", rule=self.source,
            kind=self.kind, severity=self.severity, zone=None, line=None, direction=None, label=self.label,
            track_ids=(), start_s=0.0, raised_s=0.0, started_at=self.at, raised_at=self.at, measured={}, path=(),
        )  # fmt: skip


def _external_id(source: str, event_id: str) -> str:
    digest = hashlib.sha256(canonical([source, event_id]).encode()).hexdigest()[:20]
    return f"{source}.{digest}"


class Desk:
    """Alerts in a database, their pictures and clips in a folder.

    Everything that groups events lies in the database, so a restart goes on where the last process stopped.
    Every method may be called from any thread; each writes in one transaction or not at all.
    Raises DeskError; UnavailableError where the database is busy or its disk is full.
    """

    def __init__(
        self, ledger: Ledger, *, media_dir: Path | str, policy: Policy | None = None, reasons: Reasons | None = None
    ) -> None:
        """`media_dir`: the only folder out of which pictures and clips are served; their paths are relative to it.
        `reasons`: those that guards give with a verdict, by default the ones that every site has."""
        self.media_dir = Path(media_dir)
        self.reasons = reasons or reasons_of()
        self._ledger = ledger
        self._policy = policy or Policy()

    # What cameras bring

    def take(
        self,
        event: RuleEvent,
        *,
        run: str = "",
        recording: str | None = None,
        recording_time_s: float | None = None,
        drill: bool = False,
    ) -> Alert:
        """The alert that this event opened or joined.

        `run` names the clock of the event's media times and the counter of its id; give each start of a worker its
        own. `drill`: the site is practising; the alert will say so. An event that comes again (same run, same id)
        changes nothing.
        """
        with self._ledger.writing() as write:
            return self._take(write, event, event.to_json(recording, recording_time_s), run, drill, SYSTEM)

    def raise_external(self, event: ExternalEvent, *, actor: Actor = SYSTEM, drill: bool = False) -> Alert:
        """The alert that something outside the pictures opened or joined (a panic button, a fire panel).

        It is grouped as a rule's events are, with its source in the place of the rule, but joins only what the source
        said with the same text: another door is another situation. The same event again changes nothing. An alert of a
        camera waits for evidence: the caller attaches it, or says that none will come.
        """
        with self._ledger.writing() as write:
            return self.raise_external_in(write, event, actor=actor, drill=drill)

    def raise_external_in(
        self, write: Write, event: ExternalEvent, *, actor: Actor = SYSTEM, drill: bool = False
    ) -> Alert:
        """`raise_external` within a transaction that also writes something else."""
        rule_event = event.as_rule_event()
        body = rule_event.to_json() | {"camera": event.camera, "text": event.text}
        if event.at_given is not None:
            body["at_given"] = utc_text(event.at_given)
        return self._take(write, rule_event, body, EXTERNAL, drill, actor)

    def alert_of_external_in(self, write: Write, source: str, event_id: str) -> str | None:
        """The alert that this event of a source raised or joined; None where there is none, or none any more."""
        row = store.alert_with_event(write.session, EXTERNAL, _external_id(source, event_id))
        return None if row is None else row.alert_id

    def _take(
        self, write: Write, event: RuleEvent, body: Mapping[str, Any], run: str, drill: bool, actor: Actor
    ) -> Alert:
        session = write.session
        known = store.alert_with_event(session, run, event.event_id)
        if known is not None:
            return store.alert_of(known)
        if run == EXTERNAL:
            row = latest_told(session, event.camera, event.rule, event.kind, body.get("text"))
        else:
            row = store.latest_of_rule(session, event.camera, event.rule)
        open_row = row if row is not None and row.state in OPEN_STATES else None
        if open_row is not None and joins(store.alert_of(open_row, alone=True), event, self._policy, run, drill=drill):
            row = open_row
            store.grown(row, joined(store.alert_of(row), event, run))
            action = "joined"
        else:
            row = store.add(session, opened(event, run, drill=drill), body, write.at)
            action = "raised"
            if not event.camera:
                row.media, row.media_note = "missing", NO_CAMERA
        store.add_event(row, run, body, event.raised_s, event.raised_at)
        alert = store.alert_of(row)
        # What the source said is a note of the alert, so that the search finds it; what joins says the same.
        said = body.get("text") if action == "raised" else None
        # A later event may come from another run than the alert's.
        told = facts(alert, [body]) | {"event_run": run}
        note_alert(write, row, actor, action, told, note=said)
        return alert

    def attach_media(self, alert_id: str, *, snapshot: str | None = None, clips: Sequence[Clip] | None = None) -> None:
        """Says where the snapshot or the clips of an alert lie; what is left out stays as it was.

        Clips replace all earlier ones. An alert with clips counts as ready.
        """
        for path in [snapshot, *(p for clip in clips or () for p in (clip.path, clip.original))]:
            _check_relative(path)
        with self._ledger.writing() as write:
            row = _wanted(write.session, alert_id)
            if snapshot is not None:
                row.snapshot = snapshot
            if clips is not None:
                store.replace_clips(write.session, row, clips)
            if row.clips:
                row.media, row.media_note = "ready", None
            note_alert(write, row, SYSTEM, "evidence", evidence(store.alert_of(row)))

    def media_missing(self, alert_id: str, why: str) -> None:
        """Says that no clip will come, and why (one sentence for the guard)."""
        with self._ledger.writing() as write:
            row = _wanted(write.session, alert_id)
            row.media, row.media_note = "missing", why
            note_alert(write, row, SYSTEM, "evidence_missing", {"why": why})

    def import_reanalysis(self, out_dir: Path | str, *, run: str = "") -> int:
        """Takes over the alerts of a re-analysis folder, which lies in the media folder; returns how many are new.

        Alerts that were taken over before stay as guards left them. Raises DeskError where the folder cannot be read,
        or where an alert of the same id was taken over from other events.
        """
        prefix = self._prefix(Path(out_dir))
        alerts = read_reanalysis(Path(out_dir), prefix, run)
        new = 0
        with self._ledger.writing() as write:
            session = write.session
            for item in alerts:
                row = store.find(session, item.alert.alert_id)
                if row is not None:
                    known = [(event.event_id, event.body["media_time_s"]) for event in row.events]
                    if known != [(body["id"], body["media_time_s"]) for body in item.events]:
                        raise DeskError(
                            f"The database holds alert {item.alert.alert_id} of another analysis: "
                            f"expected the events of {out_dir}; use a new database."
                        )
                else:
                    row = store.add(session, item.alert, item.events[0], write.at)
                    for body, (raised_s, raised_at) in zip(item.events, item.raised, strict=True):
                        store.add_event(row, run, body, raised_s, raised_at)
                    new += 1
                    note_alert(write, row, SYSTEM, "raised", facts(item.alert, item.events))
                if (row.snapshot, store.alert_of(row).clips) == (item.alert.snapshot, item.alert.clips):
                    continue
                row.snapshot = item.alert.snapshot
                store.replace_clips(session, row, item.alert.clips)
                row.media = "ready" if item.alert.clips else "missing"
                note_alert(write, row, SYSTEM, "evidence", evidence(item.alert))
        return new

    # What guards do

    def act(
        self,
        alert_id: str,
        action: Action,
        *,
        reason: str | None = None,
        note: str | None = None,
        assignee: str | None = None,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
        principal: Principal | None = None,
    ) -> Record:
        """The alert after somebody's action; see `api.lifecycle.act` for what is refused.

        `principal`: for whom it is done, within what they may see and do; without one everything is allowed.
        Raises NotFoundError where there is no such alert that they see.
        """
        by = actor.name if principal is None else principal.user
        may_take = principal is None or "alerts.assign_others" in principal.permissions
        with self._ledger.writing() as write:
            row = _wanted(write.session, alert_id, principal)
            before = store.alert_of(row)
            step = Step(action, write.at, by, reason, note, assignee, expected_version, may_take)
            after = act(before, step, self.reasons)
            if action == "assign":
                _check_assignee(write.session, row, assignee)
            if after != before:
                store.handled(row, after)
                said = (note or "").strip() or None
                given = after.reason if action in VERDICT_OF else None
                note_alert(write, row, actor, action, step_taken(before, after), reason=given, note=said)
                write.session.flush()
            return store.record_of(write.session, row, whole=True)

    def assignees(self, alert_id: str, principal: Principal | None = None) -> Sequence[tuple[str, str]]:
        """Who could take this alert: names and what to call them. Raises NotFoundError."""
        with self._ledger.reading() as session:
            row = _wanted(session, alert_id, principal)
            return [(u.name, u.display_name) for u in store.active_users(session) if _may_handle(u, row.camera)]

    def get(self, alert_id: str, principal: Principal | None = None) -> Record:
        """One alert with its events and changes. Raises NotFoundError."""
        with self._ledger.reading() as session:
            return store.record_of(session, _wanted(session, alert_id, principal), whole=True)

    def list(self, filters: Filters | None = None, *, after: Position | None = None, limit: int = 50) -> ListPage:
        """Alerts, newest first."""
        with self._ledger.reading() as session:
            return listing.page(session, filters or Filters(), after=after, limit=limit)

    def counts(self) -> Mapping[State, int]:
        """How many alerts are in each state."""
        with self._ledger.reading() as session:
            return store.counts(session)

    def response_times(
        self, since: datetime, until: datetime, *, grouping: Grouping = "rule", drill: bool = False
    ) -> Sequence[Summary]:
        """How fast guards were with the alerts that were raised in this period (drills, or the others).

        Raises InvalidError where these are more than `MAX_ALERTS`.
        """
        with self._ledger.reading() as session:
            found = store.responses(session, since, until, drill=drill, limit=MAX_ALERTS + 1)
            summaries = summarised(found, grouping)
        if sum(summary.alerts for summary in summaries) > MAX_ALERTS:
            raise InvalidError(
                f"The period holds more than {MAX_ALERTS} alerts: choose a shorter one.", {"max_alerts": MAX_ALERTS}
            )
        return summaries

    def snapshot_file(self, alert_id: str, principal: Principal | None = None) -> Path:
        """Raises NotFoundError where there is none."""
        with self._ledger.reading() as session:
            path = _wanted(session, alert_id, principal).snapshot
        return self._media_file(path, f"Alert {alert_id} has no snapshot.")

    def clip_file(
        self, alert_id: str, part: int = 1, *, original: bool = False, principal: Principal | None = None
    ) -> Path:
        """The `part`-th clip (from 1), as a browser plays it or as the camera sent it. Raises NotFoundError."""
        with self._ledger.reading() as session:
            clips = store.alert_of(_wanted(session, alert_id, principal)).clips
        what = f"Alert {alert_id} has no clip {part}."
        if not 1 <= part <= len(clips):
            raise NotFoundError(what)
        clip = clips[part - 1]
        return self._media_file(clip.original or clip.path if original else clip.path, what)

    def _media_file(self, path: str | None, missing: str) -> Path:
        if path is None:
            raise NotFoundError(missing)
        folder = self.media_dir.resolve()
        file = (folder / path).resolve()
        # Storage could have been written by something else: nothing outside the folder is served, links included.
        if not file.is_relative_to(folder) or not file.is_file():
            raise NotFoundError(missing)
        return file

    def _prefix(self, out_dir: Path) -> PurePosixPath:
        folder, media = out_dir.resolve(), self.media_dir.resolve()
        if not folder.is_relative_to(media):
            raise DeskError(f"{out_dir}: must lie in the media folder {self.media_dir} to be taken over.")
        return PurePosixPath(folder.relative_to(media).as_posix())


def _wanted(session: Session, alert_id: str, principal: Principal | None = None) -> AlertRow:
    row = store.find(session, alert_id)
    if row is None or (principal is not None and not principal.sees(row.camera or None)):
        raise NotFoundError(f"There is no alert {alert_id[:300]}.")
    return row


def _may_handle(user: UserRow, camera: str) -> bool:
    sees = user.cameras is None or camera in user.cameras
    return sees and "alerts.handle" in permissions_of(cast(Role, user.role))


def _check_assignee(session: Session, row: AlertRow, name: str | None) -> None:
    if not any(_may_handle(user, row.camera) for user in store.active_users(session, name)):
        raise InvalidError(
            f"Alert {row.alert_id} goes to a user who may handle it, found {name}.",
            {"field": "assignee", "found": name},
        )


def _check_relative(path: str | None) -> None:
    if path is None:
        return
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not pure.parts:
        raise DeskError(f"A media path must be relative to the media folder and stay in it, found {path}.")
