"""The post-incident e-mail by the API: drafted, reviewed by a second person, sent or waived."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select

from statuspage.db import db
from statuspage.models import Account, Announcement
from statuspage.rules.vocabulary import TokenScope
from tests import builders
from tests.web.programs import Program, counts, declared, patch

TEXT = {"what_happened": "A change overloaded sign-in.", "prevention": "We test such changes first."}


def address(started: datetime) -> str:
    return db.session.get_one(Account, builders.account(started)).email


@pytest.fixture
def author(writer: Program, started: datetime) -> str:
    return address(started)


@pytest.fixture
def reviewer(writer: Program, started: datetime) -> str:
    return address(started)


@pytest.fixture
def email(writer: Program, component_id: str) -> str:
    """Where the e-mail of a resolved incident is."""
    body = {
        "name": "Sign-in fails",
        "severity": "SEV1",
        "components": {component_id: "major_outage"},
        "body": "We look.",
    }
    incident = declared(writer, body)
    patch(writer, incident, status="resolved", body="It is over.")
    return f"/incidents/{incident['id']}/post_incident_email"


def owed(writer: Program, email: str) -> str:
    promises = writer.get(email.rpartition("/")[0])["promises"]
    return next(each["state"] for each in promises if each["kind"] == "post_incident_email")


def sent() -> int:
    db.session.rollback()
    query = select(func.count()).where(Announcement.kind == "document", Announcement.audience == "customers")
    return db.session.scalar(query) or 0


def test_drafted_reviewed_and_sent(writer: Program, email: str, author: str, reviewer: str) -> None:
    writer.get(email, 404)
    made = writer.post(email, {"post_incident_email": TEXT | {"author": author}})
    assert (made["state"], made["author"], made["what_happened"]) == ("draft", author, TEXT["what_happened"])
    approved = writer.post(f"{email}/review", {"reviewer": reviewer, "approve": True}, 200)
    assert (approved["state"], approved["reviewer"]) == ("approved", reviewer)
    done = writer.post(f"{email}/send", {}, 200)
    assert (done["state"], sent(), owed(writer, email)) == ("sent", 1, "kept")
    writer.post(f"{email}/send", {}, 409)
    assert sent() == 1


def test_the_author_is_no_reviewer(writer: Program, email: str, author: str) -> None:
    writer.post(email, TEXT | {"author": author})
    refused = writer.post(f"{email}/review", {"reviewer": author, "approve": True}, 422)
    assert "second person" in str(refused["error"])
    assert writer.get(email)["state"] == "in_review"
    writer.post(f"{email}/send", {}, 409)
    assert sent() == 0


def test_a_text_sent_back_keeps_its_comment_and_is_written_anew(
    writer: Program, email: str, author: str, reviewer: str
) -> None:
    writer.post(email, TEXT | {"author": author})
    writer.post(f"{email}/review", {"reviewer": reviewer, "approve": False}, 422)
    back = writer.post(f"{email}/review", {"reviewer": reviewer, "approve": False, "comment": "How many?"}, 200)
    assert (back["state"], back["comment"]) == ("rejected", "How many?")
    assert writer.post(email, TEXT | {"author": author})["state"] == "draft"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", TEXT, "author"),
        ("", TEXT | {"author": "nobody@example.com"}, "author"),
        ("", {"author": "AUTHOR", "what_happened": "x"}, "prevention"),
        ("", TEXT | {"author": "AUTHOR", "prevention": "x" * 5001}, "prevention"),
        ("/review", {"approve": True}, "reviewer"),
        ("/review", {"reviewer": "REVIEWER"}, "approve"),
        ("/send", {"send_at": "tomorrow"}, "send_at"),
        ("/waive", {"by": "AUTHOR"}, "reason"),
        ("/waive", {"by": "AUTHOR", "reason": "Nobody noticed.", "approved_by": "AUTHOR"}, "approved_by"),
        ("/waive", {"reason": "Nobody noticed."}, "by"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(
    path: str, body: dict[str, str], field: str, writer: Program, email: str, author: str, reviewer: str
) -> None:
    before = counts()
    people = {"AUTHOR": author, "REVIEWER": reviewer}
    refused = writer.post(email + path, {name: people.get(str(value), value) for name, value in body.items()}, 422)
    assert list(refused["errors"]) == [field]
    assert counts() == before


def test_two_people_waive_it(writer: Program, email: str, author: str, reviewer: str) -> None:
    body = {"by": author, "reason": "Nobody noticed."}
    assert writer.post(f"{email}/waive", body, 200)["state"] == "open"
    granted = writer.post(f"{email}/waive", body | {"approved_by": reviewer}, 200)
    assert granted["state"] == "waived"
    writer.post(f"{email}/waive", body, 404)


def test_a_text_is_not_reviewed_while_the_incident_goes_on(
    writer: Program, component_id: str, author: str, reviewer: str
) -> None:
    incident = declared(writer, {"name": "Sign-in fails", "severity": "SEV1", "components": {component_id: "outage"}})
    path = f"/incidents/{incident['id']}/post_incident_email"
    writer.post(path, TEXT | {"author": author})
    writer.post(f"{path}/review", {"reviewer": reviewer, "approve": True}, 409)


def test_reading_needs_less_than_writing(program: Callable[[TokenScope], Program], email: str, author: str) -> None:
    reader = program(TokenScope.READ)
    reader.get(email, 404)
    reader.post(email, TEXT | {"author": author}, 403)
    reader.post(f"{email}/send", {}, 403)
