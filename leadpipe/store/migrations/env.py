"""Alembic's entry: runs migrations of schema ``ledger`` on the connection that ``ledger.upgrade`` holds."""

from alembic import context

from leadpipe.store.tables.base import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, _: kind != "schema" or name == SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
