"""What can go wrong at the desk; every message is one sentence for the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DeskError(Exception):
    """Alerts, their storage or their pictures cannot be used as asked."""

    code = "desk_error"
    status = 500
    """HTTP status with which the API answers."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})
        self.code = code or self.code


class NotAuthenticatedError(DeskError):
    """The caller did not say who it is, or not so that it can be believed."""

    code = "not_authenticated"
    status = 401


class ForbiddenError(DeskError):
    """The caller is known, but may not do this."""

    code = "forbidden"
    status = 403


class PartlyHiddenError(ForbiddenError):
    """An incident also holds alerts that the caller may not see."""

    code = "partly_hidden"


class TooManyRequestsError(DeskError):
    """Too much in too short a time; `details["retry_after_s"]` says when to come again."""

    code = "too_many_requests"
    status = 429


class NotFoundError(DeskError):
    """There is no such alert, snapshot, clip, camera or line."""

    code = "not_found"
    status = 404


class TransitionError(DeskError):
    """An alert in this state cannot go where it was asked to go."""

    code = "illegal_transition"
    status = 409


class StaleError(DeskError):
    """The alert has changed since the caller looked at it."""

    code = "stale_version"
    status = 409


class PreconditionRequiredError(DeskError):
    """A write that could undo somebody else's did not say which version it is about."""

    code = "precondition_required"
    status = 428


class ConflictError(DeskError):
    """Something of that name is there already, or a key was used for something else."""

    code = "conflict"
    status = 409


class InvalidError(DeskError):
    """A value that came from outside is not acceptable."""

    code = "invalid_request"
    status = 422


class UnavailableError(DeskError):
    """What would do this is not running, or is too busy to take more."""

    code = "unavailable"
    status = 503
