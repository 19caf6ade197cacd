"""Alembic's entry: runs on the connection that statuspage.schema hands over."""

from alembic import context
from sqlalchemy import text

import statuspage.models
from statuspage.db import Base

# Two processes that start at once migrate one after the other (any fixed number will do).
ADVISORY_LOCK = 5_170_415

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    user_module_prefix="statuspage.db.",
)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    context.run_migrations()
    if connection.dialect.name == "sqlite":
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if dangling:
            raise RuntimeError(f"rows refer to rows that are gone: {dangling[:5]}")
