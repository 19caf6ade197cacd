"""Drafts of messages: saved while somebody types, or by a button; thrown away by another."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions import drafts
from statuspage.rules.drafts import changes
from statuspage.rules.times import moment_in_words
from statuspage.rules.vocabulary import AccountRole, MessageKind
from statuspage.web import access
from statuspage.web.console.messages import post_again
from statuspage.web.forms import StaleForm, posted_nonce, posted_words, typed

blueprint = Blueprint("drafts", __name__, url_prefix="/console/incidents")


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>/draft")
@access.needs(AccountRole.COMMS)
def save(incident_id: str, kind: str) -> ResponseReturnValue:
    """Keep what is typed so far; a script is told when, anybody else is shown the form again."""
    now = clock.now()
    try:
        nonce = posted_nonce()
    except StaleForm:
        return post_again(incident_id, kind)
    fields = changes(MessageKind(kind), typed(), posted_words("suggested"))
    is_kept = drafts.save_draft(incident_id, MessageKind(kind), fields, nonce, current_user.id, now)
    if request.accept_mimetypes.best == "application/json":
        return {"saved": moment_in_words(now, now) if is_kept else ""}
    return redirect(url_for("messages.form", incident_id=incident_id, kind=kind), 303)


save.keep_typed = post_again  # type: ignore[attr-defined]


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>/draft/discard")
@access.needs(AccountRole.COMMS)
def discard(incident_id: str, kind: str) -> ResponseReturnValue:
    """Throw one's draft away and begin anew."""
    drafts.discard_draft(incident_id, MessageKind(kind), current_user.id, clock.now())
    return redirect(url_for("messages.form", incident_id=incident_id, kind=kind), 303)
