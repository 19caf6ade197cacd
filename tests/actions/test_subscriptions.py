"""Subscribing, confirming and unsubscribing: what is kept, what is mailed, who is told."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from statuspage.actions import audiences, subscriptions
from statuspage.actions.people import Browser, check_email
from statuspage.db import db
from statuspage.models import Announcement, AuditEntry, Delivery, Subscriber
from statuspage.rules.vocabulary import NotFound, RuleBroken
from tests import builders

ASKER = Browser("192.0.2.1", "the browser that asked")
READER = Browser("2001:db8::7", "the browser that confirmed")


@pytest.fixture(autouse=True)
def _installed(app: Flask) -> None:
    """Every test here stands on a database."""


def subscribe(now: datetime, email: str = "ada@example.com", browser: Browser = ASKER) -> Subscriber:
    builders.asked(now, email, browser=browser)
    return known(email)


def known(email: str = "ada@example.com") -> Subscriber:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Subscriber).where(Subscriber.email_key == email.lower())).one()


def mailed() -> list[str]:
    """Addresses that a confirmation mail is queued to, in their order."""
    db.session.rollback()
    query = select(Delivery.address).join(Announcement).where(Announcement.kind == "confirm_subscription")
    return list(db.session.scalars(query.order_by(Delivery.id)))


def recorded() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def told() -> list[str]:
    db.session.rollback()
    announcement = Announcement(kind="incident_update", audience="subscribers")
    return sorted(row.address for row in db.session.execute(audiences.audience(announcement).recipients))


def test_a_request_is_kept_with_its_proof_and_mailed_to_its_address(now: datetime) -> None:
    subscriber = subscribe(now)
    assert (subscriber.state, subscriber.requested_at, subscriber.confirmed_at) == ("pending", now, None)
    assert (subscriber.request_ip, subscriber.request_user_agent) == ("192.0.2.1", "the browser that asked")
    assert mailed() == ["ada@example.com"]
    (delivery,) = db.session.scalars(select(Delivery))
    assert (delivery.lane, delivery.subscriber_id, delivery.state) == (0, subscriber.id, "queued")
    assert delivery.announcement.subject_id == subscriber.id


def test_only_who_confirmed_and_stayed_is_told(now: datetime) -> None:
    for name in ("pending", "active", "left"):
        subscribe(now, f"{name}@example.com")
    for name in ("active", "left"):
        builders.confirm(known(f"{name}@example.com").id, now)
    subscriptions.unsubscribe(known("left@example.com").id, now)
    assert told() == ["active@example.com"]


def test_confirming_keeps_its_own_proof_and_is_recorded_once(now: datetime) -> None:
    asked = subscribe(now)
    later = now + timedelta(days=2)
    assert builders.confirm(asked.id, later, READER)
    assert builders.confirm(asked.id, later + timedelta(days=1), ASKER)
    subscriber = known()
    assert (subscriber.state, subscriber.requested_at, subscriber.confirmed_at) == ("active", now, later)
    assert (subscriber.confirm_ip, subscriber.confirm_user_agent) == ("2001:db8::7", "the browser that confirmed")
    assert subscriber.request_ip == "192.0.2.1"
    assert recorded() == ["confirm"]


def test_asking_again_changes_nothing_for_who_is_subscribed(now: datetime) -> None:
    builders.confirm(subscribe(now).id, now, READER)
    subscriber = subscribe(now + timedelta(days=30), browser=Browser("203.0.113.9", "somebody else"))
    assert (subscriber.state, subscriber.requested_at, subscriber.request_ip) == ("active", now, "192.0.2.1")
    assert mailed() == ["ada@example.com"]


@pytest.mark.parametrize(("minutes", "mails"), [(0, 1), (59, 1), (60, 2), (90, 2)])
def test_an_address_gets_one_confirmation_mail_an_hour(minutes: int, mails: int, now: datetime) -> None:
    subscribe(now)
    subscribe(now + timedelta(minutes=minutes), "ADA@Example.COM")
    assert mailed() == ["ada@example.com"] * mails


def test_the_pause_begins_anew_with_each_mail_not_with_each_request(now: datetime) -> None:
    for minutes in range(0, 121, 30):
        subscribe(now + timedelta(minutes=minutes))
    assert len(mailed()) == 3


def test_capitals_make_no_second_subscriber_and_mail_goes_to_what_was_typed(now: datetime) -> None:
    subscribe(now, "Ada.Lovelace@EXAMPLE.com")
    subscribe(now, "ada.lovelace@example.com")
    (subscriber,) = db.session.scalars(select(Subscriber))
    assert (subscriber.email, subscriber.email_key) == ("Ada.Lovelace@example.com", "ada.lovelace@example.com")


def test_unsubscribing_is_at_once_and_recorded_once(now: datetime) -> None:
    subscriber_id = subscribe(now).id
    builders.confirm(subscriber_id, now, READER)
    for minutes in (1, 2):
        subscriptions.unsubscribe(subscriber_id, now + timedelta(minutes=minutes))
    subscriber = known()
    assert (subscriber.state, subscriber.unsubscribed_at) == ("unsubscribed", now + timedelta(minutes=1))
    assert told() == []
    assert recorded() == ["confirm", "unsubscribe"]


def test_an_old_confirmation_does_not_bring_back_who_left(now: datetime) -> None:
    subscriber_id = subscribe(now).id
    builders.confirm(subscriber_id, now, READER)
    subscriptions.unsubscribe(subscriber_id, now)
    assert not builders.confirm(subscriber_id, now, READER)
    assert told() == []


def test_who_left_may_come_back_at_once_by_a_new_confirmation(now: datetime) -> None:
    subscriber_id = subscribe(now).id
    builders.confirm(subscriber_id, now, READER)
    subscriptions.unsubscribe(subscriber_id, now)
    again = subscribe(now + timedelta(minutes=5))
    assert (again.id, again.state) == (subscriber_id, "pending")
    assert len(mailed()) == 2
    assert told() == []
    builders.confirm(subscriber_id, now + timedelta(minutes=6), READER)
    subscriber = known()
    assert (subscriber.confirmed_at, subscriber.unsubscribed_at) == (now + timedelta(minutes=6), None)
    assert told() == ["ada@example.com"]


def test_what_a_browser_says_of_itself_is_cut_to_what_is_kept(now: datetime) -> None:
    talker = Browser("1" * 100, "x" * 5_000)
    builders.confirm(subscribe(now, browser=talker).id, now, talker)
    subscriber = known()
    assert (len(subscriber.request_ip), len(subscriber.request_user_agent)) == (45, 200)
    assert (len(subscriber.confirm_ip), len(subscriber.confirm_user_agent)) == (45, 200)


def test_a_bad_address_is_refused_and_nothing_is_kept(now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        builders.asked(now, "ada@example.com, grace@example.com")
    assert set(broken.value.errors) == {"email"}
    assert db.session.scalars(select(Subscriber)).all() == []
    assert mailed() == []


def test_nobody_by_this_id_is_said_plainly(now: datetime) -> None:
    with pytest.raises(NotFound):
        builders.confirm("nosuchthing0", now, READER)
    with pytest.raises(NotFound):
        subscriptions.unsubscribe("nosuchthing0", now)


@given(st.text(max_size=300) | st.builds("{}@{}".format, st.text(max_size=30), st.text(max_size=30)) | st.emails())
def test_whatever_is_typed_is_one_plain_address_or_refused(typed: str) -> None:
    try:
        address = check_email(typed)
    except RuleBroken:
        return
    assert len(address) <= 254
    assert address.count("@") == 1
    assert not set(address) & set(' \r\n\t,;:<>()[]"\\')
    assert address.isascii()
    assert address.isprintable()
    assert check_email(address) == address
