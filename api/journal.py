"""The journal's chain: what an entry says, and how each vouches for all before it. Pure: no clock, no database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from rules.types import utc_text

ActorKind = Literal["user", "token", "external", "system"]
Subject = Literal[
    "alert", "incident", "user", "session", "token", "webhook", "arming", "external", "journal", "site",
]  # fmt: skip
"""What an entry is about."""

STANDING = "standing"
"""The action of an entry by retention: how something stands by the entries about it, of which the older ones go."""
GENESIS = "0" * 64
"""`prev_hash` of the first entry there ever was."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where."""

    kind: ActorKind
    name: str
    origin: str | None = None
    """The client's address."""


SYSTEM = Actor("system", "gatewatch")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: who, when, from where, what, why. `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    actor: Actor
    subject: Subject
    subject_id: str
    action: str
    camera: str | None
    """The camera it concerns, by which readers are limited; None where it concerns none."""
    version: int | None
    """The subject's version afterwards, where it has one."""
    reason: str | None
    note: str | None
    body: Mapping[str, Any] = field(default_factory=dict)
    prev_hash: str = GENESIS
    hash: str = ""


def canonical(value: Any) -> str:
    """JSON that is the same for the same content: keys sorted, no spaces, text as it is. Raises ValueError for NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(entry: Entry, body_text: str) -> str:
    """SHA-256 (hex) over the entry with its `prev_hash`, as canonical JSON; `body_text` is its body as it is stored."""
    actor = entry.actor
    content = {
        "seq": entry.seq, "at": utc_text_us(entry.at), "actor": [actor.kind, actor.name, actor.origin],
        "subject": [entry.subject, entry.subject_id], "action": entry.action, "camera": entry.camera,
        "version": entry.version, "reason": entry.reason, "note": entry.note, "body": body_text,
        "prev": entry.prev_hash,
    }  # fmt: skip
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def utc_text_us(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a Z: what databases keep, exactly."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def head_text(seq: int, hash_: str, at: datetime) -> bytes:
    """What is signed as a head of the journal."""
    return canonical({"gatewatch": "journal head", "seq": seq, "hash": hash_, "at": utc_text(at)}).encode()


def tip_text(seq: int, hash_: str) -> bytes:
    """What is sealed with each entry: where the journal ends."""
    return f"gatewatch journal tip\n{seq}\n{hash_}".encode()


def checkpoint_text(up_to_seq: int, hash_: str, at: datetime, removed: Mapping[str, int]) -> bytes:
    """What is signed when retention takes away the entries up to `up_to_seq`, whose hash is `hash_`."""
    content = {"gatewatch": "journal checkpoint", "up_to": up_to_seq, "hash": hash_, "at": utc_text(at)}
    return canonical(content | {"removed": dict(removed)}).encode()
