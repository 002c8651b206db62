"""Incidents as they stand against what the journal says of them. Pure: rows come as they are kept, by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from api.audit_chain import ACTION, ACTOR, AT, SEQ, SUBJECT_ID, VERSION, Findings, Raw, body_of
from api.audit_values import shown, user_of

_OPEN = {"closed_at": None, "closed_by": None}


def check_incidents(rows: Sequence[Mapping[str, Any]], entries: Iterable[Raw], findings: Findings) -> None:
    """`entries`: those about incidents, grouped by incident, each in order."""
    held = {row["incident_id"]: row for row in rows}
    for incident_id, group in groupby(entries, lambda entry: entry[SUBJECT_ID]):
        told = list(group)
        row = held.pop(incident_id, None)
        subject = f"incident {incident_id}"
        if told[-1][ACTION] == "removed" and row is None:
            continue
        if row is None:
            if told[0][ACTION] == "opened":
                message = f"{subject} was taken away: entry {told[0][SEQ]} still speaks of it"
                findings.add("incident_missing", message, told[0][SEQ], subject)
            continue
        have = {**row, "created_by": user_of(row["created_by"]), "closed_by": user_of(row["closed_by"])}
        wrong = [
            f"{name} is {shown(row[name])} instead of {shown(want)}"
            for name, want in _replay(told)
            if have[name] != want
        ]
        if wrong:
            findings.add("incident_changed", f"{subject}: {'; '.join(wrong)}", told[-1][SEQ], subject)
    for incident_id in held:
        subject = f"incident {incident_id}"
        findings.add("inserted", f"{subject}: no entry of the journal says that it was opened", None, subject)


def _replay(told: Sequence[Raw]) -> Iterable[tuple[str, Any]]:
    state: dict[str, Any] = {
        "title": body_of(told[0]).get("title"), "state": "open", "version": told[0][VERSION],
        "created_at": told[0][AT], "created_by": user_of(told[0][ACTOR]), "closed_at": None, "closed_by": None,
    }  # fmt: skip
    for entry in told[1:]:
        body = body_of(entry)
        state["version"] = entry[VERSION]
        state["title"] = body.get("title", state["title"])
        if body.get("state") in ("open", "closed"):
            state["state"] = body["state"]
            closed = body["state"] == "closed"
            state |= {"closed_at": entry[AT], "closed_by": user_of(entry[ACTOR])} if closed else _OPEN
    return state.items()
