"""The public JSON has Statuspage's shape: its keys in their order, its words, its way to write times."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from statuspage.actions import components, importers
from statuspage.db import db, transaction
from statuspage.models import (
    Component,
    Incident,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Page,
    Update,
    new_id,
)
from statuspage.rules.vocabulary import ComponentState, Impact, MaintenanceStage, MessageKind, Stage, Visibility
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot, statuspage_v2
from tests import builders

Read = Callable[[str], Any]

OPERATIONAL, DEGRADED, DOWN = ComponentState
SCHEDULED, IN_PROGRESS, VERIFYING, COMPLETED = MaintenanceStage
EXPORT = Path(__file__).resolve().parents[1] / "fixtures" / "statuspage" / "page"

KEYS = {
    "page": "id name url time_zone updated_at generated_at",
    "status": "indicator description",
    "component": """id name status created_at updated_at position description showcase start_date group_id page_id
        group only_show_if_degraded""",
    "group": """id name status created_at updated_at position description showcase start_date group_id page_id
        group only_show_if_degraded components""",
    "incident": """id name status created_at updated_at monitoring_at resolved_at impact shortlink started_at page_id
        incident_updates components reminder_intervals next_update_by""",
    "maintenance": """id name status created_at updated_at monitoring_at resolved_at impact shortlink started_at page_id
        incident_updates components scheduled_for scheduled_until""",
    "update": """id status body incident_id created_at updated_at display_at affected_components deliver_notifications
        custom_tweet tweet_id""",
    "affected": "code name old_status new_status",
}
TOP = {
    "summary": "page components incidents scheduled_maintenances status",
    "status": "page status",
    "components": "page components",
    "incidents": "page incidents",
    "incidents/unresolved": "page incidents",
    "scheduled-maintenances": "page scheduled_maintenances",
    "scheduled-maintenances/upcoming": "page scheduled_maintenances",
    "scheduled-maintenances/active": "page scheduled_maintenances",
}
# Besides these every value is a text.
TYPES: dict[str, tuple[type | None, ...]] = {
    "position": (int,),
    "showcase": (bool,),
    "group": (bool,),
    "only_show_if_degraded": (bool,),
    "deliver_notifications": (bool,),
    "description": (str, None),
    "start_date": (str, None),
    "group_id": (str, None),
    "monitoring_at": (str, None),
    "resolved_at": (str, None),
    "display_at": (str, None),
    "next_update_by": (str, None),
    "affected_components": (list, None),
    "incident_updates": (list,),
    "components": (list,),
    "reminder_intervals": (None,),
    "custom_tweet": (None,),
    "tweet_id": (None,),
}
ID = re.compile("[0-9a-z]{12}")
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
OUR_OWN = ("generated_at", "next_update_by")


def check_shape(name: str, document: dict[str, Any], zone: str = "Z") -> None:
    """Check every key, type, id and time of a document."""
    assert list(document) == TOP[name].split()
    check_record("page", document["page"], zone)
    if "status" in document:
        check_record("status", document["status"], zone)
    for each in document.get("components", ()):
        check_record("group" if each["group"] else "component", each, zone)
    for kind, key in (("incident", "incidents"), ("maintenance", "scheduled_maintenances")):
        for each in document.get(key, ()):
            check_record(kind, each, zone)
            for part in each["components"]:
                check_record("component", part, zone)
            for said in each["incident_updates"]:
                check_record("update", said, zone)
                for affected in said["affected_components"] or ():
                    check_record("affected", affected, zone)


def check_record(kind: str, record: dict[str, Any], zone: str) -> None:
    assert list(record) == KEYS[kind].split()
    for key, value in record.items():
        allowed = TYPES.get(key, (str,))
        if kind == "status":
            allowed = (str,)
        assert (None if value is None else type(value)) in allowed, (kind, key, value)
        if value is not None and (key.endswith("_at") or key in ("scheduled_for", "scheduled_until", "next_update_by")):
            assert re.fullmatch(INSTANT + ("Z" if key in OUR_OWN else zone), value), (kind, key, value)
        if value is not None and (key in ("id", "code") or key.endswith("_id")) and key != "tweet_id":
            assert ID.fullmatch(value), (kind, key, value)


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now - timedelta(days=40))
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


@pytest.fixture
def read(settings: Settings) -> Read:
    return lambda name: json.loads((settings.site_dir / "api" / "v2" / f"{name}.json").read_bytes())


@pytest.fixture
def published(settings: Settings, read: Read) -> Callable[[str, datetime], Any]:
    def publish(name: str, now: datetime) -> Any:
        publisher.publish_all(settings, now)
        return read(name)

    return publish


Published = Callable[[str, datetime], Any]


def planned(
    stage: MaintenanceStage, component_ids: list[str], now: datetime, *, said: tuple[MaintenanceStage, ...] = ()
) -> str:
    """Return the id of a window that came to a stage; what was said on the way is a minute apart."""
    window = Maintenance(
        title="Moving house",
        stage=stage,
        scheduled_for=now,
        scheduled_until=now + timedelta(hours=2),
        completed_at=now if stage is COMPLETED else None,
        last_posted_at=now,
        created_at=now,
        updated_at=now,
    )
    with transaction(now) as session:
        session.add(window)
        session.flush()
        session.add_all(MaintenanceComponent(maintenance_id=window.id, component_id=each) for each in component_ids)
        for number, each in enumerate(said or (stage,), start=1):
            posted_at = now + timedelta(minutes=number)
            session.add(
                MaintenanceUpdate(
                    maintenance_id=window.id, sequence=number, stage=each, body="We move.", body_html="<p>We move.</p>",
                    posted_at=posted_at, created_at=posted_at,
                )
            )  # fmt: skip
        return window.id


# --- the shape ---------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Etc/UTC", "America/New_York"])
def test_every_document_has_the_keys_types_and_times_that_clients_know(
    zone: str, writer: str, sign_in: str, settings: Settings, now: datetime, read: Read
) -> None:
    components.edit_page("Larkspur", zone, "", writer, now)
    group_id = components.create_group("Shop", writer, now)
    checkout = builders.component(now, "Checkout", group_id)
    resolved = builders.acknowledged(writer, {sign_in: DOWN}, now)
    builders.post(MessageKind.RESOLVE, resolved, {sign_in: OPERATIONAL}, writer, now)
    with transaction(now) as session:
        session.execute(update(Incident).values(post_mortem="We learned.", post_mortem_published_at=now))
    builders.acknowledged(writer, {checkout: DEGRADED}, now)
    for stage in MaintenanceStage:
        planned(stage, [sign_in], now)
    publisher.publish_all(settings, now)
    for name in statuspage_v2.DOCUMENTS:
        check_shape(name, read(name), "Z" if zone == "Etc/UTC" else "-05:00")
    assert read("incidents")["incidents"][0]["impact"] == "critical"


def test_an_imported_page_is_published_as_it_was_but_for_our_own_addresses_and_keys(
    app: Flask, settings: Settings, now: datetime, read: Read
) -> None:
    for row in importers.apply(importers.plan(importers.read(str(EXPORT))), now):
        assert row.outcome == "create"
    publisher.publish_all(settings, now)
    for name in ("components", "incidents", "scheduled-maintenances"):
        ours, theirs = read(name), json.loads((EXPORT / f"{name}.json").read_bytes())
        check_shape(name, ours, r"\+0[12]:00")
        for key, records in theirs.items():
            if key != "page":
                assert without_places(ours[key]) == without_places(records)


def without_places(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out where a page is, what we say besides, and what our three states and cleaned texts say otherwise."""
    dropped = {"shortlink", "page_id", "next_update_by", "body", "custom_tweet"}
    finer = {"partial_outage": "major_outage", "under_maintenance": "operational"}
    archived = "Vouchers"

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            return [strip(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept = {key: strip(each) for key, each in value.items() if key not in dropped}
        if "code" in kept and kept["name"].endswith(archived):
            kept["name"] = archived
        if "group" in kept:
            kept["status"] = finer.get(kept["status"], kept["status"])
        return kept

    return sorted((strip(each) for each in records), key=lambda each: str(each["id"]))


def test_nothing_in_the_json_can_end_a_script(
    writer: str, sign_in: str, now: datetime, settings: Settings, published: Published
) -> None:
    name = "</script><b>&amp; \u2028“Störung”"
    with transaction(now) as session:
        session.execute(update(Component).values(name=name))
    assert published("components", now)["components"][0]["name"] == name
    text = (settings.site_dir / "api/v2/components.json").read_text(encoding="utf-8")
    assert not set("<>&\u2028\u2029") & set(text)
    assert "“Störung”" in text


def test_every_document_says_when_it_was_made(writer: str, now: datetime, published: Published) -> None:
    page = published("status", now)["page"]
    assert page["generated_at"] == "2026-11-21T14:00:00.000Z"
    assert page["url"] == "http://status.example.com"
    assert page["id"] == db.session.query(Page).one().id


def test_summary_and_status_are_made_again_every_few_minutes(
    writer: str, settings: Settings, now: datetime, read: Read
) -> None:
    publisher.publish_all(settings, now)
    publisher.refresh(settings, now + timedelta(minutes=5))
    made = {name: read(name)["page"]["generated_at"] for name in ("summary", "status", "incidents")}
    assert made["summary"] == made["status"] == "2026-11-21T14:05:00.000Z"
    assert made["incidents"] == "2026-11-21T14:00:00.000Z"


# --- components and the page's state ------------------------------------------


@pytest.mark.parametrize(
    ("states", "covered", "indicator", "description"),
    [
        ([OPERATIONAL, OPERATIONAL], False, "none", "All Systems Operational"),
        ([OPERATIONAL, DEGRADED], False, "minor", "Partially Degraded Service"),
        ([DEGRADED, DEGRADED], False, "minor", "Degraded System Service"),
        ([OPERATIONAL, DOWN], False, "major", "Partial System Outage"),
        ([DEGRADED, DOWN], False, "major", "Partial System Outage"),
        ([DOWN, DOWN], False, "critical", "Major System Outage"),
        ([DOWN], False, "critical", "Major System Outage"),
        ([OPERATIONAL, OPERATIONAL], True, "maintenance", "Service Under Maintenance"),
        ([DEGRADED, OPERATIONAL], True, "minor", "Partially Degraded Service"),
        ([DOWN, OPERATIONAL], True, "major", "Partial System Outage"),
        ([], False, "none", "All Systems Operational"),
    ],
)
def test_the_page_is_described_in_statuspages_own_words(
    states: list[ComponentState],
    covered: bool,
    indicator: str,
    description: str,
    writer: str,
    now: datetime,
    published: Published,
) -> None:
    ids = [builders.component(now, f"Part {number}") for number in range(len(states))]
    if covered:
        planned(IN_PROGRESS, ids, now)
    for component_id, state in zip(ids, states, strict=True):
        with transaction(now) as session:
            session.execute(update(Component).where(Component.id == component_id).values(state=state))
    assert published("status", now)["status"] == {"indicator": indicator, "description": description}
    assert published("summary", now)["status"]["indicator"] == indicator


@pytest.mark.parametrize(
    ("impact", "status"),
    [
        (None, {"indicator": "none", "description": "All Systems Operational"}),
        (Impact.LOW, {"indicator": "minor", "description": "Minor Service Outage"}),
        (Impact.MEDIUM, {"indicator": "major", "description": "Partial System Outage"}),
        (Impact.HIGH, {"indicator": "critical", "description": "Major System Outage"}),
    ],
)
def test_without_components_the_worst_open_incident_describes_the_page(
    impact: Impact | None, status: dict[str, str], writer: str, now: datetime, published: Published
) -> None:
    add_incident(Visibility.PUBLIC, Stage.IDENTIFIED, now, now, impact=impact)
    add_incident(Visibility.PUBLIC, Stage.RESOLVED, now, now, impact=Impact.HIGH)
    assert published("status", now)["status"] == status


def test_a_group_is_listed_among_the_components_and_is_as_bad_as_its_worst(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    group_id = components.create_group("Shop", writer, now)
    components.create_group("Empty", writer, now)
    cart, checkout = (builders.component(now, name, group_id) for name in ("Cart", "Checkout"))
    archived = builders.component(now, "Vouchers", group_id)
    components.archive_component(archived, writer, now)
    builders.acknowledged(writer, {checkout: DEGRADED}, now)
    listed = {each["name"]: each for each in published("components", now)["components"]}
    assert set(listed) == {"Sign-in", "Shop", "Cart", "Checkout"}
    group = listed["Shop"]
    assert (group["group"], group["group_id"], group["showcase"]) == (True, None, False)
    assert (group["status"], group["components"]) == ("degraded_performance", [cart, checkout])
    assert "components" not in listed["Cart"]
    assert listed["Cart"]["group_id"] == group_id
    positions = [each["position"] for each in published("components", now)["components"]]
    assert positions == sorted(positions)


def test_a_window_shows_over_what_is_well_and_never_over_what_is_not(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    group_id = components.create_group("Shop", writer, now)
    checkout = builders.component(now, "Checkout", group_id)
    builders.acknowledged(writer, {sign_in: DOWN}, now)
    planned(IN_PROGRESS, [sign_in, checkout], now)
    found = {each["name"]: each["status"] for each in published("components", now)["components"]}
    assert found == {"Sign-in": "major_outage", "Checkout": "under_maintenance", "Shop": "under_maintenance"}


# --- incidents ---------------------------------------------------------------


def test_an_open_incident_tells_its_course_its_components_and_what_is_promised(
    writer: str, now: datetime, published: Published
) -> None:
    group_id = components.create_group("Shop", writer, now)
    checkout = builders.component(now, "Checkout", group_id)
    incident_id = builders.acknowledged(writer, {checkout: DOWN}, now, title="Paying fails")
    later = now + timedelta(minutes=20)
    builders.post(MessageKind.UPDATE, incident_id, {checkout: DEGRADED}, writer, later)
    (incident,) = published("incidents/unresolved", later)["incidents"]
    assert incident["name"] == "Paying fails"
    assert incident["shortlink"] == f"http://status.example.com/incidents/{incident_id}"
    assert incident["resolved_at"] is None
    assert incident["next_update_by"].startswith("2026-11-21T14:")
    newest, first = incident["incident_updates"]
    assert newest["display_at"] == "2026-11-21T14:20:00.000Z"
    assert first["affected_components"] == [
        {"code": checkout, "name": "Shop - Checkout", "old_status": "operational", "new_status": "major_outage"}
    ]
    assert newest["affected_components"][0]["old_status"] == "major_outage"
    assert newest["affected_components"][0]["new_status"] == "degraded_performance"
    assert [each["status"] for each in incident["components"]] == ["degraded_performance"]
    assert published("summary", later)["incidents"] == [incident]


def test_a_resolved_incident_names_its_components_as_they_are_now(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    later = now + timedelta(hours=1)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: OPERATIONAL}, writer, later)
    (incident,) = published("incidents", later)["incidents"]
    assert (incident["status"], incident["resolved_at"]) == ("resolved", "2026-11-21T15:00:00.000Z")
    assert incident["next_update_by"] is None
    assert [each["status"] for each in incident["components"]] == ["operational"]
    assert published("incidents/unresolved", later)["incidents"] == published("summary", later)["incidents"] == []


def test_a_published_post_mortem_is_the_newest_update_without_a_time_to_show(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: OPERATIONAL}, writer, now)
    with transaction(now) as session:
        session.execute(update(Incident).values(post_mortem="# Why\n\nA queue.", post_mortem_published_at=now))
    (incident,) = published("incidents", now)["incidents"]
    newest = incident["incident_updates"][0]
    assert incident["status"] == newest["status"] == "postmortem"
    assert (newest["body"], newest["display_at"], newest["affected_components"]) == ("# Why\n\nA queue.", None, None)
    assert newest["id"] == published("incidents", now)["incidents"][0]["incident_updates"][0]["id"]


def test_the_newest_fifty_are_listed_and_an_old_one_that_is_open_is_not_forgotten(
    writer: str, now: datetime, published: Published
) -> None:
    ids = [
        add_incident(Visibility.PUBLIC, Stage.RESOLVED, now, now - timedelta(minutes=number)) for number in range(52)
    ]
    old = add_incident(Visibility.PUBLIC, Stage.MONITORING, now, now - timedelta(days=3))
    assert [each["id"] for each in published("incidents", now)["incidents"]] == ids[:50]
    assert [each["id"] for each in published("incidents/unresolved", now)["incidents"]] == [old]
    assert [each["id"] for each in published("summary", now)["incidents"]] == [old]


def test_a_component_that_left_the_page_is_in_no_document(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: OPERATIONAL}, writer, now)
    components.archive_component(sign_in, writer, now)
    assert published("components", now)["components"] == []
    assert published("incidents", now)["incidents"][0]["components"] == []


def add_incident(
    visibility: Visibility,
    stage: Stage,
    now: datetime,
    posted_at: datetime | None,
    *,
    impact: Impact | None = Impact.LOW,
) -> str:
    """Return the id of an incident that was written at once, with one update if it was posted about."""
    incident_id = new_id()
    with transaction(now) as session:
        incident = Incident(
            id=incident_id, title=f"Trouble {incident_id}", visibility=visibility, stage=stage, impact=impact,
            started_at=now, declared_at=now, resolved_at=now if stage is Stage.RESOLVED else None,
            last_posted_at=posted_at, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(incident)
        session.flush()
        if posted_at is not None:
            session.add(
                Update(
                    incident_id=incident_id, sequence=1, kind=MessageKind.ACKNOWLEDGE, stage=stage, body="Trouble.",
                    body_html="<p>Trouble.</p>", component_states=[], posted_at=posted_at, created_at=posted_at,
                )
            )  # fmt: skip
    return incident_id


@given(
    made=st.lists(
        st.tuples(st.sampled_from(Visibility), st.sampled_from(Stage), st.booleans()),
        max_size=6,
    )
)
@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_what_is_public_and_was_told_is_in_any_document(
    made: list[tuple[Visibility, Stage, bool]], app: Flask, settings: Settings
) -> None:
    now = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    with transaction(now) as session:
        for table in (Update, Incident, Page):
            session.execute(delete(table))
        session.add(Page(name="Larkspur", created_at=now, updated_at=now))
    shown, hidden = set(), set()
    for visibility, stage, told in made:
        incident_id = add_incident(visibility, stage, now, now if told else None)
        (shown if visibility is Visibility.PUBLIC and told else hidden).add(incident_id)
    publisher.publish_all(settings, now)
    texts = {path: (settings.site_dir / snapshot.file_name(path)).read_text() for path in statuspage_v2.PATHS}
    listed = {each["id"] for each in json.loads(texts["/api/v2/incidents.json"])["incidents"]}
    assert listed == shown
    for path, text in texts.items():
        assert not [each for each in hidden if each in text], path


# --- planned work --------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "lists"),
    [
        (SCHEDULED, {"summary", "scheduled-maintenances", "scheduled-maintenances/upcoming"}),
        (IN_PROGRESS, {"summary", "scheduled-maintenances", "scheduled-maintenances/active"}),
        (VERIFYING, {"summary", "scheduled-maintenances", "scheduled-maintenances/active"}),
        (COMPLETED, {"scheduled-maintenances"}),
    ],
)
def test_a_window_is_listed_by_its_stage_and_never_among_the_incidents(
    stage: MaintenanceStage, lists: set[str], writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    window_id = planned(stage, [sign_in], now)
    found = {name for name in TOP if window_id in json.dumps(published(name, now))}
    assert found == lists
    (window,) = published("scheduled-maintenances", now)["scheduled_maintenances"]
    assert (window["status"], window["impact"]) == (stage.value, "maintenance")
    assert (window["scheduled_for"], window["scheduled_until"]) == (
        "2026-11-21T14:00:00.000Z",
        "2026-11-21T16:00:00.000Z",
    )


def test_the_stages_of_a_window_say_what_they_do_to_its_components(
    writer: str, sign_in: str, now: datetime, published: Published
) -> None:
    planned(COMPLETED, [sign_in], now, said=(SCHEDULED, SCHEDULED, IN_PROGRESS, VERIFYING, COMPLETED))
    (window,) = published("scheduled-maintenances", now)["scheduled_maintenances"]
    told = [
        (each["status"], [(part["old_status"], part["new_status"]) for part in each["affected_components"] or ()])
        for each in window["incident_updates"]
    ]
    well, covered = "operational", "under_maintenance"
    assert told == [
        ("completed", [(covered, well)]),
        ("verifying", [(covered, covered)]),
        ("in_progress", [(well, covered)]),
        ("scheduled", []),
        ("scheduled", [(well, well)]),
    ]
    assert window["monitoring_at"] == "2026-11-21T14:04:00.000Z"
    assert window["resolved_at"] == "2026-11-21T14:00:00.000Z"


def test_there_is_a_word_for_every_stage_of_planned_work() -> None:
    assert set(statuspage_v2.OUTWARD_STAGES) == set(MaintenanceStage)
