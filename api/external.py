"""Signed messages from outside the pictures: a barrier that opened, a badge, a beam, a panic button, a fire panel.

What each may do is said in the site file; a message only says that it happened.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from api.alerts import Alert
from api.arming import Arming
from api.desk import Desk, ExternalEvent
from api.errors import ConflictError, InvalidError, NotAuthenticatedError, UnavailableError
from api.journal import Actor
from api.storage import messages
from api.storage.ledger import Ledger, Write
from api.storage.tables_messages import ExternalEventRow
from api.timely import check_timely, timely
from rules.types import RuleEvent, Severity

Does = Literal["alert", "authorise", "arm", "disarm", "profile", "nothing"]
WINDOW = timedelta(minutes=5)
"""How far the sender's clock may be from ours, and so how long a signature can be used."""
REFUSED_EVERY = timedelta(minutes=1)
"""Refusals of one source are written down at most so often, with their number: strangers cannot fill the journal."""
UNKNOWN = "unknown"
SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-f]{64})", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one kind of event of a source does."""

    do: Does
    severity: Severity = "high"
    """Of an alert."""
    camera: str | None = None
    target: str = ""
    """The line that is authorised, or the rule, zone or line that is armed or disarmed (empty: all of the camera's)."""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody who may send events."""

    name: str
    secret: str = field(repr=False)
    events: Mapping[str, Effect]
    """By kind."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What a source says."""

    event_id: str
    kind: str
    at: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    did: Does
    duplicate: bool
    """It was taken before: nothing was done again, and the rest says what was done then."""
    at: datetime
    """When it counts as having happened, UTC."""
    at_replaced: bool
    """That is not what the message said."""
    alert_id: str | None = None
    """None also where retention has taken the alert away."""


Authorise = Callable[[str, str, datetime], None]
"""(camera, line, when); see `api.routes_service.InputSink`."""
OnAlert = Callable[[Alert, RuleEvent, datetime], None]
"""Hears of each event that an alert was raised for or joined with, after it is stored, to get its pictures."""


class External:
    """Thread-safe."""

    def __init__(self, ledger: Ledger, desk: Desk, arming: Arming, sources: Mapping[str, Source] | None = None) -> None:
        self.authorise: Authorise = _nobody
        self.on_alert: OnAlert = lambda _alert, _event, _at: None
        self._ledger, self._desk, self._arming = ledger, desk, arming
        self._sources = dict(sources or {})
        self._lock = threading.Lock()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._told: dict[str, datetime] = {}

    def check(
        self, source: str, timestamp: str | None, signature: str | None, body: bytes, *, origin: str | None
    ) -> Source:
        """Who sent this body. Raises NotAuthenticatedError, the same for whatever is wrong."""
        known = self._sources.get(source)
        given, sent_at = SIGNATURE.fullmatch(signature or ""), timestamp or ""
        # Also for a source that is none: how long this takes must not tell who is known.
        secret = known.secret if known is not None else UNKNOWN
        expected = signed(secret, sent_at, body)
        right = hmac.compare_digest(expected, given[1] if given else "")
        why = (
            "source" if known is None
            else "signature" if not right
            else "timestamp" if not self._timely(sent_at)
            else None
        )  # fmt: skip
        if known is None or why is not None:
            self._refuse(UNKNOWN if known is None else source, why or "source", origin)
            raise NotAuthenticatedError(
                "The source is unknown, or the message is not signed as it must be, or too old."
            )
        return known

    def take(self, source: Source, what: Happened, *, origin: str | None) -> Taken:
        """Does what the site file says. An alert whose `at` cannot be believed is raised as of now: a panic button with
        a wrong clock is a panic button.

        Raises InvalidError for a kind that is not acceptable, or such a time of anything else, ConflictError for an id
        that was another event's, and UnavailableError where it could not be done now: it can be sent again.
        """
        effect = source.events.get(what.kind)
        if effect is None:
            self._refuse(source.name, "kind", origin)
            kinds = list(source.events)
            raise InvalidError(
                f"kind: expected one that the site file names for {source.name} ({', '.join(kinds)}), "
                f"found {what.kind}.",
                {"kinds": kinds},
            )
        actor = Actor("external", source.name, origin)
        alert = event = None
        with self._ledger.writing() as write:
            known = messages.external_event(write.session, source.name, what.event_id)
            if known is not None:
                return self._again(write, known, what)
            at = write.at if what.at is None else what.at.astimezone(UTC)
            if effect.do != "alert":
                check_timely(at, write.at)
            elif not timely(at, write.at):
                at = write.at
            replaced = _differs(at, what)
            messages.add_external_event(write.session, source.name, what.event_id, what.kind, at, write.at, effect.do)
            body = {"event_id": what.event_id, "kind": what.kind, "at": at.isoformat(), "do": effect.do}
            at_given = what.at.astimezone(UTC).isoformat() if what.at is not None and replaced else ""
            more = {"target": effect.target, "profile": effect.profile, "at_given": at_given}
            said = {key: value for key, value in more.items() if value}
            write.journal(actor, "external", source.name, "received", body | said, camera=effect.camera, note=what.text)
            if effect.do == "alert":
                told = ExternalEvent(
                    source.name, what.event_id, what.kind, effect.severity, at, effect.camera, text=what.text,
                    at_given=what.at if replaced else None,
                )  # fmt: skip
                event = told.as_rule_event()
                alert = self._desk.raise_external_in(write, told, actor=actor, drill=self._arming.state.profile.drill)
            else:
                self._do(write, effect, at, actor)
        if alert is not None and event is not None:
            self.on_alert(alert, event, at)
        return Taken(effect.do, False, at, replaced, None if alert is None else alert.alert_id)

    def _again(self, write: Write, known: ExternalEventRow, what: Happened) -> Taken:
        entry = messages.entry_of(write.session, known)
        # Where retention has removed the entry, nobody knows what the text was.
        taken, told = (known.kind, entry.note if entry is not None else what.text), (what.kind, what.text)
        if taken != told:
            raise ConflictError(
                f"event_id: {what.event_id} is the id of another event that was taken before: "
                f"expected {_shown(*taken)}, found {_shown(*told)}.",
                {"where": "event_id", "expected": dict(zip(("kind", "text"), taken, strict=True)),
                 "found": dict(zip(("kind", "text"), told, strict=True))},
            )  # fmt: skip
        return Taken(
            known.did, True, known.at, _differs(known.at, what),  # type: ignore[arg-type] # only ever written from one
            self._desk.alert_of_external_in(write, known.source, known.event_id),
        )  # fmt: skip

    def _do(self, write: Write, effect: Effect, at: datetime, actor: Actor) -> None:
        if effect.do == "authorise":
            # Before the commit: where no camera process can take it, nothing was received, and it is sent again.
            self.authorise(effect.camera or "", effect.target, at)
        elif effect.do in ("arm", "disarm"):
            self._arming.override_in(write, effect.camera or "", effect.target, effect.do == "arm", actor=actor)
        elif effect.do == "profile" and self._arming.state.profile.name != effect.profile:
            self._arming.set_profile_in(write, effect.profile, actor=actor)

    def _timely(self, timestamp: str) -> bool:
        if not _TIMESTAMP.fullmatch(timestamp):
            return False
        return abs(self._ledger.now().timestamp() - int(timestamp)) <= WINDOW.total_seconds()

    def _refuse(self, source: str, why: str, origin: str | None) -> None:
        now = self._ledger.now()
        with self._lock:
            self._refused[source, why] += 1
            told = self._told.get(source)
            if told is not None and timedelta() <= now - told < REFUSED_EVERY:
                return
            self._told[source] = now
            counts = {why: number for (of, why), number in self._refused.items() if of == source}
            for key in counts:
                del self._refused[source, key]
        with self._ledger.writing() as write:
            actor = Actor("external", source if source != UNKNOWN else "anonymous", origin)
            write.journal(actor, "external", source, "refused", {"counts": counts}, reason=why)


def signed(secret: str, timestamp: str, body: bytes) -> str:
    """The signature (hex): HMAC-SHA256 with the secret over the timestamp, a dot and the body."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _shown(kind: str, text: str | None) -> str:
    return kind if text is None else f'{kind} with the text "{text}"'


def _differs(at: datetime, what: Happened) -> bool:
    return what.at is not None and at != what.at


def _nobody(_camera: str, _line: str, _at: datetime) -> None:
    raise UnavailableError("No camera is running here: there is nobody to take authorisations.")
