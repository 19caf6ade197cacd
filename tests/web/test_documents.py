"""The texts that follow an incident, waivers and closing, as people use them in a browser."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import aftermath
from statuspage.actions.promises import promises_of
from statuspage.db import db
from statuspage.models import Account, Announcement, Document, Incident, Promise
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import (
    AccountRole,
    DocumentKind,
    DocumentState,
    MessageKind,
    PromiseState,
)
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

EMAIL = {"what_happened": "A change overloaded <sign-in>.", "prevention": "We test such changes first."}


@pytest.fixture
def email(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/post-incident-email"


def announced() -> int:
    db.session.rollback()
    query = select(func.count()).where(Announcement.kind == "document", Announcement.audience == "customers")
    return db.session.scalar(query) or 0


def test_the_form_opens_with_what_is_known(author: Visitor, email: str) -> None:
    page = author.get(email).text
    assert "Signing in failed for some customers. A change overloaded sign-in. We have undone it." in page
    assert "0 addresses, each once" in page


def test_one_writes_another_approves_and_it_is_sent(author: Visitor, reviewer: Visitor, email: str) -> None:
    assert author.post(email, EMAIL, act="submit").status_code == 303
    assert builders.newest_document().state is DocumentState.IN_REVIEW
    assert "You wrote this text" in author.get(email).text
    assert reviewer.post(email, {}, act="approve").status_code == 303
    page = author.get(email).text
    assert "Send now" in page
    assert "overloaded &lt;sign-in&gt;" in page
    assert author.post(email, {}, act="send").status_code == 303
    assert (builders.newest_document().state, announced()) == (DocumentState.SENT, 1)
    assert author.post(email, {}, act="send").status_code == 409
    assert announced() == 1


def test_an_author_who_presses_approve_is_refused(author: Visitor, email: str) -> None:
    author.post(email, EMAIL, act="submit")
    answer = author.post(email, {}, act="approve")
    assert (answer.status_code, "second person has to review" in answer.text) == (422, True)
    assert builders.newest_document().state is DocumentState.IN_REVIEW


def test_a_text_sent_back_shows_why_and_is_written_anew(author: Visitor, reviewer: Visitor, email: str) -> None:
    author.post(email, EMAIL, act="submit")
    empty = reviewer.post(email, {"comment": ""}, act="send-back")
    assert (empty.status_code, 'id="error-comment"' in empty.text) == (422, True)
    assert reviewer.post(email, {"comment": "How many were hit?"}, act="send-back").status_code == 303
    assert "How many were hit?" in author.get(email).text
    assert author.post(email, EMAIL, act="save").status_code == 303
    page = author.get(email).text
    assert "Earlier texts" in page
    assert "How many were hit?" in page


def test_a_responder_reviews_and_does_not_send(author: Visitor, reviewer: Visitor, email: str) -> None:
    author.post(email, EMAIL, act="submit")
    reviewer.post(email, {}, act="approve")
    assert "Send now" not in reviewer.get(email).text
    assert reviewer.post(email, {}, act="send").status_code == 422
    assert announced() == 0


@pytest.mark.parametrize(
    ("fields", "field"), [({"prevention": ""}, "prevention"), ({"what_happened": "x" * 5001}, "what_happened")]
)
def test_what_is_wrong_is_said_beside_the_field_and_kept(
    fields: dict[str, str], field: str, author: Visitor, email: str
) -> None:
    answer = author.post(email, EMAIL | fields, act="save")
    assert answer.status_code == 422
    assert f'id="error-{field}"' in answer.text
    assert ("We test such changes first." in answer.text) == ("prevention" not in fields)
    assert db.session.scalar(select(func.count()).select_from(Document)) == 0


def test_two_who_write_at_once_lose_nothing(author: Visitor, reviewer: Visitor, email: str) -> None:
    seen = author.hidden(email)
    reviewer.post(email, EMAIL, act="save")
    answer = author.post_as_is(email, seen | EMAIL | {"prevention": "Something else.", "act": "save"})
    assert (answer.status_code, "Something else." in answer.text) == (409, True)
    assert builders.newest_document().fields["prevention"] == "We test such changes first."


def test_an_email_is_scheduled(author: Visitor, reviewer: Visitor, email: str, started: datetime) -> None:
    author.post(email, EMAIL, act="submit")
    reviewer.post(email, {}, act="approve")
    for wrong in ("tomorrow", typed_instant(started - timedelta(hours=1))):
        answer = author.post(email, {"send_at": wrong}, act="schedule")
        assert (answer.status_code, 'id="error-send_at"' in answer.text) == (422, True)
    at = typed_instant(started + timedelta(hours=3))
    assert author.post(email, {"send_at": at}, act="schedule").status_code == 303
    assert "It goes out by itself" in author.get(email).text
    assert author.post(email, {}, act="take-back").status_code == 303
    assert aftermath.due_documents(started + timedelta(hours=4)) == []


def test_a_test_mail_goes_to_whoever_asks(author: Visitor, email: str) -> None:
    assert author.post(email, {}, act="test").status_code == 409
    author.post(email, EMAIL, act="save")
    assert author.post(email, {}, act="test").status_code == 303
    found = db.session.scalars(select(Announcement).where(Announcement.kind == "document")).one()
    assert found.address in set(db.session.scalars(select(Account.email)))


def test_a_direct_email_is_sent_once_however_often_the_form_is(author: Visitor, incident_id: str) -> None:
    path = f"/console/incidents/{incident_id}/direct-email"
    form = author.hidden(path) | {"message": "Sign-in failed.", "act": "send"}
    assert [author.post_as_is(path, form).status_code for _ in range(2)] == [303, 303]
    assert announced() == 1
    assert "Sent so far" in author.get(path).text


def test_a_post_mortem_is_reviewed_and_its_public_version_published(
    author: Visitor, reviewer: Visitor, incident_id: str
) -> None:
    path = f"/console/incidents/{incident_id}/post-mortem"
    fields = {"summary": "S", "root_cause": "R", "impact": "I", "action_items": "A", "public_text": "Here is **why**."}
    author.post(path, fields, act="submit")
    assert reviewer.post(path, {}, act="publish").status_code == 422
    reviewer.post(path, {}, act="approve")
    assert author.post(path, {}, act="publish").status_code == 303
    assert db.session.get_one(Incident, incident_id, populate_existing=True).post_mortem == "Here is **why**."


def test_a_form_of_another_session_sends_nothing(author: Visitor, reviewer: Visitor, incident_id: str) -> None:
    path = f"/console/incidents/{incident_id}/direct-email"
    stolen = reviewer.hidden(path) | {"message": "Sign-in failed.", "act": "send"}
    assert author.post_as_is(path, stolen).status_code == 403
    assert announced() == 0


def owed(incident_id: str) -> list[Promise]:
    db.session.rollback()
    return [each for each in promises_of(db.session(), incident_id) if each.state is PromiseState.OPEN]


def test_closing_says_what_is_owed_and_waivers_take_two(author: Visitor, reviewer: Visitor, incident_id: str) -> None:
    close = f"/console/incidents/{incident_id}/close"
    page = author.get(close).text
    assert "Post-incident e-mail" in page
    assert "Close it" not in page
    forced = author.post_as_is(close, author.hidden(f"/console/incidents/{incident_id}/severity"))
    assert (forced.status_code, "Still owed" in forced.text) == (422, True)
    for promise in owed(incident_id):
        path = f"/console/incidents/{incident_id}/promises/{promise.id}/waiver"
        empty = author.post(path, {"reason": ""}, act="ask")
        assert (empty.status_code, 'id="error-reason"' in empty.text) == (422, True)
        assert author.post(path, {"reason": "Nobody noticed."}, act="ask").status_code == 303
        assert author.post(path, {}, act="grant").status_code == 422
        assert reviewer.post(path, {}, act="grant").status_code == 303
        assert "Nobody noticed." in author.get(path).text
    assert owed(incident_id) == []
    assert author.post(close, {}).status_code == 303
    assert db.session.get_one(Incident, incident_id, populate_existing=True).closed_at is not None
    assert re.search(r">Closed</h2>", author.get(f"/console/incidents/{incident_id}").text)


def test_kinds_of_text_do_not_mix(author: Visitor, incident_id: str, email: str) -> None:
    author.post(email, EMAIL, act="save")
    assert builders.newest_document().kind is DocumentKind.POST_INCIDENT_EMAIL
    assert author.post(f"/console/incidents/{incident_id}/post-mortem", {}, act="submit").status_code == 422
    assert author.post(f"/console/incidents/{incident_id}/direct-email", {}, act="save").status_code == 422


def test_what_was_typed_is_kept_when_another_approved_meanwhile(author: Visitor, reviewer: Visitor, email: str) -> None:
    author.post(email, EMAIL, act="submit")
    typing = author.hidden(email)
    changed = reviewer.post(email, EMAIL | {"prevention": "Something else."}, act="approve")
    assert (changed.status_code, "did not save it" in changed.text) == (422, True)
    assert reviewer.post(email, EMAIL, act="approve").status_code == 303
    late = author.post_as_is(email, typing | EMAIL | {"prevention": "My long thoughts.", "act": "save"})
    assert (late.status_code, "My long thoughts." in late.text) == (409, True)


def test_after_a_second_resolution_another_text_can_be_written(
    author: Visitor, reviewer: Visitor, email: str, incident_id: str, started: datetime
) -> None:
    author.post(email, EMAIL, act="submit")
    reviewer.post(email, {}, act="approve")
    author.post(email, {}, act="send")
    assert "<textarea" not in author.get(email).text
    author.post(f"/console/incidents/{incident_id}/reopen", {"reason": "It is back."})
    builders.post(MessageKind.RESOLVE, incident_id, {}, builders.account(started), clock.now())
    assert "<textarea" in author.get(email).text
    assert author.post(email, EMAIL, act="submit").status_code == 303
