"""Bring the database to the present schema, and tell where it stands."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from statuspage.db import make_file, one_at_a_time

_MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


def migrate(engine: Engine) -> None:
    """Make the database if there is none, and apply every migration that is missing, in one transaction."""
    config = _config()
    make_file(engine)
    with one_at_a_time(engine), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def versions(engine: Engine) -> tuple[str | None, str | None]:
    """Return the database's version and the newest this program knows."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
