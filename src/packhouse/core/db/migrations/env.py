"""Alembic's entry: it is handed a connection by `migrating.py` and knows no URL of its own."""

from alembic import context

from packhouse.core.db.types import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
