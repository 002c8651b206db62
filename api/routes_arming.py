"""Arming: the profile that the site is in, and single rules armed or disarmed until it changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.arming import Arming, ArmingState
from api.errors import ForbiddenError, NotFoundError
from api.failures import documented
from api.schemas_arming import ArmingIn, ArmingOut, OverrideIn, arming_out
from api.versions import IfMatch, etag, expected_version

router = APIRouter(prefix="/arming", tags=["arming"])

Writer = Annotated[Principal, requires("arming.write")]


def arming_of(request: Request) -> Arming:
    arming: Arming = request.app.state.services.arming
    return arming


@router.get("", operation_id="get_arming", responses=documented(401, 429))
def get_arming(
    request: Request, response: Response, principal: Annotated[Principal, requires("arming.read")]
) -> ArmingOut:
    """The profile, what was armed or disarmed by itself since, and what that means for each rule. `ETag` is its
    version."""
    return _told(request, response, arming_of(request).state, principal)


@router.put("", operation_id="set_arming_profile", responses=documented(401, 409, 413, 415, 422, 428, 429, 503))
def set_arming_profile(
    request: Request, response: Response, body: ArmingIn, principal: Writer, if_match: IfMatch = None
) -> ArmingOut:
    """Puts the whole site into a profile; overrides end. Callers who are limited to cameras may not."""
    if principal.cameras is not None:
        raise ForbiddenError("A profile is for all cameras: callers who are limited to some may not set it.")
    state = arming_of(request).set_profile(
        body.profile, actor=actor_of(request, principal), expected_version=expected_version(if_match, body.version)
    )
    return _told(request, response, state, principal)


@router.post(
    "/overrides", operation_id="set_arming_override", responses=documented(401, 404, 409, 413, 415, 422, 429, 503)
)
def set_arming_override(
    request: Request, response: Response, body: OverrideIn, principal: Writer, if_match: IfMatch = None
) -> ArmingOut:
    """Arms or disarms a rule, or all rules of a zone, line or camera, until the profile changes. A version may be
    given."""
    if not principal.sees(body.camera):
        raise NotFoundError(f"There is no camera {body.camera}.")
    version = expected_version(if_match, body.version, required=False)
    state = arming_of(request).override(
        body.camera, body.target, body.armed, actor=actor_of(request, principal), expected_version=version
    )
    return _told(request, response, state, principal)


def _told(request: Request, response: Response, state: ArmingState, principal: Principal) -> ArmingOut:
    response.headers["etag"] = etag(state.version)
    return arming_out(arming_of(request), state, principal)
