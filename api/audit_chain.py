"""Walks the journal's chain and names what does not fit. Pure: entries come in order from wherever they are kept.

Entries come as raw rows, in the columns of `api.export.COLUMNS`, `at` as the text that was hashed: what somebody
wrote into the database need not have the types that it should have.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from api.errors import InvalidError
from api.heads import HEAD_SIGNED, SignedHead
from api.journal import GENESIS, checkpoint_text
from api.keys import signature_holds
from api.storage.ledger import SEAL_BROKEN

STANDS, WRONG = "standing", "wrong"
"""Of what a checkpoint says was removed: see `Checkpoint`."""
LISTED = 200
"""Findings that are listed; the others are counted."""
Raw = Sequence[Any]
SEQ, AT, KIND, ACTOR, ORIGIN, SUBJECT, SUBJECT_ID, ACTION, CAMERA, VERSION, REASON, NOTE, BODY, PREV, HASH = range(15)
_quote = encode_basestring


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written."""

    what: str
    """A code: changed, rehashed, missing, ..."""
    message: str
    seq: int | None = None
    """The entry that it is about."""
    subject: str | None = None
    """Such as `alert alert.north-gate.lawn.000001`."""

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "seq": self.seq, "subject": self.subject, "message": self.message}


class Findings:
    """What was found: the first ones in full, all of them counted."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return self.counts.total()

    def add(self, what: str, message: str, seq: int | None = None, subject: str | None = None) -> None:
        self.counts[what] += 1
        if len(self.listed) < LISTED:
            self.listed.append(Finding(what, message, seq, subject))


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A signed head, and where it was found."""

    head: SignedHead
    where: str
    in_database: bool = False
    why: str | None = None
    """As its row says; None elsewhere."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """As its row says; nothing of it is believed before its signature is checked."""

    up_to_seq: int
    hash: str
    at: datetime
    removed: Any
    key_id: str
    signature: str

    def holds(self, public_key: str) -> bool:
        try:
            content = checkpoint_text(self.up_to_seq, self.hash, self.at, self.removed)
        except (TypeError, ValueError, AttributeError):
            return False
        return signature_holds(public_key, content, self.signature)

    @property
    def states_what_stands(self) -> bool:
        """Whether entries behind it say how everything stood that entries before it were about."""
        return self._number(STANDS) > 0

    @property
    def wrong(self) -> int:
        """How much was not as it was written among what it stands for."""
        return self._number(WRONG)

    def tell(self, findings: Findings) -> None:
        if self.wrong:
            findings.add(
                "removed_changed",
                f"of what retention took away up to entry {self.up_to_seq}, it found then that {self.wrong} "
                f"{'thing was' if self.wrong == 1 else 'things were'} not as written",
                self.up_to_seq,
            )  # fmt: skip

    def _number(self, name: str) -> int:
        found = self.removed.get(name) if isinstance(self.removed, dict) else None
        return found if type(found) is int else 0


def hash_of_raw(raw: Raw) -> str | None:
    """What `api.journal.hash_of` gives for this entry; None for values that no entry can have."""
    seq, at, kind, actor, origin, subject, subject_id, action, camera, version, reason, note, body, prev, _ = raw
    try:
        text = (
            f'{{"action":{_quote(action)},"actor":[{_quote(kind)},{_quote(actor)},{_or_null(origin)}],'
            f'"at":{_quote(at)},"body":{_quote(body)},"camera":{_or_null(camera)},"note":{_or_null(note)},'
            f'"prev":{_quote(prev)},"reason":{_or_null(reason)},"seq":{seq},"subject":[{_quote(subject)},'
            f'{_quote(subject_id)}],"version":{"null" if version is None else version}}}'
        )
        return hashlib.sha256(text.encode()).hexdigest()
    except (TypeError, UnicodeEncodeError):
        return None


def _or_null(text: Any) -> str:
    return "null" if text is None else _quote(text)


@dataclass
class Chain:
    """Takes entries one after the other, then says how they end."""

    findings: Findings
    public_key: str | None
    first: int = 1
    """The number that the first entry must have."""
    rows_of_heads: bool = True
    """Whether the database's rows of signed heads are among the heads, and so must agree with the entries."""
    seq: int = 0
    hash: str = GENESIS
    """Of the last entry taken."""
    count: int = 0
    last_good_head: KeptHead | None = None
    """The newest head that still agrees with the journal."""
    checkpoints_noted: dict[int, str] = field(default_factory=dict)
    """What entries say about checkpoints: number -> signature."""
    turns: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Entries that are dated before the one they follow: number -> (moment, moment of the one before)."""
    older_heads: int = 0
    """Signed at entries that retention has removed since."""
    _heads: dict[int, list[KeptHead]] = field(default_factory=dict)
    """By the number of the entry that they sign."""
    _awaited: dict[int, list[KeptHead]] = field(default_factory=dict)
    _broken_head: bool = False
    _at: str = ""
    """Of the last entry taken that has a moment."""

    def begin(self, seq: int, hash_: str) -> None:
        """The entries go on after this one."""
        self.seq, self.hash, self.first = seq, hash_, seq + 1

    def expect(self, heads: Iterable[KeptHead]) -> None:
        """Signed heads that the entries must agree with; after `begin`."""
        for kept in heads:
            seq = kept.head.seq
            if seq < self.first - 1:
                self.older_heads += 1
                self._signed(kept)
                continue
            self._heads.setdefault(seq, []).append(kept)
            if kept.in_database:
                self._awaited.setdefault(seq, []).append(kept)
        self._compare(self.seq, self.hash)

    def take(self, raw: Raw) -> None:
        seq, prev, hash_, action = raw[SEQ], raw[PREV], raw[HASH], raw[ACTION]
        own = hash_of_raw(raw)
        if seq != self.seq + 1:
            self._out_of_line(raw)
        elif prev != self.hash and own == hash_:
            self._unlinked(raw)
        if own != hash_:
            self.findings.add("changed", f"entry {seq} ({described(raw)}) was changed", seq, subject_of(raw))
        self.seq, self.hash = seq, hash_
        self.count += 1
        at = raw[AT]
        if isinstance(at, str):
            if at < self._at:
                self.turns[seq] = (at, self._at)
            self._at = at
        if raw[SUBJECT] == "journal":
            self._of_the_journal(raw, action)
        if seq in self._heads:
            self._compare(seq, hash_)

    def finish(self) -> None:
        """After the last entry: heads of entries that are not there."""
        for seq in sorted(seq for seq in self._heads if seq > self.seq):
            for kept in self._heads[seq]:
                self._beyond(kept)
        for seq, waiting in self._awaited.items():
            for kept in waiting if seq <= self.seq else ():
                self.findings.add(
                    "head_unknown", f"no entry says that a head was signed at entry {kept.head.seq}", kept.head.seq,
                )  # fmt: skip

    # Where the chain breaks

    def _out_of_line(self, raw: Raw) -> None:
        seq, subject = raw[SEQ], subject_of(raw)
        if seq <= self.seq:
            self.findings.add("doubled", f"entry {seq} ({described(raw)}) is there more than once", seq, subject)
        elif self.count == 0 and self.first == 1:
            self.findings.add("missing", f"{entries(1, seq - 1)} and no checkpoint stands in for what was removed", 1)
        else:
            self.findings.add("missing", entries(self.seq + 1, seq - 1), self.seq + 1)

    def _unlinked(self, raw: Raw) -> None:
        seq = raw[SEQ]
        if self.count == 0:
            before = "the beginning" if self.first == 1 else f"the checkpoint at entry {self.seq}"
            self.findings.add(
                "rehashed", f"entry {seq} ({described(raw)}) does not follow from {before}", seq, subject_of(raw)
            )
        else:
            self.findings.add(
                "rehashed",
                f"entry {self.seq} was rewritten and hashed anew, or entry {seq} ({described(raw)}) put in: "
                f"entry {seq} was chained to another entry {self.seq}",
                self.seq,
            )

    def _of_the_journal(self, raw: Raw, action: str) -> None:
        body = body_of(raw)
        if action == HEAD_SIGNED:
            self._head_entry(raw, body)
        elif action == SEAL_BROKEN:
            found = body.get("what", "it was not as it was left")
            self.findings.add(
                "seal_broken", f"entry {raw[SEQ]}: Gatewatch itself found then that {found}", raw[SEQ], "journal"
            )
        elif action == "begun" and "earlier_head" in body:
            earlier = body["earlier_head"].get("seq") if isinstance(body["earlier_head"], dict) else None
            self.findings.add(
                "replaced", f"entry {raw[SEQ]}: the journal began anew, after one that had reached entry {earlier}",
                raw[SEQ], "journal",
            )  # fmt: skip
        elif action == "checkpoint" and type(body.get("up_to_seq")) is int:
            self.checkpoints_noted[body["up_to_seq"]] = str(body.get("signature"))

    def _head_entry(self, raw: Raw, body: dict[str, Any]) -> None:
        seq = raw[SEQ]
        try:
            head = SignedHead.from_json(body)
        except InvalidError:
            self.findings.add("head_forged", f"entry {seq} speaks of a signed head and holds none", seq, "journal")
            return
        if (head.seq, head.hash) != (seq - 1, raw[PREV]):
            self.findings.add(
                "head_forged", f"entry {seq} holds the signed head of another journal than the one before it", seq,
                "journal",
            )  # fmt: skip
        if self.public_key is not None and not head.holds(self.public_key):
            self.findings.add("head_forged", f"entry {seq}: the signature of the head does not hold", seq, "journal")
        if not self.rows_of_heads:
            return
        waiting = self._awaited.get(head.seq, [])
        mine = next((kept for kept in waiting if kept.head.signature == head.signature), None)
        if mine is not None:
            waiting.remove(mine)
            if (mine.head.key_id, mine.why) != (head.key_id, body.get("why")):
                what = f"the row of the head signed at entry {head.seq} was changed"
                self.findings.add("head_changed", what, head.seq, "journal")
        else:
            self.findings.add("head_missing", f"the head signed at entry {head.seq} is missing", head.seq, "journal")

    # Heads

    def _compare(self, seq: int, hash_: str) -> None:
        for kept in self._heads.get(seq, ()):
            if not self._signed(kept):
                continue
            if kept.head.hash == hash_:
                if not self._broken_head:
                    self.last_good_head = kept
                continue
            self._broken_head = True
            good = self.last_good_head
            since = f"after entry {good.head.seq}" if good else "before it"
            self.findings.add(
                "head_mismatch",
                f"entry {seq} is not the one that was signed at {_when(kept)} ({kept.where}): "
                f"the journal was rewritten {since}",
                seq,
            )

    def _beyond(self, kept: KeptHead) -> None:
        if self._signed(kept):
            self.findings.add(
                "cut_off",
                f"the journal ends at entry {self.seq}; at {_when(kept)} it had reached entry {kept.head.seq} "
                f"({kept.where}): it was cut off or put back to an earlier state",
                self.seq + 1,
            )

    def _signed(self, kept: KeptHead) -> bool:
        if self.public_key is None or kept.head.holds(self.public_key):
            return True
        self.findings.add(
            "head_forged", f"the signature of the head at entry {kept.head.seq} ({kept.where}) does not hold",
            kept.head.seq,
        )  # fmt: skip
        return False


def entries(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"


def described(raw: Raw) -> str:
    return f"{subject_of(raw)}, {_short(raw[ACTION])}"


def subject_of(raw: Raw) -> str:
    return f"{_short(raw[SUBJECT])} {_short(raw[SUBJECT_ID])}"


def body_of(raw: Raw) -> dict[str, Any]:
    """Empty where it is none."""
    try:
        found = json.loads(raw[BODY])
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(value: Any) -> str:
    text = str(value)
    # It is printed on a terminal, and whoever wrote it may have meant harm.
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])


def _when(kept: KeptHead) -> str:
    return f"{kept.head.at:%Y-%m-%d %H:%M:%S} UTC"
