"""Mails kept as files, when no mail provider is set: read them here.

For administrators alone: an invitation holds the link that opens an account.
"""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from flask import Blueprint, abort, current_app, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from statuspage.db import db
from statuspage.models import Delivery
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.web import access

blueprint = Blueprint("mail", __name__, url_prefix="/console/mail")

SHOWN = 50
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\.eml")
# The mail's own styles show, nothing else of it acts.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def outbox() -> ResponseReturnValue:
    """List the newest mails kept as files and how many are in which state."""
    settings: Settings = current_app.config["STATUSPAGE"]
    files = sorted(settings.outbox_dir.glob("*.eml"), key=lambda file: file.stat().st_mtime, reverse=True)
    counts = db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all()
    kept = [(file.name, datetime.fromtimestamp(file.stat().st_mtime, UTC), _parse(file)) for file in files[:SHOWN]]
    as_files = not settings.sendgrid_api_key and settings.smtp is None
    return render_template("console/mail.html", kept=kept, counts=[tuple(row) for row in counts], as_files=as_files)


@blueprint.get("/<name>")
@access.needs(AccountRole.ADMIN)
def show(name: str) -> ResponseReturnValue:
    """Show one mail: its headers, its text, its HTML in a frame."""
    message = _parse(_find(name))
    text = message.get_body(("plain",))
    return render_template(
        "console/mail_message.html", name=name, message=message, text=text.get_content() if text else ""
    )


@blueprint.get("/<name>/html")
@access.needs(AccountRole.ADMIN)
def show_html(name: str) -> ResponseReturnValue:
    """Return the mail's HTML alone, for the frame."""
    html = _parse(_find(name)).get_body(("html",))
    if html is None:
        abort(404)
    headers = {"Content-Security-Policy": _MAIL_POLICY, "Content-Type": "text/html; charset=utf-8"}
    return html.get_content(), 200, headers


def _find(name: str) -> Path:
    settings: Settings = current_app.config["STATUSPAGE"]
    file = settings.outbox_dir / name
    if not _NAME.fullmatch(name) or not file.is_file():
        abort(404)
    return file


def _parse(file: Path) -> EmailMessage:
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
