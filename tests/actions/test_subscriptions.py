"""Subscribing, confirming and unsubscribing: what is kept, what is mailed, who is told."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from statuspage.actions import audiences, components, subscriptions
from statuspage.actions.people import Browser, check_email
from statuspage.actions.subscriptions import SignUp
from statuspage.db import db, transaction
from statuspage.models import Announcement, AuditEntry, Delivery, Subscriber, Suppression
from statuspage.rules.subscriptions import Choice, suppression_keys
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    NotFound,
    RuleBroken,
    SubscriptionKind,
    SubscriptionMethod,
    Visibility,
)
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
    query = select(Delivery.address).join(Delivery.announcement).where(Announcement.kind == "confirm_subscription")
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


HOOK = "https://hooks.example.com/updates"


def letters() -> list[tuple[str, str]]:
    """Kind and address of every mail to one person, in their order."""
    db.session.rollback()
    query = select(Announcement.kind, Announcement.address).where(Announcement.audience == "address")
    return [(row.kind, row.address) for row in db.session.execute(query.order_by(Announcement.id))]


def suppress(key: str, reason: str, now: datetime) -> None:
    with transaction(now) as session:
        session.add(Suppression(address_key=key, reason=reason, created_at=now))


@pytest.fixture
def incident_id(now: datetime) -> str:
    """An open incident that the public was told about."""
    builders.page(now)
    by = builders.account(now)
    return builders.acknowledged(by, {builders.component(now): ComponentState.OUTAGE}, now)


def test_a_pending_request_keeps_the_latest_choice_and_where_it_came_from(now: datetime) -> None:
    builders.page(now)
    sign_in, billing = builders.component(now, "Sign-in"), builders.component(now, "Billing")
    builders.asked(now, choice=Choice(frozenset({sign_in})))
    later = now + timedelta(minutes=5)
    second = Choice(frozenset({billing}), frozenset({SubscriptionKind.COMPONENT_CHANGES}))
    builders.asked(later, choice=second, browser=Browser("203.0.113.9", "another"))
    subscriber = known()
    assert subscriptions.choice_of(subscriber) == second
    assert (subscriber.requested_at, subscriber.request_ip) == (later, "203.0.113.9")
    assert (subscriber.source, subscriber.form_version) == ("form", subscriptions.FORM_VERSION)
    assert len(mailed()) == 1


def test_the_link_that_was_confirmed_with_is_kept_as_a_hash(now: datetime) -> None:
    builders.confirm(subscribe(now).id, now, READER, "the.mailed.token")
    assert known().confirm_token_hash == hashlib.sha256(b"the.mailed.token").hexdigest()


def test_a_stranger_changes_nothing_of_who_is_subscribed_and_the_owner_is_mailed_the_settings(now: datetime) -> None:
    builders.page(now)
    component_id = builders.component(now)
    builders.subscribed(now)
    later = now + timedelta(hours=2)
    builders.asked(later, choice=Choice(frozenset({component_id})), browser=Browser("203.0.113.9", "a stranger"))
    subscriber = known()
    assert subscriptions.choice_of(subscriber) == Choice()
    assert (subscriber.state, subscriber.requested_at, subscriber.request_ip) == ("active", now, "192.0.2.1")
    assert letters() == [("confirm_subscription", "ada@example.com"), ("subscription_settings", "ada@example.com")]


@pytest.mark.parametrize("state", ["new", "pending", "active", "unsubscribed"])
def test_who_follows_one_incident_hears_of_it_and_keeps_what_was_chosen(
    state: str, incident_id: str, now: datetime
) -> None:
    if state != "new":
        subscriber_id = builders.asked(now)
        if state != "pending":
            builders.confirm(subscriber_id, now)
        if state == "unsubscribed":
            subscriptions.unsubscribe(subscriber_id, now)
    later = now + timedelta(hours=2)
    subscriber_id = builders.asked(later, incident_id=incident_id)
    kind, _ = letters()[-1]
    if state == "active":
        assert kind == "confirm_follow"
        assert subscriptions.followed_by(subscriber_id) == []
        assert subscriptions.follow(subscriber_id, incident_id, later)
        assert subscriptions.follow(subscriber_id, incident_id, later)
        assert recorded().count("follow") == 1
    else:
        assert kind == "confirm_subscription"
        assert builders.confirm(subscriber_id, later)
    assert subscriptions.followed_by(subscriber_id) == [(incident_id, "Sign-in fails")]
    keeps_all = state in ("pending", "active")
    assert (subscriptions.choice_of(known()).component_ids is None) == keeps_all
    subscriptions.unfollow(subscriber_id, incident_id, later)
    assert subscriptions.followed_by(subscriber_id) == []


def test_who_asks_again_for_an_incident_that_is_followed_is_mailed_the_settings(
    incident_id: str, now: datetime
) -> None:
    builders.subscribed(now, incident_id=incident_id)
    builders.asked(now + timedelta(hours=2), incident_id=incident_id)
    assert letters()[-1][0] == "subscription_settings"


def test_who_left_and_comes_back_begins_afresh(incident_id: str, now: datetime) -> None:
    subscriber_id = builders.subscribed(now, incident_id=incident_id)
    subscriptions.unsubscribe(subscriber_id, now)
    builders.asked(now + timedelta(hours=2))
    assert subscriptions.followed_by(subscriber_id) == []
    assert subscriptions.choice_of(known()) == Choice()


def test_an_incident_is_followed_only_by_who_is_subscribed(incident_id: str, now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    subscriptions.unsubscribe(subscriber_id, now)
    assert not subscriptions.follow(subscriber_id, incident_id, now)
    assert subscriptions.followed_by(subscriber_id) == []


@pytest.mark.parametrize("about", [{"visibility": Visibility.INTERNAL}, {"visibility": Visibility.DRILL}, {}])
def test_what_readers_do_not_see_can_not_be_followed(about: dict[str, Visibility], now: datetime) -> None:
    builders.page(now)
    states = {builders.component(now): ComponentState.OUTAGE}
    hidden = builders.declared(builders.account(now), states, now, **about)
    for incident_id in (hidden, "nosuchthing0"):
        with pytest.raises(NotFound):
            builders.asked(now, incident_id=incident_id)
    assert letters() == []


def test_one_mailbox_gets_one_mail_an_hour_and_three_a_day_however_it_is_spelled(now: datetime) -> None:
    spellings = ["ada@example.com", "a.da@example.com", "ADA+x@example.com", "ada+y@example.com", "a.d.a@example.com"]
    for minutes in range(0, 24 * 60, 20):
        builders.asked(now + timedelta(minutes=minutes), spellings[minutes // 20 % 5])
    assert len(letters()) == 3
    builders.asked(now + timedelta(days=1, minutes=1))
    assert len(letters()) == 4


@pytest.mark.postgresql
def test_a_hundred_requests_at_once_send_one_mail(app: Flask, now: datetime) -> None:
    def ask(number: int) -> None:
        with app.app_context():
            builders.asked(now, f"ada+{number}@example.com", browser=Browser(f"198.51.100.{number}", ""))
            db.session.remove()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(100)))
    assert len(letters()) == 1


@pytest.mark.parametrize("by_hash", [False, True])
@pytest.mark.parametrize("state", ["new", "pending", "active"])
def test_who_complained_is_never_mailed_again(state: str, by_hash: bool, now: datetime) -> None:
    if state != "new":
        (builders.asked if state == "pending" else builders.subscribed)(now)
    before = letters()
    suppress(suppression_keys("ada@example.com", builders.SECRET_KEYS)[by_hash], "complaint", now)
    later = now + timedelta(hours=2)
    for number, endpoint in enumerate(("", HOOK)):
        method = SubscriptionMethod.WEBHOOK if endpoint else SubscriptionMethod.EMAIL
        wanted = SignUp("Ada@example.com", method=method, endpoint=endpoint)
        subscriptions.subscribe(wanted, ASKER, builders.SECRET_KEYS, later + timedelta(hours=number))
    assert letters() == before


@pytest.mark.parametrize("by_hash", [False, True])
def test_an_address_that_bounced_is_mailed_and_freed_by_confirming(by_hash: bool, now: datetime) -> None:
    suppress(suppression_keys("ada@example.com", builders.SECRET_KEYS)[by_hash], "bounce", now)
    suppress("grace@example.com", "bounce", now)
    subscriber_id = builders.asked(now)
    assert letters() == [("confirm_subscription", "ada@example.com")]
    builders.confirm(subscriber_id, now)
    assert db.session.scalars(select(Suppression.address_key).where(Suppression.lifted_at.is_(None))).all() == [
        "grace@example.com"
    ]


def test_an_endpoint_is_confirmed_by_its_owners_mail_and_signs_with_a_secret(now: datetime) -> None:
    subscriber_id = builders.asked(now, method=SubscriptionMethod.WEBHOOK, endpoint=HOOK)
    subscriber = known()
    assert (subscriber.id, subscriber.endpoint, subscriber.state) == (subscriber_id, HOOK, "pending")
    assert letters() == [("confirm_subscription", "ada@example.com")]
    assert 24 <= len(base64.b64decode(subscriber.secret.removeprefix("whsec_"), validate=True)) <= 64
    builders.confirm(subscriber_id, now)
    assert told() == [subscriber_id]
    first = known().secret
    later = now + timedelta(days=3)
    subscriptions.make_secret(subscriber_id, later)
    subscriber = known()
    assert (subscriber.previous_secret, subscriber.secret_changed_at) == (first, later)
    assert subscriber.secret not in ("", first)


def test_only_webhooks_have_secrets(now: datetime) -> None:
    room = builders.subscribed(now, method=SubscriptionMethod.SLACK, endpoint="https://hooks.slack.com/services/x")
    assert known().secret == ""
    with pytest.raises(Conflict):
        subscriptions.make_secret(room, now)


def test_an_address_and_its_endpoints_are_subscriptions_of_their_own(now: datetime) -> None:
    for minutes, (method, endpoint) in enumerate(
        [
            (SubscriptionMethod.EMAIL, ""),
            (SubscriptionMethod.WEBHOOK, HOOK),
            (SubscriptionMethod.WEBHOOK, HOOK + "/2"),
            (SubscriptionMethod.WEBHOOK, HOOK),
        ]
    ):
        builders.asked(now + timedelta(minutes=minutes), method=method, endpoint=endpoint)
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == 3


def test_one_endpoint_is_signed_up_five_times_at_most(now: datetime) -> None:
    hook = {"method": SubscriptionMethod.WEBHOOK, "endpoint": HOOK}
    ids = [builders.asked(now, f"owner{number}@example.com", **hook) for number in range(5)]
    with pytest.raises(RuleBroken) as broken:
        builders.asked(now, "owner5@example.com", **hook)
    assert set(broken.value.errors) == {"endpoint"}
    builders.asked(now, "owner4@example.com", **hook)
    subscriptions.unsubscribe(ids[0], now)
    builders.asked(now, "owner5@example.com", **hook)


def test_everything_that_is_wrong_is_said_at_once(now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        builders.asked(now, "nobody", method=SubscriptionMethod.WEBHOOK, endpoint="http://127.0.0.1/")
    assert set(broken.value.errors) == {"email", "endpoint"}


@pytest.mark.parametrize("ids", [{"nosuchthing0"}, {"-1"}, {f"{number:012}" for number in range(10_000)}])
def test_components_that_are_not_on_the_page_can_not_be_chosen(ids: set[str], now: datetime) -> None:
    builders.page(now)
    component_id, archived = builders.component(now), builders.component(now, "Old")
    components.archive_component(archived, builders.account(now), now)
    subscriber_id = builders.subscribed(now, "bea@example.com")
    for choice in (Choice(frozenset(ids)), Choice(frozenset(ids | {component_id})), Choice(frozenset({archived}))):
        for act in (
            lambda each: builders.asked(now, choice=each),
            lambda each: subscriptions.change(subscriber_id, each, now),
        ):
            with pytest.raises(RuleBroken) as broken:
                act(choice)
            assert set(broken.value.errors) == {"components"}
    assert len(letters()) == 1


def test_what_somebody_gets_can_be_changed_and_only_while_subscribed(now: datetime) -> None:
    builders.page(now)
    component_id = builders.component(now)
    subscriber_id = builders.asked(now)
    wanted = Choice(frozenset({component_id}), frozenset({SubscriptionKind.MAINTENANCE}))
    with pytest.raises(Conflict):
        subscriptions.change(subscriber_id, wanted, now)
    builders.confirm(subscriber_id, now)
    for choice in (wanted, Choice(), wanted):
        subscriptions.change(subscriber_id, choice, now)
        assert subscriptions.choice_of(known()) == choice
    subscriptions.unsubscribe(subscriber_id, now)
    with pytest.raises(Conflict):
        subscriptions.change(subscriber_id, Choice(), now)


def test_nothing_but_incidents_is_a_choice_for_who_follows_one(incident_id: str, now: datetime) -> None:
    subscriber_id = builders.subscribed(now)
    nothing = Choice(frozenset())
    with pytest.raises(RuleBroken) as broken:
        subscriptions.change(subscriber_id, nothing, now)
    assert set(broken.value.errors) == {"components"}
    subscriptions.follow(subscriber_id, incident_id, now)
    subscriptions.change(subscriber_id, nothing, now)
    assert subscriptions.choice_of(known()) == nothing


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
