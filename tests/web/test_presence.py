"""Several people in one room: who is here, who writes, and what was done meanwhile."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from statuspage import clock
from statuspage.actions import corrections, drafts
from statuspage.db import db
from statuspage.models import Account
from statuspage.rules.vocabulary import AccountRole, ComponentState, IncidentRole, MessageKind, Severity
from tests import builders
from tests.pagechecks import check_page
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]


@pytest.fixture
def grace(app: Flask, started: datetime) -> str:
    builders.page(started)
    by = builders.account(started, AccountRole.COMMS, "grace@example.com")
    db.session.get_one(Account, by).name = "Grace"
    db.session.commit()
    return by


@pytest.fixture
def incident_id(grace: str, started: datetime) -> str:
    return builders.acknowledged(grace, {builders.component(started): ComponentState.OUTAGE}, started)


@pytest.fixture
def room(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}"


@pytest.fixture
def alan(arrive: Arrive) -> Visitor:
    return arrive(AccountRole.VIEWER)


def seen(visitor: Visitor, room: str) -> str:
    found = re.search(r'data-presence="[^"]+" data-deeds="(\d+)"', visitor.get(room).text)
    assert found
    return found[1]


def look(visitor: Visitor, room: str, seen: str = "") -> str:
    token = visitor.hidden("/console/account/")
    answer = visitor.post_as_is(f"{room}/presence", token | {"seen": seen})
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", "", answer.text).split())


def test_an_empty_room_says_nothing(alan: Visitor, room: str) -> None:
    assert look(alan, room) == ""
    # Oneself is nobody to be told of.
    assert look(alan, room) == ""


def test_somebody_else_is_seen_on_the_page_and_by_the_poll(
    alan: Visitor, room: str, incident_id: str, grace: str
) -> None:
    drafts.be_present(incident_id, grace, clock.now())
    assert "Grace is here" in look(alan, room)
    assert "<strong>Grace</strong> is here." in alan.get(room).text


def test_who_writes_is_said_with_since_when_and_never_what(
    alan: Visitor, room: str, incident_id: str, grace: str
) -> None:
    now = clock.now()
    begun = now - timedelta(minutes=2)
    fields = {"being_done": "Nobody may read this"}
    drafts.save_draft(incident_id, MessageKind.UPDATE, fields, builders.nonce(), grace, begun)
    drafts.be_present(incident_id, grace, now)
    said = look(alan, room)
    assert f"Grace is here, writing an update since {begun:%H:%M} UTC" in said
    assert "Nobody may read this" not in alan.get(room).text + said


@pytest.mark.parametrize(
    ("seen_ago", "typed_ago", "said"),
    [(29, 0, "writing"), (29, 299, "writing"), (29, 301, "is here."), (31, 0, "")],
)
def test_who_has_left_or_stopped_typing_is_not_said_to_write(
    seen_ago: int,
    typed_ago: int,
    said: str,
    alan: Visitor,
    room: str,
    incident_id: str,
    grace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    typed_at, seen_at = now - timedelta(seconds=typed_ago), now - timedelta(seconds=seen_ago)
    drafts.save_draft(incident_id, MessageKind.UPDATE, {"stage": "monitoring"}, builders.nonce(), grace, typed_at)
    drafts.be_present(incident_id, grace, seen_at)
    found = look(alan, room)
    assert said in found if said else found == ""


def test_what_others_did_is_told_with_its_words_until_it_is_seen(
    alan: Visitor, room: str, incident_id: str, grace: str
) -> None:
    before = seen(alan, room)
    assert "Show" not in look(alan, room, before)
    builders.post(MessageKind.UPDATE, incident_id, {}, grace, clock.now(), being_done="We found it.")
    answer = alan.post_as_is(f"{room}/presence", alan.hidden("/console/account/") | {"seen": before}).text
    assert re.search(r"<strong>Grace</strong> posted an update at \d\d:\d\d UTC", answer)
    assert "We found it." in answer
    assert f'data-version="{builders.version(incident_id)}"' in answer
    assert "Show" in look(alan, room, before)
    assert "Show" not in look(alan, room, seen(alan, room))


def test_several_changes_are_told_as_one(alan: Visitor, room: str, incident_id: str, grace: str) -> None:
    before, now = seen(alan, room), clock.now()
    corrections.regrade(incident_id, Severity.SEV2, "Few are affected.", builders.version(incident_id), grace, now)
    corrections.assign_roles(incident_id, {IncidentRole.COMMANDER: grace}, grace, now)
    corrections.post_internal_update(incident_id, "The rollback <b>runs</b>.", builders.nonce(), None, now)
    answer = alan.post_as_is(f"{room}/presence", alan.hidden("/console/account/") | {"seen": before}).text
    assert re.search(r"<strong>A program</strong> told the team at [\d:]+ UTC, and 2 more changes", answer)
    assert "changed the severity" in answer
    assert "changed who does what" in answer
    assert "The rollback &lt;b&gt;runs&lt;/b&gt;." in answer


def test_one_is_told_what_one_did_oneself_in_another_window(
    room: str, incident_id: str, grace: str, arrive: Arrive, anonymous: Visitor
) -> None:
    anonymous.sign_in("grace@example.com")
    before = seen(anonymous, room)
    builders.post(MessageKind.UPDATE, incident_id, {}, grace, clock.now())
    assert "You posted an update" in look(anonymous, room, before)


def test_whoever_writes_a_first_message_that_is_out_already_is_led_on(
    alan: Visitor, grace: str, started: datetime
) -> None:
    states = {builders.component(started, "Search"): ComponentState.OUTAGE}
    incident_id = builders.declared(grace, states, started)
    room = f"/console/incidents/{incident_id}"
    before = seen(alan, room)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, grace, clock.now())
    answer = alan.post_as_is(f"{room}/presence", alan.hidden("/console/account/") | {"seen": before}).text
    assert f'<a href="{room}/update">go on with an update</a>' in answer


@pytest.mark.parametrize("nonsense", ["", "x", "-1", "9" * 30, "٣"])
def test_who_does_not_say_what_was_seen_is_told_nothing(
    nonsense: str, alan: Visitor, room: str, incident_id: str, grace: str
) -> None:
    assert "Show" not in look(alan, room, nonsense)


def test_a_look_asks_the_database_little(alan: Visitor, room: str, incident_id: str, grace: str) -> None:
    before, token = seen(alan, room), alan.hidden("/console/account/")
    look(alan, room, before)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    alan.post_as_is(f"{room}/presence", token | {"seen": before})
    # Who asks (session and account), whether this was noted a moment ago, the count, and who is here.
    assert len([each for each in asked if each.startswith("SELECT")]) <= 5
    assert not [each for each in asked if each.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_roles_are_changed_in_the_room(arrive: Arrive, room: str, grace: str) -> None:
    comms = arrive(AccountRole.COMMS)
    page = comms.get(room).text
    check_page(page)
    assert f'action="{room}/roles"' in page
    assert comms.post(f"{room}/roles", {"role_commander": grace}, on=room).status_code == 303
    assert re.search(r"<dt>Incident commander</dt><dd>Grace</dd>", comms.get(room).text)


def test_an_unknown_incident_has_no_room(alan: Visitor) -> None:
    token = alan.hidden("/console/account/")
    assert alan.post_as_is("/console/incidents/nosuchthing0/presence", token).status_code == 404
