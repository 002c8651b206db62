"""Who calls, and what they may do: roles, permissions, cameras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from starlette.requests import HTTPConnection

from api.journal import Actor

Role = Literal["guard", "supervisor", "administrator", "auditor", "integrator"]
Permission = Literal[
    "alerts.read",
    "alerts.handle",
    "alerts.reopen",
    "alerts.assign_others",
    "incidents.write",
    "cameras.read",
    "cameras.live",
    "inputs.write",
    "arming.read",
    "arming.write",
    "journal.read",
    "users.read",
    "users.write",
    "tokens.own",
    "tokens.all",
    "webhooks.read",
    "webhooks.write",
    "metrics.read",
    "site.read",
]
MEANINGS: Mapping[Permission, str] = {
    "alerts.read": "see alerts, their pictures and clips, incidents, and the live stream",
    "alerts.handle": "acknowledge, claim, hand over one's own, close, note",
    "alerts.reopen": "open a closed alert again",
    "alerts.assign_others": "take an alert from one guard and give it to another",
    "incidents.write": "put alerts together, write up and close incidents",
    "cameras.read": "see the cameras, how they are doing and their last pictures",
    "cameras.live": "look through a camera now",
    "inputs.write": "tell rules something from outside the picture, such as one authorised passage",
    "arming.read": "see which rules are armed",
    "arming.write": "set a profile, arm and disarm rules",
    "journal.read": "read and export the journal of who did what, have its head signed",
    "users.read": "see who may log in and what they may do",
    "users.write": "make, change, disable and unlock users, reset passwords",
    "tokens.own": "make, see and revoke one's own API tokens",
    "tokens.all": "see and revoke everybody's API tokens",
    "webhooks.read": "see which programs are told what, and whether it arrived",
    "webhooks.write": "make and change webhooks, replay what did not arrive",
    "metrics.read": "read numbers about the service and about response times",
    "site.read": "know the site's name, time zone and language, and this API's document",
}
ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

_SEE: frozenset[Permission] = frozenset({"alerts.read", "cameras.read", "cameras.live", "arming.read", "site.read"})
_GUARD: frozenset[Permission] = _SEE | {"alerts.handle", "incidents.write"}
_SUPERVISOR: frozenset[Permission] = _GUARD | {
    "alerts.reopen", "alerts.assign_others", "arming.write", "inputs.write", "users.read", "metrics.read",
    "tokens.own",
}  # fmt: skip
PERMISSIONS_OF: Mapping[Role, frozenset[Permission]] = {
    "guard": _GUARD,
    "supervisor": _SUPERVISOR,
    "administrator": frozenset(PERMISSIONS),
    "auditor": frozenset(
        {"alerts.read", "arming.read", "site.read", "journal.read", "users.read", "webhooks.read", "metrics.read"}
    ),
    "integrator": frozenset(
        {"alerts.read", "alerts.handle", "cameras.read", "cameras.live", "inputs.write", "arming.read", "arming.write",
         "webhooks.read", "webhooks.write", "metrics.read", "site.read", "tokens.own"}
    ),
}  # fmt: skip
"""The permission matrix; docs/access.md shows it, and a test holds the two together."""
SITE_WIDE: frozenset[Permission] = frozenset({"users.write", "tokens.all", "metrics.read"})
"""What cannot be done for some cameras only: nobody who is limited to cameras may do it, whatever the role."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. A token's permissions are those of its owner's role that it was given."""

    kind: Literal["user", "token"]
    user: str
    """The user's name; a token's owner."""
    role: Role
    permissions: frozenset[Permission]
    cameras: frozenset[str] | None = None
    """The cameras whose facts this caller may see and handle; None: all, and what concerns no camera."""
    token_id: str | None = None
    must_change_password: bool = False
    """Logged in with a one-time password: nothing but a new password is possible until then."""

    def sees(self, camera: str | None) -> bool:
        """Whether facts of this camera (None: of no camera) may be shown."""
        return self.cameras is None or (camera is not None and camera in self.cameras)

    def actor(self, origin: str | None) -> Actor:
        if self.kind == "user":
            return Actor("user", self.user, origin)
        return Actor("token", f"{self.user}/{self.token_id}", origin)


class Authenticator(Protocol):
    """Finds out who calls. Thread-safe; called once for each request that is not public."""

    def principal_of(self, connection: HTTPConnection) -> Principal:
        """Raises NotAuthenticatedError where the caller cannot be told, ForbiddenError for a missing CSRF token."""
        ...


def permissions_of(
    role: Role, wanted: Iterable[Permission] | None = None, *, cameras: frozenset[str] | None = None
) -> frozenset[Permission]:
    """What a role may do, narrowed to what is wanted and to what can be done with some cameras alone (None: all)."""
    own = PERMISSIONS_OF[role] if cameras is None else PERMISSIONS_OF[role] - SITE_WIDE
    return own if wanted is None else own & frozenset(wanted)
