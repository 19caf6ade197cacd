"""After (and beside) the public messages: texts that a second person reviews, waivers, the end of an incident."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.incidents import claim_form, require_drill_goes_on, take
from statuspage.actions.ledger import audit, mark_changed, record_override, take_page
from statuspage.actions.policies import policy_in, version_in_force
from statuspage.actions.promises import NOTHING_ELSE, Fact, promises_of, record
from statuspage.actions.text_drafts import forget_text_drafts
from statuspage.actions.timelines import timeline_of
from statuspage.actions.wording import own_words
from statuspage.db import db, transaction
from statuspage.delivery.announcements import announce_to_address, announce_to_customers, announce_to_subscribers
from statuspage.models import Account, AuditEntry, Document, Incident, Promise, Waiver, new_id
from statuspage.rules import documents
from statuspage.rules.documents import About
from statuspage.rules.messages import check_paragraph
from statuspage.rules.promises import WAIVABLE
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    LABELS,
    Conflict,
    DocumentKind,
    DocumentState,
    EventKind,
    NotFound,
    PromiseState,
    RuleBroken,
    Severity,
    Visibility,
)

REASON_LIMIT = 500
PUT_OFF_BY = timedelta(minutes=1)
SOMEBODY_FASTER = (
    "Somebody else changed this text while you were writing. Yours is kept below: please look and save again."
)
EVENTS = {
    DocumentKind.DIRECT_EMAIL: EventKind.DIRECT_EMAIL_SENT,
    DocumentKind.POST_INCIDENT_EMAIL: EventKind.POST_INCIDENT_EMAIL_SENT,
}


def send_direct_email(
    incident_id: str,
    typed: Mapping[str, str],
    nonce: str,
    by: str,
    now: datetime,
    overridden: Sequence[str] = (),
    drafts: Sequence[str] = (),
) -> str:
    """Write to the affected customers directly. Return the document's id; the same nonce again sends nothing more.

    ``overridden`` are words that are marked and sent as they are, ``drafts``
    the nonces of forms whose words this one showed: they end with it.

    Raises NotFound, RuleBroken for bad input or an internal incident.
    """
    fields = documents.check_fields(DocumentKind.DIRECT_EMAIL, typed)
    with transaction(now) as session:
        take_page(session)
        document_id = new_id()
        earlier = claim_form(session, nonce, document_id, repr((incident_id, fields)), by, now)
        if earlier is not None:
            return earlier
        forget_text_drafts(session, (nonce, *drafts), by)
        incident = _get_incident(session, incident_id)
        document = _new_document(session, incident, DocumentKind.DIRECT_EMAIL, fields, by, now, document_id)
        record_override(session, "document", document_id, incident_id, overridden, by, now)
        _send(session, document, incident, by, now)
        return document_id


def save_document(
    incident_id: str,
    kind: DocumentKind,
    typed: Mapping[str, str],
    version: int,
    by: str,
    now: datetime,
    *,
    nonce: str = "",
    drafts: Sequence[str] = (),
) -> str:
    """Keep a draft of an incident's post-incident e-mail or post-mortem. Return the document's id.

    Whoever saves first is its author; anybody may change it until it is
    approved, and every text it had stays on record. ``version`` is the one
    the writer saw, 0 where there was none. A form's ``nonce`` makes a second
    click the same save, and ends what was kept of it and of the forms in ``drafts``,
    whose words it showed.

    Raises NotFound, RuleBroken for bad input, Conflict if it changed meanwhile or is approved.
    """
    fields = documents.check_fields(kind, typed)
    with transaction(now) as session:
        take_page(session)
        incident = _get_incident(session, incident_id)
        document = current_document(session, incident_id, kind)
        if nonce:
            earlier = claim_form(session, nonce, incident_id, repr((incident_id, kind, fields)), by, now)
            if earlier is not None:
                return _saved_before(document, fields)
            forget_text_drafts(session, (nonce, *drafts), by)
        if kind is DocumentKind.POST_MORTEM:
            kept = document.fields.get(documents.TIMELINE, "") if document else ""
            fields[documents.TIMELINE] = kept or timeline_of(session, incident)
        if document is None or document.state not in documents.EDITABLE:
            if document is not None and document.state is DocumentState.APPROVED:
                raise Conflict("This text is approved already: send it, or have it sent back first.")
            if version != 0 and (document is None or version != document.version):
                raise Conflict(SOMEBODY_FASTER)
            return _new_document(session, incident, kind, fields, by, now).id
        if document.version != version:
            raise Conflict(SOMEBODY_FASTER)
        document.fields, document.updated_at, document.version = fields, now, document.version + 1
        _render(session, document, incident)
        detail = {"fields": fields, "state": document.state.value}
        audit(session, by, "edit_document", "document", document.id, now, **detail)
        return document.id


def _saved_before(document: Document | None, fields: Mapping[str, str]) -> str:
    """Return the document that a form made when it was posted first; a colleague may have written on since."""
    if document is None or any(document.fields.get(name) != text for name, text in fields.items()):
        raise Conflict(SOMEBODY_FASTER)
    return document.id


def renew_timeline(document_id: str, version: int, by: str, now: datetime) -> None:
    """Write a post-mortem's timeline anew from what is recorded by now; what was added by hand stays.

    Raises NotFound, Conflict if it is past its review or changed meanwhile.
    """
    with transaction(now) as session:
        document = session.get(Document, document_id, with_for_update=True, populate_existing=True)
        if document is None or document.kind is not DocumentKind.POST_MORTEM:
            raise NotFound("document")
        if document.state not in documents.EDITABLE:
            raise Conflict("This text is past its review: write it anew first.")
        if document.version != version:
            raise Conflict(SOMEBODY_FASTER)
        incident = _get_incident(session, document.incident_id)
        document.fields = document.fields | {documents.TIMELINE: timeline_of(session, incident)}
        document.updated_at, document.version = now, document.version + 1
        _render(session, document, incident)
        audit(session, by, "renew_timeline", "document", document_id, now)


def submit(document_id: str, version: int, by: str, now: datetime, overridden: Sequence[str] = ()) -> None:
    """Ask for a second person's review. What the wording check marks and the writer left is put on record.

    ``overridden`` are the marked words that customers will read.

    Raises NotFound, RuleBroken if a part is missing, Conflict if it is no
    draft, changed meanwhile, or its incident goes on.
    """
    with transaction(now) as session:
        document = _take(session, document_id, version, DocumentState.DRAFT)
        if _get_incident(session, document.incident_id).is_open:
            raise Conflict("This incident goes on: its text can be reviewed once it is resolved.")
        documents.require_complete(document.kind, document.fields)
        marked = documents.marks(document.kind, document.fields, own_words())
        left = {field: [each.found for each in found] for field, found in marked.items()}
        document.state, document.updated_at = DocumentState.IN_REVIEW, now
        record_override(session, "document", document_id, document.incident_id, overridden, by, now)
        audit(session, by, "submit", "document", document_id, now, **({"marked": left} if left else {}))


def review(document_id: str, version: int, approve: bool, comment: str, by: str, now: datetime) -> None:
    """Approve a text, or send it back with a comment; a text that was sent back is kept.

    Raises NotFound, RuleBroken if the author reviews their own text or sends
    it back without a word, Conflict if it is not in review or changed since
    the reviewer saw it.
    """
    said = documents.check_comment(comment, required=not approve)
    with transaction(now) as session:
        take_page(session)
        document = _take(session, document_id, version, DocumentState.IN_REVIEW)
        if by in _writers(session, document):
            raise RuleBroken({"": "You wrote this text: a second person has to review it."})
        incident = _get_incident(session, document.incident_id)
        if incident.is_open:
            raise Conflict("This incident is open again: its text can be reviewed once it is resolved.")
        document.state = DocumentState.APPROVED if approve else DocumentState.REJECTED
        document.reviewer_id, document.reviewed_at, document.comment, document.updated_at = by, now, said, now
        session.flush()
        _render(session, document, incident)
        if approve and document.kind is DocumentKind.POST_MORTEM:
            record(session, incident, EventKind.POST_MORTEM_APPROVED, NOTHING_ELSE, by, now)
        audit(session, by, "approve" if approve else "send_back", "document", document_id, now, comment=said)


def take_back(document_id: str, version: int, by: str, now: datetime) -> None:
    """Send an approved text that has not gone out back to be written anew. Raises NotFound or Conflict."""
    with transaction(now) as session:
        document = _take(session, document_id, version, DocumentState.APPROVED)
        document.state, document.send_at, document.updated_at = DocumentState.REJECTED, None, now
        audit(session, by, "take_back", "document", document_id, now)


def send(document_id: str, version: int, send_at: datetime | None, by: str | None, now: datetime) -> None:
    """Send an approved post-incident e-mail to the affected customers, or have it sent at a later time.

    Raises NotFound, RuleBroken for a time that can't be, Conflict if it is
    not approved, changed meanwhile, or its incident is open again.
    """
    if send_at is not None and send_at <= now:
        raise RuleBroken({"send_at": f"This is in the past; it is {instant_in_words(now)} now."})
    with transaction(now) as session:
        take_page(session)
        document = _take(session, document_id, version, DocumentState.APPROVED)
        incident = _get_incident(session, document.incident_id)
        if document.kind is not DocumentKind.POST_INCIDENT_EMAIL:
            raise Conflict("Only an e-mail can be sent.")
        if incident.is_open:
            raise Conflict("This incident is open again: its e-mail waits until it is resolved.")
        if send_at is not None:
            document.send_at, document.updated_at = send_at, now
            audit(session, by, "schedule", "document", document_id, now, send_at=send_at.isoformat())
            return
        _send(session, document, incident, by, now)


def publish_post_mortem(document_id: str, version: int, by: str, now: datetime, *, announce: bool = False) -> None:
    """Put the approved public version of a post-mortem onto the incident's page; tell subscribers if that is wanted.

    Raises NotFound, RuleBroken without a public version, Conflict if it is not approved or changed meanwhile.
    """
    with transaction(now) as session:
        take_page(session)
        document = _take(session, document_id, version, DocumentState.APPROVED)
        incident = _get_incident(session, document.incident_id)
        if incident.is_open:
            raise Conflict("This incident is open again: its post-mortem waits until it is resolved.")
        text = document.fields.get("public_text", "")
        if document.kind is not DocumentKind.POST_MORTEM or not text:
            raise RuleBroken({"": "There is no public version in what was approved: send it back and write one."})
        document.state, document.sent_at, document.updated_at = DocumentState.SENT, now, now
        incident.post_mortem, incident.post_mortem_published_at, incident.updated_at = text, now, now
        record(session, incident, EventKind.POST_MORTEM_PUBLISHED, NOTHING_ELSE, by, now)
        if incident.is_published:
            mark_changed(session, "incident", incident.id, now)
            if announce:
                announce_to_subscribers(session, "post_mortem", document.id, incident, now)
        audit(session, by, "publish", "document", document_id, now, announced=announce and incident.is_published)


def send_test(document_id: str, by: str, now: datetime) -> None:
    """Send a text to oneself, as customers would get it. Raises NotFound."""
    with transaction(now) as session:
        document, account = session.get(Document, document_id), session.get(Account, by)
        if document is None or account is None:
            raise NotFound("document")
        announce_to_address(session, "document", document_id, account.email, None, now)
        audit(session, by, "send_test", "document", document_id, now)


def due_documents(now: datetime) -> list[str]:
    """Return the ids of the approved e-mails whose time has come. One indexed query."""
    db.session.rollback()
    due = (Document.state == DocumentState.APPROVED, Document.send_at.is_not(None), Document.send_at <= now)
    return list(db.session.scalars(select(Document.id).where(*due)))


def send_due(document_id: str, now: datetime) -> None:
    """Send an approved e-mail whose time has come; one whose incident is open again waits for a person."""
    with transaction(now) as session:
        take_page(session)
        document = session.get(Document, document_id, with_for_update=True, populate_existing=True)
        if document is None or document.state is not DocumentState.APPROVED:
            return
        if document.send_at is None or document.send_at > now:
            return
        incident = _get_incident(session, document.incident_id)
        if incident.is_open:
            document.send_at = None
            return
        _send(session, document, incident, document.reviewer_id, now)


def put_off(document_id: str, now: datetime) -> None:
    """Try to send an e-mail again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        document = session.get(Document, document_id, with_for_update=True, populate_existing=True)
        if document is not None and document.send_at is not None:
            document.send_at = now + PUT_OFF_BY


def ask_waiver(promise_id: str, reason: str, by: str, now: datetime) -> str:
    """Ask a second person to let a promise go. Return the waiver's id.

    Raises NotFound, RuleBroken without a reason or for a promise that can
    only be kept, Conflict if it is not open or was asked for already.
    """
    checked = check_paragraph("reason", reason, REASON_LIMIT)
    with transaction(now) as session:
        promise = session.get(Promise, promise_id, with_for_update=True, populate_existing=True)
        if promise is None:
            raise NotFound("promise")
        if promise.kind not in WAIVABLE:
            raise RuleBroken({"": f"A {LABELS[promise.kind].lower()} can't be waived: please post it."})
        if promise.state is not PromiseState.OPEN:
            raise Conflict("This promise is not open any more.")
        if _open_waiver(session, promise_id) is not None:
            raise Conflict("Somebody asked for this already: a second person has to decide.")
        waiver_id = new_id()
        session.add(Waiver(id=waiver_id, promise_id=promise_id, reason=checked, asked_at=now, asked_by_id=by))
        audit(session, by, "ask_waiver", "promise", promise_id, now, reason=checked)
        return waiver_id


def decide_waiver(waiver_id: str, grant: bool, by: str, now: datetime) -> None:
    """Grant or refuse a waiver that somebody else asked for.

    Raises NotFound, RuleBroken for whoever asked for it, Conflict if it is decided.
    """
    with transaction(now) as session:
        take_page(session)
        waiver = session.get(Waiver, waiver_id, with_for_update=True, populate_existing=True)
        if waiver is None:
            raise NotFound("waiver")
        if waiver.decided_at is not None:
            raise Conflict("This was decided already.")
        if waiver.asked_by_id == by:
            raise RuleBroken({"": "You asked for this: a second person has to decide."})
        waiver.decided_at, waiver.decided_by_id, waiver.is_granted = now, by, grant
        promise = session.get_one(Promise, waiver.promise_id)
        if grant and promise.state is PromiseState.OPEN:
            fact = Fact(reason=waiver.reason, promise_kind=promise.kind)
            record(session, _get_incident(session, promise.incident_id), EventKind.WAIVED, fact, by, now)
        audit(session, by, "grant_waiver" if grant else "refuse_waiver", "promise", promise.id, now)


def close(incident_id: str, version: int, by: str | None, now: datetime) -> None:
    """Close a resolved incident.

    Raises NotFound, RuleBroken naming what is still owed, Conflict if it is
    open, closed, or changed since the writer saw it.
    """
    with transaction(now) as session:
        take_page(session)
        incident = take(session, incident_id, version)
        if incident.is_open:
            raise Conflict("This incident is not resolved yet.")
        if incident.closed_at is not None:
            raise Conflict("This incident is closed already.")
        owed = [each for each in promises_of(session, incident_id) if each.state is PromiseState.OPEN]
        if owed:
            named = ", ".join(f"{LABELS[each.kind].lower()} (due {instant_in_words(each.due_at)})" for each in owed)
            raise RuleBroken({"": f"Still owed: {named}. Send it, or have it waived by a second person."})
        incident.closed_at, incident.updated_at = now, now
        record(session, incident, EventKind.CLOSED, NOTHING_ELSE, by, now)
        audit(session, by, "close", "incident", incident_id, now)


def current_document(session: Session, incident_id: str, kind: DocumentKind) -> Document | None:
    """Return the newest text of a kind; None before anything was written."""
    return session.scalar(
        select(Document)
        .where(Document.incident_id == incident_id, Document.kind == kind)
        .order_by(Document.created_at.desc(), Document.id)
        .limit(1)
        .execution_options(populate_existing=True)
    )


def _new_document(
    session: Session,
    incident: Incident,
    kind: DocumentKind,
    fields: Mapping[str, str],
    by: str,
    now: datetime,
    document_id: str = "",
) -> Document:
    document = Document(
        id=document_id or new_id(),
        incident_id=incident.id,
        kind=kind,
        state=DocumentState.DRAFT,
        fields=dict(fields),
        author_id=by,
        created_at=now,
        updated_at=now,
    )
    session.add(document)
    session.flush()
    _render(session, document, incident)
    audit(session, by, "write_document", "document", document.id, now, kind=kind.value, fields=dict(fields))
    return document


def _render(session: Session, document: Document, incident: Incident) -> None:
    """Write the finished text down; who signs it changes with the review."""
    session.refresh(document, ["author", "reviewer"])
    reviewer = document.reviewer.name if document.reviewer else ""
    about = About(
        incident.title,
        incident.started_at,
        incident.resolved_at,
        document.author.name,
        reviewer,
        incident.severity or "",
    )
    document.body = documents.render(document.kind, document.fields, about)
    document.body_html = prose.to_html(document.body)


def _send(session: Session, document: Document, incident: Incident, by: str | None, now: datetime) -> None:
    """Announce a text to the affected customers, and keep the promise. A drill's goes nowhere, and counts."""
    if incident.visibility is Visibility.INTERNAL:
        raise RuleBroken({"": "This incident is internal: customers are told nothing."})
    _render(session, document, incident)
    document.state, document.sent_at, document.send_at, document.updated_at = DocumentState.SENT, now, None, now
    session.flush()
    if incident.visibility is Visibility.PUBLIC:
        severity = incident.severity or Severity.SEV4
        policy = policy_in(version_in_force(session, severity, now), severity)
        announce_to_customers(session, "document", document.id, incident, now, {"audience": list(policy.audience)})
    record(session, incident, EVENTS[document.kind], NOTHING_ELSE, by, now)
    audit(session, by, "send", "document", document.id, now)


def _take(session: Session, document_id: str, version: int, state: DocumentState) -> Document:
    document = session.get(Document, document_id, with_for_update=True, populate_existing=True)
    if document is None:
        raise NotFound("document")
    if document.state is not state:
        raise Conflict(f"This text is not {LABELS[state].lower()} any more; it is {LABELS[document.state].lower()}.")
    if document.version != version:
        raise Conflict(SOMEBODY_FASTER)
    document.version += 1
    return document


def _writers(session: Session, document: Document) -> set[str | None]:
    """Return the accounts that wrote a text before it went to review; what a reviewer changes then is a review."""
    entries = session.execute(
        select(AuditEntry.account_id, AuditEntry.detail).where(
            AuditEntry.object_kind == "document",
            AuditEntry.object_id == document.id,
            AuditEntry.action == "edit_document",
        )
    )
    drafted = {row.account_id for row in entries if row.detail.get("state") == DocumentState.DRAFT}
    return {document.author_id, *drafted}


def _get_incident(session: Session, incident_id: str) -> Incident:
    incident = session.get(Incident, incident_id, populate_existing=True)
    if incident is None:
        raise NotFound("incident")
    require_drill_goes_on(session, incident)
    return incident


def _open_waiver(session: Session, promise_id: str) -> Waiver | None:
    return session.scalar(select(Waiver).where(Waiver.promise_id == promise_id, Waiver.decided_at.is_(None)))
