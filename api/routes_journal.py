"""The journal: read it, export it, check it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.errors import ForbiddenError, InvalidError
from api.export import begin_export, export_lines
from api.failures import documented
from api.heads import Heads
from api.journal import Subject
from api.schemas import Moment, Name, NothingIn
from api.schemas_journal import EntryOut, ExportIn, HeadOut, JournalPage, KeyOut
from api.storage import journal as rows
from api.storage.journal import EntryFilters
from api.storage.ledger import Ledger

router = APIRouter(prefix="/journal", tags=["journal"])
NDJSON = "application/x-ndjson"

Reader = Annotated[Principal, requires("journal.read")]
Text = Annotated[str, Query(min_length=1, max_length=400)]


def _heads(request: Request) -> Heads:
    heads: Heads = request.app.state.services.heads
    return heads


def _ledger(request: Request) -> Ledger:
    ledger: Ledger = request.app.state.services.ledger
    return ledger


@router.get("", operation_id="list_journal", responses=documented(401, 422, 429, 503))
def list_journal(
    request: Request,
    principal: Reader,
    subject: Annotated[list[Subject] | None, Query(description="Any of these.")] = None,
    subject_id: Annotated[Text | None, Query(description="Such as an alert's id.")] = None,
    actor: Annotated[Text | None, Query(description="Name of the user, or `user/token`.")] = None,
    action: Annotated[list[Name] | None, Query(description="Any of these.")] = None,
    camera: Annotated[list[Name] | None, Query(description="Any of these.")] = None,
    since: Annotated[Moment | None, Query(description="At or after; needs a time zone.")] = None,
    until: Annotated[Moment | None, Query(description="Before; needs a time zone.")] = None,
    cursor: Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JournalPage:
    """Who did what, when, from where and why; newest first. A caller of some cameras sees what concerns these."""
    cameras = camera
    if principal.cameras is not None:
        cameras = [name for name in camera or principal.cameras if name in principal.cameras]
    filters = EntryFilters(subject, subject_id, actor, action, cameras, since, until)
    with _ledger(request).reading() as session:
        found = rows.page(session, filters, _number(cursor), limit + 1)
    more = len(found) > limit
    return JournalPage(
        items=[EntryOut.of(entry) for entry in found[:limit]], next_cursor=str(found[limit - 1].seq) if more else None
    )


@router.get("/head", operation_id="get_journal_head", responses=documented(401, 429, 503))
def get_journal_head(request: Request, _: Reader) -> HeadOut:
    """Where the journal ends now, signed for you; nothing is written."""
    return HeadOut.of(_heads(request).look())


@router.post(
    "/head", operation_id="sign_journal_head", status_code=201, responses=documented(401, 413, 415, 422, 429, 503)
)
def sign_journal_head(request: Request, principal: Reader, _: NothingIn) -> HeadOut:
    """Signs where the journal ends, says so in the journal, and thereby to webhooks."""
    return HeadOut.of(_heads(request).sign("asked", actor_of(request, principal)))


@router.get("/key", operation_id="get_journal_key", responses=documented(401, 429))
def get_journal_key(request: Request, _: Reader) -> KeyOut:
    """The public key that checks what the journal's key signed. Note it once, by a way that you trust."""
    heads = _heads(request)
    return KeyOut(algorithm="ed25519", key_id=heads.key_id, public_key=heads.public_key)


@router.post(
    "/export",
    operation_id="export_journal",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One JSON object a line: where it begins, the entries, the signed head.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **documented(401, 404, 413, 415, 422, 429, 503),
    },
)
def export_journal(request: Request, principal: Reader, body: ExportIn) -> StreamingResponse:
    """The journal as NDJSON, closed by a signed head; `gatewatch audit --export FILE` checks it anywhere.

    The export is itself an entry of the journal. It needs a caller of all cameras: a chain has no gaps."""
    if principal.cameras is not None:
        raise ForbiddenError("The journal is exported whole: this needs a caller of all cameras.")
    ledger = _ledger(request)
    head = begin_export(ledger, _heads(request), after=body.after, actor=actor_of(request, principal))
    name = f"journal-{head.at:%Y%m%dT%H%M%SZ}.ndjson"
    return StreamingResponse(
        export_lines(ledger, head, after=body.after),
        media_type=NDJSON,
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal()) or len(cursor) > 18:
        raise InvalidError("The cursor is not one that this list gave.", {"cursor": cursor})
    return int(cursor)
