"""Webhooks: who sets them up, what they may be told, their secrets, what became of their messages."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, not_
from sqlalchemy.orm import Session

from api.access.principal import Principal
from api.delivery import secret_of
from api.errors import ConflictError, ForbiddenError, NotFoundError, StaleError
from api.journal import Actor
from api.outbox import ABOUT_PEOPLE, GIVE_UP_AFTER, TEST_TOPIC, Outbox
from api.sender import Sender, SenderOptions
from api.storage import outbox as storage
from api.storage.ledger import Ledger
from api.storage.tables_messages import WebhookRow
from api.targets import Target, check_target

MAX_WEBHOOKS = 50
"""Each costs every transaction a message."""
SECRET_OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Webhook:
    webhook_id: str
    name: str
    url: str
    topics: tuple[str, ...]
    cameras: tuple[str, ...] | None
    enabled: bool
    disabled_why: str | None
    version: int
    created_at: datetime
    created_by: str
    previous_secret_until: datetime | None
    failures: int
    held_until: datetime | None
    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and what became of it."""

    seq: int
    message_id: str
    topic: str
    state: str
    created_at: datetime
    next_at: datetime | None
    give_up_at: datetime
    delivered_at: datetime | None
    attempts: int
    last_error: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt."""

    seq: int
    at: datetime
    message_id: str
    topic: str
    duration_s: float
    status: int | None
    error: str | None


class Webhooks:
    """Thread-safe. Made before the first write, as what it tells is written along with it.

    Callers who are limited to cameras see and change the webhooks that are limited to (some of) these. Raises
    NotFoundError, ForbiddenError, StaleError, ConflictError, InvalidError, TargetError, UnavailableError.
    """

    def __init__(self, ledger: Ledger, options: SenderOptions | None = None) -> None:
        self._ledger = ledger
        self._options = options or SenderOptions()
        self._outbox = Outbox(ledger)
        self.sender = Sender(ledger, ledger.keys, self._options)
        self._outbox.wakes(self.sender.wake)

    def start(self) -> None:
        """Begins to deliver, until `close`."""
        self.sender.start()

    def close(self) -> None:
        self.sender.close()

    def list(self, principal: Principal, *, after: int = 0, limit: int = 50) -> tuple[Sequence[Webhook], int | None]:
        """Webhooks that the caller may see, oldest first, and where the next page begins."""
        with self._ledger.reading() as session:
            rows = [row for row in storage.listed(session, after) if _sees(principal, row)]
            counts = storage.waiting(session)
            more = rows[limit - 1].seq if len(rows) > limit else None
            return [_webhook(row, counts) for row in rows[:limit]], more

    def get(self, webhook_id: str, principal: Principal) -> Webhook:
        with self._ledger.reading() as session:
            return _webhook(_seen(session, webhook_id, principal), storage.waiting(session))

    def create(
        self,
        principal: Principal,
        actor: Actor,
        *,
        name: str,
        url: str,
        topics: Sequence[str],
        cameras: Sequence[str] | None,
    ) -> tuple[Webhook, str]:
        """The new webhook and its secret, which is not told again."""
        limits = _limits(principal, cameras)
        _may_tell(principal, topics)
        target = check_target(url, self._options.reach, self._options.resolver)
        with self._ledger.writing() as write:
            if storage.count(write.session) >= MAX_WEBHOOKS:
                raise ConflictError(f"There are {MAX_WEBHOOKS} webhooks already: remove one first.")
            row = WebhookRow(
                webhook_id=f"wh_{secrets.token_hex(8)}", name=name, url=url, topics=_tidy(topics), cameras=limits,
                enabled=True, secret_generation=1, created_at=write.at, created_by=actor.name, version=1, failures=0,
            )  # fmt: skip
            write.session.add(row)
            write.session.flush()
            body = {"name": name, "topics": row.topics, "cameras": limits, **_shown(target)}
            write.journal(actor, "webhook", row.webhook_id, "created", body, version=1)
            return _webhook(row, {}), self._secret(row)

    def change(
        self, webhook_id: str, principal: Principal, actor: Actor, changes: Mapping[str, Any], expected: int | None
    ) -> Webhook:
        """`changes`: any of name, url, topics, cameras, enabled."""
        target = None
        if "url" in changes:
            target = check_target(changes["url"], self._options.reach, self._options.resolver)
        with self._ledger.writing() as write:
            row = _changeable(write.session, webhook_id, principal, expected)
            told = dict(changes)
            if "topics" in changes:
                _may_tell(principal, changes["topics"])
                told["topics"] = row.topics = _tidy(changes["topics"])
            if "cameras" in changes:
                told["cameras"] = row.cameras = _limits(principal, changes["cameras"])
            if target is not None:
                del told["url"]
                told |= _shown(target)
                row.url = target.url
                # What waits from before the webhook was narrowed must not go where this caller wants it.
                why = "The target was changed by somebody who may not see this."
                storage.drop_pending(write.session, row.seq, why, not_(_messages_of(principal)))
            row.name = changes.get("name", row.name)
            if "enabled" in changes:
                row.enabled = changes["enabled"]
                row.disabled_why = None if row.enabled else "asked"
            # Whoever mends a target does not want to wait for the next try.
            row.failures, row.held_until = 0, None
            storage.hurry(write.session, row.seq)
            row.version += 1
            write.journal(actor, "webhook", webhook_id, "changed", told, version=row.version)
            write.session.flush()
            return _webhook(row, storage.waiting(write.session))

    def remove(self, webhook_id: str, principal: Principal, actor: Actor, expected: int | None) -> None:
        """What is not yet delivered is dropped."""
        with self._ledger.writing() as write:
            row = _changeable(write.session, webhook_id, principal, expected)
            row.removed_at, row.enabled = write.at, False
            row.version += 1
            dropped = storage.drop_pending(write.session, row.seq, "The webhook was removed.")
            write.journal(actor, "webhook", webhook_id, "removed", {"dropped": dropped}, version=row.version)

    def rotate(self, webhook_id: str, principal: Principal, actor: Actor, expected: int | None) -> tuple[Webhook, str]:
        """A new secret, which is not told again; the old one signs beside it for `SECRET_OVERLAP`."""
        with self._ledger.writing() as write:
            row = _changeable(write.session, webhook_id, principal, expected)
            row.secret_generation += 1
            row.previous_secret_until = write.at + SECRET_OVERLAP
            row.version += 1
            body = {"secret_generation": row.secret_generation}
            write.journal(actor, "webhook", webhook_id, "changed", body, version=row.version)
            write.session.flush()
            return _webhook(row, storage.waiting(write.session)), self._secret(row)

    def test(self, webhook_id: str, principal: Principal, actor: Actor) -> str:
        """Sends a message that says nothing; returns its id, to look for among the deliveries."""
        with self._ledger.writing() as write:
            row = _changeable(write.session, webhook_id, principal, None)
            if not row.enabled:
                raise ConflictError(f"Webhook {webhook_id} is disabled: enable it first.")
            row.held_until = None
            entry = write.journal(actor, "webhook", webhook_id, "tested", version=row.version)
            return self._outbox.put_test(write, row, entry)

    def messages(
        self, webhook_id: str, principal: Principal, *, state: str | None, before: int | None, limit: int
    ) -> tuple[Sequence[Sent], int | None]:
        """Newest first."""
        with self._ledger.reading() as session:
            row = _seen(session, webhook_id, principal)
            found = storage.messages(session, row.seq, state, before, limit + 1, _messages_of(principal))
            page = [
                Sent(
                    one.seq, one.message_id, one.topic, one.state, one.created_at, one.next_at, one.give_up_at,
                    one.delivered_at, one.attempts, one.last_error, one.body,
                )
                for one in found[:limit]
            ]  # fmt: skip
            return page, page[-1].seq if len(found) > limit else None

    def deliveries(
        self, webhook_id: str, principal: Principal, *, before: int | None, limit: int
    ) -> tuple[Sequence[Delivery], int | None]:
        """Attempts, newest first."""
        with self._ledger.reading() as session:
            row = _seen(session, webhook_id, principal)
            found = storage.deliveries(session, row.seq, before, limit + 1, _messages_of(principal))
            page = [
                Delivery(
                    one.seq, one.at, one.message.message_id, one.message.topic, one.duration_s, one.status, one.error
                )
                for one in found[:limit]
            ]
            return page, page[-1].seq if len(found) > limit else None

    def replay(self, webhook_id: str, principal: Principal, actor: Actor, message_id: str | None = None) -> int:
        """Sends dead messages again, or the one named (also one that was delivered); returns how many."""
        with self._ledger.writing() as write:
            row = _changeable(write.session, webhook_id, principal, None)
            which = _messages_of(principal)
            found = None if message_id is None else storage.message(write.session, row.seq, message_id, which)
            if message_id is not None and found is None:
                raise NotFoundError(f"Webhook {webhook_id} has no message {message_id[:60]}.")
            if found is not None and found.state == "pending":
                raise ConflictError(f"Message {message_id} is still to be sent.")
            revived = storage.revive(write.session, row.seq, write.at + GIVE_UP_AFTER, message_id, which)
            row.held_until = None
            body = {"messages": revived, "message_id": message_id}
            write.journal(actor, "webhook", webhook_id, "replayed", body, version=row.version)
            return revived

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Pending and dead messages by webhook, for metrics."""
        with self._ledger.reading() as session:
            return storage.waiting(session)

    def _secret(self, row: WebhookRow) -> str:
        return secret_of(self._ledger.keys, row.webhook_id, row.secret_generation)


def _sees(principal: Principal, row: WebhookRow) -> bool:
    return principal.cameras is None or (row.cameras is not None and principal.cameras >= set(row.cameras))


def _messages_of(principal: Principal) -> ColumnElement[bool]:
    """Which of a webhook's messages the caller may see."""
    hidden = () if "journal.read" in principal.permissions else ABOUT_PEOPLE
    return storage.shown(principal.cameras, hidden, TEST_TOPIC)


def _seen(session: Session, webhook_id: str, principal: Principal) -> WebhookRow:
    row = storage.find(session, webhook_id)
    if row is None or not _sees(principal, row):
        raise NotFoundError(f"There is no webhook {webhook_id[:60]}.")
    return row


def _changeable(session: Session, webhook_id: str, principal: Principal, expected: int | None) -> WebhookRow:
    row = _seen(session, webhook_id, principal)
    # Whoever may not be told something may not send it elsewhere either.
    _may_tell(principal, row.topics)
    if expected is not None and expected != row.version:
        raise StaleError(
            f"Webhook {webhook_id} has changed: expected version {expected}, found {row.version}.",
            {"expected": expected, "found": row.version},
        )
    return row


def _may_tell(principal: Principal, topics: Sequence[str]) -> None:
    about = {topic.partition(".")[0] for topic in topics} & ABOUT_PEOPLE
    if about and "journal.read" not in principal.permissions:
        raise ForbiddenError(
            f"Topics of {sorted(about)[0]} need the permission journal.read, which the caller does not have.",
            {"permission": "journal.read", "role": principal.role},
        )


def _limits(principal: Principal, cameras: Sequence[str] | None) -> list[str] | None:
    """The cameras that a webhook of this caller is limited to."""
    if principal.cameras is None:
        return None if cameras is None else sorted(set(cameras))
    if cameras is None:
        return sorted(principal.cameras)
    for camera in cameras:
        if camera not in principal.cameras:
            raise NotFoundError(f"There is no camera {camera}.")
    return sorted(set(cameras))


def _tidy(topics: Sequence[str]) -> list[str]:
    return sorted(set(topics))


def _shown(target: Target) -> dict[str, Any]:
    """What the journal keeps of an address: paths often hold a key. The digest still shows a change."""
    return {
        "target": f"{target.scheme}://{target.authority}",
        "url_sha256": hashlib.sha256(target.url.encode()).hexdigest(),
    }


def _webhook(row: WebhookRow, counts: Mapping[str, Mapping[str, int]]) -> Webhook:
    number = counts.get(row.webhook_id, {})
    return Webhook(
        row.webhook_id, row.name, row.url, tuple(row.topics), None if row.cameras is None else tuple(row.cameras),
        row.enabled, row.disabled_why, row.version, row.created_at, row.created_by, row.previous_secret_until,
        row.failures, row.held_until, number.get("pending", 0), number.get("dead", 0),
    )  # fmt: skip
