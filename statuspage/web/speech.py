"""The language in which a page of the application speaks to its reader: English, unless the view says another."""

from flask import Flask, g
from flask_babel import Babel, refresh

from statuspage.languages import CATALOGS
from statuspage.rules.languages import ENGLISH


def install(app: Flask) -> None:
    """Let templates translate; the console, which says nothing, is English."""
    Babel(
        app,
        default_locale=ENGLISH,
        default_translation_directories=str(CATALOGS),
        locale_selector=lambda: g.get("language", ENGLISH),
    )
    app.jinja_env.globals.update(language=ENGLISH, prefix="")


def speak(language: str) -> None:
    """Speak this language for the rest of the request."""
    g.language = language
    refresh()
