"""Optimistic concurrency over HTTP: the version that a caller looked at, in `If-Match` or in the body."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from api.errors import InvalidError, PreconditionRequiredError

# A proxy that compresses answers marks their tags as weak; the version in them is the same.
_TAG = re.compile(r'(?:W/)?"([0-9]{1,10})"')
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=100,
        description='The `ETag` of what the caller looked at, such as `"3"`, in the place of `version` in the body; '
        "`*` for whatever the version.",
        json_schema_extra={"pattern": r'^(\*|"[0-9]{1,10}")$'},
    ),
]


def etag(version: int) -> str:
    """The `ETag` of something at this version."""
    return f'"{version}"'


def expected_version(if_match: str | None, in_body: int | None, *, required: bool = True) -> int | None:
    """The version that a write expects; None: whatever it finds.

    Raises InvalidError where `If-Match` is no tag of ours or the body says something else, and, if `required`,
    PreconditionRequiredError where neither is given.
    """
    if if_match is None:
        if in_body is None and required:
            raise PreconditionRequiredError(
                "Say which version you looked at: expected If-Match or version in the body, found neither.",
                {"expected": ["If-Match", "version"]},
            )
        return in_body
    if if_match.strip() == "*":
        return in_body
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise InvalidError('If-Match: expected the ETag that an answer gave, such as "3", or *.', {"field": "If-Match"})
    version = int(match[1])
    if in_body is not None and in_body != version:
        raise InvalidError(
            f"If-Match and version disagree: found {version} and {in_body}.",
            {"if_match": version, "version": in_body},
        )
    return version
