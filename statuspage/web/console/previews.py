"""What a preview shows in a frame of its own, and the previews of texts that have no page of messages."""

from collections.abc import Mapping

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.db import db
from statuspage.models import Update
from statuspage.rules.documents import FIELDS
from statuspage.rules.vocabulary import AccountRole, DocumentKind, MessageKind, NotFound
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.console import preview
from statuspage.web.console.messages import get_incident
from statuspage.web.forms import typed

blueprint = Blueprint("previews", __name__, url_prefix="/console/incidents")

_MAIL = "<any('direct-email', 'post-incident-email'):mail>"
# The page's own styles and script, as readers get them; nothing can be posted from it.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
# The mail's own styles and the page's logo show, nothing of it acts.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'; sandbox"


@blueprint.get("/<incident_id>/<any(acknowledge, update, resolve):kind>/preview/<any(page, mail):part>")
@access.needs(AccountRole.VIEWER)
def frame(incident_id: str, kind: str, part: str) -> ResponseReturnValue:
    """Show the whole page, or the mail's HTML, with the message that is being written; nothing is kept."""
    now = clock.now()
    made = preview.sketch(get_incident(incident_id), MessageKind(kind), request.args, _settings(), now)
    if part == "page":
        return framed(preview.page_html(made.entry, _settings(), now), PAGE_POLICY)
    return framed(made.drawn()[2], MAIL_POLICY)


@blueprint.post("/<incident_id>/updates/<update_id>/correct/preview")
@access.needs(AccountRole.COMMS)
def correction(incident_id: str, update_id: str) -> ResponseReturnValue:
    """Show how page and feed would have a message with other words; nothing is kept."""
    made = preview.of_correction(_update(incident_id, update_id), typed().get("body", ""), _settings(), clock.now())
    return render_template("console/preview_page.html", preview=made)


@blueprint.get("/<incident_id>/updates/<update_id>/correct/preview")
@access.needs(AccountRole.COMMS)
def correction_frame(incident_id: str, update_id: str) -> ResponseReturnValue:
    """Show the whole page with other words in a message."""
    now = clock.now()
    entry = preview.corrected(_update(incident_id, update_id), request.args.get("body", ""), now)
    return framed(preview.page_html(entry, _settings(), now), PAGE_POLICY)


@blueprint.post(f"/<incident_id>/{_MAIL}/preview")
@access.needs(AccountRole.RESPONDER)
def document(incident_id: str, mail: str) -> ResponseReturnValue:
    """Show an e-mail to customers as they would get it; nothing is kept."""
    return render_template("console/preview_page.html", preview=None, mail=_mail(incident_id, mail, typed()))


@blueprint.get(f"/<incident_id>/{_MAIL}/preview")
@access.needs(AccountRole.RESPONDER)
def document_frame(incident_id: str, mail: str) -> ResponseReturnValue:
    """Show the HTML of an e-mail to customers."""
    return framed(_mail(incident_id, mail, request.args).html, MAIL_POLICY)


def _mail(incident_id: str, name: str, values: Mapping[str, str]) -> preview.Mail:
    kind = DocumentKind(name.replace("-", "_"))
    fields = {field.name: values.get(field.name, "") for field in FIELDS[kind]}
    return preview.of_document(get_incident(incident_id), kind, fields, (current_user.name, ""), _settings())


def _update(incident_id: str, update_id: str) -> Update:
    found = db.session.get(Update, update_id, populate_existing=True)
    if found is None or found.incident_id != incident_id:
        raise NotFound("update")
    return found


def framed(html: bytes | str, policy: str) -> ResponseReturnValue:
    """Return what a frame of a preview shows, under a policy of its own."""
    return html, 200, {"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8"}


def _settings() -> Settings:
    settings: Settings = current_app.config["STATUSPAGE"]
    return settings
