"""What the API takes and gives about users, sessions and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from api.access.principal import Permission, Role
from api.access.tokens import Token
from api.access.users import User
from api.schemas import Moment, Name, Version

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")]
DisplayName = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Cameras = Annotated[
    list[Name] | None,
    Field(
        max_length=1000, description="The cameras whose facts are seen and handled; null: all, and what concerns none."
    ),
]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginIn(_In):
    user: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Secret = Field(json_schema_extra={"format": "password", "writeOnly": True})


class PasswordIn(_In):
    current_password: Secret = Field(json_schema_extra={"format": "password", "writeOnly": True})
    new_password: Secret = Field(
        description="12 to 256 characters; not a name, a sequence, one character over and over, or a common one.",
        json_schema_extra={"format": "password", "writeOnly": True},
    )


class SessionOut(BaseModel):
    """Who calls, and what they may do."""

    kind: Literal["user", "token"] = Field(
        description="Logged in with a password or at a provider, or by an API token."
    )
    user: str = Field(description="The user's name; a token's owner.")
    display_name: str
    role: Role
    permissions: list[Permission]
    cameras: Cameras
    token_id: str | None
    csrf_token: str | None = Field(
        description="To be sent as the header X-CSRF-Token with each POST, PUT, PATCH and DELETE of this session; null "
        "for tokens, which need none."
    )
    logout_url: str | None = Field(
        default=None,
        description="Where a browser goes after DELETE /api/v1/session, to log out at the OpenID provider, too; null "
        "where there is nothing to do there.",
    )
    must_change_password: bool = Field(
        description="True after a log-in with a one-time password: nothing but POST /api/v1/session/password works."
    )


class UserOut(BaseModel):
    user: str
    display_name: str
    role: Role
    cameras: Cameras
    disabled: bool
    local: bool = Field(description="Has a password here; false: logs in at an OpenID provider.")
    must_change_password: bool
    failed_logins: int = Field(description="Since the last log-in.")
    locked_until: datetime | None = Field(description="No log-in before this moment, after too many failed ones.")
    created_at: datetime
    password_changed_at: datetime | None
    last_login_at: datetime | None
    version: int


class UserWithPasswordOut(UserOut):
    one_time_password: str = Field(
        description="Shown in this answer only; the user must choose another one at the first log-in."
    )


class UserListOut(BaseModel):
    items: list[UserOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null at the end.")


class UserIn(_In):
    user: UserName = Field(description="For good: a user's name never changes and is never given to somebody else.")
    role: Role
    display_name: DisplayName = ""
    cameras: Cameras = None


def _not_null(schema: dict[str, Any]) -> None:
    """What may be left out is not what may be null."""
    for name in ("display_name", "role", "disabled"):
        told = schema["properties"][name]
        told.update(next(option for option in told.pop("anyOf") if option.get("type") != "null"))
        told.pop("default", None)


class UserChangeIn(_In):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_not_null)

    display_name: DisplayName | None = None
    role: Role | None = None
    cameras: Cameras = None
    disabled: StrictBool | None = None
    version: Version = None


class TokenIn(_In):
    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        description="What it is for."
    )
    permissions: list[Permission] = Field(
        min_length=1, max_length=64, description="Some of what the caller's own role may do."
    )
    cameras: Annotated[list[Name] | None, Field(max_length=1000)] = Field(
        default=None, description="Some of the caller's own; null or left out: all that the caller sees now."
    )
    expires_at: Moment = Field(description="Within 366 days.")


class TokenOut(BaseModel):
    token_id: str
    owner: str
    name: str
    permissions: list[Permission] = Field(description="As given; what the owner may no longer do counts for nothing.")
    cameras: Cameras
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class TokenWithSecretOut(TokenOut):
    token: str = Field(description="For the header `Authorization: Bearer`. Shown in this answer only.")


class TokenListOut(BaseModel):
    items: list[TokenOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null at the end.")


def user_out(user: User) -> UserOut:
    return UserOut(
        user=user.name, display_name=user.display_name, role=user.role, disabled=user.disabled, local=user.local,
        cameras=None if user.cameras is None else list(user.cameras), must_change_password=user.must_change_password,
        failed_logins=user.failed_logins, locked_until=user.locked_until, created_at=user.created_at,
        password_changed_at=user.password_changed_at, last_login_at=user.last_login_at, version=user.version,
    )  # fmt: skip


def token_out(token: Token) -> TokenOut:
    return TokenOut(
        token_id=token.token_id, owner=token.owner, name=token.name, permissions=list(token.permissions),
        cameras=None if token.cameras is None else list(token.cameras), created_at=token.created_at,
        expires_at=token.expires_at, revoked_at=token.revoked_at, last_used_at=token.last_used_at,
    )  # fmt: skip
