"""What webhooks are told: one message for each target that wants an entry, written in the entry's own transaction.

So a message exists exactly where what it tells was kept; the sender (`api.sender`) takes it from there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import quote

from sqlalchemy.orm import Session

from api.incident_sight import concerned_by, narrowed_bodies, sees_all, sees_some
from api.journal import STANDING, Entry, Subject
from api.storage import outbox as storage
from api.storage import store
from api.storage.ledger import Ledger, Write
from api.storage.tables_messages import OutboxRow, WebhookRow
from rules.types import utc_text

GIVE_UP_AFTER = timedelta(hours=24)

ACTIONS: Mapping[Subject, tuple[str, ...]] = {
    "alert": (
        "raised", "joined", "evidence", "evidence_missing", "seen", "acknowledge", "claim", "assign", "release",
        "resolve", "false_alarm", "drill", "reopen", "note", "merged", "unmerged", "removed",
    ),
    "incident": ("opened", "changed", "closed", "note", "removed"),
    "arming": ("profile", "override"),
    "external": ("received", "refused"),
    "journal": ("head_signed", "exported", "checkpoint", "begun", "restored", "seal_broken"),
    "user": (
        "created", "changed", "password_changed", "password_reset", "password_rehashed", "locked", "unlocked",
        "disabled", "enabled",
    ),
    "session": ("login", "login_failed", "logout"),
    "token": ("created", "revoked"),
    "webhook": ("created", "changed", "removed", "replayed", "tested"),
}  # fmt: skip
"""What can be told, by subject: topics are `subject.action`, and `subject.*`."""
TOPICS: tuple[str, ...] = tuple(
    f"{subject}.{action}" for subject, actions in ACTIONS.items() for action in ("*", *actions)
)
ABOUT_PEOPLE: frozenset[str] = frozenset({"user", "session", "token", "webhook"})
"""Subjects for those who may read the journal only."""
TEST_TOPIC = "webhook.test"


@dataclass(frozen=True, slots=True)
class _Subscription:
    seq: int
    topics: frozenset[str]
    cameras: frozenset[str] | None

    def wants(self, entry: Entry) -> bool:
        """As far as the topic goes."""
        if entry.action == STANDING:
            return False  # Nothing happened: retention says again what was told before.
        return not self.topics.isdisjoint((f"{entry.subject}.{entry.action}", f"{entry.subject}.*"))


class Outbox:
    """Writes messages. Thread-safe: it works within the ledger's transactions, which come one after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._subscriptions = self._load()
        self._told: set[int] = set()
        """Webhooks that this transaction wrote to; of one that was undone they are woken for nothing."""
        self._waker: Callable[[set[int] | None], None] = lambda _: None
        ledger.on_entry(self._on_entry)
        ledger.listen(self._on_commit)

    def wakes(self, waker: Callable[[set[int] | None], None]) -> None:
        """`waker` is told which webhooks (by `seq`; None: perhaps all) have something new; it must not block."""
        self._waker = waker

    def put_test(self, write: Write, row: WebhookRow, entry: Entry) -> str:
        """A message that says nothing, to one target; returns its id."""
        return _put(write, row.seq, TEST_TOPIC, _common(entry) | {"data": {"webhook_id": row.webhook_id}}, entry)

    def _on_entry(self, write: Write, entry: Entry) -> None:
        wanted = [one for one in self._subscriptions if one.wants(entry)]
        if not wanted:
            return
        concerned = frozenset((entry.camera,))
        if entry.camera is None and any(one.cameras is not None for one in wanted):
            concerned = concerned_by(write.session, [entry])[entry.seq]
        wanted = [one for one in wanted if sees_some(one.cameras, concerned)]
        body = _common(entry) | _facts(write.session, entry) if wanted else {}
        for one in wanted:
            whole = one.cameras is None or sees_all(one.cameras, concerned)
            said = body if whole else _part(write.session, body, one.cameras or frozenset())
            _put(write, one.seq, f"{entry.subject}.{entry.action}", said, entry)
            self._told.add(one.seq)

    def _on_commit(self, entries: Sequence[Entry]) -> None:
        # Still under the ledger's lock: the next transaction sees the webhooks as this one left them.
        told, self._told = self._told, set()
        if any(entry.subject == "webhook" for entry in entries):
            self._subscriptions = self._load()
            self._waker(None)
        elif told:
            self._waker(told)

    def _load(self) -> tuple[_Subscription, ...]:
        with self._ledger.reading() as session:
            return tuple(
                _Subscription(row.seq, frozenset(row.topics), None if row.cameras is None else frozenset(row.cameras))
                for row in storage.enabled(session)
            )


def _put(write: Write, webhook_seq: int, topic: str, body: Mapping[str, Any], entry: Entry) -> str:
    message_id = f"msg_{secrets.token_hex(12)}"
    text = json.dumps({"id": message_id, "topic": topic, **body}, ensure_ascii=False, separators=(",", ":"))
    row = OutboxRow(
        message_id=message_id, webhook_seq=webhook_seq, journal_seq=entry.seq, topic=topic, body=text,
        state="pending", created_at=write.at, next_at=None, give_up_at=write.at + GIVE_UP_AFTER, attempts=0,
    )  # fmt: skip
    write.session.add(row)
    return message_id


def _common(entry: Entry) -> dict[str, Any]:
    """What each message says of its entry. Clients' addresses stay within the journal."""
    return {
        "at": utc_text(entry.at), "seq": entry.seq, "hash": entry.hash,
        "actor": {"kind": entry.actor.kind, "name": entry.actor.name},
        "subject": entry.subject, "subject_id": entry.subject_id, "action": entry.action, "camera": entry.camera,
        "version": entry.version, "reason": entry.reason, "note": entry.note,
    }  # fmt: skip


def _facts(session: Session, entry: Entry) -> dict[str, Any]:
    """The alert or incident as this transaction leaves it so far, and where to ask for more."""
    said: dict[str, Any] = {"data": dict(entry.body), "links": {}}
    base = f"/api/v1/{entry.subject}s/{quote(entry.subject_id, safe='')}"
    if entry.subject == "alert":
        said["alert"] = _alert(session, entry.subject_id)
        said["links"] = {"alert": base, "snapshot": f"{base}/snapshot", "clip": f"{base}/clip"}
    elif entry.subject == "incident":
        said["incident"] = _incident(session, entry.subject_id)
        said["links"] = {"incident": base}
    return said


def _alert(session: Session, alert_id: str) -> dict[str, Any] | None:
    from api.schemas import alert_out  # Late: pydantic's models are not needed to write messages that nobody wants.

    row = store.find(session, alert_id)
    return (
        None
        if row is None
        else alert_out(store.record_of(session, row)).model_dump(mode="json", exclude={"allowed_actions"})
    )


def _incident(session: Session, incident_id: str) -> dict[str, Any] | None:
    row = storage.incident(session, incident_id)
    if row is None:
        return None
    return {
        "incident_id": row.incident_id, "title": row.title, "state": row.state, "version": row.version,
        "created_at": utc_text(row.created_at), "created_by": row.created_by,
        "closed_at": None if row.closed_at is None else utc_text(row.closed_at), "closed_by": row.closed_by,
        "alert_ids": [alert.alert_id for alert in row.alerts], "hidden_alerts": 0,
    }  # fmt: skip


def _part(session: Session, body: Mapping[str, Any], cameras: frozenset[str]) -> dict[str, Any]:
    """What is said of an incident to somebody who does not see all of its alerts."""
    incident = body["incident"]
    data, told = narrowed_bodies(session, [body["data"], incident or {}], cameras)
    if incident is not None:
        told["hidden_alerts"] = len(incident["alert_ids"]) - len(told["alert_ids"])
    return {**body, "note": None, "data": data, "incident": told or None}


assert set(ACTIONS) <= set(get_args(Subject))
