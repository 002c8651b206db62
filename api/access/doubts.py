"""Whose rights may just have changed: those who go on listening or looking are asked for again at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from api.access.principal import Principal
from api.journal import Entry, Subject
from api.storage.ledger import Ledger

ACCESS: tuple[Subject, ...] = ("user", "session", "token")
"""Entries after which a caller may have lost its rights."""
_HARMLESS = ("login", "login_failed", "created")


class Doubts:
    """Thread-safe. Made after whatever remembers callers, so that this has forgotten them when somebody is told."""

    def __init__(self, ledger: Ledger) -> None:
        self._lock = threading.Lock()
        self._told: dict[object, tuple[Principal, Callable[[], None]]] = {}
        ledger.listen(self._on_entries)

    @contextmanager
    def told(self, principal: Principal, tell: Callable[[], None]) -> Iterator[None]:
        """Until the block ends, `tell` is called, in whatever thread writes, when the journal speaks of this caller's
        rights. It must not block."""
        key = object()
        with self._lock:
            self._told[key] = (principal, tell)
        try:
            yield
        finally:
            with self._lock:
                del self._told[key]

    def _on_entries(self, entries: Sequence[Entry]) -> None:
        access = [entry for entry in entries if entry.subject in ACCESS and entry.action not in _HARMLESS]
        if not access:
            return
        with self._lock:
            told = list(self._told.values())
        for principal, tell in told:
            if any(concerns(entry, principal) for entry in access):
                tell()


def concerns(entry: Entry, principal: Principal) -> bool:
    """Whether an entry about users, sessions or tokens may have changed what this caller may do."""
    names = (principal.user,) if principal.token_id is None else (principal.user, principal.token_id)
    return entry.action not in _HARMLESS and (entry.subject_id in names or entry.body.get("owner") in names)
