"""Keeps credentials out of everything that is printed: URLs inside any text."""

from __future__ import annotations

import re

_URL_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/]*)@", re.ASCII)
_QUERY_SECRET = re.compile(
    r"(?P<key>[?&;](?:user(?:name)?|usr|pass(?:word|wd)?|pwd|token|auth|key|apikey|api_key|secret|signature)=)[^&;#\s\"']*",
    re.IGNORECASE,
)


def mask_text(text: str) -> str:
    """The text with the user part and the secret-looking query values of every URL in it replaced by `***`.

    A password may itself hold `@`; everything up to the last `@` before the first slash or blank goes.
    """
    masked = _URL_USER.sub(lambda found: f"{found['scheme']}***@", text)
    return _QUERY_SECRET.sub(lambda found: f"{found['key']}***", masked)
