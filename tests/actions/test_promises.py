"""The ledger of promises, as it is kept in the database."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from statuspage.actions import corrections, policies
from statuspage.actions.promises import promises_of
from statuspage.db import db, transaction
from statuspage.models import Incident, IncidentEvent, PolicyVersion, Promise, PromiseChange
from statuspage.rules.policy import DEFAULT_POLICIES
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    IncidentRole,
    MessageKind,
    PromiseKind,
    PromiseState,
    RuleBroken,
    Severity,
    Stage,
    Visibility,
)
from tests import builders

MINUTE = timedelta(minutes=1)


@pytest.fixture
def writer(app: object, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def states(writer: str, now: datetime) -> dict[str, ComponentState]:
    return {builders.component(now): ComponentState.OUTAGE}


def ledger(incident_id: str) -> list[tuple[str, str]]:
    return [(row.kind.value, row.state.value) for row in promises_of(db.session(), incident_id)]


def the(incident_id: str, kind: PromiseKind, ordinal: int = 1) -> Promise:
    return next(row for row in promises_of(db.session(), incident_id) if (row.kind, row.ordinal) == (kind, ordinal))


def test_declaring_opens_what_the_policy_owes(writer: str, states: dict[str, ComponentState], now: datetime) -> None:
    incident_id = builders.declared(writer, states, now)
    assert ledger(incident_id) == [("direct_email", "open"), ("first_update", "open"), ("internal_update", "open")]
    first = the(incident_id, PromiseKind.FIRST_UPDATE)
    assert (first.opened_at, first.due_at) == (now, now + 15 * MINUTE)
    assert first.next_step_at == now + 10 * MINUTE


def test_a_declaration_of_a_while_ago_is_late_and_marked(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, declared_at=now - 40 * MINUTE)
    builders.post(
        MessageKind.ACKNOWLEDGE, incident_id, states, writer, now, started_at=typed_instant(now - 50 * MINUTE)
    )
    first = the(incident_id, PromiseKind.FIRST_UPDATE)
    assert (first.state, first.is_recorded_later) == (PromiseState.LATE, True)


@pytest.mark.parametrize("ahead", [5, -91 * 24 * 60])
def test_a_declaration_that_can_not_be_is_refused(
    ahead: int, writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    with pytest.raises(RuleBroken) as broken:
        builders.declared(writer, states, now, declared_at=now + ahead * MINUTE)
    assert list(broken.value.errors) == ["declared_at"]
    assert db.session.scalar(select(func.count()).select_from(Promise)) == 0


def test_posting_keeps_one_and_opens_the_next(writer: str, states: dict[str, ComponentState], now: datetime) -> None:
    incident_id = builders.declared(writer, states, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now + 3 * MINUTE)
    assert the(incident_id, PromiseKind.FIRST_UPDATE).state is PromiseState.KEPT
    following = the(incident_id, PromiseKind.NEXT_UPDATE)
    assert following.due_at == db.session.get_one(Incident, incident_id).next_update_by == now + 33 * MINUTE


def test_a_form_posted_twice_keeps_a_promise_once(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    before = ledger(incident_id)
    with pytest.raises(Conflict):
        builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now)
    assert ledger(incident_id) == before


def test_later_than_the_policy_needs_a_reason_that_stays_on_record(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id, late = builders.acknowledged(writer, states, now), typed_instant(now + 60 * MINUTE)
    with pytest.raises(RuleBroken) as broken:
        builders.post(MessageKind.UPDATE, incident_id, {}, writer, now, next_update_by=late)
    assert list(broken.value.errors) == ["next_update_reason"]
    assert len(db.session.get_one(Incident, incident_id).updates) == 1
    builders.post(
        MessageKind.UPDATE, incident_id, {}, writer, now, reason="The supplier is asleep.", next_update_by=late
    )
    promise = the(incident_id, PromiseKind.NEXT_UPDATE, 2)
    assert (promise.due_at, promise.reason) == (now + 60 * MINUTE, "The supplier is asleep.")


def test_resolving_owes_the_aftermath(writer: str, states: dict[str, ComponentState], now: datetime) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    at = now + 40 * MINUTE
    builders.post(MessageKind.RESOLVE, incident_id, dict.fromkeys(states, ComponentState.OPERATIONAL), writer, at)
    opened = {kind for kind, state in ledger(incident_id) if state == "open"}
    assert opened == {"direct_email", "post_incident_email", "post_mortem", "public_post_mortem"}
    assert db.session.get_one(Incident, incident_id).next_update_by is None


def test_grading_anew_needs_a_reason_and_moves_the_clocks(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, severity=Severity.SEV3)
    assert ledger(incident_id) == []
    with pytest.raises(RuleBroken):
        corrections.regrade(incident_id, Severity.SEV1, " ", builders.version(incident_id), writer, now)
    at = now + 20 * MINUTE
    corrections.regrade(incident_id, Severity.SEV1, "It spreads.", builders.version(incident_id), writer, at)
    assert the(incident_id, PromiseKind.FIRST_UPDATE).due_at == at + 15 * MINUTE
    with pytest.raises(Conflict):
        corrections.regrade(incident_id, Severity.SEV2, "Wait.", 1, writer, at)


def test_a_promise_readers_saw_moves_with_the_severity(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, severity=Severity.SEV3)
    policies.edit_policy(Severity.SEV1, {"next_update": "PT10M"}, None, writer, now)
    corrections.regrade(incident_id, Severity.SEV1, "It spreads.", builders.version(incident_id), writer, now)
    assert db.session.get_one(Incident, incident_id, populate_existing=True).next_update_by == now + 10 * MINUTE


def test_both_times_of_a_corrected_declaration_stay_on_record(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now)
    earlier, version = now - 10 * MINUTE, builders.version(incident_id)
    corrections.correct_declaration(incident_id, earlier, "The first call came then.", version, writer, now + MINUTE)
    assert the(incident_id, PromiseKind.FIRST_UPDATE).due_at == now + 5 * MINUTE
    times = db.session.scalars(select(IncidentEvent.occurred_at).order_by(IncidentEvent.sequence)).all()
    assert times == [now, earlier]
    reasons = db.session.scalars(select(PromiseChange.reason).order_by(PromiseChange.id)).all()
    assert reasons[-1] == "The first call came then."


def test_reopening_brings_back_the_clocks_and_the_state_on_the_page(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, incident_id, fine, writer, now + 40 * MINUTE)
    at = now + 60 * MINUTE
    corrections.reopen(incident_id, "It is back.", builders.version(incident_id), writer, at)
    incident = db.session.get_one(Incident, incident_id, populate_existing=True)
    assert (incident.stage, incident.resolved_at) == (Stage.INVESTIGATING, None)
    assert {each.component.state for each in incident.components} == {ComponentState.OUTAGE}
    assert incident.next_update_by == at + 15 * MINUTE
    assert the(incident_id, PromiseKind.POST_INCIDENT_EMAIL).state is PromiseState.WITHDRAWN
    with pytest.raises(Conflict):
        corrections.reopen(incident_id, "Again.", builders.version(incident_id), writer, at)


def test_an_internal_update_keeps_the_promise_to_the_team_only(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now)
    corrections.post_internal_update(incident_id, "We look at the queue.", builders.nonce(), writer, now + MINUTE)
    assert ledger(incident_id) == [
        ("direct_email", "open"),
        ("first_update", "open"),
        ("internal_update", "kept"),
        ("internal_update", "open"),
    ]
    assert db.session.get_one(Incident, incident_id).last_posted_at is None


def test_roles_can_be_given_and_taken_in_mid_incident(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    other = builders.account(now)
    incident_id = builders.declared(writer, states, now, roles={IncidentRole.COMMANDER: writer})
    roles = {IncidentRole.COMMANDER: "", IncidentRole.COMMS_LEAD: other}
    corrections.assign_roles(incident_id, roles, writer, now)
    incident = db.session.get_one(Incident, incident_id, populate_existing=True)
    assert {each.role: each.account_id for each in incident.roles} == {IncidentRole.COMMS_LEAD: other}


def test_a_changed_policy_applies_to_promises_opened_after_it(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now)
    policies.edit_policy(Severity.SEV1, {"first_update": "PT4S", "next_update": "PT20M"}, None, writer, now)
    builders.post(
        MessageKind.ACKNOWLEDGE, incident_id, states, writer, now, next_update_by=typed_instant(now + 20 * MINUTE)
    )
    first, following = the(incident_id, PromiseKind.FIRST_UPDATE), the(incident_id, PromiseKind.NEXT_UPDATE)
    assert first.due_at == now + 15 * MINUTE
    assert (first.policy.version, following.policy.version) == (1, 2)


def test_of_two_who_change_a_policy_the_second_is_told(writer: str, now: datetime) -> None:
    seen = policies.version_of(Severity.SEV1)
    assert policies.edit_policy(Severity.SEV1, {"first_update": "PT5M"}, seen, writer, now) == 2
    with pytest.raises(Conflict):
        policies.edit_policy(Severity.SEV1, {"first_update": "PT6M"}, seen, writer, now)
    assert policies.policy_of(Severity.SEV1).first_update == 5 * MINUTE
    assert policies.policy_of(Severity.SEV2) == DEFAULT_POLICIES[Severity.SEV2]


def test_a_step_to_nobody_is_refused(writer: str, now: datetime) -> None:
    with pytest.raises(RuleBroken, match="Nobody has an account"):
        policies.edit_policy(Severity.SEV1, {"nudges": [{"at": "PT0S", "to": "nobody@example.com"}]}, None, writer, now)
    assert db.session.scalar(select(func.count()).select_from(PolicyVersion)) == 0


def test_a_program_may_act_without_an_account(states: dict[str, ComponentState], now: datetime) -> None:
    incident_id = builders.declared(None, states, now)
    assert db.session.get_one(Incident, incident_id).declared_by_id is None


@pytest.mark.parametrize(
    "act",
    [
        "DELETE FROM promises",
        "DELETE FROM promise_changes",
        "DELETE FROM incident_events",
        "UPDATE incident_events SET reason = 'other'",
        "UPDATE promise_changes SET reason = 'other'",
        "UPDATE policy_versions SET version = 9",
        "UPDATE promises SET state = 'kept', met_at = due_at WHERE state = 'late'",
        "UPDATE promises SET state = 'open', met_at = NULL, settled_at = NULL WHERE state = 'late'",
        "UPDATE promises SET met_at = due_at WHERE state = 'late'",
    ],
)
def test_the_database_itself_keeps_what_was_late_late(
    act: str, writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now + 20 * MINUTE)
    assert the(incident_id, PromiseKind.FIRST_UPDATE).state is PromiseState.LATE
    with pytest.raises(DBAPIError), transaction(now) as session:
        session.execute(text(act))
    assert the(incident_id, PromiseKind.FIRST_UPDATE).state is PromiseState.LATE


def test_an_internal_incident_tells_nobody_outside(
    writer: str, states: dict[str, ComponentState], now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, visibility=Visibility.INTERNAL)
    assert ledger(incident_id) == [("internal_update", "open")]


def imported(incident_id: str, now: datetime) -> None:
    """Let an incident look like one that came from elsewhere: nothing is on record of what it owes."""
    with transaction(now) as session:
        session.get_one(Incident, incident_id).severity = None


def test_an_imported_incident_owes_nothing_until_it_is_graded(
    writer: str, states: dict[str, ComponentState], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("statuspage.actions.incidents.record", lambda *_: None)
        goes_on = builders.acknowledged(writer, states, now)
        over = builders.acknowledged(writer, states, now)
        fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
        builders.post(MessageKind.RESOLVE, over, fine, writer, now + MINUTE)
    for each in (goes_on, over):
        imported(each, now)
    builders.post(MessageKind.UPDATE, goes_on, {}, writer, now + 2 * MINUTE)
    assert ledger(goes_on) == []
    for each in (goes_on, over):
        version = builders.version(each)
        corrections.regrade(each, Severity.SEV1, "We know by now.", version, writer, now + 3 * MINUTE)
    assert ledger(goes_on) == [("direct_email", "open"), ("internal_update", "open"), ("next_update", "open")]
    assert ledger(over) == []
