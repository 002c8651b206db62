"""The desk: takes events, keeps alerts, hands them to guards. Thread-safe; the sole writer of its database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.alerts import Action, Alert, Clip, Policy, Reason, State, act, joined, joins, opened
from api.errors import DeskError, NotFoundError, UnavailableError
from api.importing import read_reanalysis
from api.records import Change, Filters, ListPage, Position, Record
from api.storage import store
from api.storage.database import open_database
from api.storage.tables import AlertRow
from rules.types import RuleEvent


class Desk:
    """Alerts in a database, their pictures and clips in a folder.

    Everything that groups events lies in the database, so a restart goes on where the last process stopped.
    Every method may be called from any thread; each writes in one transaction or not at all.
    Raises DeskError; UnavailableError where the database is busy or its disk is full.
    """

    def __init__(
        self,
        database: Path | str,
        *,
        media_dir: Path | str,
        policy: Policy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`media_dir`: the only folder out of which pictures and clips are served; their paths are relative to it."""
        self.media_dir = Path(media_dir)
        self._database = Path(database)
        self._policy = policy or Policy()
        self._now = now
        self._writer = threading.Lock()
        self._engine = open_database(self._database)

    def close(self) -> None:
        """Waits for the write that is under way, then closes the database."""
        with self._writer:
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What cameras bring

    def take(
        self, event: RuleEvent, *, run: str = "", recording: str | None = None, recording_time_s: float | None = None
    ) -> Alert:
        """The alert that this event opened or joined.

        `run` names the clock of the event's media times and the counter of its id; give each start of a worker its
        own. An event that comes again (same run, same id) changes nothing.
        """
        with self._writing() as session:
            known = store.alert_with_event(session, run, event.event_id)
            if known is not None:
                return store.alert_of(known)
            row = store.latest_of_rule(session, event.camera, event.rule)
            body = event.to_json(recording, recording_time_s)
            if row is not None and joins(alert := store.alert_of(row), event, self._policy, run):
                store.update(row, joined(alert, event, run))
            else:
                row = store.add(session, opened(event, run), body, self._now())
            store.add_event(session, row, run, body, event.raised_s, event.raised_at)
            return store.alert_of(row)

    def attach_media(self, alert_id: str, *, snapshot: str | None = None, clips: Sequence[Clip] | None = None) -> None:
        """Says where the snapshot or the clips of an alert lie; what is left out stays as it was.

        Clips replace all earlier ones. An alert with clips counts as ready.
        """
        for path in [snapshot, *(p for clip in clips or () for p in (clip.path, clip.original))]:
            _check_relative(path)
        with self._writing() as session:
            row = _wanted(session, alert_id)
            if snapshot is not None:
                row.snapshot = snapshot
            if clips is not None:
                store.replace_clips(session, row, clips)
            if row.clips:
                row.media, row.media_note = "ready", None

    def media_missing(self, alert_id: str, why: str) -> None:
        """Says that no clip will come, and why (one sentence for the guard)."""
        with self._writing() as session:
            row = _wanted(session, alert_id)
            row.media, row.media_note = "missing", why

    def import_reanalysis(self, out_dir: Path | str, *, run: str = "") -> int:
        """Takes over the alerts of a re-analysis folder, which lies in the media folder; returns how many are new.

        Alerts that were taken over before stay as guards left them. Raises DeskError where the folder cannot be read,
        or where an alert of the same id was taken over from other events.
        """
        prefix = self._prefix(Path(out_dir))
        alerts = read_reanalysis(Path(out_dir), prefix, run)
        new = 0
        with self._writing() as session:
            for item in alerts:
                row = store.find(session, item.alert.alert_id)
                if row is not None:
                    known = [(event.event_id, event.body["media_time_s"]) for event in row.events]
                    if known != [(body["id"], body["media_time_s"]) for body in item.events]:
                        raise DeskError(
                            f"{self._database}: holds alert {item.alert.alert_id} of another analysis: "
                            f"expected the events of {out_dir}; use a new database."
                        )
                else:
                    row = store.add(session, item.alert, item.events[0], self._now())
                    for body, (raised_s, raised_at) in zip(item.events, item.raised, strict=True):
                        store.add_event(session, row, run, body, raised_s, raised_at)
                    new += 1
                row.snapshot = item.alert.snapshot
                store.replace_clips(session, row, item.alert.clips)
                row.media = "ready" if item.alert.clips else "missing"
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
        actor: str | None = None,
    ) -> Record:
        """The alert after a guard's action; see `api.alerts.act` for what is refused."""
        with self._writing() as session:
            row = _wanted(session, alert_id)
            moment = self._now()
            after = act(
                store.alert_of(row), action, moment, reason=reason, note=note, expected_version=expected_version
            )
            store.update(row, after)
            store.add_change(row, Change(after.version, action, moment, actor, after.reason, after.note))
            session.flush()
            return store.record_of(row, whole=True)

    def get(self, alert_id: str) -> Record:
        """One alert with its events and changes. Raises NotFoundError."""
        with self._reading() as session:
            return store.record_of(_wanted(session, alert_id), whole=True)

    def list(self, filters: Filters | None = None, *, after: Position | None = None, limit: int = 50) -> ListPage:
        """Alerts, newest first."""
        with self._reading() as session:
            return store.page(session, filters or Filters(), after, limit)

    def counts(self) -> Mapping[State, int]:
        """How many alerts are in each state."""
        with self._reading() as session:
            return store.counts(session)

    def snapshot_file(self, alert_id: str) -> Path:
        """Raises NotFoundError where there is none."""
        with self._reading() as session:
            path = _wanted(session, alert_id).snapshot
        return self._media_file(path, f"Alert {alert_id} has no snapshot.")

    def clip_file(self, alert_id: str, part: int = 1, *, original: bool = False) -> Path:
        """The `part`-th clip (from 1), as a browser plays it or as the camera sent it. Raises NotFoundError."""
        with self._reading() as session:
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

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._writer, _unavailable(), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with _unavailable(), Session(self._engine.execution_options(reads_only=True)) as session:
            yield session


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


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(f"The database cannot be used now: {error.orig}.") from error
