"""Webhooks as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StringConstraints

from api.outbox import TOPICS
from api.schemas import In, Name, Version
from api.targets import MAX_URL
from api.webhooks import Delivery, Sent, Webhook

if TYPE_CHECKING:
    Topic = str
else:
    Topic = StrEnum("Topic", {topic.replace(".", "_").replace("*", "any"): topic for topic in TOPICS})

MessageState = Literal["pending", "delivered", "dead", "dropped"]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]+$")]
Url = Annotated[
    str,
    StringConstraints(
        max_length=MAX_URL, pattern=r"^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?([/?][!-~]*)?$"
    ),
    Field(
        description="https://, or http:// to networks that the operator allows. No user name, no fragment; port 443 "
        "(80) or from 1024. Its addresses must be public or allowed by the operator, or 422 `target_refused`.",
        examples=["https://hooks.example.com/gatewatch"],
    ),
]
Topics = Annotated[list[Topic], Field(min_length=1, max_length=len(TOPICS))]
Cameras = Annotated[
    list[Name] | None,
    Field(
        min_length=1,
        max_length=1000,
        description="Only what concerns these cameras; null: everything that the caller may see, also what concerns "
        "no camera. Of an incident of several cameras a webhook is told the part that it may know of.",
    ),
]


class WebhookIn(In):
    name: Label
    url: Url
    topics: Topics
    cameras: Cameras = None


class WebhookChangeIn(In):
    """What is left out stays as it is."""

    version: Version = None
    name: Label | None = None
    url: Url | None = None
    topics: Topics | None = None
    cameras: Cameras = None
    enabled: StrictBool | None = None


class VersionIn(In):
    version: Version = None


class WebhookOut(BaseModel):
    webhook_id: str
    version: int
    name: str
    url: str
    topics: list[str]
    cameras: list[str] | None
    enabled: bool
    disabled_why: Literal["asked", "gone"] | None = Field(description="`gone`: the target answered 410.")
    created_at: datetime
    created_by: str
    previous_secret_until: datetime | None = Field(
        description="Until then each message is signed with the secret before the newest, too."
    )
    failures: int = Field(description="Attempts that failed since the last that succeeded.")
    held_until: datetime | None = Field(description="Nothing is sent before then, as the target failed.")
    pending: int = Field(description="Messages that are still to be delivered.")
    dead: int = Field(description="Messages that were given up; they can be replayed.")


class WebhookSecretOut(BaseModel):
    webhook: WebhookOut
    secret: str = Field(description="Shown this once. Its ASCII bytes are the key of the signatures (HMAC-SHA256).")


class WebhookListOut(BaseModel):
    items: list[WebhookOut]
    next_cursor: str | None


class MessageOut(BaseModel):
    message_id: str = Field(description="The `Gatewatch-Id` header; the same whenever this message is sent.")
    topic: str
    state: MessageState
    created_at: datetime
    next_at: datetime | None = Field(description="Not sent again before then.")
    give_up_at: datetime
    delivered_at: datetime | None
    attempts: int
    last_error: str | None
    body: dict[str, Any] = Field(description="The JSON that is sent.")


class MessageListOut(BaseModel):
    items: list[MessageOut]
    next_cursor: str | None


class DeliveryOut(BaseModel):
    """One attempt to deliver a message."""

    at: datetime
    message_id: str
    topic: str
    delivered: bool
    status: int | None = Field(description="What the target answered; null where there was no answer.")
    duration_s: float
    error: str | None


class DeliveryListOut(BaseModel):
    items: list[DeliveryOut]
    next_cursor: str | None


class TestOut(BaseModel):
    __test__ = False  # Not a test, whatever pytest thinks of its name.

    message_id: str


class ReplayOut(BaseModel):
    replayed: int


def webhook_out(hook: Webhook) -> WebhookOut:
    return WebhookOut(
        webhook_id=hook.webhook_id, version=hook.version, name=hook.name, url=hook.url, topics=list(hook.topics),
        cameras=None if hook.cameras is None else list(hook.cameras), enabled=hook.enabled,
        disabled_why=hook.disabled_why,  # type: ignore[arg-type] # a text in the database
        created_at=hook.created_at, created_by=hook.created_by, previous_secret_until=hook.previous_secret_until,
        failures=hook.failures, held_until=hook.held_until, pending=hook.pending, dead=hook.dead,
    )  # fmt: skip


def message_out(sent: Sent) -> MessageOut:
    return MessageOut(
        message_id=sent.message_id, topic=sent.topic, state=sent.state,  # type: ignore[arg-type] # a text in the database
        created_at=sent.created_at, next_at=sent.next_at, give_up_at=sent.give_up_at, delivered_at=sent.delivered_at,
        attempts=sent.attempts, last_error=sent.last_error, body=json.loads(sent.body),
    )  # fmt: skip


def delivery_out(one: Delivery) -> DeliveryOut:
    return DeliveryOut(
        at=one.at, message_id=one.message_id, topic=one.topic, delivered=one.error is None, status=one.status,
        duration_s=round(one.duration_s, 3), error=one.error,
    )  # fmt: skip
