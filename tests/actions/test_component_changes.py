"""Every public change of a component's state is announced, once, with the change itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from statuspage.actions import audiences, components, corrections, importers
from statuspage.db import db
from statuspage.delivery import announcements, composition, outbox
from statuspage.models import Announcement, ComponentStateChange, Delivery, Incident, Subscriber
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import ComponentState, MessageKind, SubscriptionMethod, Visibility
from statuspage.settings import Settings
from tests import builders

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "statuspage" / "page"
OPERATIONAL, DEGRADED, OUTAGE = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


def announced() -> list[tuple[str, dict[str, Any], str | None]]:
    db.session.rollback()
    query = select(Announcement).where(Announcement.kind == "component_change").order_by(Announcement.id)
    return [(each.subject_id, each.detail or {}, each.incident_id) for each in db.session.scalars(query)]


def change(before: ComponentState, after: ComponentState) -> dict[str, str]:
    return {"before": before.value, "after": after.value}


def test_a_change_by_hand_is_announced(writer: str, sign_in: str, now: datetime) -> None:
    components.edit_component(sign_in, "Sign-in", "", "", DEGRADED, writer, now)
    assert announced() == [(sign_in, change(OPERATIONAL, DEGRADED), None)]


@pytest.mark.parametrize("state", [None, OPERATIONAL])
def test_what_stays_as_it_is_is_not(state: ComponentState | None, writer: str, sign_in: str, now: datetime) -> None:
    components.edit_component(sign_in, "Log-in", "Renamed.", "", state, writer, now)
    assert announced() == []


def test_an_incidents_messages_announce_what_they_change(writer: str, sign_in: str, now: datetime) -> None:
    builders.component(now, "Search")
    incident_id = builders.declared(writer, {sign_in: OUTAGE}, now)
    assert announced() == []
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: OUTAGE}, writer, now)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: OPERATIONAL}, writer, now)
    assert announced() == [
        (sign_in, change(OPERATIONAL, OUTAGE), incident_id),
        (sign_in, change(OUTAGE, OPERATIONAL), incident_id),
    ]


@pytest.mark.parametrize("visibility", [Visibility.DRILL, Visibility.INTERNAL])
def test_what_is_not_public_announces_nothing(visibility: Visibility, writer: str, sign_in: str, now: datetime) -> None:
    builders.acknowledged(writer, {sign_in: OUTAGE}, now, visibility=visibility)
    assert announced() == []


def test_announcements_and_the_ledger_of_states_tell_the_same(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: OPERATIONAL}, writer, now + timedelta(minutes=1))
    version = db.session.get_one(Incident, incident_id, populate_existing=True).version
    corrections.reopen(incident_id, "It is back.", version, writer, now + timedelta(minutes=2))
    # That it began earlier corrects the past; it is news to nobody.
    query = select(ComponentStateChange).where(
        ComponentStateChange.component_id == sign_in, ComponentStateChange.changed_at >= now
    )
    ledger = [each.state.value for each in db.session.scalars(query.order_by(ComponentStateChange.id))]
    assert [detail["after"] for _, detail, _ in announced()] == ledger[1:]


def test_an_import_announces_nothing(app: Flask, now: datetime) -> None:
    list(importers.apply(importers.plan(importers.read(str(FIXTURE))), now))
    assert db.session.scalars(select(ComponentStateChange)).first() is not None
    assert announced() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_those_who_want_no_changes_are_not_walked_through(writer: str, sign_in: str, now: datetime) -> None:
    components.edit_component(sign_in, "Sign-in", "", "", DEGRADED, writer, now)
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object) -> None:
        if "FROM subscribers" in statement and not statement.startswith("EXPLAIN"):
            asked.append((statement, values))

    who = identity("reader@example.com", SubscriptionMethod.EMAIL)
    db.session.add(Subscriber(**who, state=Subscriber.ACTIVE, wants_component_changes=True, requested_at=now))
    db.session.commit()
    event.listen(db.engine, "before_cursor_execute", note)
    while announcements.expand(audiences.audience, now):
        pass
    event.remove(db.engine, "before_cursor_execute", note)
    # Where the chunk ends, its rows, and that nobody is left: the ends by two looks each.
    assert len(asked) == 5
    for statement, values in asked:
        plan = [row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert [step for step in plan if "ix_subscribers_of_changes" in step], plan


# --- the mail --------------------------------------------------------------


@pytest.fixture
def mailed(writer: str, sign_in: str, now: datetime) -> Announcement:
    who = identity("reader@example.com", SubscriptionMethod.EMAIL)
    db.session.add(Subscriber(**who, state=Subscriber.ACTIVE, wants_component_changes=True, requested_at=now))
    db.session.commit()
    components.edit_component(sign_in, "Sign-in & more", "", "", OUTAGE, writer, now)
    return db.session.scalars(select(Announcement).where(Announcement.kind == "component_change")).one()


def test_a_mail_about_a_change_says_what_and_since_when(mailed: Announcement, settings: Settings) -> None:
    mail = composition.compose(mailed, settings)
    assert mail.subject == "[Larkspur status] Sign-in & more: Outage"
    for part in ("Outage", "before that: Operational", "21 Nov 2026, 14:00 UTC", "http://status.example.com"):
        assert part in mail.text
        assert part in mail.html
    assert "Sign-in &amp; more" in mail.html


def test_one_click_ends_it(mailed: Announcement, settings: Settings, now: datetime) -> None:
    while announcements.expand(audiences.audience, now):
        pass
    batch = outbox.claim("one", 10, now)
    assert batch is not None
    (delivery,) = batch.deliveries
    assert db.session.get_one(Delivery, delivery.id).lane == announcements.INCIDENT_LANE
    mail = composition.compose(batch.announcement, settings)
    (to,) = composition.recipients(replace(batch, deliveries=(delivery,)), settings)
    headers = {name: to.fill(value) for name, value in mail.headers.items()}
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    way_out = headers["List-Unsubscribe"].strip("<>")
    assert way_out.startswith("http://status.example.com/unsubscribe/")
    assert way_out in to.fill(mail.text)
    assert way_out in to.fill(mail.html)
    assert delivery.subscriber_id is not None
    assert delivery.subscriber_id in headers["Message-ID"]
    assert "mark" not in " ".join([to.fill(mail.text), *headers.values()])
