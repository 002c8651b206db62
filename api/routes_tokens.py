"""API tokens: make, list and revoke them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.errors import ForbiddenError
from api.failures import documented
from api.routes_session import accounts_of
from api.schemas_people import TokenIn, TokenListOut, TokenWithSecretOut, token_out
from api.site_cameras import check_cameras

router = APIRouter(prefix="/tokens", tags=["tokens"])

TokenPath = Annotated[str, Path(max_length=32, pattern=r"^[0-9a-f]+$")]
Owner = Annotated[Principal, requires("tokens.own")]


@router.get("", operation_id="list_tokens", responses=documented(401, 422, 429, 503))
def list_tokens(
    request: Request,
    principal: Owner,
    everybody: Annotated[bool, Query(alias="all", description="Everybody's; needs `tokens.all`.")] = False,
    cursor: Annotated[int, Query(ge=0, le=2**31 - 1, description="`next_cursor` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> TokenListOut:
    """The caller's tokens in the order they were made, revoked ones too; never what they are shown as."""
    if everybody and "tokens.all" not in principal.permissions:
        raise ForbiddenError("Others' tokens need the permission tokens.all.", {"permission": "tokens.all"})
    owner = None if everybody else principal.user
    found = accounts_of(request).tokens.list(owner, after=cursor, limit=limit + 1)
    return TokenListOut(
        items=[token_out(token) for token in found[:limit]],
        next_cursor=str(found[limit - 1].seq) if len(found) > limit else None,
    )


@router.post("", operation_id="create_token", status_code=201, responses=documented(401, 409, 413, 415, 422, 429, 503))
def create_token(request: Request, response: Response, body: TokenIn, principal: Owner) -> TokenWithSecretOut:
    """Makes a token, which this answer shows and nothing keeps. Only those who logged in make tokens: a token that fell
    into wrong hands cannot make others."""
    if principal.kind != "user":
        raise ForbiddenError("A token cannot make tokens: log in.", code="session_required")
    if principal.cameras is None:  # Whoever is limited gets none but their own, and learns of no others.
        check_cameras(request.app, body.cameras)
    token, shown = accounts_of(request).tokens.create(
        principal.user, body.name, permissions=body.permissions, cameras=body.cameras, expires_at=body.expires_at,
        actor=actor_of(request, principal),
    )  # fmt: skip
    response.headers["cache-control"] = "no-store"
    return TokenWithSecretOut(**token_out(token).model_dump(), token=shown)


@router.delete(
    "/{token_id}", operation_id="revoke_token", status_code=204, responses=documented(401, 404, 422, 429, 503)
)
def revoke_token(request: Request, token_id: TokenPath, principal: Owner) -> Response:
    """Ends a token at once and for good; another's needs `tokens.all`."""
    owner = None if "tokens.all" in principal.permissions else principal.user
    accounts_of(request).tokens.revoke(token_id, actor=actor_of(request, principal), owner=owner)
    return Response(status_code=204)
