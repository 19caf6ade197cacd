"""The incident room: forms that can't be got wrong, and what happens when they are."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage import clock
from statuspage.db import db
from statuspage.models import Component, Incident, RoleAssignment, Update
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def sign_in_component(started: datetime) -> str:
    return builders.component(started, "Sign-in")


@pytest.fixture
def comms(arrive: Arrive, sign_in_component: str) -> Visitor:
    return arrive(AccountRole.COMMS)


def declaration(component_id: str, **changes: str) -> dict[str, str]:
    return {"title": "Signing in fails", "severity": "SEV1", f"state_{component_id}": "outage"} | changes


def declare(visitor: Visitor, component_id: str) -> str:
    answer = visitor.post("/console/incidents/new", declaration(component_id))
    assert answer.status_code == 303
    return str(answer.location).rsplit("/", 1)[1]


def acknowledge(visitor: Visitor, incident_id: str, **changes: str) -> int:
    path = f"/console/incidents/{incident_id}/acknowledge"
    fields = typed(MessageKind.ACKNOWLEDGE, clock.now()) | changes
    return visitor.post(path, fields).status_code


def updates() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Update)) or 0


def incident() -> Incident:
    db.session.rollback()
    return db.session.scalars(select(Incident)).one()


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        (AccountRole.ADMIN, "there are none yet. Add the first component"),
        (AccountRole.COMMS, "there are none yet. Please ask an administrator to add them."),
    ],
)
def test_a_board_without_components_says_so_and_who_adds_them(role: AccountRole, sentence: str, arrive: Arrive) -> None:
    visitor = arrive(role)
    page = text_of(check_page(visitor.get("/console/").text))
    assert "The public page says: No components listed yet" in page
    assert sentence in page
    for path in ("incidents/new", "maintenance/new", "drills/"):
        assert "There are no components yet." in visitor.get(f"/console/{path}").text, path


def test_declaring_leads_to_the_first_message_with_most_of_it_filled_in(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    page = comms.get(f"/console/incidents/{incident_id}").get_data(as_text=True)
    assert re.search(r"First public update</a>\s*<span class=\"countdown\" data-until=[^>]+>in 14 min", page)
    assert 'name="affected" value="Sign-in"' in page
    assert 'name="impact" value="high" checked' in page
    assert 'value="outage" selected' in page
    due = typed_instant(clock.now() + timedelta(minutes=30))[:15]
    assert f'name="next_update_by" type="datetime-local" step="60" value="{due}' in page


def test_from_declaration_to_resolution(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    assert acknowledge(comms, incident_id, **{f"state_{sign_in_component}": "outage"}) == 303
    update = typed(MessageKind.UPDATE, clock.now())
    assert comms.post(f"/console/incidents/{incident_id}/update", update).status_code == 303
    resolve_path = f"/console/incidents/{incident_id}/resolve"
    page = comms.get(resolve_path).get_data(as_text=True)
    assert 'value="operational" selected' in page
    resolve = typed(MessageKind.RESOLVE, clock.now()) | {f"state_{sign_in_component}": "operational"}
    assert comms.post(resolve_path, resolve).status_code == 303
    assert [each.kind for each in incident().updates] == ["resolve", "update", "acknowledge"]
    assert db.session.get_one(Component, sign_in_component).state is ComponentState.OPERATIONAL
    page = comms.get(f"/console/incidents/{incident_id}").get_data(as_text=True)
    assert ">Resolved</h2>" in page


def test_roles_are_kept(comms: Visitor, sign_in_component: str, started: datetime) -> None:
    lead = builders.account(started, AccountRole.RESPONDER)
    fields = declaration(sign_in_component, role_commander=lead, role_technical_lead=lead)
    assert comms.post("/console/incidents/new", fields).status_code == 303
    assert {each.role.value for each in db.session.scalars(select(RoleAssignment))} >= {"commander", "technical_lead"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": ""}, "Please give the incident a title customers understand."),
        ({"title": "x" * 151}, "Please shorten this to 150 characters (now 151)."),
        ({"title": "Down\r\nBcc: eve@example.com"}, "Please use one line of text"),
        ({"severity": "SEV9"}, "Please choose a severity."),
        ({"state": "on fire"}, "Please choose one of the three states."),
        ({"state": ""}, "Please choose at least one affected component and its state."),
        ({"state_nosuchthing0": "outage"}, "One of the components does not exist any more"),
        ({"role_commander": "nosuchperson"}, "This person has no account here any more."),
    ],
)
def test_a_wrong_declaration_is_told_beside_the_field_and_kept(
    change: dict[str, str], sentence: str, comms: Visitor, sign_in_component: str
) -> None:
    if "state" in change:
        change = {f"state_{sign_in_component}": change["state"]}
    fields = declaration(sign_in_component, title="Kept title") | change
    answer = comms.post("/console/incidents/new", fields)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert sentence in page
    assert fields["title"].partition("\r")[0][:100] in page
    assert db.session.scalar(select(Incident.id)) is None


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("affected", "", "Please fill this in."),
        ("affected", "x" * 201, "Please shorten this to 200 characters (now 201)."),
        ("symptoms", "  ", "Please fill this in."),
        ("symptoms", "a\x00b", "Please remove the control characters from this text."),
        ("next_update_by", "soon", "Please give a date and time in UTC"),
        ("next_update_by", "2020-01-01T00:00", "This is in the past"),
        ("next_update_by", "9999-01-01T00:00", "Please give a date and time in UTC"),
        ("started_at", "2099-01-01T00:00", "This is in the future"),
        ("impact", "enormous", "Please choose one of the options."),
        ("stage", "resolved", "Please choose one of the options."),
    ],
)
def test_a_wrong_message_is_told_beside_the_field_and_kept(
    field: str, text: str, sentence: str, comms: Visitor, sign_in_component: str
) -> None:
    incident_id = declare(comms, sign_in_component)
    fields = typed(MessageKind.ACKNOWLEDGE, clock.now(), help="") | {"symptoms": "Kept words"} | {field: text}
    answer = comms.post(f"/console/incidents/{incident_id}/acknowledge", fields)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f'id="error-{field}">{sentence}' in page
    assert field == "symptoms" or "Kept words" in page
    assert updates() == 0


def test_a_double_click_is_one_update(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    fields = comms.hidden(path) | typed(MessageKind.ACKNOWLEDGE, clock.now())
    first, second = comms.post_as_is(path, fields), comms.post_as_is(path, fields)
    assert (first.status_code, second.status_code) == (303, 303)
    assert updates() == 1


def test_of_two_people_at_once_the_second_is_told_and_keeps_the_text(
    comms: Visitor, arrive: Arrive, sign_in_component: str
) -> None:
    incident_id = declare(comms, sign_in_component)
    acknowledge(comms, incident_id)
    path = f"/console/incidents/{incident_id}/update"
    other = arrive(AccountRole.COMMS)
    stale = other.hidden(path)
    fields = typed(MessageKind.UPDATE, clock.now())
    assert comms.post(path, fields).status_code == 303
    answer = other.post_as_is(path, stale | fields | {"being_done": "My own careful words"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "Somebody else changed this incident while you were writing." in page
    assert "My own careful words" in page
    assert updates() == 2
    # What the second person sees now is fresh: the very next try goes through.
    again = other.post(path, fields | {"being_done": "My own careful words"})
    assert (again.status_code, updates()) == (303, 3)


@pytest.mark.parametrize("kind", ["update", "resolve"])
def test_nothing_comes_before_the_acknowledge_message(kind: str, comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    fields = typed(MessageKind(kind), clock.now())
    answer = comms.post(f"/console/incidents/{incident_id}/{kind}", fields)
    assert answer.status_code == 409
    assert "please post the acknowledge message first" in answer.get_data(as_text=True)
    assert updates() == 0


def test_a_second_resolve_is_refused_and_the_text_kept(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    acknowledge(comms, incident_id)
    path = f"/console/incidents/{incident_id}/resolve"
    fields = typed(MessageKind.RESOLVE, clock.now())
    hidden = comms.hidden(path)
    assert comms.post(path, fields).status_code == 303
    fresh = comms.hidden("/console/incidents/new")
    answer = comms.post_as_is(path, hidden | fresh | {"version": "3"} | fields | {"apology": "So sorry again"})
    assert answer.status_code == 409
    assert "This incident is resolved already." in answer.get_data(as_text=True)
    assert "So sorry again" in answer.get_data(as_text=True)
    assert updates() == 2


@pytest.mark.parametrize("field", ["form_token", "csrf_token"])
@pytest.mark.parametrize("forged", ["", "nonsense", "of somebody else"])
def test_a_forged_form_posts_nothing_and_keeps_the_text(
    field: str, forged: str, comms: Visitor, arrive: Arrive, sign_in_component: str
) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    token = arrive(AccountRole.COMMS).hidden(path)[field] if forged == "of somebody else" else forged
    fields = comms.hidden(path) | typed(MessageKind.ACKNOWLEDGE, clock.now(), symptoms="Kept words")
    answer = comms.post_as_is(path, fields | {field: token})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 403
    assert "This form is too old or was not made here." in page
    assert "Kept words" in page
    assert updates() == 0


def test_a_request_from_another_site_is_refused(comms: Visitor, sign_in_component: str) -> None:
    fields = comms.hidden("/console/incidents/new") | declaration(sign_in_component)
    answer = comms.post_as_is("/console/incidents/new", fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert db.session.scalar(select(Incident.id)) is None


def test_the_preview_shows_the_text_and_keeps_nothing(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    fields = typed(MessageKind.ACKNOWLEDGE, clock.now(), symptoms="") | {"affected": "<b>Sign-in</b> {{7*7}}"}
    answer = comms.post(f"{path}/preview", fields, on=path)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "&lt;b&gt;Sign-in&lt;/b&gt; {{7*7}}" in page
    assert "[What customers may notice]" in page
    assert updates() == 0


def test_an_unknown_incident_is_not_found(comms: Visitor) -> None:
    assert comms.get("/console/incidents/nosuchthing0").status_code == 404
    fields = comms.hidden("/console/incidents/new") | typed(MessageKind.UPDATE, clock.now()) | {"version": "1"}
    assert comms.post_as_is("/console/incidents/nosuchthing0/update", fields).status_code == 404


@pytest.mark.parametrize("role", [AccountRole.VIEWER, AccountRole.RESPONDER])
def test_only_comms_may_speak_to_customers(
    role: AccountRole, comms: Visitor, arrive: Arrive, sign_in_component: str
) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    visitor = arrive(role)
    assert "Posting needs the role Comms." in visitor.get(path).get_data(as_text=True)
    assert visitor.post(path, typed(MessageKind.ACKNOWLEDGE, clock.now())).status_code == 403
    assert updates() == 0


def test_somebody_signed_out_is_asked_to_sign_in_and_told_that_nothing_happened(
    anonymous: Visitor, comms: Visitor, sign_in_component: str
) -> None:
    answer = anonymous.get("/console/incidents/new")
    assert (answer.status_code, answer.location) == (303, "/login?next=/console/incidents/new")
    fields = anonymous.hidden("/login") | declaration(sign_in_component)
    answer = anonymous.post_as_is("/console/incidents/new", fields)
    assert answer.status_code == 401
    assert "Sign in in another tab" in answer.get_data(as_text=True)


def test_an_internal_incident_is_marked_and_stays_inside(comms: Visitor, sign_in_component: str) -> None:
    fields = declaration(sign_in_component, visibility="internal")
    incident_id = str(comms.post("/console/incidents/new", fields).location).rsplit("/", 1)[1]
    assert acknowledge(comms, incident_id) == 303
    assert not incident().is_published
    assert "nobody outside is told" in comms.get(f"/console/incidents/{incident_id}").get_data(as_text=True)


def test_back_and_post_again_with_other_words_is_told_and_kept(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    fields = comms.hidden(path) | typed(MessageKind.ACKNOWLEDGE, clock.now())
    assert comms.post_as_is(path, fields).status_code == 303
    answer = comms.post_as_is(path, fields | {"symptoms": "Corrected words"})
    assert answer.status_code == 409
    assert "This form was posted already, with other words." in answer.get_data(as_text=True)
    assert "Corrected words" in answer.get_data(as_text=True)
    assert updates() == 1


def test_the_first_message_names_at_least_one_component(comms: Visitor, sign_in_component: str) -> None:
    incident_id = declare(comms, sign_in_component)
    path = f"/console/incidents/{incident_id}/acknowledge"
    fields = typed(MessageKind.ACKNOWLEDGE, clock.now()) | {f"state_{sign_in_component}": ""}
    answer = comms.post(path, fields)
    assert answer.status_code == 422
    assert 'id="error-components"' in answer.get_data(as_text=True)
