"""Answers to requests that may come again, as they are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.storage.tables_messages import IdempotencyRow


def find(session: Session, caller: str, key: str) -> IdempotencyRow | None:
    return session.get(IdempotencyRow, (caller, key))


def prune(session: Session, before: datetime) -> None:
    """Forgets the answers of requests that came before then."""
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.at < before))
