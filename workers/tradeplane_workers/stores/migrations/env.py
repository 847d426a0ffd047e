"""Alembic's entry: run the migrations on the connection that :mod:`tradeplane_workers.stores.schema` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
