"""What leaves about post-mortems and action items: mail, webhook, chat, and nothing that is the team's alone."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage.actions import action_items, aftermath, audiences
from statuspage.db import db
from statuspage.delivery import announcements, composition, notes, outbox, webhook
from statuspage.delivery.transport import Message
from statuspage.models import Announcement
from statuspage.rules.vocabulary import ComponentState, DocumentKind, MessageKind
from statuspage.settings import Settings
from tests import builders

MINUTE = timedelta(minutes=1)
FIELDS = {
    "summary": "Sign-in failed.", "root_cause": "The store had no limit.", "impact": "Nobody could sign in.",
    "public_text": "Sign-in failed, and **here is why**.",
}  # fmt: skip


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now, email="ada@example.com")


@pytest.fixture
def incident_id(writer: str, now: datetime) -> str:
    states = {builders.component(now): ComponentState.OUTAGE}
    made = builders.acknowledged(writer, states, now)
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, made, fine, writer, now + 40 * MINUTE)
    return made


@pytest.fixture
def published(incident_id: str, writer: str, now: datetime) -> Announcement:
    """The announcement of a post-mortem that was published."""
    at = now + 60 * MINUTE
    document_id = aftermath.save_document(incident_id, DocumentKind.POST_MORTEM, FIELDS, 0, writer, at)
    aftermath.submit(document_id, 1, writer, at)
    aftermath.review(document_id, 2, True, "", builders.account(now), at)
    aftermath.publish_post_mortem(document_id, 3, writer, at, announce=True)
    return announced("post_mortem")


def announced(kind: str) -> Announcement:
    db.session.rollback()
    return db.session.scalars(select(Announcement).where(Announcement.kind == kind)).one()


def everything(message: Message) -> str:
    return message.subject + message.text + message.html


def test_subscribers_are_mailed_the_public_version_and_nothing_else(
    published: Announcement, incident_id: str, settings: Settings
) -> None:
    message = composition.compose(published, settings)
    assert message.subject == "[Larkspur status] Sign-in fails: what we learned"
    assert "<strong>here is why</strong>" in message.html
    assert "and here is why." in message.text
    assert f"/incidents/{incident_id}#post-mortem" in message.text
    assert "The store had no limit." not in everything(message)
    assert "List-Unsubscribe" in message.headers


def test_it_goes_to_those_who_subscribed_to_the_incidents_components(
    now: datetime, published: Announcement, settings: Settings
) -> None:
    builders.subscribed(now, "reader@example.com")
    at = now + 61 * MINUTE
    while announcements.expand(audiences.audience, at):
        pass
    found = []
    while (batch := outbox.claim("worker", 100, at)) is not None:
        found += [each.address for each in batch.deliveries if batch.announcement.id == published.id]
    assert found == ["reader@example.com"]


def test_programs_and_chat_rooms_are_told_in_their_own_shapes(
    published: Announcement, incident_id: str, settings: Settings, now: datetime
) -> None:
    told = webhook.payload(published, settings, now)["incident"]
    assert (told["status"], told["postmortem_body"]) == ("postmortem", FIELDS["public_text"])
    assert told["postmortem_notified_subscribers"] is True
    assert [each["status"] for each in told["incident_updates"]] == ["resolved", "investigating"]
    note = notes.notes_to_subscribers(published, settings)["en"]
    assert (note.title, note.text) == ("Larkspur: Sign-in fails: what we learned", "Sign-in failed, and here is why.")


@pytest.mark.parametrize(("days", "begins", "says"), [(7, "Due today", "due today"), (15, "Still open", "was due on")])
def test_an_owner_is_told_what_when_and_where(
    days: int, begins: str, says: str, incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    made = builders.action_item(incident_id, writer, now, title="Watch the <memory>")
    action_items.remind(made, now.replace(hour=10) + timedelta(days=days))
    message = composition.compose(announced("action_item"), settings)
    assert message.subject == f"{begins}: Watch the <memory>"
    assert says in message.text
    assert f"{settings.public_url}/console/action-items/{made}" in message.text
    assert "Watch the &lt;memory&gt;" in message.html


@pytest.mark.parametrize("kind", ["post_mortem", "action_item"])
def test_what_is_gone_is_said_to_be_gone(kind: str, writer: str, settings: Settings, now: datetime) -> None:
    with pytest.raises(LookupError):
        composition.compose(Announcement(id=7, kind=kind, subject_id="nosuchthing0", created_at=now), settings)
