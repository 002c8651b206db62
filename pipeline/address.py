"""Addresses of sources: which kind one is, and how to speak of it without giving its password away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

Kind = Literal["file", "url", "device"]

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_SECRET_QUERY = re.compile(
    r"([?&;](?:[^=&;#\s]*(?:pass|pwd|token|secret|key|auth|cred|sig)[^=&;#\s]*|user|usr|login|username)=)[^&;#\s]*",
    re.IGNORECASE,
)
MASK = "***"


def source_kind(address: str | Path) -> Kind:
    """Whether an address names a file, a stream or a capture device (`/dev/video0`)."""
    if isinstance(address, Path):
        return "file"
    match = _SCHEME.match(address)
    if match and match.group(1).lower() != "file":
        return "url"
    return "device" if re.fullmatch(r"/dev/video\d+", address) else "file"


def mask_url(url: str | Path) -> str:
    """The address with its password and its secret query values replaced by `***`.

    The user's name stays, so that an operator can see which account is meant. Passwords that were not percent-encoded
    (and hold `/`, `?` or `@`) are masked too. Anything that is not a URL comes back unchanged.
    """
    text = str(url)
    match = _SCHEME.match(text)
    if not match:
        return text
    scheme, rest = text[: match.end()], text[match.end() :]
    end = _end_of_userinfo(rest)
    if end is not None:
        user, colon, _ = rest[:end].partition(":")
        rest = f"{user}{':' + MASK if colon else ''}{rest[end:]}"
    return scheme + _SECRET_QUERY.sub(rf"\g<1>{MASK}", rest)


def mask_text(text: str, url: str | Path | None = None) -> str:
    """`text` with every URL in it masked, and the secrets of `url` wherever they stand."""
    if url is not None:
        raw = str(url)
        text = text.replace(raw, mask_url(raw))
        for secret in secrets_of(raw):
            text = text.replace(secret, MASK)
    return _URL_IN_TEXT.sub(lambda found: mask_url(found.group()), text)


def secrets_of(url: str) -> tuple[str, ...]:
    """The password in a URL as written and percent-decoded; empty where there is none worth hiding."""
    match = _SCHEME.match(url)
    if not match:
        return ()
    rest = url[match.end() :]
    end = _end_of_userinfo(rest)
    password = rest[:end].partition(":")[2] if end is not None else ""
    return tuple(dict.fromkeys(part for part in (password, unquote(password)) if len(part) > 2))


def _end_of_userinfo(rest: str) -> int | None:
    """Where `user:password` ends in what follows `scheme://` (the place of the `@`), or None."""
    authority_end = min((i for i in map(rest.find, "/?#") if i >= 0), default=len(rest))
    at = rest.rfind("@", 0, authority_end)
    last_at = rest.rfind("@")
    if last_at > at:
        # A "/", "?" or "#" in the password that was not percent-encoded looks like the end of the authority. Rather
        # hide too much: only what can be nothing but host:port/path with an "@" in the path stays.
        host = rest[at + 1 : authority_end]
        port = host.rpartition("]")[2].partition(":")[2]
        behind = rest[last_at + 1 :].partition("/")[0]
        looks_like_host = host.startswith("[") or "." in host or ":" not in host
        if ":" in host and (not port.isdigit() or not looks_like_host or "." in behind or ":" in behind):
            return last_at
    return at if at >= 0 else None
