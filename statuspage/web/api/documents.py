"""The post-incident e-mail: drafted, reviewed by a second person, sent, or waived by two.

A key belongs to a program, so each request names the people it acts for; who
they are is as good as the key's keeper. That they are two is enforced.
"""

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import aftermath
from statuspage.db import db
from statuspage.models import Account, Document, Incident, Promise, Waiver
from statuspage.rules.vocabulary import (
    AccountRole,
    Conflict,
    DocumentKind,
    DocumentState,
    NotFound,
    PromiseKind,
    PromiseState,
    TokenScope,
)
from statuspage.web import access
from statuspage.web.api import bodies, shapes
from statuspage.web.api.changes import account_id
from statuspage.web.api.incidents import INCIDENT
from statuspage.web.api.pages import find_frame
from statuspage.web.api.routes import answer, at, make_blueprint
from statuspage.web.publishing import publish_at_once

blueprint = make_blueprint("api_documents")

EMAIL = f"{INCIDENT}/post_incident_email"
KIND = DocumentKind.POST_INCIDENT_EMAIL


@at(blueprint, EMAIL, "GET")
@access.needs_scope(TokenScope.READ)
def show_email(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Return the newest text."""
    _find(page_id, incident_id)
    return answer(_shown(incident_id))


@at(blueprint, EMAIL, "POST")
@access.needs_scope(TokenScope.WRITE)
def draft_email(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Keep a draft by the author named; again changes it until it is approved."""
    _find(page_id, incident_id)
    body = bodies.read_object("post_incident_email")
    fields = bodies.Fields(body)
    author = _person(fields, "author")
    typed = {name: fields.text(name) for name in ("what_happened", "prevention")}
    given = fields.number("version")
    fields.done()
    present = aftermath.current_document(db.session(), incident_id, KIND)
    version = given if given is not None else (present.version if present else 0)
    aftermath.save_document(incident_id, KIND, typed, version, author, clock.now())
    return answer(_shown(incident_id), 201)


@at(blueprint, f"{EMAIL}/review", "POST")
@access.needs_scope(TokenScope.WRITE)
def review_email(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Approve the text in the name of a second person, or send it back with a comment."""
    _find(page_id, incident_id)
    fields, now = bodies.read("review"), clock.now()
    reviewer, approve = _person(fields, "reviewer"), fields.flag("approve")
    comment = fields.text("comment")
    if approve is None:
        fields.refuse("approve", "Please say true, or false with a comment.")
    given = fields.number("version")
    fields.done()
    document = _current(incident_id)
    if given is not None and given != document.version:
        raise Conflict(f"This text has version {document.version} by now, not {given}: please read it again.")
    if document.state is DocumentState.DRAFT:
        # To a program, asking for the review and reviewing are one step.
        aftermath.submit(document.id, document.version, document.author_id, now)
        document = _current(incident_id)
    aftermath.review(document.id, document.version, bool(approve), comment, reviewer, now)
    return answer(_shown(incident_id))


@at(blueprint, f"{EMAIL}/send", "POST")
@access.needs_scope(TokenScope.WRITE)
def send_email(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Send the approved text to the affected customers, now or at the time given."""
    _find(page_id, incident_id)
    fields = bodies.read("send") if _has_body() else bodies.Fields({})
    send_at = fields.instant("send_at")
    fields.done()
    document = _current(incident_id)
    aftermath.send(document.id, document.version, send_at, None, clock.now())
    publish_at_once(clock.now())
    return answer(_shown(incident_id))


@at(blueprint, f"{EMAIL}/waive", "POST")
@access.needs_scope(TokenScope.WRITE)
def waive_email(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Ask to let the e-mail go; with ``approved_by`` a second person grants it at once."""
    _find(page_id, incident_id)
    fields, now = bodies.read("waive"), clock.now()
    by, reason = _person(fields, "by"), fields.text("reason")
    second = _person(fields, "approved_by") if fields.has("approved_by") else ""
    if second and second == by:
        fields.refuse("approved_by", "A second person has to decide.")
    fields.done()
    promise = _open_promise(incident_id)
    waiting = db.session.scalar(select(Waiver.id).where(Waiver.promise_id == promise.id, Waiver.decided_at.is_(None)))
    waiver_id = waiting or aftermath.ask_waiver(promise.id, reason, by, now)
    if second:
        aftermath.decide_waiver(waiver_id, True, second, now)
    return answer(shapes.promise(_promise(promise.id), now))


def _find(page_id: str, incident_id: str) -> None:
    find_frame(page_id)
    if db.session.get(Incident, incident_id) is None:
        raise NotFound("incident")


def _has_body() -> bool:
    return bool(request.get_data())


def _person(fields: bodies.Fields, name: str) -> str:
    """Return the id of the account named by its address; note what is wrong with it."""
    email = fields.text(name)
    found = account_id(email) if email else None
    if found is not None and not db.session.get_one(Account, found).role.allows(AccountRole.RESPONDER):
        fields.refuse(name, "This account may only look on: it needs the role Responder.")
    if found is None:
        sentence = f"Nobody has an account with the address {email[:254]}." if email else "Please name an account."
        fields.refuse(name, sentence)
    return found or ""


def _current(incident_id: str) -> Document:
    db.session.rollback()
    document = aftermath.current_document(db.session(), incident_id, KIND)
    if document is None:
        raise NotFound("document")
    return document


def _shown(incident_id: str) -> dict[str, object]:
    document = _current(incident_id)
    return {
        "id": document.id,
        "incident_id": incident_id,
        "state": document.state.value,
        **document.fields,
        "body": document.body,
        "author": _email(document.author_id),
        "reviewer": _email(document.reviewer_id),
        "reviewed_at": shapes.utc(document.reviewed_at),
        "comment": document.comment,
        "send_at": shapes.utc(document.send_at),
        "sent_at": shapes.utc(document.sent_at),
        "version": document.version,
    }


def _email(account: str | None) -> str | None:
    return db.session.get_one(Account, account).email if account else None


def _open_promise(incident_id: str) -> Promise:
    query = select(Promise).where(
        Promise.incident_id == incident_id,
        Promise.kind == PromiseKind.POST_INCIDENT_EMAIL,
        Promise.state == PromiseState.OPEN,
    )
    promise = db.session.scalar(query)
    if promise is None:
        raise NotFound("promise")
    return promise


def _promise(promise_id: str) -> Promise:
    db.session.rollback()
    return db.session.get_one(Promise, promise_id, populate_existing=True)
