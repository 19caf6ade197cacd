"""What a person does about mails on their way: take them back, correct and send, send again to those who failed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage.actions import audiences, deliveries, policies
from statuspage.actions.incidents import post_holding_update
from statuspage.db import db, transaction
from statuspage.delivery import announcements, outbox
from statuspage.models import Announcement, AuditEntry, Change, Delivery, Incident, Promise, Subscriber, Suppression
from statuspage.models import Update as PublicUpdate
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import ComponentState, Conflict, MessageKind, NotFound, RuleBroken, Severity
from tests import builders

WINDOW = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


def subscriber(email: str, now: datetime) -> str:
    with transaction(now) as session:
        made = Subscriber(**identity(email), state=Subscriber.ACTIVE, requested_at=now)
        session.add(made)
        session.flush()
        return made.id


def expand_all(now: datetime) -> None:
    while announcements.expand(audiences.audience, now):
        pass


def told_of(subject_id: str) -> list[Announcement]:
    db.session.rollback()
    query = select(Announcement).where(Announcement.subject_id == subject_id).order_by(Announcement.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def rows(announcement_id: int) -> list[Delivery]:
    db.session.rollback()
    query = select(Delivery).where(Delivery.announcement_id == announcement_id).order_by(Delivery.address)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def audited(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def states(writer: str, now: datetime) -> dict[str, ComponentState]:
    return {builders.component(now): ComponentState.OUTAGE}


@pytest.fixture
def incident_id(writer: str, states: dict[str, ComponentState], now: datetime) -> str:
    """An open incident with two readers, under a policy with a window."""
    policies.edit_policy(Severity.SEV1, {"undo_window": "PT30S"}, None, writer, now)
    for name in ("a", "b"):
        subscriber(f"{name}@example.com", now)
    return builders.acknowledged(writer, states, now)


@pytest.fixture
def held(incident_id: str, writer: str, now: datetime) -> Announcement:
    """An update whose mails wait."""
    expand_all(now)
    (announcement,) = told_of(builders.post(MessageKind.UPDATE, incident_id, {}, writer, now))
    return announcement


def test_the_first_message_leaves_at_once_and_every_further_one_waits(
    incident_id: str, writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    post: Callable[[MessageKind], str] = lambda kind: builders.post(kind, incident_id, {}, writer, now)  # noqa: E731
    first = db.session.scalars(select(PublicUpdate.id)).one()
    assert told_of(first)[0].not_before is None
    for update_id in (post(MessageKind.UPDATE), post(MessageKind.RESOLVE)):
        assert [each.not_before for each in told_of(update_id)] == [now + WINDOW]


def test_a_holding_update_waits_when_a_person_posts_it(incident_id: str, writer: str, now: datetime) -> None:
    update_id = post_holding_update(incident_id, builders.nonce(), writer, now)
    assert told_of(update_id)[0].not_before == now + WINDOW


def test_without_a_window_nothing_waits(writer: str, states: dict[str, ComponentState], now: datetime) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    (announcement,) = told_of(builders.post(MessageKind.UPDATE, incident_id, {}, writer, now))
    assert announcement.not_before is None
    with pytest.raises(Conflict, match="on its way"):
        deliveries.take_back(announcement.id, writer, now)


def test_mails_leave_when_the_window_is_over(held: Announcement, now: datetime) -> None:
    expand_all(now + WINDOW - SECOND)
    assert rows(held.id) == []
    expand_all(now + WINDOW)
    assert len(rows(held.id)) == 2


def test_nobody_is_told_of_what_was_taken_back(held: Announcement, writer: str, now: datetime) -> None:
    promises = [(each.kind, each.state, each.met_at) for each in db.session.scalars(select(Promise))]
    deliveries.take_back(held.id, writer, now + SECOND)
    expand_all(now + WINDOW)
    (announcement,) = told_of(held.subject_id)
    assert (announcement.cancelled_at, announcement.cancelled_by_id) == (now + SECOND, writer)
    assert rows(held.id) == []
    # The page said it in time.
    assert [(each.kind, each.state, each.met_at) for each in db.session.scalars(select(Promise))] == promises
    assert [each.account_id for each in audited("take_back")] == [writer]


def test_what_is_on_its_way_or_taken_back_already_is_not_taken_back(
    held: Announcement, writer: str, now: datetime
) -> None:
    deliveries.take_back(held.id, writer, now)
    with pytest.raises(Conflict, match="taken back already"):
        deliveries.take_back(held.id, writer, now)
    deliveries.send_unchanged(held.subject_id, writer, now)
    expand_all(now)
    _, sent = told_of(held.subject_id)
    with pytest.raises(Conflict, match="on its way already"):
        deliveries.take_back(sent.id, writer, now)
    with pytest.raises(NotFound):
        deliveries.take_back(sent.id + 1000, writer, now)


def test_the_first_chunk_of_recipients_ends_the_hold(held: Announcement, writer: str, now: datetime) -> None:
    announcements.expand(audiences.audience, now + WINDOW)
    with pytest.raises(Conflict, match="on its way already"):
        deliveries.take_back(held.id, writer, now + WINDOW)


def test_a_message_s_component_changes_are_taken_back_and_sent_with_it(
    held: Announcement, incident_id: str, states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    (component_id,) = states
    with transaction(now) as session:
        incident = session.get_one(Incident, incident_id)
        announcements.announce_component_change(
            session, component_id, ComponentState.OUTAGE, ComponentState.DEGRADED, incident, now, held.not_before
        )
    # The first was told when the incident became public.
    deliveries.take_back(held.id, writer, now + SECOND)
    assert [each.cancelled_at for each in told_of(component_id)[1:]] == [now + SECOND]
    deliveries.send_unchanged(held.subject_id, writer, now + 2 * SECOND)
    taken_back, sent = told_of(component_id)[1:]
    assert (sent.detail, sent.cancelled_at, sent.not_before) == (taken_back.detail, None, None)


def test_a_corrected_text_is_told_at_once_and_the_former_one_stays_on_record(
    held: Announcement, incident_id: str, writer: str, now: datetime
) -> None:
    later = now + 5 * SECOND
    deliveries.take_back(held.id, writer, now)
    was = db.session.get_one(PublicUpdate, held.subject_id).body
    changes = len(db.session.scalars(select(Change.revision)).all())
    assert deliveries.correct_update(held.subject_id, "Signing in **works**.", writer, later)
    message = db.session.get_one(PublicUpdate, held.subject_id, populate_existing=True)
    assert (message.body, message.edited_at) == ("Signing in **works**.", later)
    assert "<strong>works</strong>" in message.body_html
    assert [each.detail for each in audited("correct_update")] == [{"was": was, "is_told": True}]
    assert len(db.session.scalars(select(Change.revision)).all()) == changes + 1
    _, sent = told_of(held.subject_id)
    assert (sent.not_before, sent.cancelled_at) == (None, None)
    expand_all(later)
    assert len(rows(sent.id)) == 2


def test_a_text_that_was_told_is_corrected_on_the_page_alone(held: Announcement, writer: str, now: datetime) -> None:
    expand_all(now + WINDOW)
    assert not deliveries.correct_update(held.subject_id, "Other words.", writer, now + WINDOW)
    assert len(told_of(held.subject_id)) == 1
    with pytest.raises(RuleBroken) as broken:
        deliveries.correct_update(held.subject_id, " ", writer, now)
    assert list(broken.value.errors) == ["body"]
    with pytest.raises(NotFound):
        deliveries.correct_update("nosuchthing0", "Words.", writer, now)


def test_of_two_who_send_what_was_taken_back_one_does(held: Announcement, writer: str, now: datetime) -> None:
    deliveries.take_back(held.id, writer, now)
    deliveries.send_unchanged(held.subject_id, writer, now)
    with pytest.raises(Conflict):
        deliveries.send_unchanged(held.subject_id, writer, now)
    assert len(told_of(held.subject_id)) == 2


def test_an_update_that_a_newer_one_overtook_is_not_sent_any_more(
    held: Announcement, incident_id: str, writer: str, now: datetime
) -> None:
    deliveries.take_back(held.id, writer, now)
    newer = builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    with pytest.raises(Conflict):
        deliveries.send_unchanged(held.subject_id, writer, now)
    # Until that one is taken back too.
    deliveries.take_back(told_of(newer)[0].id, writer, now)
    deliveries.send_unchanged(held.subject_id, writer, now)


@pytest.fixture
def failed(held: Announcement, now: datetime) -> int:
    """Deliveries in every way to fail: for certain, with an answer missing, to an address that bounced since; and one that was delivered."""
    for name in ("c", "d"):
        subscriber(f"{name}@example.com", now)
    expand_all(now + WINDOW)
    with transaction(now) as session:
        session.execute(update(Delivery).values(state=Delivery.DEAD, settled_at=now, attempts=20, error="no"))
        session.execute(
            update(Delivery)
            .where(Delivery.address == "b@example.com")
            .values(was_unknown=True, error=outbox.TWICE_UNKNOWN)
        )
        session.execute(update(Delivery).where(Delivery.address == "d@example.com").values(state=Delivery.DELIVERED))
        session.add(Suppression(address_key="c@example.com", reason=Suppression.BOUNCE, created_at=now))
    return held.id


def queued(announcement_id: int) -> list[str]:
    return [each.address[0] for each in rows(announcement_id) if each.state == Delivery.QUEUED]


@pytest.mark.parametrize(("even_if_arrived", "expected"), [(False, ["a"]), (True, ["a", "b"])])
def test_only_those_who_surely_did_not_get_it_are_sent_to_again_unless_said_so(
    even_if_arrived: bool, expected: list[str], failed: int, writer: str, now: datetime
) -> None:
    assert deliveries.send_again(failed, even_if_arrived, writer, now) == len(expected)
    assert queued(failed) == expected
    row = rows(failed)[0]
    assert (row.attempts, row.settled_at, row.error, row.not_before) == (0, None, "", now)
    assert [each.detail for each in audited("send_again")] == [
        {"count": len(expected), "even_if_arrived": even_if_arrived}
    ]
    # Another press finds nobody, and is no entry.
    assert deliveries.send_again(failed, even_if_arrived, writer, now) == 0
    assert len(audited("send_again")) == 1


def test_many_are_sent_to_again_in_steps(
    failed: int, writer: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "AGAIN_AT_ONCE", 1)
    assert [deliveries.send_again(failed, True, writer, now) for _ in range(3)] == [1, 1, 0]


def test_who_failed_an_older_update_gets_the_newer_one(
    failed: int, incident_id: str, writer: str, now: datetime
) -> None:
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    with pytest.raises(Conflict, match="newer update"):
        deliveries.send_again(failed, False, writer, now)


def test_a_tally_counts_by_lane_and_state(failed: int, now: datetime) -> None:
    mail = announcements.INCIDENT_LANE
    assert deliveries.tally([failed]) == {
        failed: {(mail, "dead", False): 2, (mail, "dead", True): 1, (mail, "delivered", False): 1}
    }
    assert deliveries.are_few([failed], 4)
    assert not deliveries.are_few([failed], 3)
