"""create_app(): settings, extensions, blueprints, error pages, security headers."""

import os
from pathlib import Path

from flask import Flask

import statuspage.models  # noqa: F401  (the schema must be known to the migrations)
from statuspage.db import db, engine_options
from statuspage.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]


def create_app(settings: Settings | None = None) -> Flask:
    """Make the Flask application; it starts even while the database is unreachable.

    Raises SettingsError if a setting is wrong.
    """
    settings = settings or load(os.environ)
    app = Flask("statuspage", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=list(settings.secret_key_fallbacks),
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=256 * 1024,
        STATUSPAGE=settings,
    )
    db.init_app(app)
    return app
