"""What webhooks are sent: Statuspage's shape, and signatures that the standard's own library verifies."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError

from statuspage.actions import components
from statuspage.db import db
from statuspage.delivery import webhook
from statuspage.models import Announcement, Component, Page, Subscriber
from statuspage.rules.vocabulary import ComponentState, MessageKind
from statuspage.settings import Settings
from statuspage.shapes import page_status
from tests import builders

SECRET, OTHER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
INCIDENT_KEYS = """name status created_at updated_at monitoring_at resolved_at impact shortlink postmortem_ignored
    postmortem_body postmortem_body_last_updated_at postmortem_published_at postmortem_notified_subscribers
    postmortem_notified_twitter backfilled scheduled_for scheduled_until scheduled_remind_prior scheduled_reminded_at
    impact_override scheduled_auto_in_progress scheduled_auto_completed id page_id incident_updates components"""
UPDATE_KEYS = """status body created_at wants_twitter_update twitter_updated_at updated_at display_at
    affected_components custom_tweet deliver_notifications id incident_id"""
COMPONENT_KEYS = "status name created_at updated_at position description showcase id page_id group_id"


def announcements(kind: str) -> list[Announcement]:
    return list(db.session.scalars(select(Announcement).where(Announcement.kind == kind).order_by(Announcement.id)))


def told(settings: Settings, now: datetime, kind: str = "incident_update", number: int = -1) -> Any:
    return json.loads(webhook.body(webhook.payload(announcements(kind)[number], settings, now), "https://x.example/u"))


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


@pytest.fixture
def course(writer: str, sign_in: str, now: datetime) -> str:
    """An incident from its first message to its last."""
    out, fine = {sign_in: ComponentState.OUTAGE}, {sign_in: ComponentState.OPERATIONAL}
    incident_id = builders.acknowledged(writer, out, now)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + timedelta(minutes=10), stage="monitoring")
    builders.post(MessageKind.RESOLVE, incident_id, fine, writer, now + timedelta(minutes=20))
    return incident_id


def test_an_incident_has_the_keys_of_a_captured_one_in_their_order(
    course: str, settings: Settings, now: datetime
) -> None:
    body = told(settings, now)
    assert list(body) == ["meta", "page", "incident"]
    assert list(body["meta"]) == ["unsubscribe", "documentation", "generated_at"]
    assert list(body["incident"]) == INCIDENT_KEYS.split()
    assert [list(each) for each in body["incident"]["incident_updates"]] == [UPDATE_KEYS.split()] * 3
    assert [list(each) for each in body["incident"]["components"]] == [COMPONENT_KEYS.split()]


def test_what_an_incident_says(course: str, sign_in: str, settings: Settings, now: datetime) -> None:
    body = told(settings, now + timedelta(minutes=20))
    page_id = db.session.scalars(select(Page.id)).one()
    assert body["meta"]["unsubscribe"] == "https://x.example/u"
    assert body["meta"]["generated_at"] == "2026-11-21T14:20:00.000Z"
    assert body["page"] == {
        "id": page_id,
        "status_indicator": "none",
        "status_description": "All Systems Operational",
    }
    incident = body["incident"]
    assert (incident["id"], incident["page_id"], incident["name"]) == (course, page_id, "Sign-in fails")
    assert (incident["status"], incident["impact"]) == ("resolved", "critical")
    assert incident["monitoring_at"] == "2026-11-21T14:10:00.000Z"
    assert incident["resolved_at"] is not None
    assert incident["shortlink"] == f"http://status.example.com/incidents/{course}"
    assert [each["status"] for each in incident["incident_updates"]] == ["resolved", "monitoring", "investigating"]
    assert incident["incident_updates"][0]["affected_components"] == [
        {"code": sign_in, "name": "Sign-in", "old_status": "major_outage", "new_status": "operational"}
    ]


def test_an_earlier_update_is_told_as_it_stood_then(course: str, settings: Settings, now: datetime) -> None:
    first = told(settings, now, number=0)["incident"]
    assert (first["status"], first["monitoring_at"], first["resolved_at"]) == ("investigating", None, None)
    assert [each["status"] for each in first["incident_updates"]] == ["investigating"]
    assert [each["status"] for each in first["components"]] == ["major_outage"]


def test_times_of_the_incident_are_in_the_pages_zone_and_all_others_in_utc(
    course: str, settings: Settings, now: datetime
) -> None:
    db.session.execute(update(Page).values(time_zone="America/New_York"))
    body = told(settings, now)
    assert body["incident"]["monitoring_at"] == "2026-11-21T09:10:00.000-05:00"
    assert body["meta"]["generated_at"] == "2026-11-21T14:00:00.000Z"
    assert body["incident"]["components"][0]["created_at"] == "2026-11-21T14:00:00.000Z"


def test_a_change_of_a_component_has_the_keys_of_a_captured_one(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    components.edit_component(sign_in, "Sign-in", "", "", ComponentState.DEGRADED, writer, now)
    body = told(settings, now, "component_change")
    assert list(body) == ["meta", "page", "component", "component_update"]
    assert list(body["component"]) == COMPONENT_KEYS.split()
    change = body["component_update"]
    assert len(change["id"]) == 12
    del change["id"]
    assert change == {
        "old_status": "operational",
        "new_status": "degraded_performance",
        "created_at": "2026-11-21T14:00:00.000Z",
        "component_type": "Component",
        "component_id": sign_in,
    }
    assert (body["page"]["status_indicator"], body["component"]["status"]) == ("minor", "degraded_performance")


def test_what_is_gone_can_not_be_told(course: str, settings: Settings, now: datetime) -> None:
    (announcement, *_) = announcements("incident_update")
    announcement.subject_id = "nosuchthing0"
    with pytest.raises(LookupError):
        webhook.payload(announcement, settings, now)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], ("none", "All Systems Operational")),
        (["operational", "operational"], ("none", "All Systems Operational")),
        (["operational", "under_maintenance"], ("maintenance", "Service Under Maintenance")),
        (["operational", "degraded_performance"], ("minor", "Partially Degraded Service")),
        (["degraded_performance"], ("minor", "Degraded System Service")),
        (["degraded_performance", "under_maintenance"], ("minor", "Partially Degraded Service")),
        (["operational", "major_outage"], ("major", "Partial System Outage")),
        (["major_outage", "degraded_performance"], ("major", "Partial System Outage")),
        (["major_outage", "major_outage"], ("critical", "Major System Outage")),
    ],
)
def test_the_pages_status_follows_from_its_components(statuses: list[str], expected: tuple[str, str]) -> None:
    assert page_status(statuses) == expected


# --- signatures ------------------------------------------------------------


def receiver(secret: str = SECRET, previous: str = "", changed_at: datetime | None = None) -> Subscriber:
    return Subscriber(secret=secret, previous_secret=previous, secret_changed_at=changed_at)


def test_the_vector_of_the_standard() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    assert webhook.signed(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", receiver(), at) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def verifies(secret: str, content: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(content, headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize(("hours", "old_verifies"), [(0, True), (23, True), (24, False), (1_000, False)])
def test_for_a_day_after_a_change_both_secrets_sign(hours: int, old_verifies: bool) -> None:
    # The library looks at the clock itself.
    now = datetime.now(UTC)
    content = '{"name": "Grüße"}'.encode()
    headers = webhook.signed(content, "msg_1", receiver(SECRET, OTHER_SECRET, now - timedelta(hours=hours)), now)
    assert verifies(SECRET, content, headers)
    assert verifies(OTHER_SECRET, content, headers) is old_verifies
    assert not verifies(SECRET, content + b" ", headers)
    assert not verifies(SECRET, content, headers | {"webhook-id": "msg_2"})
    assert not verifies(SECRET, content, headers | {"webhook-timestamp": str(int(now.timestamp()) - 1)})


def test_the_id_stays_the_same_for_a_delivery_and_is_no_others(course: str, now: datetime) -> None:
    first, second, *_ = announcements("incident_update")
    ids = [webhook.message_id(first, 1), webhook.message_id(first, 2), webhook.message_id(second, 1)]
    assert ids == [webhook.message_id(first, 1), webhook.message_id(first, 2), webhook.message_id(second, 1)]
    assert len(set(ids)) == 3
    assert not any("." in each for each in ids)


def test_an_archived_component_does_not_count(writer: str, sign_in: str, settings: Settings, now: datetime) -> None:
    other = builders.component(now, "Search")
    components.edit_component(sign_in, "Sign-in", "", "", ComponentState.OUTAGE, writer, now)
    assert told(settings, now, "component_change")["page"]["status_indicator"] == "major"
    db.session.execute(update(Component).where(Component.id == other).values(archived_at=now))
    assert told(settings, now, "component_change")["page"]["status_indicator"] == "critical"
