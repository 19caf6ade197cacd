"""When an incident began or ended before somebody wrote about it, the record of states is put right; rows stay."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import components, corrections, importers
from statuspage.db import db
from statuspage.models import ComponentStateChange
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import ComponentState, MessageKind, Visibility
from tests import builders

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "statuspage" / "page"
UP, SLOW, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE


@pytest.fixture
def opened(app: Flask, now: datetime) -> datetime:
    """When the page was opened, days ago."""
    opened = now - timedelta(days=3)
    builders.page(opened)
    return opened


@pytest.fixture
def writer(opened: datetime) -> str:
    return builders.account(opened)


@pytest.fixture
def sign_in(opened: datetime, writer: str) -> str:
    return builders.component(opened)


def states(component_id: str, now: datetime, minutes: Mapping[int, ComponentState]) -> dict[int, ComponentState]:
    """What the ledger says of these minutes after now."""
    db.session.rollback()
    table = ComponentStateChange
    query = select(table.state).where(table.component_id == component_id)
    query = query.order_by(table.changed_at.desc(), table.id.desc()).limit(1)
    return {
        minute: db.session.execute(query.where(table.changed_at <= now + timedelta(minutes=minute))).scalar_one()
        for minute in minutes
    }


def begun(writer: str, component_id: str, state: ComponentState, began: datetime, now: datetime) -> str:
    """Return the id of an incident acknowledged now that began earlier."""
    incident_id = builders.declared(writer, {component_id: state}, now)
    builders.post(
        MessageKind.ACKNOWLEDGE, incident_id, {component_id: state}, writer, now, started_at=typed_instant(began)
    )
    return incident_id


def ended(writer: str, incident_id: str, component_id: str, at: datetime, now: datetime) -> None:
    """Resolve an incident now that ended earlier."""
    builders.post(MessageKind.RESOLVE, incident_id, {component_id: UP}, writer, now, resolved_at=typed_instant(at))


def test_an_incident_counts_from_when_it_began(writer: str, sign_in: str, now: datetime) -> None:
    begun(writer, sign_in, DOWN, now - timedelta(minutes=40), now)
    expected = {-41: UP, -40: DOWN, -1: DOWN, 0: DOWN, 60: DOWN}
    assert states(sign_in, now, expected) == expected


def test_an_incident_counts_until_it_ended(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = begun(writer, sign_in, DOWN, now - timedelta(minutes=40), now)
    ended(writer, incident_id, sign_in, now + timedelta(minutes=20), now + timedelta(minutes=60))
    expected = {-41: UP, -40: DOWN, 19: DOWN, 20: UP, 59: UP, 60: UP, 90: UP}
    assert states(sign_in, now, expected) == expected


def test_an_end_before_the_all_clear_was_given_counts_too(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = begun(writer, sign_in, DOWN, now, now)
    builders.post(MessageKind.UPDATE, incident_id, {sign_in: UP}, writer, now + timedelta(minutes=40))
    ended(writer, incident_id, sign_in, now + timedelta(minutes=20), now + timedelta(minutes=60))
    expected = {0: DOWN, 19: DOWN, 20: UP, 40: UP, 60: UP}
    assert states(sign_in, now, expected) == expected


def test_a_milder_incident_with_an_earlier_beginning_hides_no_worse_one(
    writer: str, sign_in: str, now: datetime
) -> None:
    begun(writer, sign_in, DOWN, now - timedelta(minutes=30), now - timedelta(minutes=30))
    begun(writer, sign_in, SLOW, now - timedelta(minutes=60), now)
    expected = {-61: UP, -60: SLOW, -31: SLOW, -30: DOWN, 0: DOWN}
    assert states(sign_in, now, expected) == expected


def test_an_earlier_end_leaves_what_another_incident_does(writer: str, sign_in: str, now: datetime) -> None:
    first = begun(writer, sign_in, DOWN, now, now)
    begun(writer, sign_in, SLOW, now + timedelta(minutes=10), now + timedelta(minutes=10))
    ended(writer, first, sign_in, now + timedelta(minutes=5), now + timedelta(minutes=60))
    expected = {0: DOWN, 4: DOWN, 5: UP, 9: UP, 10: SLOW, 59: SLOW, 60: SLOW, 90: SLOW}
    assert states(sign_in, now, expected) == expected


def test_what_was_set_by_hand_meanwhile_stays(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = begun(writer, sign_in, DOWN, now, now)
    components.edit_component(sign_in, "Sign-in", "", "", SLOW, writer, now + timedelta(minutes=30))
    ended(writer, incident_id, sign_in, now + timedelta(minutes=20), now + timedelta(minutes=60))
    expected = {0: DOWN, 20: UP, 29: UP, 30: SLOW, 59: SLOW, 60: UP}
    assert states(sign_in, now, expected) == expected


def test_an_incident_opened_again_counts_from_then(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = begun(writer, sign_in, DOWN, now, now)
    ended(writer, incident_id, sign_in, now + timedelta(minutes=20), now + timedelta(minutes=30))
    again = now + timedelta(minutes=50)
    corrections.reopen(incident_id, "It fails again.", builders.version(incident_id), writer, again)
    expected = {0: DOWN, 20: UP, 49: UP, 50: DOWN}
    assert states(sign_in, now, expected) == expected


@pytest.mark.parametrize("visibility", [Visibility.INTERNAL, Visibility.DRILL])
def test_what_is_not_public_leaves_no_trace(visibility: Visibility, writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.declared(writer, {sign_in: DOWN}, now, visibility=visibility)
    early = typed_instant(now - timedelta(minutes=30))
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: DOWN}, writer, now, started_at=early)
    assert db.session.scalar(select(func.count(ComponentStateChange.id))) == 1


def test_no_row_is_ever_taken_away_or_changed(writer: str, sign_in: str, now: datetime) -> None:
    table = ComponentStateChange
    query = select(table.id, table.component_id, table.state, table.changed_at, table.incident_id).order_by(table.id)
    held: list[object] = []
    incident_id = ""
    for step in range(3):
        if step == 1:
            incident_id = begun(writer, sign_in, DOWN, now - timedelta(minutes=40), now)
        elif step == 2:
            ended(writer, incident_id, sign_in, now - timedelta(minutes=20), now + timedelta(minutes=60))
        db.session.rollback()
        rows = [tuple(row) for row in db.session.execute(query)]
        assert rows[: len(held)] == held
        assert len(rows) > len(held)
        held = list(rows)


def test_an_imported_incident_that_is_over_weighs_on_nothing(app: Flask, now: datetime, tmp_path: Path) -> None:
    export = tmp_path / "export"
    shutil.copytree(FIXTURE, export)
    file = export / "incidents.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    incident = next(each for each in document["incidents"] if each["id"] == "lk7inc000001")
    for update in incident["incident_updates"]:
        if update["status"] in ("monitoring", "resolved"):
            # Statuspage lets people set the component right by hand instead.
            update["affected_components"] = []
    file.write_text(json.dumps(document), encoding="utf-8")
    for _ in range(2):
        assert not [
            row for row in importers.apply(importers.plan(importers.read(str(export))), now) if row.outcome == "error"
        ]
    table = ComponentStateChange
    query = select(table.state, table.changed_at).where(table.incident_id == "lk7inc000001").order_by(table.changed_at)
    rows = db.session.execute(query).all()
    assert [row.state for row in rows].count(UP) == 1
    assert (rows[-1].state, rows[-1].changed_at) == (UP, datetime(2026, 10, 2, 7, 10, tzinfo=UTC))
