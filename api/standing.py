"""How users, tokens, webhooks and arming stand by the entries about them: said anew before retention takes such entries
away, so that the audit goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from api.audit_arming import arming_told
from api.audit_chain import ACTION, SUBJECT, SUBJECT_ID, Raw
from api.audit_tables import TOKENS, USERS, WEBHOOKS
from api.journal import STANDING, SYSTEM, Subject
from api.storage import audit as rows
from api.storage.ledger import Write

ARMING: Subject = "arming"
TOLD: Mapping[Subject, Callable[[Sequence[Raw]], dict[str, Any]]] = {
    "user": USERS.told, "token": TOKENS.told, "webhook": WEBHOOKS.told, ARMING: arming_told,
}  # fmt: skip


def restate(write: Write, gone: Sequence[Raw], up_to: int) -> None:
    """`gone`: the entries that go, in order, up to this number. Of what they are about, the journal then says how it
    stands by them and by those that stay; the tables are not asked, as anybody may have changed them."""
    write.session.flush()
    connection = write.session.connection()
    for subject, told in TOLD.items():
        leaving = _grouped(raw for raw in gone if raw[SUBJECT] == subject)
        if not leaving:
            continue
        staying = _grouped(rows.entries_about(connection, subject, grouped=False, after=up_to))
        for name, entries in leaving.items():
            later = staying.get(name, [])
            if not any(raw[ACTION] == STANDING for raw in later):
                write.journal(SYSTEM, subject, name, STANDING, {"facts": told([*entries, *later])})


def _grouped(entries: Iterable[Raw]) -> dict[str, list[Raw]]:
    groups: dict[str, list[Raw]] = {}
    for raw in entries:
        # Of arming there is one, whatever profile or camera an entry names.
        name = ARMING if raw[SUBJECT] == ARMING else str(raw[SUBJECT_ID])
        groups.setdefault(name, []).append(raw)
    return groups
