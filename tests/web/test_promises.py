"""The clocks, the course of an incident and the policies, as people use them in a browser."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import policies
from statuspage.actions.promises import promises_of
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Account, Incident, InternalUpdate, PolicyVersion, Promise
from statuspage.rules.policy import DEFAULT_POLICIES
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    IncidentRole,
    MessageKind,
    PromiseKind,
    Severity,
    Stage,
)
from statuspage.settings import Settings
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def states(app: Flask, started: datetime) -> dict[str, ComponentState]:
    builders.page(started)
    return {builders.component(started): ComponentState.OUTAGE}


@pytest.fixture
def comms(states: dict[str, ComponentState], arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def room(states: dict[str, ComponentState], started: datetime) -> str:
    incident_id = builders.acknowledged(builders.account(started), states, started)
    return f"/console/incidents/{incident_id}"


def incident() -> Incident:
    db.session.rollback()
    return db.session.scalars(select(Incident).execution_options(populate_existing=True)).one()


def the(kind: PromiseKind) -> Promise:
    db.session.rollback()
    return next(row for row in promises_of(db.session(), incident().id) if row.kind is kind)


def test_every_page_shows_what_is_owed_soonest_first(comms: Visitor, room: str) -> None:
    for path in ("/console/", "/console/account/", "/console/reports/2026-01", "/console/clocks/"):
        page = comms.get(path).text
        found = re.findall(r'<strong>([^<]+)</strong> <span class="countdown"', page)
        assert found[:3] == ["Internal update", "Next public update", "Direct e-mail to customers"], path
        assert f'href="{room}/update"' in page


def test_a_clock_that_ran_out_is_marked(comms: Visitor, states: dict[str, ComponentState], started: datetime) -> None:
    builders.declared(None, states, started, declared_at=started - 20 * MINUTE)
    bar = comms.get("/console/clocks/bar").text
    assert '<li class="clock-item" data-late>' in bar
    assert "5 min late" in bar


def test_with_nothing_owed_the_bar_says_so(comms: Visitor) -> None:
    assert "Nothing is owed just now." in comms.get("/console/").text


def test_many_clocks_leave_room_for_the_page(
    comms: Visitor, states: dict[str, ComponentState], started: datetime
) -> None:
    for _ in range(3):
        builders.declared(None, states, started)
    bar = comms.get("/console/clocks/bar").text
    assert bar.count("clock-item") == 4
    assert "and 5 more" in bar
    assert comms.get("/console/clocks/").text.count("clock-item") == 4 + 9


@pytest.mark.parametrize(
    ("step", "fields", "kept"),
    [
        ("severity", {"severity": "SEV2", "reason": ""}, "SEV2"),
        ("severity", {"severity": "SEV9", "reason": "Because."}, "Because."),
        ("severity", {"severity": "SEV1", "reason": "Because."}, "Because."),
        ("declaration", {"declared_at": "yesterday", "reason": "Because."}, "Because."),
        ("declaration", {"declared_at": "2020-01-01T00:00", "reason": "Because."}, "2020-01-01T00:00"),
        ("declaration", {"declared_at": "2099-01-01T00:00", "reason": "Because."}, "2099-01-01T00:00"),
        ("internal-update", {"body": "x" * 2001}, "x" * 2001),
        ("internal-update", {"body": " \x00 "}, ""),
        ("roles", {"role_commander": "nosuchthing0"}, ""),
    ],
)
def test_what_can_not_be_is_refused_and_kept(
    step: str, fields: dict[str, str], kept: str, comms: Visitor, room: str
) -> None:
    before = incident().version
    answer = comms.post(f"{room}/{step}", fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert kept in answer.text
    assert incident().version == before
    assert db.session.scalar(select(func.count()).select_from(InternalUpdate)) == 0


def test_a_severity_is_changed_with_a_reason(comms: Visitor, room: str) -> None:
    assert comms.post(f"{room}/severity", {"severity": "SEV3", "reason": "Few are affected."}).status_code == 303
    assert incident().severity is Severity.SEV3
    assert "what is owed follows it" in comms.get(f"{room}?done=severity").text
    assert "Withdrawn" in comms.get(room).text


def test_two_who_change_the_severity_at_once_are_told(comms: Visitor, room: str) -> None:
    seen = comms.hidden(f"{room}/severity")
    comms.post(f"{room}/severity", {"severity": "SEV3", "reason": "Few are affected."})
    answer = comms.post_as_is(f"{room}/severity", seen | {"severity": "SEV2", "reason": "Many."})
    assert answer.status_code == 409
    assert "Many." in answer.text
    assert incident().severity is Severity.SEV3


def test_a_declaration_is_corrected(comms: Visitor, room: str, started: datetime) -> None:
    fields = {"declared_at": typed_instant(started - 30 * MINUTE), "reason": "The first call came then."}
    assert comms.post(f"{room}/declaration", fields).status_code == 303
    assert incident().declared_at.minute == (started - 30 * MINUTE).minute


def test_an_incident_is_declared_after_the_fact(
    comms: Visitor, states: dict[str, ComponentState], started: datetime
) -> None:
    fields = {"title": "Sign-in failed", "severity": "SEV1", "declared_at": typed_instant(started - 60 * MINUTE)}
    fields |= {f"state_{component_id}": "outage" for component_id in states}
    assert comms.post("/console/incidents/new", fields).status_code == 303
    assert the(PromiseKind.FIRST_UPDATE).is_recorded_later
    wrong = comms.post("/console/incidents/new", fields | {"declared_at": "an hour ago"})
    assert (wrong.status_code, "an hour ago" in wrong.text) == (422, True)


def test_a_resolved_incident_is_opened_again(comms: Visitor, room: str, states: dict[str, ComponentState]) -> None:
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, incident().id, fine, builders.account(clock.now()), clock.now())
    assert comms.post(f"{room}/reopen", {"reason": "It is back."}).status_code == 303
    assert incident().stage is Stage.INVESTIGATING
    assert comms.post(f"{room}/reopen", {"reason": "It is back."}).status_code == 409


def test_roles_are_given_in_the_room(comms: Visitor, room: str, started: datetime) -> None:
    holder = builders.account(started)
    assert comms.post(f"{room}/roles", {"role_commander": holder}).status_code == 303
    assert [(each.role, each.account_id) for each in incident().roles] == [(IncidentRole.COMMANDER, holder)]


def test_the_team_is_told_once_however_often_the_form_is_sent(comms: Visitor, room: str) -> None:
    form = comms.hidden(f"{room}/internal-update") | {"body": "We look at <the> queue."}
    assert [comms.post_as_is(f"{room}/internal-update", form).status_code for _ in range(2)] == [303, 303]
    assert db.session.scalar(select(func.count()).select_from(InternalUpdate)) == 1
    assert "We look at &lt;the&gt; queue." in comms.get(room).text


def test_the_holding_wording_is_one_click_away(comms: Visitor, room: str) -> None:
    shown = comms.get(f"{room}/holding-update").text
    assert "We are still working on this" in shown
    assert "(30 min after you post this)" in shown
    assert comms.post(f"{room}/holding-update", {}).status_code == 303
    newest = incident().updates[0]
    assert (newest.is_automatic, newest.author is not None) == (False, True)
    assert "We are still working on this" in newest.body
    assert "{next_update_by}" not in newest.body


def test_a_responder_may_not_speak_to_customers(room: str, arrive: Arrive) -> None:
    responder = arrive(AccountRole.RESPONDER)
    assert responder.post(f"{room}/holding-update", {}).status_code == 422
    assert len(incident().updates) == 1
    assert responder.post(f"{room}/internal-update", {"body": "I look."}).status_code == 303


def test_later_than_the_policy_asks_for_a_reason_beside_the_field(comms: Visitor, room: str) -> None:
    fields = {
        "affected": "Signing in.", "being_done": "We wait.", "stage": "identified",
        "next_update_by": typed_instant(clock.now() + 90 * MINUTE),
    }  # fmt: skip
    answer = comms.post(f"{room}/update", fields)
    assert answer.status_code == 422
    assert 'id="error-next_update_reason"' in answer.text
    assert "We wait." in answer.text
    fields["next_update_reason"] = "The supplier answers at noon."
    assert comms.post(f"{room}/update", fields).status_code == 303
    assert "The supplier answers at noon." in comms.get(room).text


def test_on_it_from_the_room_counts_once(comms: Visitor, room: str) -> None:
    path = f"{room}/promises/{the(PromiseKind.NEXT_UPDATE).id}/on-it"
    assert comms.post(path, {"minutes": "7"}).status_code == 422
    assert comms.post(path, {"minutes": "10"}).status_code == 303
    assert the(PromiseKind.NEXT_UPDATE).snoozed_until is not None
    again = comms.post(path, {"minutes": "10"}, on=f"{room}/update")
    assert again.status_code == 409
    assert "is on it" in comms.get(room).text


def test_on_it_from_a_mail_needs_no_sign_in_and_a_click(
    room: str, anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    promise, person = the(PromiseKind.NEXT_UPDATE), builders.account(started)
    path = f"/nudges/{make_token(settings, Purpose.NUDGE, f'{promise.id}:{person}')}"
    page = anonymous.get(path)
    assert "I’m on it, 10 min" in page.text
    assert the(PromiseKind.NEXT_UPDATE).snoozed_until is None, "scanners follow links"
    answer = anonymous.post(path, {"minutes": "10"})
    assert (answer.status_code, "is on it" in answer.text) == (200, True)
    assert the(PromiseKind.NEXT_UPDATE).snoozed_by_id == person


@pytest.mark.parametrize("subject", ["", "nonsense", "nosuchthing0:nosuchthing0"])
def test_a_link_that_names_nothing_is_said_to_be_stale(subject: str, anonymous: Visitor, settings: Settings) -> None:
    for token in (make_token(settings, Purpose.NUDGE, subject), make_token(settings, Purpose.CONFIRM, subject), "x"):
        assert anonymous.get(f"/nudges/{token}").status_code == 400


def test_a_link_of_somebody_who_left_does_nothing(
    room: str, anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    person = builders.account(started)
    db.session.get_one(Account, person).disabled_at = started
    db.session.commit()
    token = make_token(settings, Purpose.NUDGE, f"{the(PromiseKind.NEXT_UPDATE).id}:{person}")
    assert anonymous.get(f"/nudges/{token}").status_code == 400


def test_a_policy_is_edited_in_words_people_use(states: dict[str, ComponentState], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    form = {
        "first_update": "4 s", "next_update": "1 h 30 min", "post_incident_email": "PT24H",
        "nudges_at_00": "2 s", "nudges_when_00": "before", "nudges_to_00": "comms_lead",
        "nudges_at_01": "0 s", "nudges_when_01": "before", "nudges_to_01": "everyone", "nudges_by_01": "pager",
        "nudges_at_02": "", "nudges_to_02": "backup",
        "holding_enabled": "yes", "holding_at": "30 s", "holding_max": "3", "holding_text": "More by {next_update_by}.", "audience": "customers",
    }  # fmt: skip
    assert admin.post("/admin/policies/SEV1", form).status_code == 303
    policy = policies.policy_of(Severity.SEV1)
    assert (policy.first_update, policy.next_update, policy.direct_email) == (timedelta(seconds=4), 90 * MINUTE, None)
    assert [(nudge.at.total_seconds(), nudge.to, nudge.by) for nudge in policy.nudges] == [
        (-2, "comms_lead", ""), (0, "everyone", "pager"),
    ]  # fmt: skip
    assert policy.holding_update.enabled
    assert policy.audience == ("customers",)
    assert policies.policy_of(Severity.SEV2) == DEFAULT_POLICIES[Severity.SEV2]


def test_the_form_of_a_policy_says_what_is_in_force(states: dict[str, ComponentState], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    before = policies.policy_of(Severity.SEV1)
    page = admin.get("/admin/policies/SEV1").text
    fields = dict(re.findall(r'<input id="[^"]+" name="([^"]+)"[^>]* value="([^"]*)"', page))
    fields |= dict(re.findall(r'name="([^"]+)" type="[a-z]+" value="([^"]*)"', page))
    for name, body in re.findall(r'<select id="[^"]+" name="([^"]+)">(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body)
        fields[name] = chosen[1] if chosen else ""
    fields["holding_text"] = before.holding_update.text
    assert admin.post("/admin/policies/SEV1", fields).status_code == 303
    assert policies.policy_of(Severity.SEV1) == before


@pytest.mark.parametrize(
    ("field", "value", "beside"),
    [
        ("first_update", "soon", "first_update"),
        ("first_update", "100 d", "first_update"),
        ("nudges_at_00", "often", "nudges"),
        ("holding_text", "No time in here.", "holding_update"),
        ("holding_max", "99", "holding_update"),
        ("audience", "everybody", "audience"),
    ],
)
def test_a_policy_that_can_not_be_is_refused_beside_its_field(
    field: str, value: str, beside: str, states: dict[str, ComponentState], arrive: Arrive
) -> None:
    form = {
        "holding_at": "1 min",
        "holding_max": "2",
        "holding_text": "More by {next_update_by}.",
        "audience": "customers",
        "nudges_to_00": "backup",
    }
    answer = arrive(AccountRole.ADMIN).post("/admin/policies/SEV1", form | {field: value})
    assert answer.status_code == 422
    assert f'id="error-{beside}"' in answer.text
    assert value in answer.text or field == "audience"
    assert db.session.scalar(select(func.count()).select_from(PolicyVersion)) == 0


def test_of_two_who_edit_a_policy_the_second_is_told(states: dict[str, ComponentState], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    form = {
        "holding_at": "1 min",
        "holding_max": "2",
        "holding_text": "More by {next_update_by}.",
        "audience": "customers",
        "first_update": "5 min",
    }
    stale = admin.hidden("/admin/policies/SEV1")
    assert admin.post("/admin/policies/SEV1", form).status_code == 303
    answer = admin.post_as_is("/admin/policies/SEV1", stale | form | {"first_update": "6 min"})
    assert (answer.status_code, "6 min" in answer.text) == (409, True)
    assert policies.policy_of(Severity.SEV1).first_update == 5 * MINUTE
