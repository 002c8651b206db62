"""What can go wrong at the desk; every message is one sentence for the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DeskError(Exception):
    """Alerts, their storage or their pictures cannot be used as asked."""

    code = "desk_error"
    status = 500
    """HTTP status with which the API answers."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


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


class InvalidError(DeskError):
    """A value that came from outside is not acceptable."""

    code = "invalid_request"
    status = 422


class UnavailableError(DeskError):
    """What would do this is not running, or is too busy to take more."""

    code = "unavailable"
    status = 503
