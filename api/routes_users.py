"""Users: list them, make them, change what they may do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.accounts import FIRST_USER
from api.access.principal import Principal
from api.access.requiring import actor_of, requires
from api.access.users import UNSET, User, UserChange
from api.errors import InvalidError
from api.failures import documented
from api.routes_session import accounts_of
from api.schemas import NothingIn
from api.schemas_people import (
    UserChangeIn,
    UserIn,
    UserListOut,
    UserOut,
    UserWithPasswordOut,
    user_out,
)
from api.site_cameras import check_cameras
from api.versions import IfMatch, etag, expected_version

router = APIRouter(prefix="/users", tags=["users"])

UserPath = Annotated[str, Path(max_length=64, description="The user's name.")]
Reader = Annotated[Principal, requires("users.read")]
Writer = Annotated[Principal, requires("users.write")]
_READ = documented(401, 404, 422, 429, 503)


@router.get("", operation_id="list_users", responses=documented(401, 422, 429, 503))
def list_users(
    request: Request,
    _: Reader,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> UserListOut:
    """Users by name, disabled ones too."""
    found = accounts_of(request).users.list(after=cursor, limit=limit + 1)
    return UserListOut(
        items=[user_out(user) for user in found[:limit]],
        next_cursor=found[limit - 1].name if len(found) > limit else None,
    )


@router.post("", operation_id="create_user", status_code=201, responses=documented(401, 409, 413, 415, 422, 429, 503))
def create_user(request: Request, response: Response, body: UserIn, principal: Writer) -> UserWithPasswordOut:
    """Makes a user and a one-time password, which this answer shows and nothing keeps. A camera that the running site
    does not have, and of which there are no alerts, is refused."""
    check_cameras(request.app, body.cameras)
    user, password = accounts_of(request).users.create(
        body.user, body.role, display_name=body.display_name, cameras=body.cameras, actor=actor_of(request, principal)
    )
    return _with_password(response, user, password)


@router.get("/{user}", operation_id="get_user", responses=_READ)
def get_user(request: Request, response: Response, user: UserPath, _: Reader) -> UserOut:
    """One user. `ETag` is the version."""
    return _told(response, accounts_of(request).users.get(user))


@router.patch("/{user}", operation_id="change_user", responses=documented(401, 404, 409, 413, 415, 422, 428, 429, 503))
def change_user(
    request: Request, response: Response, user: UserPath, body: UserChangeIn, principal: Writer,
    if_match: IfMatch = None,
) -> UserOut:  # fmt: skip
    """Changes a user; what that takes away is gone at once, for sessions and tokens too. Disabling ends the sessions.
    Nobody changes their own role, and the last administrator stays one. Cameras are refused as in `POST /users`."""
    given = body.model_fields_set
    for field in ("display_name", "role", "disabled"):
        if field in given and getattr(body, field) is None:
            raise InvalidError(f"{field}: expected a value, found null.", {"where": field})
    if body.cameras:
        check_cameras(request.app, body.cameras, kept=accounts_of(request).users.get(user).cameras)
    change = UserChange(
        display_name=UNSET if body.display_name is None else body.display_name,
        role=UNSET if body.role is None else body.role,
        cameras=body.cameras if "cameras" in given else UNSET,
        disabled=UNSET if body.disabled is None else body.disabled,
    )
    done = accounts_of(request).users.change(
        user, change, actor=actor_of(request, principal), by=principal.user,
        expected_version=expected_version(if_match, body.version),
    )  # fmt: skip
    return _told(response, done)


@router.post(
    "/{user}/reset-password",
    operation_id="reset_password",
    responses=documented(401, 404, 409, 413, 415, 422, 429, 503),
)
def reset_password(
    request: Request,
    response: Response,
    user: UserPath,
    body: NothingIn,  # noqa: ARG001 - it must be there, and say nothing
    principal: Writer,
) -> UserWithPasswordOut:
    """A new one-time password for somebody who lost theirs; ends their sessions and unlocks them."""
    accounts = accounts_of(request)
    done, password = accounts.users.reset_password(user, actor=actor_of(request, principal))
    if user == FIRST_USER:
        accounts.forget_first_password()
    return _with_password(response, done, password)


@router.post("/{user}/unlock", operation_id="unlock_user", responses=documented(401, 404, 413, 415, 422, 429, 503))
def unlock_user(
    request: Request,
    response: Response,
    user: UserPath,
    body: NothingIn,  # noqa: ARG001 - it must be there, and say nothing
    principal: Writer,
) -> UserOut:
    """Lets somebody log in again who was locked out after too many attempts."""
    return _told(response, accounts_of(request).users.unlock(user, actor=actor_of(request, principal)))


def _told(response: Response, user: User) -> UserOut:
    response.headers["etag"] = etag(user.version)
    return user_out(user)


def _with_password(response: Response, user: User, password: str) -> UserWithPasswordOut:
    response.headers["cache-control"] = "no-store"
    response.headers["etag"] = etag(user.version)
    return UserWithPasswordOut(**user_out(user).model_dump(), one_time_password=password)
