"""Signs the head of the journal: hourly, at each export, when the server ends, and when somebody asks.

A signed head says "at this moment the journal ended with this entry". It is kept in the database, written into the
journal (which brings it to webhooks) and into a file beside the site's key: whoever keeps one can prove later that the
journal was cut off, rewritten or put back to an earlier state.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import structlog

from api.errors import DeskError, InvalidError
from api.journal import GENESIS, SYSTEM, Actor, head_text
from api.keys import SiteKeys, signature_holds
from api.storage import journal as rows
from api.storage.ledger import Ledger, Write, head_of
from rules.types import utc_text

HEADS_FILE = "journal-heads.jsonl"
Why = Literal["hourly", "export", "checkpoint", "stop", "asked"]
EVERY = timedelta(hours=1)
LOOK_S = 30.0
"""How often the clock is looked at: it may be set, or the machine may have slept."""
HEAD_SIGNED = "head_signed"


@dataclass(frozen=True, slots=True)
class SignedHead:
    """Where the journal ended at a moment, vouched for by the site's key."""

    seq: int
    hash: str
    at: datetime
    key_id: str
    signature: str
    """Ed25519 (base64) over `api.journal.head_text`."""
    public_key: str
    """Base64; only believed where it is the one that the reader knows."""

    @classmethod
    def of(cls, keys: SiteKeys, seq: int, hash_: str, at: datetime) -> Self:
        # What is signed has milliseconds: those of the moment as it is kept must be the same.
        at = at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
        return cls(seq, hash_, at, keys.key_id, keys.sign(head_text(seq, hash_, at)), keys.public_key)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises InvalidError where the value is no signed head."""
        try:
            moment = datetime.fromisoformat(value["at"])
            if moment.tzinfo is None:
                raise ValueError("no time zone")
            head = cls(
                value["seq"], value["hash"], moment.astimezone(UTC), value["key_id"], value["signature"],
                value["public_key"],
            )  # fmt: skip
            texts = (head.hash, head.key_id, head.signature, head.public_key)
            if type(head.seq) is not int or not all(isinstance(text, str) for text in texts):
                raise ValueError("of another type")
        except (KeyError, TypeError, ValueError):
            raise InvalidError(
                "A signed head needs seq, hash, at, key_id, signature and public_key, as the journal gives them."
            ) from None
        return head

    def to_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq, "hash": self.hash, "at": utc_text(self.at), "key_id": self.key_id,
            "signature": self.signature, "public_key": self.public_key,
        }  # fmt: skip

    def holds(self, public_key: str) -> bool:
        """Whether it was signed with the private half of this key (base64)."""
        return signature_holds(public_key, head_text(self.seq, self.hash, self.at), self.signature)


class Heads:
    """Signs heads. Thread-safe."""

    def __init__(self, ledger: Ledger, *, file: Path | None = None) -> None:
        """`file`: where heads are also kept outside the database, one JSON object a line."""
        self._ledger = ledger
        self._file = file
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def public_key(self) -> str:
        return self._ledger.keys.public_key

    @property
    def key_id(self) -> str:
        return self._ledger.keys.key_id

    def look(self) -> SignedHead:
        """The head as it is now, signed for the caller; nothing is written."""
        with self._ledger.reading() as session:
            seq, hash_ = head_of(session)
        return SignedHead.of(self._ledger.keys, seq, hash_, self._ledger.now())

    def sign(self, why: Why, actor: Actor = SYSTEM) -> SignedHead:
        """Signs the newest entry, and says so in the journal. Raises UnavailableError."""
        with self._ledger.writing() as write:
            head = self.sign_within(write, why, actor)
        self.keep(head)
        return head

    def sign_within(self, write: Write, why: Why, actor: Actor = SYSTEM) -> SignedHead:
        """Signs inside a write that goes on; `keep` the head once that is committed."""
        write.session.flush()
        seq, hash_ = head_of(write.session)
        head = SignedHead.of(self._ledger.keys, seq, hash_, write.at)
        rows.add_head(write.session, head.seq, head.hash, head.at, why, head.key_id, head.signature)
        write.journal(actor, "journal", str(seq), HEAD_SIGNED, {**head.to_json(), "why": why})
        return head

    def keep(self, head: SignedHead) -> None:
        """Writes the head down outside the database, as far as that is possible."""
        if self._file is None:
            return
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(json.dumps(head.to_json()) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            structlog.get_logger().warning("a signed head could not be kept", file=str(self._file), why=error.strerror)

    # Hourly

    def tick(self) -> SignedHead | None:
        """Signs if an hour of the clock has begun since a head was last signed. Raises UnavailableError."""
        with self._ledger.reading() as session:
            last = rows.newest_head_at(session)
        now = self._ledger.now()
        # A clock that was set back must not silence the heads until it has caught up.
        if last is not None and _hour(last) <= now and _hour(now) == _hour(last):
            return None
        return self.sign("hourly")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Signs hourly until the block ends, and once more then."""
        self.start()
        try:
            yield
        finally:
            self.close()

    def start(self) -> None:
        self._ends.clear()
        self._thread = threading.Thread(target=self._run, name="journal heads", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, and signs what came since the last head."""
        if self._thread is None:
            return
        self._ends.set()
        self._thread.join()
        self._thread = None
        try:
            with self._ledger.reading() as session:
                idle = rows.newest_action(session) == HEAD_SIGNED
            if not idle:
                self.sign("stop")
        except DeskError as error:
            structlog.get_logger().warning("the journal's head could not be signed at the end", why=str(error))

    def _run(self) -> None:
        while True:
            try:
                self.tick()
            except DeskError as error:
                structlog.get_logger().warning("the journal's head could not be signed", why=str(error))
            now = self._ledger.now()
            next_hour_s = (_hour(now) + EVERY - now).total_seconds()
            if self._ends.wait(min(LOOK_S, max(0.05, next_hour_s))):
                return


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def kept_heads(file: Path) -> list[SignedHead]:
    """The heads that were written down outside the database; lines that are none are left out, as a cut last one."""
    return kept_lines(file)[0]


def kept_lines(file: Path) -> tuple[list[SignedHead], list[int]]:
    """The same, and the numbers of the lines that are none; nothing where there is no file. Raises DeskError."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise DeskError(f"{file}: the kept heads cannot be read: {error.strerror}.") from None
    found, others = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            value = json.loads(line)
            # The key that a line names is not believed anyway.
            found.append(SignedHead.from_json({"public_key": "", **value} if isinstance(value, dict) else value))
        except (ValueError, RecursionError, InvalidError):
            others.append(number)
    return found, others


def begin(ledger: Ledger, *, file: Path | None = None) -> bool:
    """Begins the journal of a database that has none yet, and adopts the alerts that it holds already.

    Returns whether it began. Where heads of an earlier journal were kept, the first entry says so: it was taken away.
    """
    from api.adoption import adopt_all

    with ledger.reading() as session:
        if head_of(session) != (0, GENESIS) or rows.newest_action(session) is not None:
            return False
    earlier = max(kept_heads(file), key=lambda head: head.seq, default=None) if file else None
    with ledger.writing() as write:
        body: dict[str, Any] = {"key_id": ledger.keys.key_id, "public_key": ledger.keys.public_key}
        if earlier is not None and earlier.holds(ledger.keys.public_key):
            body["earlier_head"] = earlier.to_json()
        alerts = rows.alerts_without_journal(write.session)
        write.journal(SYSTEM, "journal", "1", "begun", body | {"alerts": alerts})
        if alerts:
            adopt_all(write)
    return True
