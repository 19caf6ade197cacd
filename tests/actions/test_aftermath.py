"""After an incident: texts that a second person reviews, waivers, closing; what goes out and what does not."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from statuspage.actions import aftermath, audiences, corrections
from statuspage.actions.promises import promises_of
from statuspage.db import db, transaction
from statuspage.models import Announcement, Document, Incident, Waiver
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    DocumentKind,
    DocumentState,
    MessageKind,
    PromiseKind,
    RuleBroken,
    Visibility,
)
from tests import builders

MINUTE = timedelta(minutes=1)
EMAIL = {"what_happened": "A change overloaded sign-in.", "prevention": "We test such changes first."}
POST_MORTEM = {
    "summary": "Sign-in failed.", "root_cause": "A queue filled up.", "impact": "All users, 40 minutes.",
    "action_items": "Alert on the queue, Ada, high, Friday", "public_text": "Sign-in failed, and here is why.",
}  # fmt: skip
KIND = DocumentKind.POST_INCIDENT_EMAIL


@pytest.fixture
def writer(app: object, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def reviewer(writer: str, now: datetime) -> str:
    return builders.account(now)


def resolved(writer: str, now: datetime, visibility: Visibility = Visibility.PUBLIC) -> str:
    states = {builders.component(now): ComponentState.OUTAGE}
    incident_id = builders.acknowledged(writer, states, now, visibility=visibility)
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, incident_id, fine, writer, now + 40 * MINUTE)
    return incident_id


@pytest.fixture
def incident_id(writer: str, now: datetime) -> str:
    return resolved(writer, now)


def document(incident_id: str, kind: DocumentKind = KIND) -> Document:
    db.session.rollback()
    found = aftermath.current_document(db.session(), incident_id, kind)
    assert found is not None
    return found


def in_review(
    incident_id: str, writer: str, now: datetime, kind: DocumentKind = KIND, fields: dict[str, str] = EMAIL
) -> Document:
    aftermath.save_document(incident_id, kind, fields, 0, writer, now)
    aftermath.submit(document(incident_id, kind).id, 1, writer, now)
    return document(incident_id, kind)


def approved(incident_id: str, writer: str, reviewer: str, now: datetime, **about: object) -> Document:
    text = in_review(incident_id, writer, now, **about)  # type: ignore[arg-type]
    aftermath.review(text.id, text.version, True, "", reviewer, now)
    return document(incident_id, text.kind)


def states(incident_id: str) -> dict[str, str]:
    db.session.rollback()
    return {row.kind.value: row.state.value for row in promises_of(db.session(), incident_id)}


def announced(kind: str = "document") -> int:
    return db.session.scalar(select(func.count()).where(Announcement.kind == kind)) or 0


def test_written_reviewed_and_sent_keeps_the_promise(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text = approved(incident_id, writer, reviewer, now + 60 * MINUTE)
    aftermath.send(text.id, text.version, None, writer, now + 70 * MINUTE)
    sent = document(incident_id)
    assert (sent.state, announced()) == (DocumentState.SENT, 1)
    assert states(incident_id)["post_incident_email"] == "kept"
    assert "A change overloaded sign-in." in sent.body
    assert "50 min, from" in sent.body
    assert "reviewed by Ada" in sent.body


def test_an_author_never_approves_their_own_text(incident_id: str, writer: str, now: datetime) -> None:
    text = in_review(incident_id, writer, now)
    with pytest.raises(RuleBroken, match="second person"):
        aftermath.review(text.id, text.version, True, "", writer, now)
    assert document(incident_id).state is DocumentState.IN_REVIEW


def test_the_database_itself_refuses_an_author_as_reviewer(incident_id: str, writer: str, now: datetime) -> None:
    text = in_review(incident_id, writer, now)
    for values in ({"reviewer_id": writer}, {"state": DocumentState.APPROVED}):
        with pytest.raises(IntegrityError), transaction(now) as session:
            session.execute(update(Document).where(Document.id == text.id).values(values))


def test_a_text_that_was_sent_back_is_kept_with_its_comment(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text = in_review(incident_id, writer, now)
    with pytest.raises(RuleBroken) as broken:
        aftermath.review(text.id, text.version, False, " ", reviewer, now)
    assert list(broken.value.errors) == ["comment"]
    aftermath.review(text.id, text.version, False, "Please say how many.", reviewer, now)
    again = EMAIL | {"what_happened": "A change overloaded sign-in for all."}
    version = document(incident_id).version
    aftermath.save_document(incident_id, KIND, again, version, writer, now + MINUTE)
    listed = db.session.scalars(select(Document).order_by(Document.created_at)).all()
    assert [(each.state, each.comment) for each in listed] == [
        (DocumentState.REJECTED, "Please say how many."),
        (DocumentState.DRAFT, ""),
    ]


def test_a_reviewer_may_change_the_text_and_approves_what_was_saved(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text = in_review(incident_id, writer, now)
    seen = text.version
    aftermath.save_document(incident_id, KIND, EMAIL | {"prevention": "We test."}, seen, reviewer, now)
    with pytest.raises(Conflict):
        aftermath.review(text.id, seen, True, "", reviewer, now)
    newest = document(incident_id)
    aftermath.review(text.id, newest.version, True, "", reviewer, now)
    assert (document(incident_id).author_id, "We test." in document(incident_id).body) == (writer, True)


def test_whoever_wrote_on_a_draft_does_not_approve_it(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    aftermath.save_document(incident_id, KIND, {"what_happened": "x", "prevention": "y"}, 0, writer, now)
    aftermath.save_document(incident_id, KIND, EMAIL, 1, reviewer, now)
    aftermath.submit(document(incident_id).id, 2, writer, now)
    for person in (writer, reviewer):
        with pytest.raises(RuleBroken, match="second person"):
            aftermath.review(document(incident_id).id, 3, True, "", person, now)
    third = builders.account(now)
    aftermath.review(document(incident_id).id, 3, True, "", third, now)
    assert document(incident_id).reviewer_id == third


@pytest.mark.parametrize("act", ["send", "review", "save", "submit"])
def test_a_text_that_is_not_that_far_is_refused(
    act: str, incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text = approved(incident_id, writer, reviewer, now) if act in ("review", "save", "submit") else None
    text = text or in_review(incident_id, writer, now)
    with pytest.raises(Conflict):
        if act == "send":
            aftermath.send(text.id, text.version, None, writer, now)
        elif act == "review":
            aftermath.review(text.id, text.version, True, "", reviewer, now)
        elif act == "save":
            aftermath.save_document(incident_id, KIND, EMAIL, text.version, writer, now)
        else:
            aftermath.submit(text.id, text.version, writer, now)
    assert announced() == 0


def test_two_who_write_at_once_are_told(incident_id: str, writer: str, reviewer: str, now: datetime) -> None:
    aftermath.save_document(incident_id, KIND, EMAIL, 0, writer, now)
    with pytest.raises(Conflict):
        aftermath.save_document(incident_id, KIND, EMAIL, 0, reviewer, now)


def test_a_scheduled_email_goes_out_when_its_time_comes(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text, at = approved(incident_id, writer, reviewer, now), now + 600 * MINUTE
    with pytest.raises(RuleBroken):
        aftermath.send(text.id, text.version, now, writer, now)
    aftermath.send(text.id, text.version, at, writer, now)
    assert aftermath.due_documents(at - MINUTE) == []
    assert aftermath.due_documents(at) == [text.id]
    for _ in range(2):
        aftermath.send_due(text.id, at)
    assert (announced(), states(incident_id)["post_incident_email"]) == (1, "kept")
    assert aftermath.due_documents(at + MINUTE) == []


def test_a_reopened_incident_keeps_its_email_back(incident_id: str, writer: str, reviewer: str, now: datetime) -> None:
    text, at = approved(incident_id, writer, reviewer, now), now + 600 * MINUTE
    aftermath.send(text.id, text.version, at, writer, now)
    corrections.reopen(incident_id, "It is back.", builders.version(incident_id), writer, now + 60 * MINUTE)
    aftermath.send_due(text.id, at)
    assert (announced(), document(incident_id).send_at) == (0, None)
    with pytest.raises(Conflict):
        aftermath.send(text.id, document(incident_id).version, None, writer, at)


def test_a_text_approved_before_a_reopening_is_reviewed_anew(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text, at = approved(incident_id, writer, reviewer, now), now + 600 * MINUTE
    aftermath.send(text.id, text.version, at, writer, now)
    corrections.reopen(incident_id, "It is back.", builders.version(incident_id), writer, now + 60 * MINUTE)
    builders.post(MessageKind.RESOLVE, incident_id, {}, writer, now + 90 * MINUTE)
    assert aftermath.due_documents(at) == []
    aftermath.send_due(text.id, at)
    assert (announced(), states(incident_id)["post_incident_email"]) == (0, "open")
    assert document(incident_id).state is DocumentState.REJECTED


def test_a_post_mortem_is_owed_until_approved_and_its_public_version_until_published(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    text = approved(incident_id, writer, reviewer, now, kind=DocumentKind.POST_MORTEM, fields=POST_MORTEM)
    assert (states(incident_id)["post_mortem"], states(incident_id)["public_post_mortem"]) == ("kept", "open")
    aftermath.publish_post_mortem(text.id, text.version, writer, now)
    assert states(incident_id)["public_post_mortem"] == "kept"
    incident = db.session.get_one(Incident, incident_id, populate_existing=True)
    assert incident.post_mortem == "Sign-in failed, and here is why."
    assert "A queue filled up." not in incident.post_mortem


def test_nothing_is_published_that_nobody_reviewed(incident_id: str, writer: str, reviewer: str, now: datetime) -> None:
    fields = POST_MORTEM | {"public_text": ""}
    text = approved(incident_id, writer, reviewer, now, kind=DocumentKind.POST_MORTEM, fields=fields)
    with pytest.raises(RuleBroken):
        aftermath.publish_post_mortem(text.id, text.version, writer, now)


def test_a_direct_email_goes_out_once_however_often_the_form_is_sent(
    incident_id: str, writer: str, now: datetime
) -> None:
    nonce = builders.nonce()
    made = [
        aftermath.send_direct_email(incident_id, {"message": "Sign-in failed."}, nonce, writer, now) for _ in range(2)
    ]
    assert (len(set(made)), announced(), states(incident_id)["direct_email"]) == (1, 1, "kept")


@pytest.mark.parametrize(("visibility", "mails"), [(Visibility.DRILL, 0), (Visibility.PUBLIC, 1)])
def test_a_drill_keeps_its_promises_and_mails_no_customer(
    visibility: Visibility, mails: int, writer: str, now: datetime
) -> None:
    incident_id = resolved(writer, now, visibility)
    aftermath.send_direct_email(incident_id, {"message": "Sign-in failed."}, builders.nonce(), writer, now)
    assert (states(incident_id)["direct_email"], announced()) == ("kept", mails)


def test_customers_hear_nothing_of_an_internal_incident(writer: str, now: datetime) -> None:
    incident_id = resolved(writer, now, Visibility.INTERNAL)
    with pytest.raises(RuleBroken):
        aftermath.send_direct_email(incident_id, {"message": "Sign-in failed."}, builders.nonce(), writer, now)
    assert db.session.scalar(select(func.count()).select_from(Document)) == 0


def test_a_test_goes_to_oneself_alone(incident_id: str, writer: str, now: datetime) -> None:
    text = in_review(incident_id, writer, now)
    aftermath.send_test(text.id, writer, now)
    found = db.session.scalars(select(Announcement).where(Announcement.kind == "document")).one()
    assert found.audience == "address"
    assert audiences.reach(incident_id, "customers") == 0


def promise_id(incident_id: str, kind: PromiseKind = PromiseKind.POST_INCIDENT_EMAIL) -> str:
    db.session.rollback()
    return next(row.id for row in promises_of(db.session(), incident_id) if row.kind is kind)


def test_a_waiver_takes_two_people_and_a_reason(incident_id: str, writer: str, reviewer: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        aftermath.ask_waiver(promise_id(incident_id), "", writer, now)
    assert list(broken.value.errors) == ["reason"]
    waiver_id = aftermath.ask_waiver(promise_id(incident_id), "Nobody noticed.", writer, now)
    with pytest.raises(Conflict):
        aftermath.ask_waiver(promise_id(incident_id), "Nobody noticed.", reviewer, now)
    with pytest.raises(RuleBroken, match="second person"):
        aftermath.decide_waiver(waiver_id, True, writer, now)
    aftermath.decide_waiver(waiver_id, True, reviewer, now)
    assert states(incident_id)["post_incident_email"] == "waived"
    with pytest.raises(Conflict):
        aftermath.decide_waiver(waiver_id, False, reviewer, now)


def test_a_refused_waiver_leaves_the_promise(incident_id: str, writer: str, reviewer: str, now: datetime) -> None:
    waiver_id = aftermath.ask_waiver(promise_id(incident_id), "Nobody noticed.", writer, now)
    aftermath.decide_waiver(waiver_id, False, reviewer, now)
    assert states(incident_id)["post_incident_email"] == "open"
    assert aftermath.ask_waiver(promise_id(incident_id), "Really nobody.", writer, now)


def test_the_database_itself_refuses_a_waiver_by_one_person(incident_id: str, writer: str, now: datetime) -> None:
    waiver_id = aftermath.ask_waiver(promise_id(incident_id), "Nobody noticed.", writer, now)
    decided = {"decided_by_id": writer, "decided_at": now, "is_granted": True}
    with pytest.raises(IntegrityError), transaction(now) as session:
        session.execute(update(Waiver).where(Waiver.id == waiver_id).values(decided))


def test_an_update_can_only_be_posted(writer: str, now: datetime) -> None:
    incident_id = builders.declared(writer, {builders.component(now): ComponentState.OUTAGE}, now)
    with pytest.raises(RuleBroken):
        aftermath.ask_waiver(promise_id(incident_id, PromiseKind.FIRST_UPDATE), "We are tired.", writer, now)


def test_an_incident_is_closed_when_nothing_is_owed(
    incident_id: str, writer: str, reviewer: str, now: datetime
) -> None:
    with pytest.raises(RuleBroken) as broken:
        aftermath.close(incident_id, builders.version(incident_id), writer, now + 60 * MINUTE)
    assert "post-incident e-mail (due" in broken.value.errors[""]
    for row in promises_of(db.session(), incident_id):
        if row.state.value == "open":
            aftermath.decide_waiver(
                aftermath.ask_waiver(row.id, "Practice.", writer, now), True, reviewer, now + 60 * MINUTE
            )
    aftermath.close(incident_id, builders.version(incident_id), writer, now + 60 * MINUTE)
    assert db.session.get_one(Incident, incident_id, populate_existing=True).closed_at is not None
    with pytest.raises(Conflict):
        aftermath.close(incident_id, builders.version(incident_id), writer, now)


def test_an_open_incident_can_not_be_closed(writer: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {builders.component(now): ComponentState.OUTAGE}, now)
    with pytest.raises(Conflict):
        aftermath.close(incident_id, builders.version(incident_id), writer, now)
