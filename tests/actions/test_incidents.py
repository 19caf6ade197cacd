"""Declare, acknowledge, update, resolve: the spine."""

import threading
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import incidents
from statuspage.db import db
from statuspage.models import Announcement, AuditEntry, Change, Component, Incident, Update
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    MessageKind,
    NotFound,
    RuleBroken,
    Severity,
    Stage,
    Visibility,
)
from tests import builders


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now)


def count(table: type) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def state_of(component_id: str) -> ComponentState:
    return db.session.get_one(Component, component_id, populate_existing=True).state


def test_a_declared_incident_is_not_public_yet(writer: str, sign_in: str, now: datetime) -> None:
    changes = count(Change)
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
    incident = db.session.get_one(Incident, incident_id)
    assert (incident.declared_at, incident.is_published, incident.is_open) == (now, False, True)
    assert state_of(sign_in) is ComponentState.OPERATIONAL
    assert (count(Announcement), count(Change)) == (0, changes)


def test_the_acknowledge_message_makes_it_public_and_announces_it_once(
    writer: str, sign_in: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    incident = db.session.get_one(Incident, incident_id)
    update = db.session.scalars(select(Update)).one()
    assert incident.is_published
    assert incident.next_update_by == now + timedelta(minutes=30)
    assert "Next update by 21 Nov 2026, 14:30 UTC." in update.body
    assert state_of(sign_in) is ComponentState.OUTAGE
    assert db.session.scalars(select(Announcement.subject_id).order_by(Announcement.id)).all() == [sign_in, update.id]


def test_resolving_sets_the_duration_and_the_components_back(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    later = now + timedelta(hours=1)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: ComponentState.OPERATIONAL}, writer, later)
    incident = db.session.get_one(Incident, incident_id)
    assert (incident.stage, incident.resolved_at, incident.next_update_by) == (Stage.RESOLVED, later, None)
    assert "after 1 h 10 min" in incident.updates[0].body
    assert state_of(sign_in) is ComponentState.OPERATIONAL


def test_a_component_left_degraded_at_resolution_stays_degraded(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: ComponentState.DEGRADED}, writer, now)
    assert state_of(sign_in) is ComponentState.DEGRADED


def test_resolving_one_incident_does_not_hide_another(writer: str, sign_in: str, now: datetime) -> None:
    builders.acknowledged(writer, {sign_in: ComponentState.DEGRADED}, now)
    second = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    builders.post(MessageKind.RESOLVE, second, {sign_in: ComponentState.OPERATIONAL}, writer, now)
    assert state_of(sign_in) is ComponentState.DEGRADED


def test_the_same_form_posted_twice_is_one_update(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
    post = incidents.Post(builders.draft(MessageKind.ACKNOWLEDGE, now), {}, 1)
    first = incidents.acknowledge(incident_id, post, "one-form", writer, now)
    again = incidents.acknowledge(incident_id, post, "one-form", writer, now)
    assert first == again
    # One of the update, one of the component that it changes.
    assert (count(Update), count(Announcement)) == (1, 2)


def test_the_same_declaration_posted_twice_is_one_incident(writer: str, sign_in: str, now: datetime) -> None:
    declaration = incidents.Declaration("Down", Severity.SEV2, {sign_in: ComponentState.OUTAGE}, {})
    first = incidents.declare(declaration, "one-form", writer, now)
    assert incidents.declare(declaration, "one-form", writer, now) == first
    assert count(Incident) == 1


def test_of_two_writers_who_saw_the_same_version_one_is_told(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    seen = db.session.get_one(Incident, incident_id).version
    post = incidents.Post(builders.draft(MessageKind.UPDATE, now), {}, seen)
    incidents.post_update(incident_id, post, builders.nonce(), writer, now)
    with pytest.raises(Conflict, match="Somebody else"):
        incidents.post_update(incident_id, post, builders.nonce(), writer, now)
    assert count(Update) == 2


@pytest.mark.parametrize("kind", [MessageKind.UPDATE, MessageKind.RESOLVE])
def test_nothing_comes_before_the_acknowledge_message(
    kind: MessageKind, writer: str, sign_in: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
    with pytest.raises(Conflict, match="acknowledge message first"):
        builders.post(kind, incident_id, {}, writer, now)
    incident = db.session.get_one(Incident, incident_id)
    assert (count(Update), incident.version, incident.stage) == (0, 1, Stage.INVESTIGATING)


@pytest.mark.parametrize("kind", list(MessageKind))
def test_nothing_comes_after_the_resolve_message(kind: MessageKind, writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    builders.post(MessageKind.RESOLVE, incident_id, {}, writer, now)
    with pytest.raises(Conflict, match="resolved already"):
        builders.post(kind, incident_id, {}, writer, now)
    assert count(Update) == 2


def test_a_second_acknowledge_message_is_refused(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    with pytest.raises(Conflict, match="post an update instead"):
        builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)


def test_a_resolution_before_the_start_is_refused_and_changes_nothing(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    with pytest.raises(RuleBroken) as broken:
        builders.post(MessageKind.RESOLVE, incident_id, {}, writer, now, resolved_at="2026-11-21 13:49")
    assert broken.value.errors == {"resolved_at": "This is before the incident started."}
    assert db.session.get_one(Incident, incident_id).is_open
    assert count(Update) == 1


def test_an_unknown_component_is_refused(writer: str, sign_in: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        builders.declared(writer, {sign_in: ComponentState.OUTAGE, "nosuchthing0": ComponentState.OUTAGE}, now)
    assert "components" in broken.value.errors
    assert count(Incident) == 0


def test_an_unknown_incident_is_not_found(writer: str, now: datetime) -> None:
    post = incidents.Post(builders.draft(MessageKind.UPDATE, now), {}, 1)
    with pytest.raises(NotFound):
        incidents.post_update("nosuchthing0", post, builders.nonce(), writer, now)


def test_an_internal_incident_reaches_neither_page_nor_subscribers(writer: str, sign_in: str, now: datetime) -> None:
    changes = count(Change)
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now, visibility=Visibility.INTERNAL)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert state_of(sign_in) is ComponentState.OPERATIONAL
    assert (count(Announcement), count(Change)) == (0, changes)


def test_every_step_leaves_an_audit_entry(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.object_id == incident_id)).all()
    assert [(entry.action, entry.account_id) for entry in entries] == [
        ("declare", writer),
        ("acknowledge", writer),
    ]


def test_a_naive_now_is_refused(writer: str, sign_in: str) -> None:
    with pytest.raises(ValueError, match="aware UTC"):
        builders.declared(writer, {sign_in: ComponentState.OUTAGE}, datetime(2026, 11, 21, 14, 0))  # noqa: DTZ001


def test_a_form_posted_again_with_other_words_is_not_swallowed(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
    first = incidents.Post(builders.draft(MessageKind.ACKNOWLEDGE, now), {}, 1)
    incidents.acknowledge(incident_id, first, "one-form", writer, now)
    other = incidents.Post(builders.draft(MessageKind.ACKNOWLEDGE, now, symptoms="Corrected words."), {}, 1)
    with pytest.raises(Conflict, match="posted already, with other words"):
        incidents.acknowledge(incident_id, other, "one-form", writer, now)
    assert count(Update) == 1


def test_what_turned_out_not_to_be_affected_is_left_out_of_the_first_message(
    writer: str, sign_in: str, now: datetime
) -> None:
    billing = builders.component(now, "Billing")
    states = {sign_in: ComponentState.OUTAGE, billing: ComponentState.OUTAGE}
    incident_id = builders.declared(writer, states, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert state_of(billing) is ComponentState.OPERATIONAL
    update = db.session.scalars(select(Update)).one()
    assert [each["component_id"] for each in update.component_states] == [sign_in]


def test_a_resolution_and_an_outage_at_the_same_moment_leave_the_outage(
    app: Flask, writer: str, sign_in: str, now: datetime
) -> None:
    for _ in range(5):
        ending = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
        beginning = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
        barrier = threading.Barrier(2)

        def act(kind: MessageKind, incident_id: str, state: ComponentState, gate: threading.Barrier = barrier) -> None:
            with app.app_context():
                gate.wait()
                builders.post(kind, incident_id, {sign_in: state}, writer, now)
                db.session.remove()

        threads = [
            threading.Thread(target=act, args=(MessageKind.RESOLVE, ending, ComponentState.OPERATIONAL)),
            threading.Thread(target=act, args=(MessageKind.ACKNOWLEDGE, beginning, ComponentState.OUTAGE)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.session.rollback()
        assert state_of(sign_in) is ComponentState.OUTAGE
        builders.post(MessageKind.RESOLVE, beginning, {sign_in: ComponentState.OPERATIONAL}, writer, now)
