"""Checks an export of the journal by itself: the chain of its entries, and the signed head that closes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from api.audit import Report
from api.audit_chain import Chain, Checkpoint, Findings, KeptHead
from api.errors import DeskError, InvalidError
from api.export import COLUMNS, FORMAT
from api.heads import SignedHead
from api.journal import GENESIS


def audit_export(file: Path, *, public_key: str | None = None, heads: Sequence[KeptHead] = ()) -> Report:
    """`public_key`: the one that the auditor knows; without one the file's own is used, and that is said.

    Raises DeskError where the file cannot be read or is no export.
    """
    lines = _lines(file)
    opening = next(lines, None)
    if opening is None or opening.get("format") != FORMAT:
        raise DeskError(f"{file}: expected an export of Gatewatch's journal.")
    key = public_key or (opening.get("public_key") if isinstance(opening.get("public_key"), str) else None)
    findings = Findings()
    chain = Chain(findings, key, rows_of_heads=False)
    unchecked = [] if public_key else ["that the file's key is the site's: this needs --public-key"]
    unchecked += _start(opening, chain, findings, key)
    chain.expect(heads)
    closing = _entries(lines, chain)
    if closing is None:
        findings.add(
            "cut_off", f"the export ends at entry {chain.seq} without its signed head: it was cut off", chain.seq
        )
    else:
        _closing(closing, chain, findings, key)
    chain.finish()
    return Report(
        findings.listed, len(findings), chain.count, 0, chain.first, chain.seq, chain.hash, 1, len(heads),
        unchecked=unchecked,
    )  # fmt: skip


def _start(opening: Mapping[str, Any], chain: Chain, findings: Findings, key: str | None) -> list[str]:
    """Where the entries go on from, and what of that has to be taken on trust."""
    after = opening.get("after")
    if not isinstance(after, dict) or type(after.get("seq")) is not int or not isinstance(after.get("hash"), str):
        findings.add("forged", "the export does not say after which entry it begins")
        return []
    seq, hash_ = after["seq"], after["hash"]
    chain.begin(seq, hash_)
    if seq == 0:
        if hash_ != GENESIS:
            findings.add("forged", "the export does not begin where a journal begins", 1)
        return []
    checkpoint = _checkpoint(opening.get("checkpoint"))
    if checkpoint is not None and checkpoint.up_to_seq == seq:
        if checkpoint.hash != hash_ or (key is not None and not checkpoint.holds(key)):
            findings.add("checkpoint_forged", f"the checkpoint at entry {seq} was forged or changed", seq)
        checkpoint.tell(findings)
        return []
    return [f"what was before entry {seq + 1}: the export begins there"]


def _checkpoint(value: Any) -> Checkpoint | None:
    try:
        return Checkpoint(
            value["up_to_seq"], value["hash"], datetime.fromisoformat(value["at"]), value["removed"], value["key_id"],
            value["signature"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def _entries(lines: Iterator[dict[str, Any]], chain: Chain) -> dict[str, Any] | None:
    """Takes the entries; returns the closing line, or None where there is none."""
    for line in lines:
        if "head" in line:
            more = next(lines, None)
            if more is not None:
                chain.findings.add("inserted", "something follows the signed head of the export", chain.seq)
            return line
        chain.take([line.get(name) for name in COLUMNS])
    return None


def _closing(line: Mapping[str, Any], chain: Chain, findings: Findings, key: str | None) -> None:
    try:
        head = SignedHead.from_json(line["head"])
    except InvalidError:
        findings.add("head_forged", "the line that closes the export holds no signed head", chain.seq)
        return
    if key is not None and not head.holds(key):
        findings.add("head_forged", "the signature of the head that closes the export does not hold", head.seq)
    elif (head.seq, head.hash) != (chain.seq, chain.hash):
        findings.add(
            "head_mismatch",
            f"the export ends at entry {chain.seq}, and its signed head is of another end, at entry {head.seq}",
            head.seq,
        )


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    value = None
                if not isinstance(value, dict):
                    raise DeskError(f"{file}, line {number}: expected a JSON object.")
                yield value
    except OSError as error:
        raise DeskError(f"{file}: cannot be read: {error.strerror}.") from None
