"""The journal as a file that is checked without the database: NDJSON, closed by a signed head.

The first line says where the entries go on from, the last one is the signed head; each line between is an entry, whose
`body` is the text that was hashed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.errors import NotFoundError
from api.heads import Heads, SignedHead
from api.journal import GENESIS, SYSTEM, Actor, utc_text_us
from api.storage import journal as rows
from api.storage.ledger import Ledger
from api.storage.tables_journal import CheckpointRow, JournalRow

FORMAT = "gatewatch journal export 1"
BATCH = 500
COLUMNS = (
    "seq", "at", "actor_kind", "actor", "origin", "subject", "subject_id", "action", "camera", "version", "reason",
    "note", "body", "prev_hash", "hash",
)  # fmt: skip
"""Of an entry, in the order of its line."""


def begin_export(ledger: Ledger, heads: Heads, *, after: int = 0, actor: Actor = SYSTEM) -> SignedHead:
    """Says in the journal that it is exported and signs its head, up to which the export goes.

    Raises NotFoundError where the journal does not reach as far as `after`.
    """
    with ledger.writing() as write:
        with_self = write.journal(actor, "journal", "export", "exported", {"after": after})
        if after >= with_self.seq:
            raise NotFoundError(f"The journal has no entry {after}: it ends at {with_self.seq - 1}.")
        head = heads.sign_within(write, "export", actor)
    heads.keep(head)
    return head


def export_lines(ledger: Ledger, head: SignedHead, *, after: int = 0) -> Iterator[bytes]:
    """The lines of the export that ends at this head, several at a time."""
    with ledger.reading() as session:
        yield _line(_opening(session, head, after))
        batch = bytearray()
        for number, row in enumerate(rows.all_entries(session, after=after, until=head.seq), 1):
            batch += _line(entry_json(row))
            if number % BATCH == 0:
                yield bytes(batch)
                batch.clear()
        yield bytes(batch) + _line({"head": head.to_json()})


def _opening(session: Session, head: SignedHead, after: int) -> dict[str, Any]:
    checkpoint = rows.newest_checkpoint(session)
    start: tuple[int, str] = (0, GENESIS)
    if checkpoint is not None:
        start = (checkpoint.up_to_seq, checkpoint.hash)
    if after > start[0]:
        start = (after, session.get_one(JournalRow, after).hash)
    return {
        "format": FORMAT,
        "after": {"seq": start[0], "hash": start[1]},
        "checkpoint": None if checkpoint is None else checkpoint_json(checkpoint),
        "key_id": head.key_id,
        "public_key": head.public_key,
    }


def checkpoint_json(row: CheckpointRow) -> dict[str, Any]:
    return {
        "up_to_seq": row.up_to_seq, "hash": row.hash, "at": utc_text_us(row.at), "removed": json.loads(row.removed),
        "key_id": row.key_id, "signature": row.signature,
    }  # fmt: skip


def entry_json(row: JournalRow) -> dict[str, Any]:
    line = {name: getattr(row, name) for name in COLUMNS}
    line["at"] = utc_text_us(row.at)
    return line


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
