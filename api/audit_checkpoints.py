"""The checkpoints that stand in for what retention took away, as the audit and the next retention read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from api.audit_chain import Chain, Checkpoint, Findings
from api.storage import audit as rows


def newest_checkpoint(connection: Connection, public_key: str | None, findings: Findings) -> Checkpoint | None:
    """The newest that can be believed; names those that cannot, and what this one says of what it stands for."""
    newest = None
    for row in rows.checkpoints(connection):
        checkpoint = _checkpoint_of(row)
        if checkpoint is None or (public_key is not None and not checkpoint.holds(public_key)):
            findings.add(
                "checkpoint_forged",
                f"the checkpoint at entry {row['up_to_seq']} was forged or changed: its signature does not hold",
                row["up_to_seq"] if isinstance(row["up_to_seq"], int) else None,
            )
        else:
            newest = checkpoint
    if newest is not None:
        newest.tell(findings)
    return newest


def _checkpoint_of(row: Mapping[str, Any]) -> Checkpoint | None:
    try:
        at, removed = datetime.fromisoformat(row["at"]), json.loads(row["removed"])
        if at.tzinfo is None or type(row["up_to_seq"]) is not int or not isinstance(row["hash"], str):
            return None
    except (TypeError, ValueError):
        return None
    return Checkpoint(row["up_to_seq"], row["hash"], at, removed, str(row["key_id"]), str(row["signature"]))


def check_noted(connection: Connection, chain: Chain, findings: Findings) -> None:
    """Whether the checkpoints that entries speak of are there."""
    held = {row["up_to_seq"]: row["signature"] for row in rows.checkpoints(connection)}
    for up_to, signature in chain.checkpoints_noted.items():
        if held.get(up_to) != signature:
            findings.add(
                "checkpoint_missing", f"the checkpoint at entry {up_to} is missing or not the one signed", up_to
            )
