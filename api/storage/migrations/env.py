"""Alembic's entry: migrates over the connection that `api.storage.database` hands over."""

from __future__ import annotations

from alembic import context

from api.storage import tables, tables_access, tables_journal, tables_messages  # noqa: F401 - each adds its tables
from api.storage.base import Base

connection = context.config.attributes["connection"]
# SQLite cannot alter most things in place: batch mode rebuilds the table there and alters it elsewhere.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
