"""What the journal is told about alerts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from api.alerts import Alert
from api.journal import Actor, canonical
from api.storage.ledger import Write
from api.storage.tables import AlertRow


def note_alert(
    write: Write,
    row: AlertRow,
    actor: Actor,
    action: str,
    body: Mapping[str, Any] | None = None,
    *,
    reason: str | None = None,
    note: str | None = None,
) -> None:
    """Says in the journal what was done with the alert."""
    entry = write.journal(
        actor, "alert", row.alert_id, action, body,
        camera=row.camera or None, version=row.version, reason=reason, note=note,
    )  # fmt: skip
    row.journal_seq = entry.seq


def facts(alert: Alert, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the journal vouches for: the alert as its line of `alerts.jsonl`, and the events as they were raised."""
    digests = {body["id"]: hashlib.sha256(canonical(dict(body)).encode()).hexdigest() for body in events}
    return {"alert": alert.to_json(), "run": alert.run, "drill": alert.drill, "events_sha256": digests}


def evidence(alert: Alert) -> dict[str, Any]:
    """Which pictures and clips belong to it now."""
    return {"snapshot": alert.snapshot, "clips": [clip.to_json() for clip in alert.clips]}


def step_taken(before: Alert, after: Alert) -> dict[str, Any]:
    """From which state to which, and who has it in hand."""
    return {"from": before.state, "to": after.state, "assignee": after.assignee}
