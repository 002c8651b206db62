"""What the OpenAPI document says of messages to webhooks: enough for a receiver that believes only genuine ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from api.delivery import GONE, signature
from api.incidents import IncidentState
from api.outbox import ACTIONS, TEST_TOPIC
from api.schemas import AlertOut
from api.schemas_stream import ActorOut, StreamEntryOut

Document = dict[str, Any]
OPERATION = "receive_webhook_message"
REFERENCES = "#/components/schemas/{model}"
_ALERT = "WebhookAlert"
_TOLD = (*(f"{subject}.{action}" for subject, actions in ACTIONS.items() for action in actions), TEST_TOPIC)


class WebhookIncident(BaseModel):
    """An incident as the entry left it; alerts of cameras that the webhook is not for are left out."""

    incident_id: str
    title: str
    state: IncidentState
    version: int
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    closed_by: str | None
    alert_ids: list[str]
    hidden_alerts: int = Field(description="How many were left out.")


class WebhookMessage(BaseModel):
    """One entry of the journal, as a webhook is told of it. New fields may come at any time."""

    id: str = Field(description="The same each time that it is sent; equal to `Gatewatch-Id`.")
    topic: str = Field(
        description="`<subject>.<action>`; the examples are all that there are now, more may be added.",
        pattern=r"^[a-z]+\.[a-z_]+$",
        examples=list(_TOLD),
    )
    at: datetime
    seq: int = Field(description="Number of the journal's entry; the `id` on the live stream.")
    hash: str = Field(description="SHA-256 of the entry, hexadecimal, by which the journal is chained.")
    actor: ActorOut
    subject: str
    subject_id: str
    action: str
    camera: str | None
    version: int | None = Field(description="The subject's version afterwards, where it has one.")
    reason: str | None
    note: str | None
    data: dict[str, Any] = Field(description="What else the journal says.")
    links: dict[str, str] = Field(
        default_factory=dict,
        description="`alert`, `snapshot`, `clip` or `incident`: addresses of this server, for a caller with a token.",
    )
    alert: AlertOut | None = Field(
        default=None, description="Where the subject is an alert: the alert as this entry left it; null: it is gone."
    )
    incident: WebhookIncident | None = Field(
        default=None, description="Where the subject is an incident: as this entry left it; null: it is gone."
    )


# An example that opens nothing.
SECRET = "gws_dGhpcy1pcy1hbi1leGFtcGxlLW5vdC1hLXNlY3JldA"
_SENT_AT = "1772373600"
EXAMPLE: Mapping[str, Any] = {
    "id": "msg_9f1c2ab05d6e7788aa01bb02", "topic": "incident.opened", "at": "2026-03-01T14:00:00.000Z", "seq": 4711,
    "hash": "4e1243bd22c66e76c2ba9eddc1f91394e57f9f83f6c1b2a2a5f1f1e6f3a0d9c7",
    "actor": {"kind": "user", "name": "li.na"}, "subject": "incident", "subject_id": "incident.20260301.5b0c9e1f",
    "action": "opened", "camera": "north-gate", "version": 1, "reason": None, "note": None,
    "data": {"title": "Two at the gate", "alert_ids": ["alert.north-gate.lawn-intrusion.000001"]},
    "links": {"incident": "/api/v1/incidents/incident.20260301.5b0c9e1f"},
    "incident": {
        "incident_id": "incident.20260301.5b0c9e1f", "title": "Two at the gate", "state": "open", "version": 1,
        "created_at": "2026-03-01T14:00:00.000Z", "created_by": "li.na", "closed_at": None, "closed_by": None,
        "alert_ids": ["alert.north-gate.lawn-intrusion.000001"], "hidden_alerts": 0,
    },
}  # fmt: skip
BODY = json.dumps(EXAMPLE, separators=(",", ":"))
SIGNATURE = signature(SECRET, str(EXAMPLE["id"]), _SENT_AT, BODY.encode())

DESCRIPTION = f"""\
What this server sends to the `url` of a webhook (`POST /api/v1/webhooks`): a `POST` for each entry of the journal that
is of one of its topics. `POST /api/v1/webhooks/{{webhook_id}}/test` sends one of the topic `{TEST_TOPIC}`.

**Is it genuine?** The signed text is the value of `Gatewatch-Id`, a dot, the value of `Gatewatch-Timestamp`, a dot,
and the body, byte by byte as it came. Its HMAC-SHA256, in lower-case hexadecimal behind `v1=`, is the signature. The
key is the ASCII text of the webhook's secret, with its `gws_`, as `POST /api/v1/webhooks` and `POST
/api/v1/webhooks/{{webhook_id}}/secret` give it once. For 24 hours after a new secret was made, `Gatewatch-Signature`
has two signatures, of the new and of the previous secret, separated by a comma and a space: the message is genuine if
any of them is the one that you compute. Pass over parts that do not begin with `v1=`. Compare in constant time, and
refuse what was sent more than five minutes ago by `Gatewatch-Timestamp`, which is the time of this attempt.

For example, with the secret `{SECRET}`,
`Gatewatch-Id: {EXAMPLE["id"]}`, `Gatewatch-Timestamp: {_SENT_AT}` and this body of {len(BODY)} bytes without a
line end:

    {BODY}

the header is

    Gatewatch-Signature: {SIGNATURE}

**Once or more.** A message may come again, under the same `id`: keep the `id`s and pass over what you know. Messages
for one webhook come in the order of `seq`, but for those that are tried again.

**Answer** within 10 seconds, with any 2xx, once you have kept it. Redirects are not followed and count as failures.
What fails is tried again after 10 s, 20 s, 40 s and so on, at most an hour, for 24 hours; then the message is dead,
and `POST /api/v1/webhooks/{{webhook_id}}/replay` sends it again."""

_RETRY_AFTER = {"description": "Seconds, or a moment; at most 12 hours count.", "schema": {"type": "string"}}
_ANSWERS: Document = {
    "2XX": {"description": "Delivered; the body is not looked at."},
    str(GONE): {"description": "Tell me nothing more: the webhook is disabled (`disabled_why` is `gone`)."},
    "429": {
        "description": "Too much: tried again, not before `Retry-After`.",
        "headers": {"Retry-After": _RETRY_AFTER},
    },
    "503": {"description": "Not now: tried again, not before `Retry-After`.", "headers": {"Retry-After": _RETRY_AFTER}},
    "default": {"description": "Anything else, redirects among it, is a failure: tried again."},
}


def _header(name: str, words: str, pattern: str, example: str) -> Document:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "required": True, "description": words, "schema": schema, "example": example}


_HEADERS = [
    _header("Gatewatch-Id", "The message's `id`.", "^msg_[0-9a-f]{24}$", str(EXAMPLE["id"])),
    _header("Gatewatch-Timestamp", "When this attempt was made: seconds since 1970, UTC.", "^[0-9]+$", _SENT_AT),
    _header(
        "Gatewatch-Signature", "One signature, or two while a secret is being replaced.",
        "^v1=[0-9a-f]{64}(, v1=[0-9a-f]{64})*$", SIGNATURE,
    ),
]  # fmt: skip


def told_to_webhooks(schemas: Document) -> Document:
    """The document's part `webhooks`; adds to its schemas what messages, and events of the stream, are made of."""
    for model in (WebhookMessage, StreamEntryOut):
        made = model.model_json_schema(mode="serialization", ref_template=REFERENCES)
        for name, schema in made.pop("$defs", {}).items():
            schemas.setdefault(name, schema)
        schemas[model.__name__] = made
    alert = schemas[AlertOut.__name__]
    schemas[_ALERT] = {
        **alert,
        "title": _ALERT,
        "description": "An alert as the API shows it, but for what the caller may do with it.",
        "properties": {name: one for name, one in alert["properties"].items() if name != "allowed_actions"},
        "required": [name for name in alert["required"] if name != "allowed_actions"],
    }
    message = schemas[WebhookMessage.__name__]
    message["properties"]["alert"]["anyOf"][0] = {"$ref": REFERENCES.format(model=_ALERT)}
    content = {"schema": {"$ref": REFERENCES.format(model=WebhookMessage.__name__)}, "example": dict(EXAMPLE)}
    operation = {
        "operationId": OPERATION, "summary": "A message to a webhook", "description": DESCRIPTION, "tags": ["webhooks"],
        "security": [], "parameters": _HEADERS,
        "requestBody": {"required": True, "content": {"application/json": content}}, "responses": _ANSWERS,
    }  # fmt: skip
    return {"message": {"post": operation}}
