"""Webhooks: set them up, change them, see what became of their messages, send what was given up once more."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.errors import InvalidError
from api.failures import documented
from api.schemas import NothingIn
from api.schemas_webhooks import (
    DeliveryListOut,
    MessageListOut,
    MessageState,
    ReplayOut,
    TestOut,
    VersionIn,
    WebhookChangeIn,
    WebhookIn,
    WebhookListOut,
    WebhookOut,
    WebhookSecretOut,
    delivery_out,
    message_out,
    webhook_out,
)
from api.services import Services
from api.versions import IfMatch, etag, expected_version
from api.webhooks import Webhooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Reader = Annotated[Principal, requires("webhooks.read")]
Writer = Annotated[Principal, requires("webhooks.write")]
WebhookId = Annotated[str, Path(max_length=32)]
Cursor = Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
_READ = documented(401, 404, 422, 429, 503)
_WRITE = documented(401, 404, 409, 413, 415, 422, 428, 429, 503)
_UNVERSIONED = documented(401, 404, 409, 413, 415, 422, 429, 503)
_CURSOR = re.compile(r"w([0-9]{1,18})")


def webhooks_of(request: Request) -> Webhooks:
    services: Services = request.app.state.services
    return services.webhooks


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidError("cursor: expected the next_cursor of an earlier page.")
    return int(found[1])


def _cursor(position: int | None) -> str | None:
    return None if position is None else f"w{position}"


@router.get("", operation_id="list_webhooks", responses=documented(401, 422, 429, 503))
def list_webhooks(request: Request, principal: Reader, cursor: Cursor = None, limit: Limit = 50) -> WebhookListOut:
    """Webhooks within the caller's cameras, oldest first."""
    found, more = webhooks_of(request).list(principal, after=_position(cursor) or 0, limit=limit)
    return WebhookListOut(items=[webhook_out(hook) for hook in found], next_cursor=_cursor(more))


@router.post("", operation_id="create_webhook", status_code=201, responses=_UNVERSIONED)
def create_webhook(request: Request, response: Response, body: WebhookIn, principal: Writer) -> WebhookSecretOut:
    """Tells a target what happens from now on. The secret is shown in this answer alone."""
    hook, secret = webhooks_of(request).create(
        principal, actor_of(request, principal), name=body.name, url=body.url, topics=[str(t) for t in body.topics],
        cameras=body.cameras,
    )  # fmt: skip
    response.headers["etag"] = etag(hook.version)
    return WebhookSecretOut(webhook=webhook_out(hook), secret=secret)


@router.get("/{webhook_id}", operation_id="get_webhook", responses=_READ)
def get_webhook(request: Request, response: Response, webhook_id: WebhookId, principal: Reader) -> WebhookOut:
    """One webhook, and how it fares. `ETag` is its version."""
    hook = webhooks_of(request).get(webhook_id, principal)
    response.headers["etag"] = etag(hook.version)
    return webhook_out(hook)


@router.patch("/{webhook_id}", operation_id="change_webhook", responses=_WRITE)
def change_webhook(
    request: Request,
    response: Response,
    webhook_id: WebhookId,
    body: WebhookChangeIn,
    principal: Writer,
    if_match: IfMatch = None,
) -> WebhookOut:
    """Changes what is given. What waits for a retry is tried at once."""
    expected = expected_version(if_match, body.version)
    changes = body.model_dump(mode="json", exclude_unset=True, exclude={"version"})
    changes = {name: value for name, value in changes.items() if value is not None or name == "cameras"}
    hook = webhooks_of(request).change(webhook_id, principal, actor_of(request, principal), changes, expected)
    response.headers["etag"] = etag(hook.version)
    return webhook_out(hook)


@router.delete("/{webhook_id}", operation_id="remove_webhook", status_code=204, responses=_WRITE)
def remove_webhook(request: Request, webhook_id: WebhookId, principal: Writer, if_match: IfMatch = None) -> None:
    """Ends it for good; what is not yet delivered is dropped."""
    expected = expected_version(if_match, None)
    webhooks_of(request).remove(webhook_id, principal, actor_of(request, principal), expected)


@router.post("/{webhook_id}/secret", operation_id="rotate_webhook_secret", responses=_WRITE)
def rotate_webhook_secret(
    request: Request,
    response: Response,
    webhook_id: WebhookId,
    body: VersionIn,
    principal: Writer,
    if_match: IfMatch = None,
) -> WebhookSecretOut:
    """A new secret, shown in this answer alone. For 24 h messages carry the signatures of both."""
    expected = expected_version(if_match, body.version)
    hook, secret = webhooks_of(request).rotate(webhook_id, principal, actor_of(request, principal), expected)
    response.headers["etag"] = etag(hook.version)
    return WebhookSecretOut(webhook=webhook_out(hook), secret=secret)


@router.post("/{webhook_id}/test", operation_id="test_webhook", status_code=202, responses=_UNVERSIONED)
def test_webhook(
    request: Request,
    webhook_id: WebhookId,
    body: NothingIn,  # noqa: ARG001 - it is empty, but must be JSON
    principal: Writer,
) -> TestOut:
    """Sends a message of the topic `webhook.test`; its delivery shows what came of it."""
    return TestOut(message_id=webhooks_of(request).test(webhook_id, principal, actor_of(request, principal)))


@router.get("/{webhook_id}/deliveries", operation_id="list_webhook_deliveries", responses=_READ)
def list_webhook_deliveries(
    request: Request, webhook_id: WebhookId, principal: Reader, cursor: Cursor = None, limit: Limit = 50
) -> DeliveryListOut:
    """Every attempt of the last 30 days, newest first."""
    found, more = webhooks_of(request).deliveries(webhook_id, principal, before=_position(cursor), limit=limit)
    return DeliveryListOut(items=[delivery_out(one) for one in found], next_cursor=_cursor(more))


@router.get("/{webhook_id}/messages", operation_id="list_webhook_messages", responses=_READ)
def list_webhook_messages(
    request: Request,
    webhook_id: WebhookId,
    principal: Reader,
    state: Annotated[MessageState | None, Query(description="`dead` lists the dead letters.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MessageListOut:
    """Messages of this webhook, newest first."""
    found, more = webhooks_of(request).messages(
        webhook_id, principal, state=state, before=_position(cursor), limit=limit
    )
    return MessageListOut(items=[message_out(one) for one in found], next_cursor=_cursor(more))


@router.post("/{webhook_id}/replay", operation_id="replay_webhook_dead_letters", responses=_UNVERSIONED)
def replay_webhook_dead_letters(
    request: Request,
    webhook_id: WebhookId,
    body: NothingIn,  # noqa: ARG001 - it is empty, but must be JSON
    principal: Writer,
) -> ReplayOut:
    """Sends all dead letters of the webhook again, in order."""
    return ReplayOut(replayed=webhooks_of(request).replay(webhook_id, principal, actor_of(request, principal)))


@router.post(
    "/{webhook_id}/messages/{message_id}/replay", operation_id="replay_webhook_message", responses=_UNVERSIONED
)
def replay_webhook_message(
    request: Request,
    webhook_id: WebhookId,
    message_id: Annotated[str, Path(max_length=40)],
    body: NothingIn,  # noqa: ARG001 - it is empty, but must be JSON
    principal: Writer,
) -> ReplayOut:
    """Sends one message again that is dead, or that was delivered; under the same id."""
    done = webhooks_of(request).replay(webhook_id, principal, actor_of(request, principal), message_id)
    return ReplayOut(replayed=done)
