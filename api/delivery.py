"""What one attempt to deliver a message needs, and what follows from how it went. No network here."""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.journal import SYSTEM
from api.keys import SiteKeys
from api.storage import outbox as storage
from api.storage.ledger import Ledger, Write
from api.storage.tables_messages import DeliveryRow, OutboxRow, WebhookRow

BATCH = 20
"""Messages fetched at once for one lane."""
MAX_RETRY_AFTER_S = 12 * 3600.0
BUSY = frozenset({429, 502, 503, 504})
"""Answers that speak of the target, not of the message."""
GONE = 410
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timings:
    first_s: float = 10.0
    """Before the first retry; doubled for each further one."""
    longest_s: float = 3600.0
    spread: float = 0.2
    """Each wait is this share shorter or longer, by chance, so that targets are not asked by all at once."""
    failures_in_a_row: int = 5
    """So many failures of whatever kind, one after the other, hold the whole lane."""

    def wait_s(self, failures: int, chance: float) -> float:
        """Seconds after so many failures (from 1); `chance` is 0 to 1."""
        plain = min(self.first_s * 2.0 ** min(failures - 1, 30), self.longest_s)
        return plain * (1 + self.spread * (2 * chance - 1))


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as a lane needs it."""

    seq: int
    webhook_id: str
    url: str
    generation: int
    previous_secret_until: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    seq: int
    message_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Attempt:
    hook: Hook
    message: Message
    at: datetime
    duration_s: float
    status: int | None
    error: str | None
    retry_after_s: float | None
    unreachable: bool
    """There was no answer at all."""

    @property
    def delivered(self) -> bool:
        return self.error is None


def secret_of(keys: SiteKeys, webhook_id: str, generation: int) -> str:
    """What the receiver is given; its ASCII bytes are the key of the signature."""
    return "gws_" + base64.urlsafe_b64encode(keys.derive("webhook", webhook_id, str(generation))).decode().rstrip("=")


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), content, "sha256").hexdigest()


def headers_of(keys: SiteKeys, hook: Hook, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """While a secret is being replaced, the signatures of both."""
    timestamp = str(int(at.timestamp()))
    generations = [hook.generation]
    if hook.previous_secret_until is not None and at < hook.previous_secret_until:
        generations.append(hook.generation - 1)
    secrets = [secret_of(keys, hook.webhook_id, generation) for generation in generations]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Gatewatch",
        "Gatewatch-Id": message_id,
        "Gatewatch-Timestamp": timestamp,
        "Gatewatch-Signature": ", ".join(signature(secret, message_id, timestamp, body) for secret in secrets),
    }


def fetch(ledger: Ledger, webhook_seq: int) -> tuple[Hook | None, list[Message], datetime | None]:
    """The webhook (None: removed or disabled), the messages to send now, and else when to look again."""
    now = ledger.now()
    with ledger.reading() as session:
        row = session.get(WebhookRow, webhook_seq)
        if row is None or row.removed_at is not None or not row.enabled:
            return None, [], None
        hook = Hook(row.seq, row.webhook_id, row.url, row.secret_generation, row.previous_secret_until)
        if row.held_until is not None and row.held_until > now:
            return hook, [], row.held_until
        found = storage.due(session, webhook_seq, now, BATCH)
        messages = [Message(one.seq, one.message_id, one.body) for one in found]
        return hook, messages, None if messages else storage.next_due(session, webhook_seq)


def apply(write: Write, attempt: Attempt, timings: Timings, chance: Callable[[], float]) -> bool:
    """Keeps what came of an attempt. Returns whether the lane may send the next message at once."""
    rows = storage.rows_of(write.session, attempt.message.seq)
    if rows is None:
        return True
    message, hook = rows
    write.session.add(
        DeliveryRow(
            webhook_seq=hook.seq, outbox_seq=message.seq, at=attempt.at, duration_s=attempt.duration_s,
            status=attempt.status, error=attempt.error,
        )
    )  # fmt: skip
    message.attempts += 1
    message.last_error = attempt.error
    if attempt.delivered:
        message.state, message.delivered_at, message.next_at = "delivered", write.at, None
        if hook.failures or hook.held_until is not None:
            hook.failures, hook.held_until = 0, None
        return True
    if attempt.status == GONE:
        _disable(write, hook)
        _bury(message, hook)
        return False
    return _failed(write, attempt, message, hook, timings, chance)


def _failed(
    write: Write,
    attempt: Attempt,
    message: OutboxRow,
    hook: WebhookRow,
    timings: Timings,
    chance: Callable[[], float],
) -> bool:
    hook.failures += 1
    asked_s = min(attempt.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    of_target = attempt.unreachable or attempt.status in BUSY or hook.failures >= timings.failures_in_a_row
    if of_target:
        # Whatever is sent now would fail as well, and would be out of order afterwards.
        hook.held_until = write.at + timedelta(seconds=max(timings.wait_s(hook.failures, chance()), asked_s))
    if message.state == "pending":
        if write.at >= message.give_up_at:
            _bury(message, hook)
        else:
            own = write.at + timedelta(seconds=max(timings.wait_s(message.attempts, chance()), asked_s))
            again = hook.held_until if of_target and hook.held_until is not None else own
            message.next_at = min(again, message.give_up_at)
    if of_target:
        why = attempt.error or "The target could not be reached in time."
        buried = storage.bury_overdue(write.session, write.at, why, hook.seq)
        if buried:
            _log.warning("webhook %s: %d messages were given up", hook.webhook_id, buried)
    return not of_target


def _disable(write: Write, hook: WebhookRow) -> None:
    if not hook.enabled:
        return
    hook.enabled, hook.disabled_why = False, "gone"
    hook.version += 1
    told = {"enabled": False, "why": "gone"}
    write.journal(SYSTEM, "webhook", hook.webhook_id, "changed", told, version=hook.version)
    _log.warning("webhook %s: its target answered 410 and is told nothing more", hook.webhook_id)


def _bury(message: OutboxRow, hook: WebhookRow) -> None:
    message.state, message.next_at = "dead", None
    _log.warning("webhook %s: message %s was given up", hook.webhook_id, message.message_id)
