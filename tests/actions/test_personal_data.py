"""What we hold about a subscriber: shown, erased, and forgotten where nobody confirmed."""

import json
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import String, cast, or_, select

from statuspage.actions import audiences, customers, personal_data, subscriptions
from statuspage.db import Base, db, transaction
from statuspage.delivery import announcements
from statuspage.models import (
    Announcement,
    Delivery,
    ProviderEvent,
    SoftBounce,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.rules.subscriptions import Choice, suppression_keys
from statuspage.rules.vocabulary import ComponentState, NotFound, SubscriptionMethod
from tests import builders

ADA = "ada@example.com"
HOOK = "https://hooks.example.com/updates"


@pytest.fixture(autouse=True)
def _page(app: Flask, now: datetime) -> None:
    builders.page(now)


def told(now: datetime) -> str:
    """Return the id of an incident that all subscribers have a delivery of."""
    by = builders.account(now)
    made = builders.acknowledged(by, {builders.component(now, "Search"): ComponentState.OUTAGE}, now)
    while announcements.expand(audiences.audience, now):
        pass
    return made


def rows_that_name(text: str) -> set[str]:
    """Tables in which any column still holds a text."""
    db.session.rollback()
    found = set()
    for table in Base.metadata.sorted_tables:
        holds = or_(*(cast(column, String).contains(text) for column in table.columns))
        if db.session.execute(select(table).where(holds)).first() is not None:
            found.add(table.name)
    return found


def fresh(subscriber_id: str) -> Subscriber | None:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get(Subscriber, subscriber_id)


def reported(subscriber_id: str, now: datetime) -> None:
    """The provider said something about the subscriber's mail, with the address in it."""
    with transaction(now) as session:
        delivery = session.scalars(select(Delivery).where(Delivery.subscriber_id == subscriber_id)).first()
        assert delivery is not None
        delivery.error = f"<{ADA}>: greylisted"
        session.add(
            ProviderEvent(
                event_key="k", delivery_id=delivery.id, event="deferred", detail=f"<{ADA}>", occurred_at=now,
                received_at=now,
            )
        )  # fmt: skip


def test_the_download_holds_everything(now: datetime) -> None:
    component_id = builders.component(now, "Sign-in")
    subscriber_id = builders.subscribed(now, choice=Choice(frozenset({component_id})))
    subscriptions.follow(subscriber_id, told(now), now)
    data = json.loads(json.dumps(personal_data.own_data(subscriber_id)))
    assert set(data["subscription"]) == {column.key for column in Subscriber.__table__.columns}
    assert data["subscription"]["email"] == ADA
    assert data["subscription"]["confirm_ip"] == "192.0.2.1"
    assert (data["components"], data["kinds"]) == (["Sign-in"], ["incidents", "maintenance"])
    assert [each["title"] for each in data["incidents_followed"]] == ["Sign-in fails"]
    (delivery,) = data["deliveries"]
    assert (delivery["kind"], delivery["state"], delivery["address"]) == ("confirm_subscription", "queued", ADA)
    with pytest.raises(NotFound):
        personal_data.own_data("nosuchthing0")


@pytest.mark.parametrize("method", [SubscriptionMethod.EMAIL, SubscriptionMethod.WEBHOOK])
def test_after_an_erasure_no_table_names_the_address(method: SubscriptionMethod, now: datetime) -> None:
    endpoint = "" if method is SubscriptionMethod.EMAIL else HOOK
    subscriber_id = builders.subscribed(now, method=method, endpoint=endpoint)
    told(now)
    reported(subscriber_id, now)
    assert rows_that_name(ADA) >= {"subscribers", "announcements", "deliveries", "provider_events"}
    later = now + timedelta(hours=1)
    personal_data.erase(subscriber_id, builders.SECRET_KEYS, later)
    for text in (ADA, "hooks.example.com", "192.0.2.1", "whsec_"):
        assert rows_that_name(text) == set(), text
    subscriber = fresh(subscriber_id)
    assert subscriber is not None
    assert (subscriber.state, subscriber.unsubscribed_at, subscriber.confirmed_at) == ("erased", later, now)
    rows = db.session.scalars(select(Delivery).where(Delivery.subscriber_id == subscriber_id)).all()
    assert [(row.state, row.settled_at) for row in rows] == [("cancelled", later)] * 2
    with pytest.raises(NotFound):
        personal_data.erase(subscriber_id, builders.SECRET_KEYS, later)


def test_two_can_be_erased_from_one_announcement_and_others_stay(now: datetime) -> None:
    ids = [builders.subscribed(now, f"reader{number}@example.com") for number in range(3)]
    told(now)
    for subscriber_id in ids[:2]:
        personal_data.erase(subscriber_id, builders.SECRET_KEYS, now)
    assert rows_that_name("reader2@example.com") == {"subscribers", "announcements", "deliveries"}
    query = select(Delivery.address).join(Delivery.announcement).where(Announcement.audience == "subscribers")
    assert set(db.session.scalars(query)) == {*ids[:2], "reader2@example.com"}


def test_what_was_erased_stays_ended_and_may_come_back_as_somebody_new(now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    personal_data.erase(subscriber_id, builders.SECRET_KEYS, now)
    for act in (
        lambda: builders.confirm(subscriber_id, now),
        lambda: subscriptions.unsubscribe(subscriber_id, now),
        lambda: subscriptions.change(subscriber_id, Choice(), now),
        lambda: personal_data.own_data(subscriber_id),
    ):
        with pytest.raises(NotFound):
            act()
    again = builders.subscribed(now)
    assert again != subscriber_id
    subscriber = fresh(again)
    assert subscriber is not None
    assert subscriber.state == "active"


@pytest.mark.parametrize("reason", ["bounce", "complaint"])
def test_an_erased_address_that_must_be_left_alone_stays_so_by_its_hash(reason: str, now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    with transaction(now) as session:
        session.add(Suppression(address_key=ADA, reason=reason, detail=f"<{ADA}> said no", created_at=now))
        session.add(SoftBounce(address_key=ADA, count=2, first_at=now, last_at=now))
    personal_data.erase(subscriber_id, builders.SECRET_KEYS, now)
    assert rows_that_name(ADA) == set()
    (kept,) = db.session.scalars(select(Suppression))
    assert (kept.address_key, kept.reason) == (suppression_keys(ADA, builders.SECRET_KEYS)[1], reason)
    # Known by the hash even after the key was changed.
    keys = ["another key that came after it", *builders.SECRET_KEYS]
    subscriptions.subscribe(subscriptions.SignUp(ADA), builders.READER, keys, now)
    mails = db.session.scalars(select(Announcement.address).where(Announcement.address != "")).all()
    assert mails == ([ADA] if reason == "bounce" else [])


@pytest.mark.parametrize("other", ["subscription", "customer"])
def test_a_suppression_that_somebody_else_still_needs_stays_in_the_open(other: str, now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    if other == "customer":
        builders.component(now)
        rows = customers.parse_customers(["email,components\n", "ADA@example.com,\n"]).rows
        assert [result.outcome for result in customers.import_customers(rows, now)] == ["created"]
    else:
        builders.asked(now, method=SubscriptionMethod.WEBHOOK, endpoint=HOOK)
    with transaction(now) as session:
        session.add(Suppression(address_key=ADA, reason="complaint", created_at=now))
    personal_data.erase(subscriber_id, builders.SECRET_KEYS, now)
    assert db.session.scalars(select(Suppression.address_key)).all() == [ADA]


@pytest.mark.parametrize(("days", "is_kept"), [(7, True), (7.01, False)])
def test_a_request_that_nobody_confirms_is_forgotten_after_a_week(days: float, is_kept: bool, now: datetime) -> None:
    component_id = builders.component(now)
    pending = builders.asked(now, "pending@example.com", Choice(frozenset({component_id})))
    active = builders.subscribed(now, "active@example.com")
    later = now + timedelta(days=days)
    assert not personal_data.forget_unconfirmed(later)
    assert (fresh(pending) is not None) == is_kept
    assert fresh(active) is not None
    assert ("deliveries" in rows_that_name("pending@example.com")) == is_kept
    if not is_kept:
        assert rows_that_name("pending@example.com") == set()
        assert db.session.scalars(select(SubscriberComponent)).all() == []
        rows = db.session.scalars(select(Delivery).order_by(Delivery.id)).all()
        assert [(row.state, row.subscriber_id) for row in rows] == [("cancelled", None), ("queued", active)]


def test_who_was_subscribed_before_and_only_asked_again_is_not_forgotten(now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    subscriptions.unsubscribe(subscriber_id, now)
    builders.asked(now + timedelta(days=1))
    personal_data.forget_unconfirmed(now + timedelta(days=9))
    subscriber = fresh(subscriber_id)
    assert subscriber is not None
    assert (subscriber.state, subscriber.confirmed_at, subscriber.unsubscribed_at) == ("unsubscribed", now, now)


def test_many_are_forgotten_a_few_at_a_time(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "FORGOTTEN_AT_ONCE", 2)
    for number in range(5):
        builders.asked(now, f"reader{number}@example.com")
    later = now + timedelta(days=8)
    assert [personal_data.forget_unconfirmed(later) for _ in range(3)] == [True, True, False]
    assert db.session.scalars(select(Subscriber)).all() == []
