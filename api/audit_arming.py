"""Arming as it stands against what the journal says of it. Pure: rows come as they are kept, by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.audit_chain import ACTION, ACTOR, AT, CAMERA, SEQ, VERSION, Findings, Raw, body_of
from api.audit_values import mapping, shown
from api.journal import STANDING, SYSTEM

Row = Mapping[str, Any]
Facts = dict[str, Any]
FIRST_CHANGE = 2
"""The version after the first change of all: until then nobody had to write down the profile."""
_SHOWN = 8


def arming_told(entries: Iterable[Raw]) -> Facts:
    """What entries, in order, say: `profile`, `version`, `set_at`, `set_by`, and `overrides` as lists of camera,
    target, armed, set_at and set_by. Without `set_at`, earlier overrides may be untold."""
    facts: Facts = {}
    overrides: dict[tuple[str, str], list[Any]] = {}
    for entry in entries:
        action, body, at, by = entry[ACTION], body_of(entry), entry[AT], entry[ACTOR]
        if action == STANDING:
            facts = dict(mapping(body.get("facts")))
            overrides = {(one[0], one[1]): one for one in facts.get("overrides") or ()}
            continue
        facts["version"] = entry[VERSION]
        if action == "profile":
            facts |= {"profile": body.get("profile"), "set_at": at, "set_by": by}
            overrides = {}
        elif action == "override":
            if entry[VERSION] == FIRST_CHANGE:
                facts |= {"set_at": at, "set_by": SYSTEM.name}
            if "profile" in body:
                facts["profile"] = body["profile"]
            one = [entry[CAMERA], body.get("target"), bool(body.get("armed")), at, by]
            overrides[one[0], one[1]] = one
    return facts | {"overrides": [overrides[key] for key in sorted(overrides, key=str)]} if facts else facts


def check_arming(
    rows: Sequence[Row], overrides: Sequence[Row], entries: Sequence[Raw], findings: Findings, *, whole: bool
) -> bool:
    """`entries`: all about arming, in order. Returns whether the rows could be checked: `whole`, or told by entries."""
    facts = arming_told(entries)
    wrong = [
        *_rows(rows, expected=bool(facts)),
        *(_profile(rows[0], facts) if len(rows) == 1 else ()),
        *_overrides(overrides, facts, whole=whole),
    ]
    if whole and rows and not facts:
        wrong.append("no entry of the journal speaks of it")
    if wrong:
        newest = entries[-1][SEQ] if entries else None
        findings.add("arming_changed", f"arming: {'; '.join(wrong[:_SHOWN])}", newest, "arming")
    return whole or "set_at" in facts or not (rows or overrides)


def _rows(rows: Sequence[Row], *, expected: bool) -> Iterable[str]:
    # Gatewatch reads the row 1 alone: another one hides what the site is really in.
    if len(rows) > 1 or (expected and not rows):
        yield f"it has {len(rows)} rows instead of 1"
    elif rows and rows[0]["id"] != 1:
        yield f"its row has the id {shown(rows[0]['id'])} instead of 1"


def _profile(row: Row, facts: Facts) -> Iterable[str]:
    for name in ("version", "profile", "set_at", "set_by"):
        if facts.get(name) is not None and row[name] != facts[name]:
            yield f"its {name} is {shown(row[name])} instead of {shown(facts[name])}"


def _overrides(rows: Sequence[Row], facts: Facts, *, whole: bool) -> Iterable[str]:
    told = {(one[0], one[1]): one[2:] for one in facts.get("overrides", ())}
    held: dict[tuple[Any, Any], list[Any]] = {}
    for row in rows:
        held[row["camera"], row["target"]] = [bool(row["armed"]), row["set_at"], row["set_by"]]
    if len(held) != len(rows):
        yield "it has an override twice"
    for key in sorted({*told, *held}, key=str):
        have, want = held.get(key), told.get(key)
        # An override from before the first entry that is left is not known here.
        if have == want or (want is None and not (whole or "set_at" in facts)):
            continue
        what = f"{shown(key[0])}/{shown(key[1])}"
        if have is None or want is None or have[0] != want[0]:
            yield f"{what} is {_armed(have)} instead of {_armed(want)}"
        else:
            yield f"{what} was set at {shown(have[1])} by {shown(have[2])}, not at {shown(want[1])} by {shown(want[2])}"


def _armed(one: Sequence[Any] | None) -> str:
    return "as its profile says" if one is None else "armed" if one[0] else "disarmed"
