"""What somebody typed into a text and has not saved yet: kept while they type, shown again, thrown away."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions import text_drafts
from statuspage.rules.drafts import document_changes
from statuspage.rules.times import moment_in_words
from statuspage.rules.vocabulary import AccountRole, RuleBroken
from statuspage.web import access
from statuspage.web.console import documents
from statuspage.web.forms import StaleForm, posted_nonce, posted_version, posted_words, typed

blueprint = Blueprint("text_drafts", __name__, url_prefix="/console/incidents")

_DOCUMENT = "<any('direct-email', 'post-incident-email', 'post-mortem'):document>"


@blueprint.post(f"/<incident_id>/{_DOCUMENT}/draft")
@access.needs(AccountRole.RESPONDER)
def save(incident_id: str, document: str) -> ResponseReturnValue:
    """Keep what is typed so far; a script is told when, anybody else is shown the form again."""
    now, kind = clock.now(), documents.KINDS[document]
    try:
        nonce, version = posted_nonce(), posted_version()
    except (StaleForm, RuleBroken):
        return documents.post_again(incident_id, document)
    fields = document_changes(kind, typed(), posted_words("shown"))
    is_kept = text_drafts.save_text_draft(incident_id, kind, fields, nonce, version, current_user.id, now)
    if request.accept_mimetypes.best == "application/json":
        return {"saved": moment_in_words(now, now) if is_kept else ""}
    return redirect(url_for("documents.show", incident_id=incident_id, document=document), 303)


save.keep_typed = documents.post_again  # type: ignore[attr-defined]


@blueprint.post(f"/<incident_id>/{_DOCUMENT}/draft/discard")
@access.needs(AccountRole.RESPONDER)
def discard(incident_id: str, document: str) -> ResponseReturnValue:
    """Throw away what one typed since the text was saved."""
    text_drafts.discard_text_drafts(incident_id, documents.KINDS[document], current_user.id, clock.now())
    return redirect(url_for("documents.show", incident_id=incident_id, document=document), 303)
