"""Users, tokens, webhooks and arming as they stand against what the journal says of them. Pure: rows come as they are
kept, by column.

Only what an entry tells is compared: after retention the first entries about somebody may be gone. Passwords, secrets
and identities at a provider are in no entry, so a change of theirs cannot be seen here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from api.audit_chain import ACTION, AT, CAMERA, SEQ, SUBJECT_ID, VERSION, Findings, Raw, body_of
from api.audit_values import json_value, mapping, shown
from api.journal import utc_text_us

Row = Mapping[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that has rows and entries of its own."""

    subject: str
    what: str
    """In messages."""
    told: Callable[[Sequence[Raw]], Facts]
    """What entries, in order, say of one."""
    held: Callable[[Row], Facts]
    """The same of its row."""


def check_kind(kind: Kind, rows: Mapping[Any, Row], entries: Iterable[Raw], findings: Findings, *, whole: bool) -> int:
    """`entries`: grouped by what they are about, each in order. `whole`: no entry was removed by retention. Returns of
    how many rows no entry tells any more."""
    held = dict(rows)
    for name, group in groupby(entries, lambda entry: entry[SUBJECT_ID]):
        told, row = list(group), held.pop(name, None)
        subject = f"{kind.what} {shown(name)}"
        newest = told[-1][SEQ]
        if row is None:
            findings.add(
                f"{kind.subject}_missing", f"{subject} was taken away: entry {newest} still speaks of it",
                newest, subject,
            )  # fmt: skip
            continue
        have = kind.held(row)
        wrong = [
            f"{field} is {shown(have.get(field))} instead of {shown(want)}"
            for field, want in kind.told(told).items()
            if have.get(field) != want
        ]
        if wrong:
            findings.add(f"{kind.subject}_changed", f"{subject}: {'; '.join(wrong)}", newest, subject)
    for name in held if whole else ():
        subject = f"{kind.what} {shown(name)}"
        findings.add("inserted", f"{subject}: no entry of the journal says that it was made", None, subject)
    return 0 if whole else len(held)


def _user_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {}
    for entry in entries:
        action, body = entry[ACTION], body_of(entry)
        facts["version"] = entry[VERSION]
        if action == "created":
            facts |= body | {"disabled": False, "password_changed_at": None}
        elif action in ("changed", "disabled", "enabled"):
            facts |= mapping(body.get("before")) | mapping(body.get("after"))
        elif action in ("password_reset", "password_changed"):
            facts["password_changed_at"] = entry[AT]
    return facts


def _user_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("role", "display_name", "version", "password_changed_at")}
    return held | {"cameras": json_value(row["cameras"]), "disabled": bool(row["disabled"])}


def _token_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {"revoked_at": None}
    for entry in entries:
        if entry[ACTION] == "created":
            body = body_of(entry)
            facts |= body | {"expires_at": _moment(body.get("expires_at"))}
        elif entry[ACTION] == "revoked":
            facts["revoked_at"] = entry[AT]
    return facts


def _token_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("owner", "name", "expires_at", "revoked_at")}
    return held | {name: json_value(row[name]) for name in ("permissions", "cameras")}


_OF_WEBHOOK = ("name", "topics", "cameras", "url_sha256", "enabled", "secret_generation")


def _webhook_told(entries: Sequence[Raw]) -> Facts:
    facts: Facts = {}
    for entry in entries:
        action, body = entry[ACTION], body_of(entry)
        if entry[VERSION] is not None:
            facts["version"] = entry[VERSION]
        if action == "created":
            facts |= {"enabled": True, "secret_generation": 1, "removed": False}
        if action in ("created", "changed"):
            facts |= {name: body[name] for name in _OF_WEBHOOK if name in body}
        elif action == "removed":
            facts |= {"enabled": False, "removed": True}
    return facts


def _webhook_held(row: Row) -> Facts:
    held = {name: row[name] for name in ("name", "version", "secret_generation")}
    return held | {
        "topics": json_value(row["topics"]), "cameras": json_value(row["cameras"]), "enabled": bool(row["enabled"]),
        "removed": row["removed_at"] is not None,
        "url_sha256": hashlib.sha256(str(row["url"]).encode(errors="replace")).hexdigest(),
    }  # fmt: skip


USERS = Kind("user", "user", _user_told, _user_held)
TOKENS = Kind("token", "token", _token_told, _token_held)
WEBHOOKS = Kind("webhook", "webhook", _webhook_told, _webhook_held)


def check_arming(
    rows: Sequence[Row], overrides: Sequence[Row], entries: Sequence[Raw], findings: Findings, *, whole: bool
) -> None:
    """`entries`: all about arming, in order."""
    profile: Any = None
    version: Any = None
    told: dict[tuple[Any, Any], bool] = {}
    for entry in entries:
        body, version = body_of(entry), entry[VERSION]
        if entry[ACTION] == "profile":
            profile, told = body.get("profile"), {}
        elif entry[ACTION] == "override":
            told[entry[CAMERA], body.get("target")] = bool(body.get("armed"))
    newest = entries[-1][SEQ] if entries else None
    held = {(row["camera"], row["target"]): bool(row["armed"]) for row in overrides}
    wrong = []
    for camera, target in sorted({*told, *held}, key=str):
        have, want = held.get((camera, target)), told.get((camera, target))
        # An override from before the first entry that is left is not known here.
        if have != want and (want is not None or whole or profile is not None):
            wrong.append(f"{shown(camera)}/{shown(target)} is {_armed(have)} instead of {_armed(want)}")
    if entries or (whole and rows):
        row = rows[0] if rows else {"profile": None, "version": None}
        for name, want in (("version", version), ("profile", profile)):
            if want is not None and row[name] != want:
                wrong.append(f"its {name} is {shown(row[name])} instead of {shown(want)}")
        if not entries:
            wrong.append("no entry of the journal speaks of it")
    if wrong:
        findings.add("arming_changed", f"arming: {'; '.join(wrong[:8])}", newest, "arming")


def _armed(value: bool | None) -> str:
    return {True: "armed", False: "disarmed", None: "as its profile says"}[value]


def _moment(value: Any) -> Any:
    try:
        return utc_text_us(datetime.fromisoformat(value).astimezone(UTC))
    except (TypeError, ValueError, OverflowError):
        return value
