"""The live stream as Server-Sent Events; `api.routes_stream_ws` says the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.requests import HTTPConnection

from api.access.principal import Principal
from api.access.requiring import Requires, requires
from api.errors import DeskError, UnavailableError
from api.failures import documented
from api.outbox import ACTIONS
from api.schemas import Name
from api.stream import STREAMED, EndedError, Feed, Reader, Rendered, ResetError, StreamedSubject, Wanted
from api.streamed import Streamed
from rules.types import Severity

router = APIRouter(tags=["stream"])

HEARTBEAT_S = 15.0
CHECK_S = 60.0
"""How often it is asked whether the caller may still listen."""
CHECK_AGAIN_S = 12.0
"""... once more after the journal spoke of the caller: what is known of callers may be kept for ten seconds."""
RETRY_MS = 2000

Seq = Annotated[int, Field(ge=0, le=2**63 - 1)]
May: Final = Requires("alerts.read")

DESCRIPTION = """\
Everything that happens to alerts, incidents, arming and external events, as it happens, as Server-Sent Events.

`id` is the number of the journal's entry, `event` is `<subject>.<action>` (such as `alert.raised`), `data` is JSON:
`seq`, `at`, `actor` {`kind`, `name`}, `subject`, `subject_id`, `action`, `version`, `camera`, `reason`, `note`,
`details` (of arming and external events) and `alert`: the alert as it is now (an `AlertOut`), or null; the schema is
`StreamEntryOut`. The events are EVENTS; more may be added: pass over what you do not know.

Send the last `id` back as `Last-Event-ID` (browsers do) and the stream goes on behind it: nothing is missed, nothing
comes twice. Without one it begins with now. The first event is `hello` (`seq`: the stream goes on behind this entry;
`head`: the newest). `reset` says that the journal no longer holds what followed (`reason` is `removed`) or never held
that entry (`unknown`): load the lists anew, the stream goes on behind its `seq`. `bye` says why the server ends it
(`reason` is `access` or `stopping`). After 15 s without news there is a comment (`: heartbeat`) with an `id`: it moves
your place on past what was not for you. `retry` says how long to wait before connecting again, in ms.

**As a WebSocket**: `GET /api/v1/stream/ws` (`ws://`, under TLS `wss://`), with the same query parameters. Say who you
are by `Authorization: Bearer gw_...`; where you cannot set headers, by the first message, `{"token": "gw_..."}`,
within 10 s. Browsers are let in by their cookie, from a page of this server only. Each message is one JSON object,
`{"id": 42, "event": "alert.raised", "data": {...}}`, with the events of the stream; heartbeats have the event
`heartbeat` and `data` null. Go on after a break with `last_event_id`. You have nothing more to send. It closes with
4000 plus the HTTP status of what was wrong (4401: the token is not valid, or may no longer listen; 4403: the
permission is missing; 4408: no token came in time; 4429: too many streams; 4503: unavailable), or with 1001 where the
server stops. Unknown or wrong parameters and pages of another origin are refused before the connection is made (422,
403).""".replace("EVENTS", ", ".join(f"`{subject}.{action}`" for subject in STREAMED for action in ACTIONS[subject]))


@router.get(
    "/stream",
    operation_id="stream_events",
    summary="The live stream",
    description=DESCRIPTION,
    status_code=200,
    response_class=Response,
    responses={
        **documented(401, 422, 429, 503),
        200: {"description": "Events without end.", "content": {"text/event-stream": {"schema": {}}}},
    },
)
async def stream_events(
    request: Request,
    principal: Annotated[Principal, requires("alerts.read")],
    camera: Annotated[list[Name] | None, Query(description="Any of these.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only about alerts of any of these.")] = None,
    subject: Annotated[list[StreamedSubject] | None, Query()] = None,
    last_event_id: Annotated[Seq | None, Query(description="As `Last-Event-ID`, which goes first.")] = None,
    last_event_id_header: Annotated[Seq | None, Header(alias="Last-Event-ID")] = None,
    follow: Annotated[bool, Query(description="false: end with what is there now.")] = True,
) -> Response:
    feed = feed_of(request)
    after = last_event_id if last_event_id_header is None else last_event_id_header
    stack = contextlib.AsyncExitStack()
    reader = stack.enter_context(feed.reader(principal, wanted_of(camera, severity, subject)))
    try:
        first = await first_of(reader, after)
    except BaseException:
        await stack.aclose()
        raise
    return Streamed(_sse(first, messages_of(reader, request, follow=follow)), stack, media_type="text/event-stream")


def feed_of(connection: HTTPConnection) -> Feed:
    """Raises UnavailableError where the server is being stopped."""
    feed: Feed = connection.app.state.services.feed
    if feed.ended:
        raise UnavailableError("The server is being stopped.")
    return feed


Message = tuple[int | None, str, str]
"""(id, event, data as JSON); a heartbeat has no event and only says the position."""


async def first_of(reader: Reader, after: int | None) -> list[Message]:
    try:
        head = await reader.begin(after)
    except ResetError as error:
        return [_hello(error.head, error.head), _reset(reader, error)]
    return [_hello(reader.position, head)]


def _hello(seq: int, head: int) -> Message:
    return seq, "hello", json.dumps({"seq": seq, "head": head})


def _reset(reader: Reader, error: ResetError) -> Message:
    reader.position = error.head
    return error.head, "reset", json.dumps({"seq": error.head, "reason": error.why})


async def messages_of(
    reader: Reader, connection: HTTPConnection, *, follow: bool = True
) -> AsyncIterator[list[Message]]:
    """What the client is told, until its rights, the server or (not `follow`) the journal end."""
    loop = asyncio.get_running_loop()
    due = loop.time() + CHECK_S
    while True:
        if reader.suspect or loop.time() >= due:
            due = loop.time() + (CHECK_AGAIN_S if reader.suspect else CHECK_S)
            reader.suspect = False
            if not await _still(reader, connection):
                yield [(None, "bye", '{"reason": "access"}')]
                return
        try:
            found = await reader.take(HEARTBEAT_S) if follow else await reader.pending()
        except ResetError as error:
            yield [_reset(reader, error)]
        except EndedError:
            yield [(None, "bye", '{"reason": "stopping"}')]
            return
        except UnavailableError:
            # The database is busy: the client waits as it would for the next event.
            await asyncio.sleep(1.0)
        else:
            if found:
                yield [_message(one) for one in found]
            elif not follow:
                return
            elif not reader.suspect:
                yield [(reader.position, "", "")]


def _message(one: Rendered) -> Message:
    return one.seq, one.event, one.data


async def _still(reader: Reader, connection: HTTPConnection) -> bool:
    """Whether the caller may still listen; its cameras may have become others."""
    try:
        reader.principal = await May.still(connection)
    except UnavailableError:
        return True
    except DeskError:
        return False
    return True


async def _sse(first: list[Message], rest: AsyncIterator[list[Message]]) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MS}\n".encode() + b"".join(map(_event, first))
    async for messages in rest:
        yield b"".join(map(_event, messages))


def _event(message: Message) -> bytes:
    number, event, data = message
    said = "" if number is None else f"id: {number}\n"
    if not event:
        # Without data nothing is dispatched, but the client's Last-Event-ID moves on.
        return f": heartbeat\n{said}\n".encode()
    return f"{said}event: {event}\ndata: {data}\n\n".encode()


def wanted_of(
    camera: list[str] | None, severity: list[Severity] | None, subject: list[StreamedSubject] | None
) -> Wanted:
    def some(values: list[Any] | None) -> frozenset[str] | None:
        return None if values is None else frozenset(values)

    return Wanted(some(camera), some(severity), some(subject))
