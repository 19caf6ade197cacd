"""What subscribers get of a maintenance window: the mail with its way back, the note, the webhook."""

import json
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage.actions import maintenance_clock, maintenances
from statuspage.actions.components import edit_page
from statuspage.db import db
from statuspage.delivery import composition, notes, webhook
from statuspage.delivery.outbox import Batch, Claimed
from statuspage.delivery.transport import Message, Recipient
from statuspage.links import Purpose, read_token
from statuspage.models import Announcement
from statuspage.settings import Settings
from tests import builders
from tests.delivery.test_webhook import INCIDENT_KEYS, UPDATE_KEYS
from tests.pagechecks import check_page, text_of


def newest() -> Announcement:
    query = select(Announcement).where(Announcement.kind == "maintenance_update").order_by(Announcement.id.desc())
    found = db.session.scalars(query).first()
    assert found is not None
    return found


def composed(settings: Settings) -> tuple[Message, Recipient]:
    claimed = Claimed(1, "ada@example.com", "subscriber01", None, 1)
    batch = Batch("batch0000001", newest(), (claimed,))
    return composition.compose(newest(), settings), composition.recipients(batch, settings)[0]


@pytest.fixture
def window_id(app: Flask, now: datetime) -> str:
    builders.page(now)
    by = builders.account(now)
    edit_page("Larkspur", "Europe/Berlin", "", by, now)
    return builders.window(now, (builders.component(now),))


WHEN = "22 Nov 2026, 15:00 CET (14:00 UTC) to 22 Nov 2026, 17:00 CET (16:00 UTC), 2 h"


def test_the_mail_says_what_when_and_what_is_affected(window_id: str, settings: Settings) -> None:
    message, recipient = composed(settings)
    html = check_page(recipient.fill(message.html).replace(" style=", " data-style="))
    for words in (recipient.fill(message.text), text_of(html)):
        for fact in ("Database upgrade", "Scheduled", WHEN, "Signing in may take longer", "Affected: Sign-in"):
            assert fact in words
    assert f"http://status.example.com/incidents/{window_id}" in message.text
    assert message.subject == "[Larkspur status] Planned maintenance: Database upgrade"


def test_the_mail_has_its_way_back_and_stops_with_one_click(window_id: str, settings: Settings) -> None:
    message, recipient = composed(settings)
    headers = {name: recipient.fill(value) for name, value in message.headers.items()}
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = headers["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert read_token(settings, Purpose.UNSUBSCRIBE, token) == "subscriber01"
    manage = headers["List-Help"].strip("<>").rpartition("/")[2]
    assert read_token(settings, Purpose.MANAGE, manage) == "subscriber01"
    assert manage in recipient.fill(message.text)
    assert headers["Message-ID"] == f"<maintenance.{window_id}.1.subscriber01@status.example.com>"


def test_later_mails_join_the_thread_and_say_what_they_are_for(
    window_id: str, settings: Settings, now: datetime
) -> None:
    for at, label, words in (
        (timedelta(hours=23), "Reminder", "begins in 1 h"),
        (timedelta(hours=24), "Started", "The planned work has begun."),
        (timedelta(hours=26), "Finished", "The planned work is finished."),
    ):
        maintenance_clock.take_step(window_id, now + at)
        message, recipient = composed(settings)
        assert label in message.text
        assert words in message.text
        assert recipient.fill(message.headers["In-Reply-To"]).startswith(f"<maintenance.{window_id}.1.")


def test_a_cancelled_window_is_called_cancelled(window_id: str, settings: Settings, now: datetime) -> None:
    maintenances.cancel(window_id, maintenances.Message(""), 1, builders.nonce(), None, now)
    message, _ = composed(settings)
    assert "Cancelled" in message.text
    assert f"Was planned for {WHEN}" in message.text


def test_chat_rooms_get_a_note(window_id: str, settings: Settings) -> None:
    note = notes.notes_to_subscribers(newest(), settings)["en"]
    assert note.title == "Larkspur maintenance: Database upgrade"
    assert note.text.splitlines()[0] == f"Scheduled: {WHEN}"
    assert "Affected: Sign-in" in note.text


def test_webhooks_get_a_window_in_the_shape_of_an_incident(window_id: str, settings: Settings, now: datetime) -> None:
    maintenance_clock.take_step(window_id, now + timedelta(days=1))
    body = json.loads(webhook.body(webhook.payload(newest(), settings, now), "https://x.example/u"))
    incident = body["incident"]
    assert list(incident) == INCIDENT_KEYS.split()
    assert [list(each) for each in incident["incident_updates"]] == [UPDATE_KEYS.split()] * 2
    assert (incident["status"], incident["impact"]) == ("in_progress", "maintenance")
    assert incident["scheduled_for"] == "2026-11-22T15:00:00.000+01:00"
    assert incident["components"][0]["status"] == "under_maintenance"
    assert body["page"]["status_indicator"] == "maintenance"
