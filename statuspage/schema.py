"""Bring the database to the present schema, and tell where it stands."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from statuspage.db import make_file, one_at_a_time

_MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
# An index over a million rows takes minutes.
MIGRATION_SECONDS = 3600.0


def migrate(engine: Engine) -> None:
    """Make the database if there is none, and apply every migration that is missing, in one transaction."""
    config = _config()
    make_file(engine)
    with one_at_a_time(engine), engine.connect() as connection, _migrating(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextlib.contextmanager
def _migrating(connection: Connection) -> Iterator[None]:
    """Let SQLite drop a table that others refer to, since it can't change one; they are checked in env.py.

    It takes the word outside of a transaction only. PostgreSQL is given its
    time. The connection is closed for good afterwards, so that none like it
    goes back to the pool.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        raw.patience = MIGRATION_SECONDS
    else:
        raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.invalidate()


def versions(engine: Engine) -> tuple[str | None, str | None]:
    """Return the database's version and the newest this program knows."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
