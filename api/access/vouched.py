"""What lets somebody in, as the journal vouches for it: MACs with the site's key, which tell nothing about the password
or secret and cannot be made by whoever has only the database."""

from __future__ import annotations

from typing import Any

from api.journal import canonical
from api.keys import SiteKeys

FIELD = "credential"
"""Of the entries' bodies."""


def of_user(
    keys: SiteKeys, name: Any, password_hash: Any, must_change: Any, issuer: Any = None, subject: Any = None
) -> str:
    """`issuer`, `subject`: who it is at a provider."""
    return _mac(keys, "user", name, password_hash, bool(must_change), issuer, subject)


def of_token(keys: SiteKeys, token_id: Any, secret_hash: Any) -> str:
    return _mac(keys, "token", token_id, secret_hash)


def of_session(keys: SiteKeys, user: Any, token_hash: Any) -> str:
    return _mac(keys, "session", user, token_hash)


def _mac(keys: SiteKeys, *what: Any) -> str:
    # Whatever somebody wrote into the database has a text.
    return keys.vouch("credential", canonical([str(part) for part in what]).encode(errors="replace"))
