"""The application without its web: what the worker and the commands work in."""

import os

from flask import Flask

import statuspage.models  # noqa: F401  (the schema must be known before the first query)
from statuspage.db import db, engine_options, engine_url
from statuspage.settings import Settings, load


def create_bare_app(settings: Settings | None = None) -> Flask:
    """Make a Flask application with the database and nothing else; it starts even while that is unreachable.

    Without forms and routes a process starts a quarter sooner, and is smaller.
    Raises SettingsError if a setting is wrong.
    """
    app = Flask("statuspage", static_folder=None)
    app.config.update(configuration(settings or load(os.environ)))
    db.init_app(app)
    return app


def configuration(settings: Settings) -> dict[str, object]:
    """Return what every application is configured with: the settings, and where the database is."""
    return {
        "STATUSPAGE": settings,
        "SQLALCHEMY_DATABASE_URI": engine_url(settings.database_url),
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.database_url),
    }
