"""Which reasons guards can give with a verdict."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request

from api.access.principal import Principal
from api.access.requiring import requires
from api.failures import documented
from api.routes_alerts import desk_of
from api.schemas_alerts import ReasonOut, ReasonsOut

router = APIRouter(tags=["alerts"])


@router.get("/reasons", operation_id="list_reasons", responses=documented(401, 429))
def list_reasons(request: Request, _: Annotated[Principal, requires("alerts.read")]) -> ReasonsOut:
    """The reasons of this site, with their labels in English and Chinese. A verdict needs one of them."""
    return ReasonsOut(
        items=[
            ReasonOut.model_validate(
                {"code": r.code, "verdicts": r.verdicts, "label": dict(r.label), "needs_note": r.needs_note}
            )
            for r in desk_of(request).reasons
        ]
    )
