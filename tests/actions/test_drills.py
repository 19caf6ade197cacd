"""Drills: everything runs for real, and nothing leaves the house."""

import threading
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import drills, escalation
from statuspage.db import db
from statuspage.models import (
    Announcement,
    AuditEntry,
    Change,
    Component,
    ComponentStateChange,
    Drill,
    Incident,
    Page,
    Update,
)
from statuspage.rules.drills import SCENARIOS
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    IncidentRole,
    MessageKind,
    NotFound,
    PromiseKind,
    RuleBroken,
    Severity,
    Visibility,
)
from statuspage.settings import Settings
from statuspage.site import page, publisher, snapshot
from statuspage.site.roster import load_roster
from statuspage.site.shelf import Shelf
from tests import builders

OUTAGE = "database-outage"


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


def count(table: type) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def revision() -> int:
    return db.session.execute(select(Page.revision).execution_options(populate_existing=True)).scalar_one()


def drill(incident_id: str) -> Drill:
    return db.session.get_one(Drill, incident_id, populate_existing=True)


def play(incident_id: str, sign_in: str, writer: str, now: datetime) -> None:
    """Post all three messages."""
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + timedelta(minutes=20))
    resolved_at = now + timedelta(minutes=40)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: ComponentState.OPERATIONAL}, writer, resolved_at)


# --- starting --------------------------------------------------------------


def test_a_drill_is_an_incident_that_says_what_it_is(writer: str, sign_in: str, now: datetime) -> None:
    other = builders.component(now, "Search")
    incident_id = drills.start_drill(OUTAGE, None, {IncidentRole.COMMS_LEAD: writer}, writer, now)
    incident = drill(incident_id).incident
    assert incident.title == "DRILL: The service is unavailable"
    assert (incident.visibility, incident.severity) == (Visibility.DRILL, Severity.SEV1)
    assert (incident.declared_at, incident.declared_by_id) == (now, writer)
    assert {each.component_id: each.state for each in incident.components} == dict.fromkeys(
        (sign_in, other), ComponentState.OUTAGE
    )
    assert [(each.role, each.account_id) for each in incident.roles] == [(IncidentRole.COMMS_LEAD, writer)]
    assert (drill(incident_id).scenario, drill(incident_id).ended_at) == (OUTAGE, None)
    assert db.session.scalar(select(AuditEntry.action).where(AuditEntry.object_id == incident_id)) == "declare"


def test_a_drill_may_affect_some_components_and_be_started_by_a_program(
    writer: str, sign_in: str, now: datetime
) -> None:
    builders.component(now, "Search")
    incident_id = drills.start_drill("slow-sign-in", [sign_in], {}, None, now)
    incident = drill(incident_id).incident
    assert [(each.component_id, each.state) for each in incident.components] == [(sign_in, ComponentState.DEGRADED)]
    assert incident.declared_by_id is None


@pytest.mark.parametrize(
    ("scenario", "component_ids", "roles", "field"),
    [
        ("flood", None, {}, "scenario"),
        (OUTAGE, [], {}, "components"),
        (OUTAGE, ["nosuchthing0"], {}, "components"),
        (OUTAGE, None, {IncidentRole.COMMANDER: "nosuchperson"}, "role_commander"),
    ],
)
def test_what_can_not_be_played_leaves_nothing_behind(
    scenario: str,
    component_ids: list[str] | None,
    roles: dict[IncidentRole, str],
    field: str,
    writer: str,
    sign_in: str,
    now: datetime,
) -> None:
    with pytest.raises(RuleBroken) as broken:
        drills.start_drill(scenario, component_ids, roles, writer, now)
    assert list(broken.value.errors) == [field]
    assert (count(Incident), count(Drill)) == (0, 0)


def test_without_components_there_is_nothing_to_practise_on(writer: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        drills.start_drill(OUTAGE, None, {}, writer, now)
    assert broken.value.errors == {"components": "A drill needs at least one component: please add one first."}


def test_of_many_who_start_the_same_scenario_one_does(app: Flask, writer: str, sign_in: str, now: datetime) -> None:
    started, refused = [], []

    def start() -> None:
        with app.app_context():
            try:
                started.append(drills.start_drill(OUTAGE, None, {}, writer, now))
            except Conflict:
                refused.append(1)

    db.session.rollback()
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(started), len(refused), count(Drill)) == (1, 3, 1)


def test_a_scenario_can_be_played_again_once_its_drill_has_ended(writer: str, sign_in: str, now: datetime) -> None:
    first = drills.start_drill(OUTAGE, None, {}, writer, now)
    drills.start_drill("slow-sign-in", None, {}, writer, now)
    with pytest.raises(Conflict, match="being played already"):
        drills.start_drill(OUTAGE, None, {}, writer, now)
    drills.end_drill(first, writer, now)
    assert drills.start_drill(OUTAGE, None, {}, writer, now) != first


# --- ending ----------------------------------------------------------------


def test_a_drill_ends_once_resolved_or_not(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    later = now + timedelta(minutes=30)
    drills.end_drill(incident_id, writer, later)
    assert drill(incident_id).ended_at == later
    assert drill(incident_id).incident.is_open
    with pytest.raises(Conflict, match="ended already"):
        drills.end_drill(incident_id, writer, later + timedelta(minutes=1))
    assert drill(incident_id).ended_at == later


def test_only_a_drill_can_be_ended(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now)
    for unknown in (incident_id, "nosuchthing0"):
        with pytest.raises(NotFound, match=f"There is no drill with the id {unknown}."):
            drills.end_drill(unknown, writer, now)


def test_nothing_is_posted_once_a_drill_has_ended(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    drills.end_drill(incident_id, writer, now)
    with pytest.raises(Conflict, match="This drill has ended"):
        builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert count(Update) == 0


# --- the score -------------------------------------------------------------


def test_the_score_sheet_is_made_from_promises_and_messages(writer: str, sign_in: str, now: datetime) -> None:
    began = now - timedelta(minutes=9)
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, began)
    drills.start_drill("slow-sign-in", None, {}, writer, now)
    play(incident_id, sign_in, writer, now)
    end = now + timedelta(hours=1)
    drills.end_drill(incident_id, writer, end)
    sheet = drills.score_sheet(incident_id, end + timedelta(days=1))
    assert {each.kind: (each.kept, each.late, each.missed, each.open) for each in sheet.kinds} == {
        PromiseKind.FIRST_UPDATE: (1, 0, 0, 0),
        PromiseKind.NEXT_UPDATE: (2, 0, 0, 0),
        PromiseKind.RESOLUTION_UPDATE: (1, 0, 0, 0),
        PromiseKind.INTERNAL_UPDATE: (0, 0, 1, 0),
        PromiseKind.DIRECT_EMAIL: (0, 0, 1, 0),
    }
    assert sheet.updates == 3
    assert sheet.first_update_after == timedelta(minutes=9)
    assert sheet.longest_silence == timedelta(minutes=20)
    assert sheet.resolved_after == timedelta(minutes=49)
    assert "left out" in sheet.to_practise
    assert sheet.wording == ()


def test_jargon_in_a_drills_messages_is_on_the_score_sheet(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    states = {sign_in: ComponentState.OUTAGE}
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now, symptoms="The database times out.")
    found = [each.found for each in drills.score_sheet(incident_id, now).wording]
    assert found == ["database", "times out"]


def test_the_names_of_components_are_no_jargon_on_the_score_sheet(writer: str, now: datetime) -> None:
    states = {builders.component(now, "Search Cluster"): ComponentState.OUTAGE}
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now, affected="The Search Cluster")
    assert drills.score_sheet(incident_id, now).wording == ()


def test_nobody_is_reminded_of_a_drill_that_has_ended(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    assert escalation.due_promises(now + timedelta(hours=3)) != []
    drills.end_drill(incident_id, writer, now + timedelta(minutes=5))
    assert escalation.due_promises(now + timedelta(hours=3)) == []


def test_a_drill_that_runs_is_scored_up_to_now(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    later = now + timedelta(minutes=50)
    assert drills.score_sheet(incident_id, later).longest_silence == timedelta(minutes=50)
    drills.end_drill(incident_id, writer, later)
    assert drills.score_sheet(incident_id, later + timedelta(days=1)).longest_silence == timedelta(minutes=50)


def test_what_is_no_drill_has_no_score(writer: str, now: datetime) -> None:
    with pytest.raises(NotFound):
        drills.score_sheet("nosuchthing0", now)


# --- nothing leaves the house ----------------------------------------------


def published(settings: Settings) -> dict[str, tuple[int, bytes]]:
    """Every file of the published folder: which one it is, and what is in it."""
    return {
        str(file.relative_to(settings.site_dir)): (file.stat().st_ino, file.read_bytes())
        for file in settings.site_dir.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_drill_leaves_the_published_folder_alone(
    scenario: str, writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    before, revision_before, changes = published(settings), revision(), count(Change)
    incident_id = drills.start_drill(scenario, None, {}, writer, now)
    play(incident_id, sign_in, writer, now)
    assert publisher.refresh(settings, now) == []
    assert (revision(), count(Change)) == (revision_before, changes)
    assert published(settings) == before
    current = snapshot.read_current(settings.site_dir)
    assert current is not None
    assert current.revision == revision_before


def test_a_drill_is_on_no_page_and_in_no_feed_even_when_all_is_written_anew(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    real = builders.acknowledged(writer, {sign_in: ComponentState.DEGRADED}, now, title="A real one")
    running = drills.start_drill(OUTAGE, None, {}, writer, now)
    builders.post(MessageKind.ACKNOWLEDGE, running, {sign_in: ComponentState.OUTAGE}, writer, now)
    ended = drills.start_drill("slow-sign-in", None, {}, writer, now)
    play(ended, sign_in, writer, now)
    drills.end_drill(ended, writer, now)
    # Its clock runs out, and the month is another one: both make publishers look again.
    for later in (now, now + timedelta(hours=3), now + timedelta(days=12)):
        publisher.publish_all(settings, later)
        files = published(settings)
        assert f"incidents/{real}.html" in files
        assert b"A real one" in files["history.rss"][1]
        for name, (_, content) in files.items():
            for secret in (running, ended, "DRILL", "unavailable", "Signing in is slow"):
                assert secret not in name
                assert secret.encode() not in content, (secret, name)


def test_the_readers_read_model_knows_no_drill(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert page.load_entry(incident_id, Shelf()) is None
    assert page.load_entry_ids(Shelf()) == []
    assert page.load_latest(50, Shelf()) == ()
    assert page.entries_between(now - timedelta(days=1), now + timedelta(days=1), Shelf()) == ()
    assert page.broken_promises(now, Shelf(), now + timedelta(days=1)) == []
    found = page.load_component(sign_in, load_roster(), Shelf())
    assert found is not None
    assert found[1] == ()


def test_a_drill_is_announced_to_nobody(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    play(incident_id, sign_in, writer, now)
    drills.end_drill(incident_id, writer, now)
    assert count(Announcement) == 0


def test_a_drill_leaves_the_components_as_they_are(writer: str, sign_in: str, now: datetime) -> None:
    changes = count(ComponentStateChange)
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert db.session.get_one(Component, sign_in, populate_existing=True).state is ComponentState.OPERATIONAL
    assert (count(ComponentStateChange), page.load_state()) == (changes, ComponentState.OPERATIONAL)
    # Nor does it outlast a real incident.
    real = builders.acknowledged(writer, {sign_in: ComponentState.DEGRADED}, now)
    assert page.load_state() is ComponentState.DEGRADED
    builders.post(MessageKind.RESOLVE, real, {sign_in: ComponentState.OPERATIONAL}, writer, now)
    assert page.load_state() is ComponentState.OPERATIONAL


# --- what players see behind sign-in ---------------------------------------


def test_a_drill_is_loaded_as_readers_would_see_it_once_something_is_posted(
    writer: str, sign_in: str, now: datetime
) -> None:
    incident_id = drills.start_drill(OUTAGE, None, {}, writer, now)
    assert page.load_drill(incident_id) is None
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    entry = page.load_drill(incident_id)
    assert entry is not None
    assert (entry.title, entry.label) == ("DRILL: The service is unavailable", "Investigating")
    assert [(each.name, each.state) for each in entry.components] == [("Sign-in", ComponentState.OUTAGE)]
    assert len(entry.updates) == 1


@pytest.mark.parametrize("visibility", [Visibility.PUBLIC, Visibility.INTERNAL])
def test_nothing_but_drills_is_loaded_that_way(
    visibility: Visibility, writer: str, sign_in: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now, visibility=visibility)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    assert page.load_drill(incident_id) is None
