"""What the mail provider reports: each report once, for the right mail, in any order."""

import contextvars
import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from statuspage.actions.receipts import take_events
from statuspage.db import db
from statuspage.models import AuditEntry, Delivery, ProviderEvent, SoftBounce, Subscriber, Suppression
from statuspage.rules.deliveries import DeliveryState
from statuspage.rules.vocabulary import SubscriptionMethod
from tests.events import customer, delivery, event, row_of, state_of, subscriber, suppressions

ADA = "Ada@example.com"
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)

pytestmark = pytest.mark.usefixtures("app")


def kept() -> list[ProviderEvent]:
    db.session.rollback()
    return list(db.session.scalars(select(ProviderEvent).order_by(ProviderEvent.id)))


def state_of_subscriber(subscriber_id: str) -> str:
    db.session.rollback()
    return db.session.get_one(Subscriber, subscriber_id, populate_existing=True).state


def test_the_states_are_those_that_the_table_allows() -> None:
    named = {value for name, value in vars(Delivery).items() if name.isupper() and isinstance(value, str)}
    assert named == {state.value for state in DeliveryState}


# --- what became of a mail --------------------------------------------------


@pytest.mark.parametrize(
    ("before", "name", "about", "after", "error"),
    [
        ("submitted", "processed", {}, "submitted", ""),
        ("submitted", "delivered", {"response": "250 OK"}, "delivered", ""),
        ("submitted", "deferred", {"response": "450 later"}, "submitted", "450 later"),
        ("submitted", "bounce", {"type": "bounce", "reason": "550 5.1.1 no"}, "bounced", "550 5.1.1 no"),
        ("submitted", "bounce", {"type": "blocked", "reason": "550 5.7.1"}, "bounced", "550 5.7.1"),
        ("submitted", "dropped", {"reason": "Bounced Address"}, "dropped", "Bounced Address"),
        ("delivered", "spamreport", {}, "complained", ""),
        ("submitted", "open", {}, "submitted", ""),
        ("unknown", "processed", {}, "submitted", ""),
        ("dead", "processed", {}, "submitted", ""),
        ("leased", "delivered", {}, "delivered", ""),
        ("cancelled", "delivered", {}, "delivered", ""),
        ("superseded", "processed", {}, "submitted", ""),
    ],
)
def test_a_report_moves_its_mail_on(
    before: str, name: str, about: dict[str, str], after: str, error: str, now: datetime
) -> None:
    mail = delivery(ADA, now, before, error="went missing" if before in ("unknown", "dead") else "")
    assert take_events([event(name, mail, "ada@EXAMPLE.com", now, **about)], now) == 1
    row = row_of(mail)
    assert (row.state, row.error) == (after, error)
    assert row.receipt_at == (now if name != "open" else None)
    assert (row.settled_at is None) == (before == after)


def test_a_mail_that_waits_to_be_sent_again_is_not_sent_once_it_proves_to_have_been_taken(now: datetime) -> None:
    mail = delivery(ADA, now, Delivery.QUEUED, was_unknown=True, attempts=2)
    take_events([event("processed", mail, ADA, now)], now)
    assert state_of(mail) == "submitted"


def test_who_waits_too_long_for_a_worker_gives_way_and_comes_again(now: datetime) -> None:
    mail = delivery(ADA, now)
    if db.engine.dialect.name == "sqlite":
        # One writer at a time: nobody waits in a circle.
        return
    db.session.rollback()
    with db.engine.connect() as other:
        other.execute(select(Delivery.id).where(Delivery.id == mail).with_for_update())
        with pytest.raises(OperationalError, match="lock timeout"):
            take_events([event("delivered", mail, ADA, now)], now)
    assert take_events([event("delivered", mail, ADA, now)], now) == 1
    assert state_of(mail) == "delivered"


@pytest.mark.parametrize("batch", ["", "claimed00000"])
@pytest.mark.parametrize("state", ["queued", "cancelled"])
def test_a_mail_that_was_never_handed_over_is_nobodys_business(state: str, batch: str, now: datetime) -> None:
    mail = delivery(ADA, now, state, attempts=0, batch=batch)
    take_events([event(name, mail, ADA, now, sp_chunk="") for name in ("delivered", "spamreport")], now)
    assert state_of(mail) == state
    assert suppressions() == {}


def test_every_order_of_a_mails_events_ends_the_same(now: datetime) -> None:
    names = ["processed", "deferred", "delivered", "spamreport"]
    for order in itertools.permutations(names):
        mail = delivery(ADA, now)
        for name in order:
            take_events([event(name, mail, ADA, now + names.index(name) * SECOND)], now + DAY)
        assert state_of(mail) == "complained", order


def test_a_late_bounce_stays_and_a_late_deferral_leaves_no_error(now: datetime) -> None:
    mail = delivery(ADA, now)
    take_events([event("delivered", mail, ADA, now), event("deferred", mail, ADA, now, response="450")], now)
    assert (state_of(mail), row_of(mail).error) == ("delivered", "")
    take_events([event("bounce", mail, ADA, now + SECOND, type="bounce", reason="550")], now + DAY)
    take_events([event("delivered", mail, ADA, now + 2 * SECOND)], now + DAY)
    assert (state_of(mail), row_of(mail).error) == ("bounced", "550")
    assert row_of(mail).receipt_at == now + 2 * SECOND


# --- each report once -------------------------------------------------------


def test_a_report_that_comes_again_under_another_id_counts_once(now: datetime) -> None:
    mail = delivery(ADA, now)
    soft = event("bounce", mail, ADA, now, type="blocked", reason="full")
    assert take_events([soft], now) == 1
    assert take_events([soft | {"sg_event_id": "second"}, soft | {"sg_event_id": "third"}], now) == 0
    assert len(kept()) == 1
    assert db.session.scalars(select(SoftBounce.count)).all() == [1]


def test_the_same_report_twice_in_one_post_counts_once(now: datetime) -> None:
    mail = delivery(ADA, now)
    assert take_events([event("delivered", mail, ADA, now)] * 3, now) == 1
    assert len(kept()) == 1


def test_a_report_about_no_mail_of_ours_is_told_apart_by_its_message(now: datetime) -> None:
    one, other = (event("delivered", None, ADA, now, sg_message_id=name) for name in ("a", "b"))
    assert take_events([one, other, one], now) == 2


def test_the_same_events_posted_at_once_have_one_effect(app: Flask, now: datetime) -> None:
    people = [f"p{number}@example.com" for number in range(40)]
    mails = [delivery(address, now) for address in people]
    events = [
        event("bounce", mail, address, now, type=kind, reason="no")
        for mail, address in zip(mails, people, strict=True)
        for kind in ("blocked", "bounce")
    ]
    db.session.remove()
    counts: list[int] = []
    start = threading.Barrier(4)

    def post(some: list[dict[str, Any]]) -> None:
        with app.app_context():
            start.wait()
            while True:
                try:
                    counts.append(take_events(some, now))
                except OperationalError as error:
                    # On a machine with much to do another holds the rows for half a second: the provider comes again.
                    assert "lock timeout" in str(error)  # noqa: PT017  Anything else fails the count below.
                else:
                    return

    threads = [
        threading.Thread(target=contextvars.Context().run, args=(post, events if number % 2 else events[::-1]))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == len(events) == len(kept())
    assert suppressions() == dict.fromkeys(people, "bounce")
    assert set(db.session.scalars(select(SoftBounce.count))) == {1}


def test_a_thousand_events_are_taken_in_one_post(now: datetime) -> None:
    mails = [delivery(f"p{number}@example.com", now) for number in range(20)]
    events = [
        event("deferred", mails[number % 20], f"p{number % 20}@example.com", now - number * SECOND)
        for number in range(1_000)
    ]
    assert take_events(events, now) == 1_000
    assert take_events(events, now) == 0


# --- whose mail it is -------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"sp_d": "999999999999"},
        {"sp_d": "9" * 30},
        {"sp_d": ""},
        {"sp_d": "1e3"},
        {"sp_d": True},
        {"sp_d": ["1"]},
        {"sp_d": None},
        {"email": "eve@example.com"},
        {"email": None},
        {"email": "\0\ud800"},
        {"sp_chunk": "otherbatch00"},
    ],
)
def test_a_report_about_no_mail_of_ours_is_kept_and_changes_nothing(changes: dict[str, Any], now: datetime) -> None:
    someone = subscriber(ADA, now)
    mail = delivery(ADA, now, subscriber_id=someone)
    for name in ("spamreport", "bounce", "unsubscribe"):
        assert take_events([event(name, mail, ADA, now) | changes], now) == 1
    assert state_of(mail) == "submitted"
    assert state_of_subscriber(someone) == Subscriber.ACTIVE
    assert suppressions() == {}
    assert [row.delivery_id for row in kept()] == [None] * 3


def test_an_earlier_batch_counts_where_its_answer_went_missing(now: datetime) -> None:
    mail = delivery(ADA, now, was_unknown=True, batch="secondbatch0")
    take_events([event("delivered", mail, ADA, now, sp_chunk="firstbatch00")], now)
    assert state_of(mail) == "delivered"


def test_a_report_without_a_batch_goes_by_number_and_address(now: datetime) -> None:
    mail = delivery(ADA, now)
    told = event("delivered", mail, ADA, now)
    del told["sp_chunk"]
    take_events([told], now)
    assert state_of(mail) == "delivered"


@pytest.mark.parametrize(
    "odd",
    [
        None,
        1,
        "text \0 \ud800",
        [[[]]],
        {},
        {"event": None, "email": 7, "timestamp": "yesterday"},
        {"event": "x" * 5_000, "email": "x" * 5_000, "timestamp": 1e300, "reason": {"a": 1}},
        {"event": "delivered", "timestamp": float("nan")},
        {"event": "delivered", "timestamp": -1, "reason": "\0 \udfff " * 500},
        {"event": "delivered", "timestamp": 10**400},
    ],
)
def test_what_can_not_be_read_is_kept_too(odd: object, now: datetime) -> None:
    assert take_events([odd], now) == 1
    assert take_events([odd], now) == 0
    (row,) = kept()
    assert (row.delivery_id, row.occurred_at) == (None, now)


def test_an_odd_event_does_not_keep_the_others_out(now: datetime) -> None:
    mail = delivery(ADA, now)
    deep: Any = json.loads("[" * 500 + "]" * 500)
    take_events([None, deep, event("delivered", mail, ADA, now), {"sp_d": str(mail)}], now)
    assert state_of(mail) == "delivered"


def test_a_report_from_the_future_happened_now(now: datetime) -> None:
    mail = delivery(ADA, now)
    take_events([event("delivered", mail, ADA, now + DAY)], now)
    assert row_of(mail).receipt_at == now
    assert kept()[0].occurred_at == now.astimezone(UTC)


# --- addresses that must be left alone --------------------------------------


@pytest.mark.parametrize(
    ("name", "about", "expected"),
    [
        ("bounce", {"type": "bounce", "reason": "550 5.1.1 unknown"}, "bounce"),
        ("bounce", {"type": "blocked", "reason": "550 5.7.1"}, None),
        ("deferred", {"response": "450"}, None),
        ("spamreport", {}, "complaint"),
        ("dropped", {"reason": "Bounced Address"}, "bounce"),
        ("dropped", {"reason": "Invalid"}, "bounce"),
        ("dropped", {"reason": "Spam Reporting Address"}, "complaint"),
        ("dropped", {"reason": "Unsubscribed Address"}, None),
        ("dropped", {"reason": "Recipient List over Package Quota"}, None),
        ("group_unsubscribe", {}, None),
        ("delivered", {}, None),
    ],
)
def test_which_reports_leave_an_address_alone(
    name: str, about: dict[str, str], expected: str | None, now: datetime
) -> None:
    mail = delivery(ADA, now)
    take_events([event(name, mail, ADA, now, **about)], now)
    assert suppressions().get("ada@example.com") == expected


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("spamreport", {}),
        ("unsubscribe", {}),
        ("group_unsubscribe", {}),
        ("dropped", {"reason": "Unsubscribed Address"}),
        ("dropped", {"reason": "Spam Reporting Address"}),
    ],
)
def test_whoever_complains_or_unsubscribes_at_the_provider_gets_no_more(
    name: str, about: dict[str, str], now: datetime
) -> None:
    someone, other = subscriber(ADA, now), subscriber("bob@example.com", now)
    hook = subscriber(ADA, now, method=SubscriptionMethod.WEBHOOK, endpoint="https://x.example/")
    mail = delivery(ADA, now, subscriber_id=someone)
    waiting = [delivery(ADA, now, state, subscriber_id=someone) for state in (Delivery.QUEUED, Delivery.UNKNOWN)]
    others = [
        delivery("bob@example.com", now, Delivery.QUEUED, subscriber_id=other),
        delivery(hook, now, Delivery.QUEUED, subscriber_id=hook, lane=3),
    ]
    take_events([event(name, mail, ADA, now, **about)], now)
    assert state_of_subscriber(someone) == Subscriber.UNSUBSCRIBED
    assert [state_of(each) for each in waiting] == ["cancelled", "cancelled"]
    assert [state_of(each) for each in others] == ["queued", "queued"]
    assert state_of_subscriber(hook) == state_of_subscriber(other) == Subscriber.ACTIVE
    assert db.session.scalars(select(AuditEntry.action)).all() == ["unsubscribe"]


def test_a_bounce_cancels_what_waits_for_the_address_customers_mail_too_and_ends_no_subscription(
    now: datetime,
) -> None:
    someone, buyer = subscriber(ADA, now), customer(ADA, now)
    mail = delivery(ADA, now, subscriber_id=someone)
    waiting = delivery(ADA, now, Delivery.QUEUED, subscriber_id=someone)
    to_customer = delivery(ADA, now, Delivery.QUEUED, customer_id=buyer, attempts=0, batch="")
    leased = delivery(ADA, now, Delivery.LEASED, subscriber_id=someone)
    take_events([event("bounce", mail, ADA, now, type="bounce")], now)
    assert [state_of(each) for each in (waiting, to_customer, leased)] == ["cancelled", "cancelled", "leased"]
    assert state_of_subscriber(someone) == Subscriber.ACTIVE


def test_old_news_of_an_unsubscription_does_not_end_a_newer_subscription(now: datetime) -> None:
    someone = subscriber(ADA, now, confirmed_at=now)
    mail = delivery(ADA, now, subscriber_id=someone)
    take_events([event("unsubscribe", mail, ADA, now - DAY)], now)
    assert state_of_subscriber(someone) == Subscriber.ACTIVE
    take_events([event("unsubscribe", mail, ADA, now + SECOND)], now + DAY)
    assert state_of_subscriber(someone) == Subscriber.UNSUBSCRIBED


def soft(mail: int, at: datetime) -> dict[str, Any]:
    return event("bounce", mail, ADA, at, type="blocked", reason="552 5.2.2 full")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([0, 2, 4, 6, 7], True),
        ([0, 2, 4, 6], False),
        ([0, 1, 2, 3, 4, 5, 6], False),
        ([0, 0.1, 0.2, 0.3, 0.4, 8], True),
        ([7, 6, 4, 2, 0], True),
    ],
)
def test_refusals_that_may_pass_count_in_a_row_over_a_week(days: list[float], expected: bool, now: datetime) -> None:
    one, other = delivery(ADA, now), delivery("bob@example.com", now)
    for day in days:
        take_events([soft(one, now + day * DAY)], now + 9 * DAY)
    take_events([soft(other, now + day * DAY) | {"email": "bob@example.com"} for day in days], now + 9 * DAY)
    assert suppressions() == (dict.fromkeys(("ada@example.com", "bob@example.com"), "bounce") if expected else {})
    assert db.session.scalar(select(func.count()).select_from(SoftBounce)) == (0 if expected else 2)


def test_a_mail_that_arrives_in_between_starts_the_count_anew(now: datetime) -> None:
    mail = delivery(ADA, now)
    days: list[float] = [0, 2, 4, 6]
    take_events([soft(mail, now + day * DAY) for day in days], now + 9 * DAY)
    # Older than the last refusal: it tells nothing.
    take_events([event("delivered", mail, ADA, now + DAY)], now + 9 * DAY)
    assert db.session.scalars(select(SoftBounce.count)).all() == [4]
    take_events([event("delivered", mail, ADA, now + 6.5 * DAY), soft(mail, now + 8 * DAY)], now + 9 * DAY)
    assert suppressions() == {}
    assert db.session.scalars(select(SoftBounce.count)).all() == [1]


def test_a_complaint_outweighs_a_bounce_whichever_comes_first(now: datetime) -> None:
    for names in (("bounce", "spamreport"), ("spamreport", "bounce")):
        address = f"{names[0]}@example.com"
        mail = delivery(address, now)
        for name in names:
            take_events([event(name, mail, address, now)], now)
        assert suppressions()[address] == "complaint"
    together = delivery(ADA, now)
    take_events([event(name, together, ADA, now) for name in ("spamreport", "bounce")], now)
    assert suppressions()["ada@example.com"] == "complaint"
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 3
