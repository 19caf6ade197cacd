"""The direct e-mail, the post-incident e-mail and the post-mortem; waivers; closing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import aftermath
from statuspage.actions.audiences import reach
from statuspage.actions.policies import policy_of
from statuspage.actions.wording import overrides_of
from statuspage.db import db
from statuspage.models import Document, Incident, Promise, Waiver
from statuspage.rules.documents import EDITABLE, FIELDS, PUBLIC_TEXT, customer_fields, public_start
from statuspage.rules.promises import WAIVABLE
from statuspage.rules.times import parse_typed_instant
from statuspage.rules.vocabulary import (
    AccountRole,
    Conflict,
    DocumentKind,
    DocumentState,
    NotFound,
    PromiseState,
    RuleBroken,
    Severity,
    Visibility,
)
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.console import post_mortems, preview, unsaved
from statuspage.web.console.messages import get_incident
from statuspage.web.console.told import lines_of
from statuspage.web.console.unsaved import posted_drafts
from statuspage.web.console.wording import check_wording, marks_of
from statuspage.web.forms import STALE, StaleForm, form_token, posted_nonce, posted_version, typed
from statuspage.web.publishing import publish_at_once

blueprint = Blueprint("documents", __name__, url_prefix="/console/incidents")

KINDS = {
    "direct-email": DocumentKind.DIRECT_EMAIL,
    "post-incident-email": DocumentKind.POST_INCIDENT_EMAIL,
    "post-mortem": DocumentKind.POST_MORTEM,
}
_DOCUMENT = "<any('direct-email', 'post-incident-email', 'post-mortem'):document>"


@blueprint.get(f"/<incident_id>/{_DOCUMENT}")
@access.needs(AccountRole.RESPONDER)
def show(incident_id: str, document: str) -> ResponseReturnValue:
    """Show the text as it stands, and what may be done with it."""
    return _page(get_incident(incident_id), KINDS[document], None, {})


def post_again(incident_id: str, document: str) -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _page(get_incident(incident_id), KINDS[document], typed(), {"": STALE}), 403


@blueprint.post(f"/<incident_id>/{_DOCUMENT}")
@access.needs(AccountRole.RESPONDER)
def post(incident_id: str, document: str) -> ResponseReturnValue:
    """Do what the pressed button says: save, ask for a review, approve, send."""
    incident, kind, now = get_incident(incident_id), KINDS[document], clock.now()
    act = request.form.get("act", "save")
    try:
        _ACTS.get(act, _save)(incident, kind, now)
    except StaleForm:
        return post_again(incident_id, document)
    except RuleBroken as broken:
        return _page(incident, kind, typed(), broken.errors), 422
    except Conflict as conflict:
        return _page(get_incident(incident_id), kind, typed(), {"": str(conflict)}), 409
    publish_at_once(now)
    return redirect(url_for("documents.show", incident_id=incident_id, document=document, done=act), 303)


post.keep_typed = post_again  # type: ignore[attr-defined]


@blueprint.get("/<incident_id>/promises/<promise_id>/waiver")
@access.needs(AccountRole.RESPONDER)
def ask_waiver(incident_id: str, promise_id: str) -> ResponseReturnValue:
    """Show the form that asks to let a promise go, or the one that decides."""
    return _waiver_page(_promise(incident_id, promise_id), {}, {})


@blueprint.post("/<incident_id>/promises/<promise_id>/waiver")
@access.needs(AccountRole.RESPONDER)
def waiver(incident_id: str, promise_id: str) -> ResponseReturnValue:
    """Ask for a waiver, or decide one that somebody else asked for."""
    promise, now, act = _promise(incident_id, promise_id), clock.now(), request.form.get("act", "ask")
    try:
        if act == "ask":
            aftermath.ask_waiver(promise_id, request.form.get("reason", ""), current_user.id, now)
        else:
            asked = db.session.get(Waiver, request.form.get("waiver_id", ""))
            if asked is None or asked.promise_id != promise_id:
                raise NotFound("waiver")
            aftermath.decide_waiver(asked.id, act == "grant", current_user.id, now)
    except RuleBroken as broken:
        return _waiver_page(promise, typed(), broken.errors), 422
    except Conflict as conflict:
        return _waiver_page(promise, typed(), {"": str(conflict)}), 409
    return redirect(url_for("messages.room", incident_id=incident_id, done="waiver"), 303)


@blueprint.get("/<incident_id>/close")
@access.needs(AccountRole.COMMS)
def ask_close(incident_id: str) -> ResponseReturnValue:
    """Show what is still owed, and the button that closes the incident when nothing is."""
    return _close_page(get_incident(incident_id), {})


@blueprint.post("/<incident_id>/close")
@access.needs(AccountRole.COMMS)
def close(incident_id: str) -> ResponseReturnValue:
    """Close the incident."""
    try:
        aftermath.close(incident_id, posted_version(), current_user.id, clock.now())
    except RuleBroken as broken:
        return _close_page(get_incident(incident_id), broken.errors), 422
    except Conflict as conflict:
        return _close_page(get_incident(incident_id), {"": str(conflict)}), 409
    return redirect(url_for("messages.room", incident_id=incident_id, done="close"), 303)


def _save(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    if kind is DocumentKind.DIRECT_EMAIL:
        raise RuleBroken({"": "Please press Send."})
    aftermath.save_document(
        incident.id, kind, typed(), posted_version(), current_user.id, now, nonce=posted_nonce(), drafts=posted_drafts()
    )


def _start_public(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    """Save what was typed, with a beginning for the public version where it has none."""
    fields = typed()
    if not fields.get(PUBLIC_TEXT, "").strip():
        fields[PUBLIC_TEXT] = public_start(fields, post_mortems.prevention_of(incident.id))
    aftermath.save_document(
        incident.id, kind, fields, posted_version(), current_user.id, now, nonce=posted_nonce(), drafts=posted_drafts()
    )


def _renew_timeline(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    """Save what was typed, then write the timeline anew: two steps, each whole by itself."""
    _save(incident, kind, now)
    document = _current(incident, kind)
    aftermath.renew_timeline(document.id, document.version, current_user.id, now)


def _submit(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    """Save what was typed, then ask for the review: two steps, each whole by itself."""
    _save(incident, kind, now)
    document = _current(incident, kind)
    overridden = check_wording(typed(), customer_fields(kind))
    aftermath.submit(document.id, document.version, current_user.id, now, overridden)


def _review(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    document, comment = _current(incident, kind), request.form.get("comment", "")
    approve = request.form.get("act") == "approve"
    if approve and _was_changed(document, kind):
        raise RuleBroken({"": "You changed the text and did not save it: please save it, look at it, then approve."})
    aftermath.review(document.id, posted_version(), approve, comment, current_user.id, now)


def _was_changed(document: Document, kind: DocumentKind) -> bool:
    """Whether the posted fields say something else than what was saved."""
    posted = {field.name: request.form.get(field.name) for field in FIELDS[kind]}
    return any(
        text is not None and text.replace("\r\n", "\n").strip() != document.fields.get(name, "")
        for name, text in posted.items()
    )


def _take_back(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    aftermath.take_back(_current(incident, kind).id, posted_version(), current_user.id, now)


def _send(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    _require_comms()
    if kind is DocumentKind.DIRECT_EMAIL:
        overridden = check_wording(typed(), customer_fields(kind))
        aftermath.send_direct_email(
            incident.id, typed(), posted_nonce(), current_user.id, now, overridden, posted_drafts()
        )
        return
    send_at = None
    if request.form.get("act") == "schedule":
        send_at = parse_typed_instant(request.form.get("send_at", ""))
        if send_at is None:
            raise RuleBroken({"send_at": "Please give a date and time in UTC, like 2026-11-22 09:00."})
    aftermath.send(_current(incident, kind).id, posted_version(), send_at, current_user.id, now)


def _publish_post_mortem(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    _require_comms()
    announce = request.form.get("announce") == "yes"
    document = _current(incident, kind)
    aftermath.publish_post_mortem(document.id, posted_version(), current_user.id, now, announce=announce)


def _send_test(incident: Incident, kind: DocumentKind, now: datetime) -> None:
    aftermath.send_test(_current(incident, kind).id, current_user.id, now)


_ACTS: Mapping[str, Callable[[Incident, DocumentKind, datetime], None]] = {
    "save": _save,
    "start-public": _start_public,
    "renew-timeline": _renew_timeline,
    "submit": _submit,
    "approve": _review,
    "send-back": _review,
    "take-back": _take_back,
    "send": _send,
    "schedule": _send,
    "publish": _publish_post_mortem,
    "test": _send_test,
}


def _require_comms() -> None:
    if not current_user.role.allows(AccountRole.COMMS):
        raise RuleBroken({"": "This writes to customers: it needs the role Comms."})


def _current(incident: Incident, kind: DocumentKind) -> Document:
    document = aftermath.current_document(db.session(), incident.id, kind)
    if document is None:
        raise Conflict("Nothing was written yet: please save a draft first.")
    return document


def post_mortem_page(incident: Incident, kept: Mapping[str, str], errors: Mapping[str, str]) -> str:
    """Return the page of a post-mortem with an action item as it was typed below it."""
    return _page(incident, DocumentKind.POST_MORTEM, None, {}, item=(kept, errors))


def _page(
    incident: Incident,
    kind: DocumentKind,
    kept: Mapping[str, str] | None,
    errors: Mapping[str, str],
    item: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> str:
    document, earlier = _listed(incident, kind)
    states = {*EDITABLE, DocumentState.REJECTED}
    if _is_owed(incident, kind) or (kind is DocumentKind.POST_MORTEM and "again" in request.args):
        states.add(DocumentState.SENT)
    # What was typed is shown again, whatever became of the text meanwhile.
    typing = kept is not None and any(field.name in kept for field in FIELDS[kind])
    saved = _opening_values(incident, kind, document)
    typed_before = unsaved.unsaved_of(incident, kind, document, saved)
    shown = kept if kept is not None else saved | typed_before.fields
    is_post_mortem = kind is DocumentKind.POST_MORTEM
    item_typed, item_errors = item
    return render_template(
        "console/post_mortem.html" if is_post_mortem else "console/document.html",
        incident=incident,
        kind=kind,
        fields=FIELDS[kind],
        document=document,
        earlier=earlier,
        own=url_for("documents.show", incident_id=incident.id, document=kind.value.replace("_", "-")),
        is_editable=document is None or document.state in states or kind is DocumentKind.DIRECT_EMAIL or typing,
        typed=shown,
        shown=unsaved.fingerprints(kind, shown),
        drafts_shown=" ".join(typed_before.nonces if kept is None else unsaved.posted_forms()),
        unsaved=typed_before if kept is None else None,
        errors=errors,
        overrides=overrides_of("document", [each.id for each in (document, *earlier) if each is not None]),
        version=document.version if document else 0,
        form_token=form_token(),
        is_author=document is not None and document.author_id == current_user.id,
        may_send=current_user.role.allows(AccountRole.COMMS),
        people=_reach(incident),
        mail=_mail(incident, kind, document, shown),
        lines=lines_of(incident, clock.now()),
        now=clock.now(),
        audience=policy_of(incident.severity or Severity.SEV4).audience,
        item_typed=item_typed,
        item_errors=item_errors,
        **(
            post_mortems.values(incident, document, shown)
            if is_post_mortem
            else {"marks": marks_of(shown, customer_fields(kind))}
        ),
    )


def _listed(incident: Incident, kind: DocumentKind) -> tuple[Document | None, Sequence[Document]]:
    """Return the newest text of a kind, and those before it."""
    listed = db.session.scalars(
        select(Document)
        .where(Document.incident_id == incident.id, Document.kind == kind)
        .order_by(Document.created_at.desc(), Document.id)
        .execution_options(populate_existing=True)
    ).all()
    return (listed[0] if listed else None), listed[1:]


def _mail(
    incident: Incident, kind: DocumentKind, document: Document | None, fields: Mapping[str, str]
) -> preview.Mail | None:
    """Return what the text looks like as a mail; None for what is not mailed."""
    if kind is DocumentKind.POST_MORTEM:
        return None
    settings: Settings = current_app.config["STATUSPAGE"]
    author = document.author.name if document and kind is not DocumentKind.DIRECT_EMAIL else current_user.name
    reviewer = document.reviewer.name if document and document.reviewer else ""
    return preview.of_document(incident, kind, fields, (author, reviewer), settings)


def _is_owed(incident: Incident, kind: DocumentKind) -> bool:
    """Whether another text of this kind is owed, after a re-opening."""
    open_ones = select(Promise.kind).where(Promise.incident_id == incident.id, Promise.state == PromiseState.OPEN)
    return kind.value in {promise_kind.value for promise_kind in db.session.scalars(open_ones)}


def _reach(incident: Incident) -> int:
    """How many addresses a text would go to now."""
    if incident.visibility is not Visibility.PUBLIC:
        return 0
    return reach(incident.id, "customers", policy_of(incident.severity or Severity.SEV4).audience)


def _opening_values(incident: Incident, kind: DocumentKind, document: Document | None) -> dict[str, str]:
    """Fill the form from what is known, so that little is left to type."""
    if kind is DocumentKind.DIRECT_EMAIL:
        newest = incident.updates[0].body if incident.updates else ""
        return {"message": newest}
    if document is not None:
        return dict(document.fields)
    said = next((each.fields or {} for each in incident.updates if (each.fields or {}).get("what_happened")), {})
    story = " ".join(part for part in (said.get("experienced", ""), said.get("what_happened", "")) if part)
    if kind is DocumentKind.POST_INCIDENT_EMAIL:
        return {"what_happened": story}
    return {"summary": story, "impact": said.get("experienced", "")}


def _waiver_page(promise: Promise, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    query = select(Waiver).where(Waiver.promise_id == promise.id).order_by(Waiver.asked_at.desc())
    asked = db.session.scalars(query).all()
    return render_template(
        "console/waiver.html",
        promise=promise,
        is_waivable=promise.kind in WAIVABLE and promise.state is PromiseState.OPEN,
        waiting=next((each for each in asked if each.decided_at is None), None),
        decided=[each for each in asked if each.decided_at is not None],
        typed=values,
        errors=errors,
    )


def _close_page(incident: Incident, errors: Mapping[str, str]) -> str:
    query = select(Promise).where(Promise.incident_id == incident.id, Promise.state == PromiseState.OPEN)
    owed = db.session.scalars(query.order_by(Promise.due_at)).all()
    return render_template("console/close.html", incident=incident, owed=owed, errors=errors)


def _promise(incident_id: str, promise_id: str) -> Promise:
    promise = db.session.get(Promise, promise_id)
    if promise is None or promise.incident_id != incident_id:
        raise NotFound("promise")
    return promise
