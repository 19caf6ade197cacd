"""Drafts of messages and texts: saved while somebody types, or by a button; thrown away by another."""

import json
from collections.abc import Mapping

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions import drafts
from statuspage.rules.drafts import changes, document_changes
from statuspage.rules.times import moment_in_words
from statuspage.rules.vocabulary import AccountRole, MessageKind
from statuspage.web import access
from statuspage.web.console import documents
from statuspage.web.console.documents import KINDS
from statuspage.web.console.messages import post_again
from statuspage.web.forms import StaleForm, posted_nonce, typed

blueprint = Blueprint("drafts", __name__, url_prefix="/console/incidents")

_DOCUMENT = "<any('direct-email', 'post-incident-email', 'post-mortem'):document>"


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>/draft")
@access.needs(AccountRole.COMMS)
def save(incident_id: str, kind: str) -> ResponseReturnValue:
    """Keep what is typed so far; a script is told when, anybody else is shown the form again."""
    fields = changes(MessageKind(kind), typed(), _suggested())
    try:
        told = _keep(incident_id, MessageKind(kind), fields)
    except StaleForm:
        return post_again(incident_id, kind)
    return told or redirect(url_for("messages.form", incident_id=incident_id, kind=kind), 303)


save.keep_typed = post_again  # type: ignore[attr-defined]


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>/draft/discard")
@access.needs(AccountRole.COMMS)
def discard(incident_id: str, kind: str) -> ResponseReturnValue:
    """Throw one's draft away and begin anew."""
    drafts.discard_draft(incident_id, MessageKind(kind), current_user.id, clock.now())
    return redirect(url_for("messages.form", incident_id=incident_id, kind=kind), 303)


@blueprint.post(f"/<incident_id>/{_DOCUMENT}/draft")
@access.needs(AccountRole.RESPONDER)
def save_text(incident_id: str, document: str) -> ResponseReturnValue:
    """Keep what is typed of a text that was not saved yet."""
    fields = document_changes(KINDS[document], typed(), _suggested())
    try:
        told = _keep(incident_id, KINDS[document], fields)
    except StaleForm:
        return documents.post_again(incident_id, document)
    return told or redirect(url_for("documents.show", incident_id=incident_id, document=document), 303)


save_text.keep_typed = documents.post_again  # type: ignore[attr-defined]


@blueprint.post(f"/<incident_id>/{_DOCUMENT}/draft/discard")
@access.needs(AccountRole.RESPONDER)
def discard_text(incident_id: str, document: str) -> ResponseReturnValue:
    """Throw away what one typed since the text was saved."""
    drafts.discard_draft(incident_id, KINDS[document], current_user.id, clock.now())
    return redirect(url_for("documents.show", incident_id=incident_id, document=document), 303)


def _keep(incident_id: str, kind: drafts.Kind, fields: Mapping[str, str]) -> dict[str, str] | None:
    """Keep a draft; return what a script is told, None where none asks. Raises StaleForm."""
    now = clock.now()
    is_kept = drafts.save_draft(incident_id, kind, fields, posted_nonce(), current_user.id, now)
    if request.accept_mimetypes.best != "application/json":
        return None
    return {"saved": moment_in_words(now, now) if is_kept else ""}


def _suggested() -> Mapping[str, str]:
    """Return what the form opened with; empty if that can't be read: then everything typed is kept."""
    try:
        content = json.loads(request.form.get("suggested", ""))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, str)}
