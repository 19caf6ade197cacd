"""Bring a page over from Atlassian Statuspage."""

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import importers
from statuspage.actions.foreign_text import to_markdown
from statuspage.db import db
from statuspage.models import (
    Announcement,
    AuditEntry,
    Change,
    Component,
    ComponentGroup,
    ComponentStateChange,
    Incident,
    Maintenance,
    Page,
    Update,
)
from statuspage.rules.vocabulary import (
    ComponentState,
    Impact,
    MaintenanceStage,
    MessageKind,
    RuleBroken,
    Stage,
    Visibility,
)
from tests import builders

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "statuspage" / "page"
PAST, OPEN = "lk7inc000001", "lk7inc000002"


def bring(source: Path | str, now: datetime) -> list[importers.Row]:
    return list(importers.apply(importers.plan(importers.read(str(source))), now))


def count(table: type) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def outcomes(rows: list[importers.Row]) -> dict[str, int]:
    return {outcome: sum(row.outcome == outcome for row in rows) for outcome in {row.outcome for row in rows}}


@pytest.fixture
def folder(app: Flask, tmp_path: Path) -> Path:
    """A copy of the fixture that a test may change."""
    copy = tmp_path / "export"
    shutil.copytree(FIXTURE, copy)
    return copy


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((folder / name).read_text(encoding="utf-8"))
    change(document)
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def test_a_whole_page_comes_across(app: Flask, now: datetime) -> None:
    rows = bring(FIXTURE, now)
    assert outcomes(rows) == {"create": 9}
    page = db.session.scalars(select(Page)).one()
    assert (page.name, page.time_zone) == ("Larkspur", "Europe/Berlin")
    group = db.session.scalars(select(ComponentGroup)).one()
    assert (group.id, group.name, group.position) == ("lk7group0001", "Shop", 1)
    assert (count(Incident), count(Update), count(Maintenance)) == (2, 5, 1)


@pytest.mark.parametrize(
    ("component_id", "state", "group_id", "original"),
    [
        ("lk7comp00001", ComponentState.OPERATIONAL, "lk7group0001", "operational"),
        ("lk7comp00002", ComponentState.OUTAGE, "lk7group0001", "partial_outage"),
        ("lk7comp00003", ComponentState.OPERATIONAL, None, "under_maintenance"),
    ],
)
def test_components_keep_their_id_group_and_original_state(
    app: Flask, component_id: str, state: ComponentState, group_id: str | None, original: str, now: datetime
) -> None:
    bring(FIXTURE, now)
    component = db.session.get_one(Component, component_id)
    assert (component.state, component.group_id, component.archived_at) == (state, group_id, None)
    assert component.imported is not None
    assert component.imported["record"]["status"] == original
    assert component.start_date is not None


def test_a_past_incident_keeps_its_texts_times_and_states(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    incident = db.session.get_one(Incident, PAST)
    assert (incident.title, incident.stage, incident.impact) == ("Payments were declined", Stage.RESOLVED, Impact.HIGH)
    assert (incident.severity, incident.visibility, incident.next_update_by) == (None, Visibility.PUBLIC, None)
    assert incident.started_at == datetime(2026, 10, 2, 6, 0, tzinfo=UTC)
    assert incident.resolved_at == incident.last_posted_at == datetime(2026, 10, 2, 7, 10, tzinfo=UTC)
    newest_first = [(update.id[-1], update.kind, update.stage, update.sequence) for update in incident.updates]
    assert newest_first == [
        ("4", MessageKind.RESOLVE, Stage.RESOLVED, 4),
        ("3", MessageKind.UPDATE, Stage.MONITORING, 3),
        ("2", MessageKind.UPDATE, Stage.IDENTIFIED, 2),
        ("1", MessageKind.ACKNOWLEDGE, Stage.INVESTIGATING, 1),
    ]
    monitoring = incident.updates[1]
    assert monitoring.body == "It works again;\nwe are [watching](https://larkspur.example/blog) it."
    assert '<a href="https://larkspur.example/blog"' in monitoring.body_html
    assert monitoring.imported is not None
    assert monitoring.imported["custom_tweet"] == "Fixed!"
    assert monitoring.component_states == [
        {"component_id": "lk7comp00002", "name": "Checkout", "old_state": "outage", "new_state": "operational"}
    ]


def test_a_post_mortem_is_kept_beside_the_updates(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    incident = db.session.get_one(Incident, PAST)
    assert incident.post_mortem == "# What happened\n\nA partner had an **outage**."
    assert incident.post_mortem_published_at == datetime(2026, 10, 4, 10, 0, tzinfo=UTC)


def test_an_incident_knows_the_worst_state_of_its_components(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    past, ongoing = (db.session.get_one(Incident, incident_id) for incident_id in (PAST, OPEN))
    assert {part.component_id: (part.state, part.worst_state) for part in past.components} == {
        "lk7comp00002": (ComponentState.OPERATIONAL, ComponentState.OUTAGE),
        "lk7old000001": (ComponentState.OPERATIONAL, ComponentState.OPERATIONAL),
    }
    assert [part.state for part in ongoing.components] == [ComponentState.OUTAGE]
    assert ongoing.is_open


def test_a_component_deleted_at_the_source_stays_off_the_page(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    component = db.session.get_one(Component, "lk7old000001")
    assert (component.name, component.archived_at) == ("Vouchers", now)


def test_the_recorded_states_become_the_ledger(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    changes = db.session.execute(
        select(ComponentStateChange.state, ComponentStateChange.changed_at)
        .where(ComponentStateChange.incident_id == PAST)
        .order_by(ComponentStateChange.changed_at)
    ).all()
    assert [(state.value, changed_at.minute) for state, changed_at in changes] == [
        ("degraded", 0),
        ("outage", 20),
        ("operational", 40),
    ]


def test_a_maintenance_comes_across(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    maintenance = db.session.scalars(select(Maintenance)).one()
    assert (maintenance.id, maintenance.stage) == ("lk7mnt000001", MaintenanceStage.COMPLETED)
    assert maintenance.scheduled_for == datetime(2026, 9, 10, 2, 0, tzinfo=UTC)
    assert [update.stage.value for update in maintenance.updates] == ["completed", "in_progress", "scheduled"]
    assert [part.component_id for part in maintenance.components] == ["lk7comp00003"]


def test_nobody_is_mailed_about_the_past_and_the_publishers_are_told_once(app: Flask, now: datetime) -> None:
    builders.page(now, "Old name")
    before = count(Change)
    bring(FIXTURE, now)
    assert (count(Announcement), count(Change)) == (0, before + 1)


def test_a_second_import_changes_nothing(app: Flask, now: datetime) -> None:
    bring(FIXTURE, now)
    before = [count(table) for table in (Change, Update, ComponentStateChange, AuditEntry)]
    rows = bring(FIXTURE, now + timedelta(days=1))
    assert outcomes(rows) == {"unchanged": 9}
    assert [count(table) for table in (Change, Update, ComponentStateChange, AuditEntry)] == before


def test_what_changed_at_the_source_is_updated(folder: Path, now: datetime) -> None:
    bring(folder, now)

    def resolve(document: dict[str, Any]) -> None:
        incident = document["incidents"][0]
        incident |= {"status": "resolved", "resolved_at": "2026-11-20T11:00:00.000+01:00"}
        said = incident["incident_updates"][0]
        states = [said["affected_components"][0] | {"old_status": "partial_outage", "new_status": "operational"}]
        more = {"id": "lk7upd000010", "status": "resolved", "body": "Done.", "affected_components": states}
        incident["incident_updates"].insert(0, said | more | {"display_at": "2026-11-20T11:00:00.000+01:00"})

    edit(folder, "incidents.json", resolve)
    changes = count(ComponentStateChange)
    rows = bring(folder, now + timedelta(days=1))
    assert [(row.id, row.outcome) for row in rows if row.outcome != "unchanged"] == [(OPEN, "update")]
    incident = db.session.get_one(Incident, OPEN, populate_existing=True)
    assert (incident.stage, [update.body for update in incident.updates]) == (
        Stage.RESOLVED,
        ["Done.", "Some orders fail."],
    )
    assert count(ComponentStateChange) == changes + 1


def test_what_changed_here_is_left_alone(folder: Path, now: datetime) -> None:
    bring(folder, now)
    by = builders.account(now)
    builders.post(MessageKind.UPDATE, OPEN, {"lk7comp00002": ComponentState.DEGRADED}, by, now)
    edit(folder, "incidents.json", lambda document: document["incidents"][0].update(name="Another title"))
    rows = bring(folder, now + timedelta(days=1))
    assert [(row.id, row.outcome) for row in rows if row.outcome != "unchanged"] == [(OPEN, "kept")]
    assert db.session.get_one(Incident, OPEN, populate_existing=True).title == "Checkout is slow"


def test_a_page_with_components_keeps_its_name(app: Flask, now: datetime) -> None:
    builders.page(now, "Hollyhock")
    builders.component(now)
    rows = bring(FIXTURE, now)
    assert [row.outcome for row in rows if row.kind == "page"] == ["kept"]
    assert db.session.scalars(select(Page.name)).one() == "Hollyhock"


def test_a_plan_writes_nothing(app: Flask, now: datetime) -> None:
    steps = importers.plan(importers.read(str(FIXTURE)))
    assert {step.row.outcome for step in steps} == {"create"}
    assert [count(table) for table in (Page, Component, Incident, AuditEntry)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "on fire"}, "The stage “on fire” is unknown."),
        ({"name": "  "}, "“name” is missing."),
        ({"created_at": "yesterday"}, "“created_at” is no instant: 'yesterday'."),
        ({"created_at": "2026-11-20T09:50:00"}, "“created_at” is no instant: '2026-11-20T09:50:00'."),
        ({"id": "../../etc"}, "The id '../../etc' is not 1 to 12 of a–z and 0–9."),
        ({"id": None}, "The id None is not 1 to 12 of a–z and 0–9."),
    ],
)
def test_a_bad_row_is_named_and_does_not_stop_the_others(
    folder: Path, change: dict[str, Any], reason: str, now: datetime
) -> None:
    edit(folder, "incidents.json", lambda document: document["incidents"][0].update(change))
    (folder / "summary.json").unlink()
    rows = bring(folder, now)
    bad = [row for row in rows if row.outcome == "error"]
    assert [(row.file, row.index, row.reason) for row in bad] == [("incidents.json", 0, reason)]
    assert outcomes(rows) == {"create": 8, "error": 1}


def test_a_row_the_database_refuses_does_not_stop_the_others(folder: Path, now: datetime) -> None:
    def same_id(document: dict[str, Any]) -> None:
        document["incidents"][0]["incident_updates"][0]["id"] = "lk7upd000001"

    edit(folder, "incidents.json", same_id)
    rows = bring(folder, now)
    assert [(row.id, row.outcome) for row in rows if row.kind == "incident"] == [(OPEN, "create"), (PAST, "error")]
    assert db.session.get(Incident, PAST) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "This is no JSON"),
        ("[1]", "This is no answer of Statuspage's API."),
        ('{"incidents": {}}', "“incidents” is no list."),
        ('{"incidents": ["x"]}', "This is no record."),
    ],
)
def test_a_broken_file_is_named(folder: Path, text: str, reason: str, now: datetime) -> None:
    (folder / "broken.json").write_text(text, encoding="utf-8")
    rows = bring(folder, now)
    assert [(row.file, row.reason[: len(reason)]) for row in rows if row.outcome == "error"] == [
        ("broken.json", reason)
    ]


def test_after_a_kill_the_same_import_does_the_rest_and_tells_the_publishers(app: Flask, now: datetime) -> None:
    builders.page(now)
    steps = importers.plan(importers.read(str(FIXTURE)))
    walk = importers.apply(steps, now)
    for _ in steps:
        next(walk)
    walk.close()  # what a kill leaves: every row is written, nobody was told
    before = count(Change)
    rows = bring(FIXTURE, now)
    assert "create" not in outcomes(rows)
    assert count(Change) == before + 1


@pytest.mark.parametrize("source", ["nowhere", "empty"])
def test_a_source_with_nothing_in_it_is_refused(app: Flask, tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleBroken) as broken:
        importers.read(str(tmp_path / source))
    assert list(broken.value.errors) == ["source"]


@pytest.fixture
def source_server() -> Iterator[str]:
    """A real HTTP server that answers like a page of Statuspage; it has no summary."""

    class Answers(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, directory=str(FIXTURE), **named)

        def do_GET(self) -> None:
            if not self.path.startswith("/api/v2/") or self.path.endswith("summary.json"):
                self.send_error(404)
                return
            self.path = self.path.removeprefix("/api/v2")
            super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_is_read_from_its_address(app: Flask, source_server: str, now: datetime) -> None:
    assert outcomes(bring(source_server, now)) == {"create": 9}


def test_an_address_that_gives_nothing_is_refused(app: Flask, source_server: str) -> None:
    with pytest.raises(RuleBroken, match="can't be fetched"):
        importers.read(f"{source_server}/elsewhere")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Plain.\n\nText.", "Plain.\n\nText."),
        ("a<br />b<br>c", "a\nb\nc"),
        ("<p>One</p><p>Two &amp; <b>three</b></p>", "One\n\nTwo & **three**"),
        ('<a href="javascript:go">here</a>', "here"),
        ('<a href="https://a.example">https://a.example</a>', "<https://a.example>"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("see https://a.example/x?y=1.", "see <https://a.example/x?y=1>."),
        ("[here](https://a.example)", "[here](https://a.example)"),
        ("2 < 3 and 4 > 1", "2 < 3 and 4 > 1"),
        ("<br><script>alert(1)</script>hello", "hello"),
        ("    indented\r\nline", "indented\nline"),
    ],
)
def test_foreign_text_becomes_markdown(theirs: str, ours: str) -> None:
    assert to_markdown(theirs) == ours
