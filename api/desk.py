"""The desk: takes events, keeps alerts, hands them to guards. Thread-safe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy.orm import Session

from api.alerts import Action, Alert, Clip, Policy, Reason, State, act, joined, joins, opened
from api.errors import DeskError, NotFoundError
from api.importing import read_reanalysis
from api.journal import SYSTEM, Actor, canonical
from api.records import Filters, ListPage, Position, Record
from api.storage import store
from api.storage.ledger import Ledger, Write
from api.storage.tables import AlertRow
from rules.types import RuleEvent


class Desk:
    """Alerts in a database, their pictures and clips in a folder.

    Everything that groups events lies in the database, so a restart goes on where the last process stopped.
    Every method may be called from any thread; each writes in one transaction or not at all.
    Raises DeskError; UnavailableError where the database is busy or its disk is full.
    """

    def __init__(self, ledger: Ledger, *, media_dir: Path | str, policy: Policy | None = None) -> None:
        """`media_dir`: the only folder out of which pictures and clips are served; their paths are relative to it."""
        self.media_dir = Path(media_dir)
        self._ledger = ledger
        self._policy = policy or Policy()

    # What cameras bring

    def take(
        self, event: RuleEvent, *, run: str = "", recording: str | None = None, recording_time_s: float | None = None
    ) -> Alert:
        """The alert that this event opened or joined.

        `run` names the clock of the event's media times and the counter of its id; give each start of a worker its
        own. An event that comes again (same run, same id) changes nothing.
        """
        with self._ledger.writing() as write:
            session = write.session
            known = store.alert_with_event(session, run, event.event_id)
            if known is not None:
                return store.alert_of(known)
            row = store.latest_of_rule(session, event.camera, event.rule)
            body = event.to_json(recording, recording_time_s)
            if row is not None and joins(alert := store.alert_of(row), event, self._policy, run):
                store.update(row, joined(alert, event, run))
                action = "joined"
            else:
                row = store.add(session, opened(event, run), body, write.at)
                action = "raised"
            store.add_event(session, row, run, body, event.raised_s, event.raised_at)
            alert = store.alert_of(row)
            _note(write, row, SYSTEM, action, _facts(alert, [body]))
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
            _note(write, row, SYSTEM, "evidence", _evidence(store.alert_of(row)))

    def media_missing(self, alert_id: str, why: str) -> None:
        """Says that no clip will come, and why (one sentence for the guard)."""
        with self._ledger.writing() as write:
            row = _wanted(write.session, alert_id)
            row.media, row.media_note = "missing", why
            _note(write, row, SYSTEM, "evidence_missing", {"why": why})

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
                        store.add_event(session, row, run, body, raised_s, raised_at)
                    new += 1
                    _note(write, row, SYSTEM, "raised", _facts(item.alert, item.events))
                if (row.snapshot, store.alert_of(row).clips) == (item.alert.snapshot, item.alert.clips):
                    continue
                row.snapshot = item.alert.snapshot
                store.replace_clips(session, row, item.alert.clips)
                row.media = "ready" if item.alert.clips else "missing"
                _note(write, row, SYSTEM, "evidence", _evidence(item.alert))
        return new

    # What guards do

    def act(
        self,
        alert_id: str,
        action: Action,
        *,
        reason: Reason | None = None,
        note: str | None = None,
        expected_version: int | None = None,
        actor: Actor = SYSTEM,
    ) -> Record:
        """The alert after a guard's action; see `api.alerts.act` for what is refused."""
        with self._ledger.writing() as write:
            row = _wanted(write.session, alert_id)
            after = act(
                store.alert_of(row), action, write.at, reason=reason, note=note, expected_version=expected_version
            )
            store.update(row, after)
            _note(write, row, actor, action, reason=after.reason, note=after.note)
            write.session.flush()
            return store.record_of(write.session, row, whole=True)

    def get(self, alert_id: str) -> Record:
        """One alert with its events and changes. Raises NotFoundError."""
        with self._ledger.reading() as session:
            return store.record_of(session, _wanted(session, alert_id), whole=True)

    def list(self, filters: Filters | None = None, *, after: Position | None = None, limit: int = 50) -> ListPage:
        """Alerts, newest first."""
        with self._ledger.reading() as session:
            return store.page(session, filters or Filters(), after, limit)

    def counts(self) -> Mapping[State, int]:
        """How many alerts are in each state."""
        with self._ledger.reading() as session:
            return store.counts(session)

    def snapshot_file(self, alert_id: str) -> Path:
        """Raises NotFoundError where there is none."""
        with self._ledger.reading() as session:
            path = _wanted(session, alert_id).snapshot
        return self._media_file(path, f"Alert {alert_id} has no snapshot.")

    def clip_file(self, alert_id: str, part: int = 1, *, original: bool = False) -> Path:
        """The `part`-th clip (from 1), as a browser plays it or as the camera sent it. Raises NotFoundError."""
        with self._ledger.reading() as session:
            clips = store.alert_of(_wanted(session, alert_id)).clips
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


def _wanted(session: Session, alert_id: str) -> AlertRow:
    row = store.find(session, alert_id)
    if row is None:
        raise NotFoundError(f"There is no alert {alert_id[:300]}.")
    return row


def _check_relative(path: str | None) -> None:
    if path is None:
        return
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not pure.parts:
        raise DeskError(f"A media path must be relative to the media folder and stay in it, found {path}.")


def _note(
    write: Write,
    row: AlertRow,
    actor: Actor,
    action: str,
    body: Mapping[str, Any] | None = None,
    *,
    reason: str | None = None,
    note: str | None = None,
) -> None:
    """Says in the journal what was done with the alert."""
    entry = write.journal(
        actor, "alert", row.alert_id, action, body,
        camera=row.camera, version=row.version, reason=reason, note=note,
    )  # fmt: skip
    row.journal_seq = entry.seq


def _facts(alert: Alert, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the journal vouches for: the alert as its line of `alerts.jsonl`, and the events as they were raised."""
    digests = {body["id"]: hashlib.sha256(canonical(dict(body)).encode()).hexdigest() for body in events}
    return {"alert": alert.to_json(), "run": alert.run, "events_sha256": digests}


def _evidence(alert: Alert) -> dict[str, Any]:
    return {"snapshot": alert.snapshot, "clips": [clip.to_json() for clip in alert.clips]}
