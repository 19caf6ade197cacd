"""Drills in the console: start, follow, end, score; and nothing of it for strangers."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage import clock
from statuspage.actions import drills
from statuspage.db import db, transaction
from statuspage.models import Component, Drill, Incident, RoleAssignment
from statuspage.rules.drills import SCENARIOS
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    MessageKind,
    Visibility,
)
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

PACKAGE = Path(__file__).resolve().parents[2] / "statuspage"
LIST = "/console/drills/"


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def sign_in(started: datetime) -> str:
    return builders.component(started, "Sign-in")


@pytest.fixture
def comms(arrive: Arrive, sign_in: str) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def drill_id(sign_in: str, started: datetime) -> str:
    """A drill that began six minutes ago: two things have been told, the third is to come."""
    return drills.start_drill("database-outage", None, {}, None, started - timedelta(minutes=6))


def start(visitor: Visitor, scenario: str = "database-outage", **roles: str) -> str:
    answer = visitor.post(LIST, {"scenario": scenario, **roles})
    assert answer.status_code == 303
    return str(answer.location).rsplit("/", 1)[1]


def text(visitor: Visitor, path: str) -> str:
    answer = visitor.get(path)
    assert answer.status_code == 200, path
    return text_of(check_page(answer.text))


def acknowledge(visitor: Visitor, incident_id: str) -> int:
    path = f"/console/incidents/{incident_id}/acknowledge"
    return visitor.post(path, typed(MessageKind.ACKNOWLEDGE, clock.now())).status_code


# --- starting --------------------------------------------------------------


def test_the_page_offers_every_scenario_with_what_it_is_about(comms: Visitor) -> None:
    page = text(comms, LIST)
    assert "There has been no drill yet." in page
    for scenario in SCENARIOS.values():
        assert scenario.title in page
        assert scenario.summary in page


def test_starting_leads_to_the_drill_and_its_first_words(comms: Visitor) -> None:
    incident_id = start(comms)
    page = text(comms, f"{LIST}{incident_id}")
    assert "DRILL This is practice: nothing here is public, and no customer is told." in page
    assert "For four minutes the start page" in page
    assert "All systems operational Nothing: no update has been posted." in page
    assert "running" in text(comms, LIST)


def test_roles_and_components_may_be_chosen(comms: Visitor, sign_in: str, started: datetime) -> None:
    builders.component(started, "Search")
    lead = builders.account(started, AccountRole.RESPONDER)
    incident_id = start(comms, component=sign_in, role_commander=lead, role_backup="")
    incident = db.session.get_one(Incident, incident_id)
    assert [each.component_id for each in incident.components] == [sign_in]
    assert [(each.role.value, each.account_id) for each in db.session.scalars(select(RoleAssignment))] == [
        ("commander", lead)
    ]


@pytest.mark.parametrize(
    ("typed_in", "sentence"),
    [
        ({}, "Please choose a scenario."),
        ({"scenario": "flood"}, "Please choose a scenario."),
        ({"scenario": "slow-sign-in", "component": "nosuchthing0"}, "One of the components does not exist any more"),
        ({"scenario": "slow-sign-in", "role_commander": "nosuchperson"}, "This person has no account here any more."),
    ],
)
def test_what_is_wrong_is_told_beside_the_field_and_the_rest_is_kept(
    typed_in: dict[str, str], sentence: str, comms: Visitor, sign_in: str
) -> None:
    answer = comms.post(LIST, typed_in | {"role_comms_lead": ""})
    page = answer.text
    assert answer.status_code == 422
    check_page(page)
    assert sentence in page
    assert 'id="error-' in page
    assert ('value="slow-sign-in" required checked' in page) == (typed_in.get("scenario") == "slow-sign-in")
    assert db.session.scalar(select(Incident.id)) is None


def test_a_chosen_component_is_kept_on_a_mistake(comms: Visitor, sign_in: str) -> None:
    page = comms.post(LIST, {"component": sign_in}).text
    assert f'name="component" value="{sign_in}" checked' in page


def test_a_scenario_that_is_being_played_is_not_started_twice(comms: Visitor) -> None:
    start(comms)
    answer = comms.post(LIST, {"scenario": "database-outage"})
    assert answer.status_code == 409
    assert "This scenario is being played already: please end that drill first." in text_of(check_page(answer.text))


# --- following -------------------------------------------------------------


def test_what_was_told_is_shown_the_newest_first_and_what_comes_is_not(comms: Visitor, drill_id: str) -> None:
    page = text(comms, f"{LIST}{drill_id}")
    assert page.index("Eleven messages in three minutes") < page.index("For four minutes the start page")
    assert "The main database takes no connections" not in page
    assert "More is to come." in page
    assert "Score sheet" not in page


def test_the_page_of_a_running_drill_refreshes_itself_until_told_to_stop(comms: Visitor, drill_id: str) -> None:
    refresh = 'data-refresh-seconds="20"'
    assert refresh in comms.get(f"{LIST}{drill_id}").text
    assert refresh not in comms.get(f"{LIST}{drill_id}?paused").text
    assert comms.post(f"{LIST}{drill_id}/end", {}, on=LIST).status_code == 303
    assert refresh not in comms.get(f"{LIST}{drill_id}").text


def test_the_drill_page_shows_what_readers_would_see(comms: Visitor, drill_id: str, sign_in: str) -> None:
    assert acknowledge(comms, drill_id) == 303
    answer = comms.get(f"{LIST}{drill_id}").text
    page = text_of(check_page(answer))
    assert "Some systems are down" in page
    assert "Sign-in Outage" in page
    assert "Signing in may fail." in page
    assert "Next update by" in page
    # The public address would lead nowhere.
    assert f'"/incidents/{drill_id}"' not in answer
    resolve = typed(MessageKind.RESOLVE, clock.now()) | {f"state_{sign_in}": "operational"}
    assert comms.post(f"/console/incidents/{drill_id}/resolve", resolve).status_code == 303
    page = text(comms, f"{LIST}{drill_id}")
    assert "All systems operational" in page
    assert "Resolved" in page


def test_the_room_of_a_drill_says_so_and_leads_to_the_drill(comms: Visitor, drill_id: str) -> None:
    room = f"/console/incidents/{drill_id}"
    answer = comms.get(room).text
    assert '<strong class="tag tag-drill">DRILL</strong>' in answer
    assert f'href="{LIST}{drill_id}"' in answer
    page = text_of(check_page(answer))
    assert "Eleven messages in three minutes" in page
    assert "For four minutes the start page" not in page
    assert "This incident is a drill: nobody outside is told." in page
    assert "Goes to the public page" not in page
    assert acknowledge(comms, drill_id) == 303
    page = text(comms, f"{room}?posted=acknowledge")
    assert "Kept in the timeline below. This incident is a drill: nobody outside is told." in page


def test_other_rooms_speak_of_no_drill(comms: Visitor, sign_in: str, started: datetime) -> None:
    by = builders.account(started)
    for visibility in (Visibility.PUBLIC, Visibility.INTERNAL):
        made = builders.declared(by, {sign_in: ComponentState.OUTAGE}, started, visibility=visibility)
        assert "drill" not in comms.get(f"/console/incidents/{made}").text.replace("/console/drills/", "").replace(
            "Drills", ""
        )


def test_the_board_marks_drills_while_they_run(comms: Visitor, drill_id: str) -> None:
    assert '<strong class="tag tag-drill">DRILL</strong>' in comms.get("/console/").text
    assert comms.post(f"{LIST}{drill_id}/end", {}, on=LIST).status_code == 303
    assert "DRILL" not in comms.get("/console/").text


def test_the_declare_form_offers_no_drill(comms: Visitor, sign_in: str) -> None:
    fields = {"title": "Signing in fails", "severity": "SEV1", f"state_{sign_in}": "outage", "visibility": "drill"}
    assert comms.post("/console/incidents/new", fields).status_code == 303
    assert db.session.scalar(select(Incident.visibility)) is Visibility.PUBLIC


# --- ending ----------------------------------------------------------------


def test_after_the_end_there_is_a_score_sheet_and_nothing_more_to_post(
    comms: Visitor, drill_id: str, started: datetime
) -> None:
    assert acknowledge(comms, drill_id) == 303
    answer = comms.post(f"{LIST}{drill_id}/end", {}, on=LIST)
    assert (answer.status_code, answer.location) == (303, f"{LIST}{drill_id}")
    root = check_page(comms.get(f"{LIST}{drill_id}").text)
    page = text_of(root)
    assert "What went well: Every promise that fell due was kept." in page
    assert "What to practise: The end: this drill has no resolve message." in page
    facts = [
        [text_of(cell) for cell in pair] for pair in root.iter("div") if [each.tag for each in pair] == ["dt", "dd"]
    ]
    assert facts[:2] == [["Public updates", "1"], ["First update after", "6 min"]]
    assert facts[3:] == [["Resolved after", "not resolved in this drill"], ["First public update", "1 kept"]]
    assert "End the drill" not in page
    room = text(comms, f"/console/incidents/{drill_id}")
    assert "This drill has ended. See the score sheet" in room
    assert "Post the update" not in room
    assert "late" not in room


def test_a_message_that_comes_after_the_end_is_refused_and_its_words_kept(comms: Visitor, drill_id: str) -> None:
    path = f"/console/incidents/{drill_id}/acknowledge"
    fields = comms.hidden(path) | typed(MessageKind.ACKNOWLEDGE, clock.now(), symptoms="My own careful words")
    drills.end_drill(drill_id, None, clock.now())
    answer = comms.post_as_is(path, fields)
    assert answer.status_code == 409
    assert "This drill has ended" in answer.text
    assert "My own careful words" in answer.text


def test_a_drill_ends_once(comms: Visitor, drill_id: str) -> None:
    assert comms.post(f"{LIST}{drill_id}/end", {}, on=LIST).status_code == 303
    ended_at = db.session.scalar(select(Drill.ended_at))
    answer = comms.post(f"{LIST}{drill_id}/end", {}, on=LIST)
    assert answer.status_code == 409
    assert "This drill has ended already." in text_of(check_page(answer.text))
    db.session.rollback()
    assert db.session.scalar(select(Drill.ended_at)) == ended_at


def test_a_drill_of_a_scenario_that_is_known_no_more_can_still_be_read(comms: Visitor, drill_id: str) -> None:
    with transaction(clock.now()) as session:
        session.execute(update(Drill).values(scenario="flood"))
    assert "This version does not know the scenario “flood” any more." in text(comms, f"{LIST}{drill_id}")
    text(comms, f"/console/incidents/{drill_id}")
    text(comms, LIST)


# --- who may ---------------------------------------------------------------


def test_viewers_follow_but_neither_start_nor_end(arrive: Arrive, drill_id: str) -> None:
    viewer = arrive(AccountRole.VIEWER)
    assert "Start the drill" not in text(viewer, LIST)
    assert "End the drill" not in text(viewer, f"{LIST}{drill_id}")
    assert viewer.post(LIST, {"scenario": "slow-sign-in"}).status_code == 403
    assert viewer.post(f"{LIST}{drill_id}/end", {}, on=LIST).status_code == 403
    assert db.session.scalar(select(Drill.ended_at)) is None


def test_responders_start_and_end(arrive: Arrive, sign_in: str) -> None:
    responder = arrive(AccountRole.RESPONDER)
    incident_id = start(responder)
    assert responder.post(f"{LIST}{incident_id}/end", {}, on=LIST).status_code == 303


def test_strangers_are_asked_to_sign_in(anonymous: Visitor, drill_id: str) -> None:
    for path in (LIST, f"{LIST}{drill_id}", f"/console/incidents/{drill_id}"):
        answer = anonymous.get(path)
        assert (answer.status_code, answer.location) == (303, f"/login?next={path}")
    assert anonymous.post_as_is(LIST, {"scenario": "slow-sign-in"}).status_code in (401, 403)


def test_what_is_no_drill_is_not_found(comms: Visitor, sign_in: str, started: datetime) -> None:
    real = builders.declared(builders.account(started), {sign_in: ComponentState.OUTAGE}, started)
    for unknown in (real, "nosuchthing0"):
        assert comms.get(f"{LIST}{unknown}").status_code == 404
        assert comms.post(f"{LIST}{unknown}/end", {}, on=LIST).status_code == 404


def test_only_the_console_loads_drills_as_readers_would_see_them() -> None:
    users = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bload_drill\b", file.read_text(encoding="utf-8"))
    }
    assert users == {"site/page.py", "web/console/drills.py", "web/console/preview.py"}


def test_playing_in_the_console_leaves_the_public_state_alone(comms: Visitor, drill_id: str, sign_in: str) -> None:
    assert acknowledge(comms, drill_id) == 303
    assert "The public page says: Operational" in text(comms, "/console/")
    db.session.rollback()
    assert db.session.get_one(Component, sign_in).state is ComponentState.OPERATIONAL
