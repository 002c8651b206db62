"""The journal as the API gives it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.heads import SignedHead
from api.journal import ActorKind, Entry, Subject
from api.schemas import Count


class EntryOut(BaseModel):
    """One thing that happened. `hash` is over the entry and `prev_hash`, so that each entry vouches for all before."""

    seq: int = Field(description="Counts from 1 without gaps.")
    at: datetime
    actor_kind: ActorKind
    actor: str = Field(description="Name of the user, `user/token`, name of the source, or gatewatch itself.")
    origin: str | None = Field(description="The client's address.")
    subject: Subject
    subject_id: str
    action: str
    camera: str | None
    version: int | None = Field(description="The subject's version afterwards.")
    reason: str | None
    note: str | None
    body: dict[str, Any]
    prev_hash: str
    hash: str

    @classmethod
    def of(cls, entry: Entry) -> EntryOut:
        return cls(
            seq=entry.seq, at=entry.at, actor_kind=entry.actor.kind, actor=entry.actor.name, origin=entry.actor.origin,
            subject=entry.subject, subject_id=entry.subject_id, action=entry.action, camera=entry.camera,
            version=entry.version, reason=entry.reason, note=entry.note, body=dict(entry.body),
            prev_hash=entry.prev_hash, hash=entry.hash,
        )  # fmt: skip


class JournalPage(BaseModel):
    items: list[EntryOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for older entries; null: there are none.")


class HeadOut(BaseModel):
    """Where the journal ends, signed. Keep it: `gatewatch audit --head` tells by it whether anything was taken away."""

    seq: int = Field(description="The newest entry; 0 of an empty journal.")
    hash: str
    at: str = Field(description="ISO 8601 in UTC, with milliseconds: the text that is signed.")
    key_id: str
    signature: str = Field(description="Ed25519, base64, over the text that docs/journal.md gives.")
    public_key: str = Field(description="Base64. Compare it with the one that you know.")

    @classmethod
    def of(cls, head: SignedHead) -> HeadOut:
        return cls(**head.to_json())


class KeyOut(BaseModel):
    """What checks signed heads, checkpoints and exports; it can sign nothing."""

    algorithm: Literal["ed25519"]
    key_id: str = Field(description="The first 16 hex digits of the public key's SHA-256.")
    public_key: str = Field(description="The raw key of 32 bytes, base64.")


class ExportIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Count = Field(0, description="Only entries after this one.")
