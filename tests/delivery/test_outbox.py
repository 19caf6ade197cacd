"""The outbox: nothing lost, nothing twice, nobody who left."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from statuspage.actions import audiences, subscriptions
from statuspage.db import db, transaction
from statuspage.delivery import announcements, outbox
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import Announcement, Delivery, Subscriber, new_id
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import ComponentState, MessageKind, Visibility
from tests import builders
from tests.delivery.conftest import subscribed


def expand_all(now: datetime) -> None:
    while announcements.expand(audiences.audience, now):
        pass


def deliveries(kind: str = "incident_update") -> list[Delivery]:
    db.session.rollback()
    db.session.expire_all()
    query = select(Delivery).join(Delivery.announcement).where(Announcement.kind == kind).order_by(Delivery.id)
    return list(db.session.scalars(query))


def settle_confirmations(now: datetime) -> None:
    """Get the confirmation mails of the subscribers out of the way."""
    while (batch := outbox.claim("before", 500, now)) is not None:
        outbox.settle("before", [Receipt(each.id, Outcome.SUBMITTED) for each in batch.deliveries], now)


@pytest.fixture
def announced(incident_id: str, writer: str, now: datetime) -> list[str]:
    """Three subscribers, and an update that was announced and expanded to them."""
    ids = [subscribed(f"reader{number}@example.com", now) for number in range(3)]
    settle_confirmations(now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)
    expand_all(now)
    return ids


def test_every_active_subscriber_gets_one_delivery(announced: list[str], now: datetime) -> None:
    assert [row.subscriber_id for row in deliveries()] == sorted(announced)
    expand_all(now)
    assert len(deliveries()) == 3


def test_pending_and_unsubscribed_people_get_none(incident_id: str, writer: str, now: datetime) -> None:
    builders.asked(now, "pending@example.com")
    gone = subscribed("gone@example.com", now)
    subscriptions.unsubscribe(gone, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)
    expand_all(now)
    assert deliveries() == []


def test_many_subscribers_are_expanded_in_chunks(
    incident_id: str, writer: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "EXPANSION_CHUNK", 10)
    monkeypatch.setattr(announcements, "UNHURRIED_CHUNKS", 1)
    rows = [
        {"id": new_id(), **identity(f"r{number}@example.com"), "state": "active", "requested_at": now}
        for number in range(35)
    ]
    db.session.execute(insert(Subscriber), rows)
    db.session.commit()
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)
    steps = 0
    while announcements.expand(audiences.audience, now):
        steps += 1
    # Four of them and one that finds the end; and one more for the change of the component, which nobody wants to hear of.
    assert steps == 6
    assert len({row.address for row in deliveries()}) == 35


def test_a_claim_leases_and_nobody_else_gets_the_same(announced: list[str], now: datetime) -> None:
    first = outbox.claim("one", 2, now)
    second = outbox.claim("two", 2, now)
    assert first is not None
    assert second is not None
    assert len(first.deliveries) == 2
    assert len(second.deliveries) == 1
    assert outbox.claim("three", 2, now) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_for_work_does_not_read_what_was_delivered_long_ago(announced: list[str], now: datetime) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")) and "FROM deliveries" in statement:
            asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    assert outbox.claim("one", 2, now) is not None
    event.remove(db.engine, "before_cursor_execute", note)
    for statement, values in asked:
        plan = " ".join(
            row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        )
        assert "USING INDEX ix_deliveries_" in plan, statement
        assert "TEMP B-TREE" not in plan, statement
    # What has lapsed, one look at each lane, the lease, what it holds.
    assert len(asked) == 5


_MANY_MORE = """
    INSERT INTO deliveries (announcement_id, subscriber_id, address, lane, state, attempts, not_before, batch,
        lease_owner, was_unknown, error)
    SELECT announcement_id, 'r' || n, 'reader' || n || '@example.com', lane, state, attempts, not_before, '', '', false, ''
    FROM (SELECT * FROM deliveries ORDER BY id DESC LIMIT 1) AS one, generate_series(1, 5000) AS n
"""


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("then", ["queued", "submitted"])
def test_postgresql_passes_over_what_was_sent_whatever_its_statistics_say(
    announced: list[str], now: datetime, then: str
) -> None:
    with transaction(now) as session:
        session.execute(text(_MANY_MORE))
        ours = Delivery.lane == announcements.INCIDENT_LANE
        session.execute(update(Delivery).where(ours).values(state=then))
        session.execute(text("ANALYZE deliveries"))
        session.execute(update(Delivery).where(ours).values(state="queued"))
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    assert outbox.claim("one", 500, now) is not None
    event.remove(db.engine, "before_cursor_execute", note)
    plans = {}
    connection = db.session.connection()
    for statement, values in asked:
        if "ORDER BY deliveries." in statement:
            plans[statement] = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
        elif statement.startswith("SET LOCAL"):
            connection.exec_driver_sql(statement)
    assert len(plans) == 3
    for statement, plan in plans.items():
        assert re.search(r"Index Scan (Backward )?using ix_deliveries_due on deliveries", plan), f"{statement}\n{plan}"
        assert "Sort" not in plan, plan


def test_what_was_handed_over_is_never_claimed_again(announced: list[str], now: datetime) -> None:
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    outbox.settle("one", [Receipt(each.id, Outcome.SUBMITTED) for each in batch.deliveries], now)
    assert {row.state for row in deliveries()} == {"submitted"}
    assert outbox.claim("one", 10, now + timedelta(days=1)) is None


def test_an_unsubscribe_overtakes_the_queue(announced: list[str], now: datetime) -> None:
    subscriptions.unsubscribe(announced[0], now)
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    assert announced[0] not in [each.subscriber_id for each in batch.deliveries]
    assert sorted(row.state for row in deliveries()) == ["cancelled", "leased", "leased"]


def test_sign_up_mail_overtakes_incident_mail(announced: list[str], now: datetime) -> None:
    builders.asked(now, "new@example.com")
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    assert [each.address for each in batch.deliveries] == ["new@example.com"]


def test_a_worker_that_died_leaves_its_deliveries_unknown_then_tried_once_more(
    announced: list[str], now: datetime
) -> None:
    outbox.claim("dead", 10, now)
    assert outbox.claim("alive", 10, now + timedelta(seconds=119)) is None
    lapsed = now + timedelta(seconds=121)
    assert outbox.claim("alive", 10, lapsed) is None
    assert {(row.state, row.was_unknown) for row in deliveries()} == {("unknown", True)}
    again = outbox.claim("alive", 10, lapsed + timedelta(seconds=120))
    assert again is not None
    assert len(again.deliveries) == 3
    outbox.settle("alive", [Receipt(each.id, Outcome.UNKNOWN) for each in again.deliveries], lapsed)
    assert {(row.state, row.error) for row in deliveries()} == {("dead", outbox.TWICE_UNKNOWN)}


def slept_through_its_lease(now: datetime) -> tuple[outbox.Batch, datetime]:
    """A batch whose worker went silent, and the moment after somebody took it back."""
    batch = outbox.claim("slow", 10, now)
    assert batch is not None
    later = now + timedelta(minutes=10)
    assert outbox.claim("fast", 10, later) is None
    return batch, later


def test_a_certain_answer_that_comes_late_spares_the_second_copy(announced: list[str], now: datetime) -> None:
    batch, later = slept_through_its_lease(now)
    outbox.settle("slow", [Receipt(each.id, Outcome.SUBMITTED) for each in batch.deliveries], later)
    assert {row.state for row in deliveries()} == {"submitted"}


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.LATER, Outcome.UNTRIED])
def test_an_uncertain_answer_that_comes_late_changes_nothing(
    announced: list[str], outcome: Outcome, now: datetime
) -> None:
    batch, later = slept_through_its_lease(now)
    outbox.settle("slow", [Receipt(each.id, outcome) for each in batch.deliveries], later)
    assert {row.state for row in deliveries()} == {"unknown"}


def test_what_another_worker_has_taken_over_is_not_settled_by_the_first(announced: list[str], now: datetime) -> None:
    batch, later = slept_through_its_lease(now)
    assert outbox.claim("fast", 10, later + timedelta(seconds=120)) is not None
    outbox.settle("slow", [Receipt(each.id, Outcome.REFUSED) for each in batch.deliveries], later)
    assert {(row.state, row.lease_owner) for row in deliveries()} == {("leased", "fast")}


def test_a_delivery_whose_turn_did_not_come_counts_no_attempt(announced: list[str], now: datetime) -> None:
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    outbox.settle("one", [Receipt(each.id, Outcome.UNTRIED) for each in batch.deliveries], now)
    assert {(row.state, row.attempts) for row in deliveries()} == {("queued", 0)}
    assert outbox.claim("one", 10, now) is not None


def test_a_passing_failure_is_tried_again_later_and_later_then_given_up(announced: list[str], now: datetime) -> None:
    moment = now
    for _ in range(outbox.MOST_ATTEMPTS):
        batch = outbox.claim("one", 10, moment)
        assert batch is not None
        outbox.settle("one", [Receipt(each.id, Outcome.LATER, "451 busy") for each in batch.deliveries], moment)
        assert outbox.claim("one", 10, moment + timedelta(seconds=1)) is None
        moment += timedelta(minutes=31)
    assert {(row.state, row.error) for row in deliveries()} == {("dead", "451 busy")}


def test_a_lasting_refusal_is_the_end_of_that_delivery_alone(announced: list[str], now: datetime) -> None:
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    first, *rest = batch.deliveries
    receipts = [Receipt(first.id, Outcome.REFUSED, "550 no"), *(Receipt(each.id, Outcome.SUBMITTED) for each in rest)]
    outbox.settle("one", receipts, now)
    assert sorted(row.state for row in deliveries()) == ["dead", "submitted", "submitted"]


def test_a_batch_given_back_counts_no_attempt(announced: list[str], now: datetime) -> None:
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    until = now + timedelta(minutes=5)
    outbox.release("one", batch, until, now)
    assert {(row.state, row.attempts) for row in deliveries()} == {("queued", 0)}
    assert outbox.claim("one", 10, now + timedelta(minutes=4)) is None
    assert outbox.claim("one", 10, until) is not None


@pytest.mark.parametrize("audience", ["subscribers", "customers"])
@pytest.mark.parametrize("visibility", [Visibility.DRILL, Visibility.INTERNAL])
@pytest.mark.parametrize("said", ["the truth", "public", "of no incident"])
def test_the_database_itself_keeps_drills_from_customers(
    said: str, visibility: Visibility, audience: str, writer: str, now: datetime
) -> None:
    part = builders.component(now, "Billing")
    incident_id = builders.declared(writer, {part: ComponentState.OUTAGE}, now, visibility=visibility)
    announcement = Announcement(
        kind="incident_update", audience=audience, visibility=visibility, incident_id=incident_id,
        subject_id="abcabcabcabc", created_at=now,
    )  # fmt: skip
    if said == "public":
        announcement.visibility = Visibility.PUBLIC
    elif said == "of no incident":
        announcement.visibility, announcement.incident_id = Visibility.PUBLIC, None
    db.session.add(announcement)
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()


@given(st.integers(min_value=1, max_value=10_000))
def test_the_back_off_grows_and_stays_within_half_an_hour(attempts: int) -> None:
    assert timedelta(seconds=2) <= outbox.back_off(attempts) <= timedelta(minutes=30)
    assert outbox.back_off(attempts) <= outbox.back_off(attempts + 1)
