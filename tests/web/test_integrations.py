"""What the service is connected to: how it stands, and tests of it that the worker carries out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage import clock
from statuspage.actions import mail_provider
from statuspage.db import db
from statuspage.delivery import composition, endpoints, notes
from statuspage.models import Account, Announcement, Change, Delivery
from statuspage.rules.vocabulary import AccountRole, SubscriptionMethod
from statuspage.settings import Settings
from statuspage.site import mirror
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

PATH = "/admin/integrations/"


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def words(visitor: Visitor, path: str = PATH) -> str:
    return text_of(check_page(visitor.get(path).text))


def newest() -> Announcement:
    db.session.rollback()
    return db.session.scalars(select(Announcement).order_by(Announcement.id.desc()).limit(1)).one()


def ends(state: str, error: str, at: datetime) -> None:
    """Let what was handed over last end like this, as the worker would write it down."""
    last = newest().id
    db.session.execute(
        update(Delivery).where(Delivery.announcement_id == last).values(state=state, error=error, settled_at=at)
    )
    db.session.commit()


def test_a_new_page_teaches_what_can_be_connected(admin: Visitor) -> None:
    page = words(admin)
    assert "Mail ! not set up Nobody gets mail: it is kept as files" in page
    assert "There is none yet. Reminders go by mail alone." in page
    assert "Copy of the public page elsewhere not used" in page


def test_a_test_mail_goes_through_the_outbox_and_its_end_is_said(admin: Visitor, app: Flask, started: datetime) -> None:
    email = db.session.scalars(select(Account.email)).one()
    assert admin.post(f"{PATH}mail/test", {}, on=PATH).status_code == 303
    page = words(admin)
    assert f"A test mail to {email} is on its way." in page
    assert "Your newest test The newest test is on its way." in page
    told = newest()
    assert (told.kind, told.address) == ("mail_test", email)
    message = composition.compose(told, app.config["STATUSPAGE"])
    assert message.subject == "[Larkspur status] Test: mail leaves"
    assert "Ada asked for it in the console of Larkspur." in message.text
    # A second click within moments is the same test.
    again = admin.post(f"{PATH}mail/test", {}, on=PATH)
    assert again.status_code == 409
    assert "A test was asked for just now" in text_of(check_page(again.text))
    ends("dead", "The server answered 550.", started)
    page = words(admin)
    assert "The newest test failed. The server answered 550." in page
    assert "Last failure" in page
    ends("submitted", "", started)
    page = words(admin)
    assert "The newest test was taken." in page
    assert "Last success" in page
    assert "Last failure" not in page


def test_a_stopped_provider_is_said_in_words(admin: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Settings = replace(app.config["STATUSPAGE"], sendgrid_api_key="SG.sEcReT")
    monkeypatch.setitem(app.config, "STATUSPAGE", settings)
    assert "Mail ✓ set up Leaves by SendGrid, api.sendgrid.com" in words(admin)
    mail_provider.stop("The key was refused.", True, clock.now(), clock.now())
    page = words(admin)
    assert "Mail ! stopped" in page
    assert "The key was refused." in page
    assert "sEcReT" not in admin.get(PATH).text


def test_a_channel_is_tried_from_here_and_says_what_went_well_and_wrong(admin: Visitor, started: datetime) -> None:
    channel_id = builders.channel(builders.account(started), started)
    answer = admin.post(f"/admin/channels/{channel_id}/test", {"back": "integrations"}, on=PATH)
    assert (answer.status_code, answer.location) == (303, PATH)
    assert "A test to “#incidents” is on its way." in words(admin)
    ends("submitted", "", started)
    admin.post(f"/admin/channels/{channel_id}/test", {}, on=PATH)
    ends("dead", "Slack answered 404 (no_service).", started)
    page = words(admin)
    assert "The newest post failed. Slack answered 404 (no_service)." in page
    assert f"Last success {started.day} {started:%b %Y}" in page
    assert "Last failure" in page
    assert "/services/T/B/x" not in admin.get(PATH).text


def test_publishing_everything_again_is_a_change_of_the_whole_page(admin: Visitor, page_id: str) -> None:
    assert admin.post(f"{PATH}mirror/test", {}, on=PATH).status_code == 303
    assert "Everything is being published anew." in words(admin)
    db.session.rollback()
    change = db.session.scalars(select(Change).order_by(Change.revision.desc()).limit(1)).one()
    assert (change.subject_kind, change.subject_id) == ("page", page_id)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (mirror.State("s3://bucket/status", "", "2026-11-21T14:00:00+00:00", ""), "✓ complete"),
        (mirror.State("s3://bucket/status", "2026-11-21T14:00:00+00:00", "", "Access denied."), "! behind"),
        (None, "unknown here: the worker runs on another machine, or has not copied yet"),
    ],
)
def test_the_copy_elsewhere_says_how_it_stands(
    state: mirror.State | None, said: str, admin: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Settings = replace(app.config["STATUSPAGE"], publish_to="s3://bucket/status")
    monkeypatch.setitem(app.config, "STATUSPAGE", settings)
    monkeypatch.setattr(mirror, "read_state", lambda _folder: state)
    page = words(admin)
    assert said in page
    assert "s3://bucket/status" in page


def test_a_subscriber_s_webhook_gets_a_test_that_says_so(admin: Visitor, app: Flask, started: datetime) -> None:
    endpoint = "https://hooks.example.com/x"
    subscriber_id = builders.subscribed(started, method=SubscriptionMethod.WEBHOOK, endpoint=endpoint)
    path = f"/admin/subscribers/{subscriber_id}"
    assert admin.post(f"{path}/test", {}, on=path).status_code == 303
    assert "A test is on its way." in words(admin, path)
    told = newest()
    written = endpoints.write(told, app.config["STATUSPAGE"], started)
    assert written.payload["test"] == {"message": notes.ENDPOINT_TEST}
    assert written.notes["en"].title == "Larkspur: updates arrive here"
    delivery = db.session.scalars(select(Delivery).where(Delivery.announcement_id == told.id)).one()
    assert (delivery.subscriber_id, delivery.address, delivery.lane) == (subscriber_id, subscriber_id, 3)
    ends("dead", "Webhook answered 500.", started)
    assert "Webhook answered 500." in words(admin, path)
    assert admin.post(f"{path}/test", {}, on=path).status_code == 409


def test_mail_is_no_endpoint_and_who_left_gets_no_test(admin: Visitor, started: datetime) -> None:
    by_mail = builders.subscribed(started)
    assert "Send a test" not in words(admin, f"/admin/subscribers/{by_mail}")
    assert admin.post(f"/admin/subscribers/{by_mail}/test", {}, on=PATH).status_code == 404
    endpoint = "https://hooks.example.com/x"
    left = builders.subscribed(started, method=SubscriptionMethod.WEBHOOK, endpoint=endpoint)
    admin.post(f"/admin/subscribers/{left}/unsubscribe", {})
    answer = admin.post(f"/admin/subscribers/{left}/test", {}, on=PATH)
    assert answer.status_code == 409
    assert "it is not an active subscription" in answer.text
