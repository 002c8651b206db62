"""The chain by itself: any journal fits, and any change of it is found at its place."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit_chain import Chain, Findings, hash_of_raw
from api.export import COLUMNS
from api.journal import GENESIS, Actor, Entry, canonical, hash_of, utc_text_us

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
MAYBE = st.none() | TEXT
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
BODIES = st.dictionaries(
    TEXT,
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    max_size=3,
)
ENTRIES = st.builds(
    Entry, st.just(0), MOMENTS, st.builds(Actor, st.sampled_from(["user", "system"]), TEXT, MAYBE),
    st.sampled_from(["alert", "user"]), TEXT, TEXT, MAYBE, st.none() | st.integers(0, 2**31), MAYBE, MAYBE, BODIES,
)  # fmt: skip


def chained(entries: list[Entry]) -> list[list[Any]]:
    """Raw rows of these entries, one after the other."""
    raw, before = [], GENESIS
    for seq, entry in enumerate(entries, 1):
        body = canonical(dict(entry.body))
        whole = replace(entry, seq=seq, prev_hash=before)
        whole = replace(whole, hash=hash_of(whole, body))
        before = whole.hash
        actor = whole.actor
        raw.append([
            seq, utc_text_us(whole.at), actor.kind, actor.name, actor.origin, whole.subject, whole.subject_id,
            whole.action, whole.camera, whole.version, whole.reason, whole.note, body, whole.prev_hash, whole.hash,
        ])  # fmt: skip
    return raw


def walked(raw: list[list[Any]]) -> Findings:
    findings = Findings()
    chain = Chain(findings, None)
    for row in raw:
        chain.take(row)
    chain.finish()
    return findings


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(ENTRIES, max_size=6))
def test_a_journal_as_it_was_written_fits(entries: list[Entry]) -> None:
    raw = chained(entries)
    assert len(walked(raw)) == 0
    exported = [json.loads(json.dumps(dict(zip(COLUMNS, row, strict=True)))) for row in raw]
    assert len(walked([[line[name] for name in COLUMNS] for line in exported])) == 0


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_any_change_is_found(entries: list[Entry], data: st.DataObject) -> None:
    raw = chained(entries)
    at = data.draw(st.integers(0, len(raw) - 1))
    way = data.draw(st.sampled_from(["change", "change and hash", "remove", "double", "swap"]))
    if way in ("change", "change and hash"):
        column = data.draw(st.integers(1, 12))
        before = raw[at][column]
        raw[at][column] = data.draw((MAYBE | st.integers(0, 9)).filter(lambda value: value != before))
        if way == "change and hash":
            hashed = hash_of_raw(raw[at])
            if hashed is None or at == len(raw) - 1:
                return  # The end of a chain is vouched for by its seal alone.
            raw[at][14] = hashed
    elif way == "remove":
        if at == len(raw) - 1:
            return
        del raw[at]
    elif way == "double":
        raw.insert(at, raw[at])
    else:
        other = (at + 1) % len(raw)
        raw[at], raw[other] = raw[other], raw[at]
    findings = walked(raw)
    assert len(findings) > 0
    if way == "change":
        assert findings.listed[0].seq == raw[at][0]
