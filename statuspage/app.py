"""create_app(): settings, extensions, blueprints, error pages, security headers."""

import logging
import os
from pathlib import Path

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from statuspage import bare
from statuspage.db import db
from statuspage.links import LIFETIMES, Purpose
from statuspage.rendering import FILTERS
from statuspage.rules.vocabulary import Conflict, NotFound
from statuspage.settings import Settings, load
from statuspage.web import access, auth, health, hooks, manage, nudges, speech, subscribe, subscribe_json
from statuspage.web.admin import audit as admin_audit
from statuspage.web.admin import channels as admin_channels
from statuspage.web.admin import components as admin_components
from statuspage.web.admin import imports as admin_imports
from statuspage.web.admin import integrations as admin_integrations
from statuspage.web.admin import overview as admin_overview
from statuspage.web.admin import page as admin_page
from statuspage.web.admin import people as admin_people
from statuspage.web.admin import policies as admin_policies
from statuspage.web.admin import replies as admin_replies
from statuspage.web.admin import subscribers as admin_subscribers
from statuspage.web.admin import suppressions as admin_suppressions
from statuspage.web.admin import templates as admin_templates
from statuspage.web.admin import tokens as admin_tokens
from statuspage.web.admin import words as admin_words
from statuspage.web.api import documents as api_documents
from statuspage.web.api import incidents as api_incidents
from statuspage.web.api import pages as api_pages
from statuspage.web.api import promises as api_promises
from statuspage.web.api import routes as api
from statuspage.web.api import subscribers as api_subscribers
from statuspage.web.console import (
    account,
    action_items,
    board,
    clocks,
    counting,
    course,
    delivery,
    documents,
    drafts,
    drills,
    incidents,
    mail,
    maintenance,
    messages,
    presence,
    previews,
    reports,
    text_drafts,
    window_previews,
    wording,
)

ROOT = Path(__file__).resolve().parents[1]
BODY_LIMIT = 256 * 1024
FIELD_LIMIT = 2_000

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the Flask application; it starts even while the database is unreachable.

    Raises SettingsError if a setting is wrong.
    """
    settings = settings or load(os.environ)
    app = Flask("statuspage", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.config.update(_configuration(settings))
    # One environment there speaks every language: nothing of one may be kept for another.
    app.jinja_env.filters.update(FILTERS, remembered=lambda macro: macro)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    db.init_app(app)
    auth.install(app)
    speech.install(app)
    app.before_request(access.enforce)
    app.before_request(admin_imports.allow_a_file)
    csrf = CSRFProtect(app)
    # Strangers' forms carry no session; the one blueprint has checks of its own, the other's address is a secret.
    csrf.exempt(subscribe.blueprint)
    csrf.exempt(manage.blueprint)
    # Other services sign what they post.
    csrf.exempt(hooks.blueprint)
    clocks.install(app)
    counting.install(app)
    _register(app, csrf)
    _install_error_pages(app)
    app.after_request(_secure)
    return app


def _register(app: Flask, csrf: CSRFProtect) -> None:
    for part in (
        health,
        auth,
        subscribe,
        manage,
        hooks,
        nudges,
        board,
        clocks,
        incidents,
        messages,
        drafts,
        presence,
        previews,
        course,
        documents,
        action_items,
        delivery,
        drills,
        maintenance,
        window_previews,
        mail,
        account,
        reports,
        text_drafts,
        wording,
    ):
        app.register_blueprint(part.blueprint)
    for part in (
        admin_components,
        admin_people,
        admin_policies,
        admin_channels,
        admin_imports,
        admin_subscribers,
        admin_suppressions,
        admin_templates,
        admin_words,
        admin_replies,
        admin_page,
        admin_tokens,
        admin_audit,
        admin_integrations,
        admin_overview,
    ):
        app.register_blueprint(part.blueprint)
    for part in (api_pages, api_incidents, api_documents, api_promises, api_subscribers, subscribe_json):
        # No cookie counts here, so no other site can use one.
        csrf.exempt(part.blueprint)
        app.register_blueprint(part.blueprint)


def _configuration(settings: Settings) -> dict[str, object]:
    return {
        **bare.configuration(settings),
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.secret_key_fallbacks),
        "MAX_CONTENT_LENGTH": BODY_LIMIT,
        "MAX_FORM_PARTS": FIELD_LIMIT,
        # The __Host- prefix (RFC 6265bis) demands Secure, path / and no domain.
        "SESSION_COOKIE_NAME": "__Host-session" if settings.secure else "session",
        "SESSION_COOKIE_SECURE": settings.secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": int(LIFETIMES[Purpose.FORM].total_seconds()),
        # Console pages send no referrer; the session's token and Sec-Fetch-Site decide.
        "WTF_CSRF_SSL_STRICT": False,
    }


def _secure(response: Response) -> Response:
    """Set the headers of OWASP ASVS 3.4 on every dynamic answer."""
    settings: Settings = current_app.config["STATUSPAGE"]
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if settings.secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    return response


TITLES = {
    400: ("This request can't be read", "Please go back and try again."),
    401: (
        "You are signed out",
        (
            "Nothing was changed. Sign in in another tab, then come back here with your browser's Back button: "
            "what you typed is still in the form."
        ),
    ),
    403: ("You may not do this", "Your account does not have the right to do this, or the form was not made here."),
    404: ("There is nothing here", "The address may be mistyped, or what was here is gone."),
    405: ("This can't be done here", "Please go back and use the buttons on the page."),
    409: ("Somebody was faster", "Please go back, look at what changed and try again."),
    413: ("This is too large", "Please shorten it and try again."),
    500: ("Something broke on our side", "It has been noted. Nothing was changed; please try again."),
    503: (
        "The database does not answer",
        "Nothing was changed. The public page goes on showing what was published last. Please try again in a minute.",
    ),
}


def _install_error_pages(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _forged_form)
    app.register_error_handler(NotFound, lambda _: _error_page(404))
    app.register_error_handler(Conflict, lambda conflict: _error_page(409, str(conflict)))
    for failure in (DBAPIError, PoolTimeout):
        app.register_error_handler(failure, _database_error)
    # PostgreSQL refuses what no column can hold, such as a NUL in an address; SQLite finds nothing.
    app.register_error_handler(DataError, lambda _: _error_page(400))
    # Two requests that both passed a check for a name that may exist once.
    app.register_error_handler(IntegrityError, lambda _: _error_page(409))
    app.register_error_handler(UnicodeError, lambda _: _error_page(400))


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if error.response is not None or code < 400:
        return error.get_response()
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        log.error("request failed: %s %s", request.method, request.path, exc_info=error.original_exception)
    page, status = _error_page(code)
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return page, status, headers


def _forged_form(_error: CSRFError) -> ResponseReturnValue:
    """Refuse a form that this session did not make; keep what was typed where the view can."""
    view = current_app.view_functions.get(request.endpoint or "")
    keep_typed = getattr(view, "keep_typed", None)
    if keep_typed is not None:
        page: ResponseReturnValue = keep_typed(**(request.view_args or {}))
        return page
    return _error_page(403, "This form is too old or was not made here. Please go back, reload the page and try again.")


def _database_error(error: DBAPIError | PoolTimeout) -> ResponseReturnValue:
    log.error("the database failed: %s %s", request.method, request.path, exc_info=error)
    db.session.rollback()
    page, status = _error_page(503)
    return page, status, {"Retry-After": "10"}


def _error_page(code: int, sentence: str = "") -> tuple[str | Response, int]:
    if api.is_for_programs(request.path):
        return api.refuse(code), code
    title, remedy = TITLES.get(code, TITLES[400] if code < 500 else TITLES[500])
    # By itself, without what pages are told of who is signed in: that asks the database, which may be what failed.
    return current_app.jinja_env.get_template("error.html").render(title=title, sentence=sentence or remedy), code
