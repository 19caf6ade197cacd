"""Where a published folder meets what should not happen, and does."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from statuspage.db import transaction
from statuspage.models import Maintenance
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, MessageKind
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from statuspage.site.reader import Reader
from tests import builders

DOWN = ComponentState.OUTAGE


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now)


def test_a_maintenance_without_an_update_does_not_stop_the_page(writer: str, settings: Settings, now: datetime) -> None:
    window = Maintenance(
        title="Larger servers",
        stage=MaintenanceStage.SCHEDULED,
        scheduled_for=now + timedelta(days=1),
        scheduled_until=now + timedelta(days=1, hours=1),
        last_posted_at=now,
        created_at=now,
        updated_at=now,
    )
    with transaction(now) as session:
        session.add(window)
    publisher.publish_all(settings, now)
    assert "Larger servers" in (settings.site_dir / "index.html").read_text()


def test_publishing_everything_takes_away_what_belongs_to_nothing(
    writer: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    (settings.site_dir / "incidents").mkdir(exist_ok=True)
    ghost = settings.site_dir / "incidents" / "ghost0000000.html"
    ghost.write_text("An incident of a database that was replaced.")
    publisher.publish_all(settings, now)
    assert not ghost.exists()


def test_a_backdated_incident_brings_every_month_since(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    incident_id = builders.declared(writer, {sign_in: DOWN}, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: DOWN}, writer, now, started_at="2026-08-10 10:00")
    publisher.refresh(settings, now)
    months = sorted(file.stem for file in (settings.site_dir / "history").glob("*.html"))
    assert months == ["2026-08", "2026-09", "2026-10", "2026-11"]
    assert "/history/2026-10" in (settings.site_dir / "history" / "2026-11.html").read_text()


def test_a_promise_that_has_passed_is_owned_up_to_without_a_script(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    publisher.refresh(settings, now)
    late = now + timedelta(minutes=31)
    assert f"/incidents/{incident_id}" not in publisher.refresh(settings, now + timedelta(minutes=30))
    assert publisher.refresh(settings, late) == sorted(
        [*publisher.RENEWED, "/badge.svg", f"/components/{sign_in}", f"/incidents/{incident_id}"]
    )
    assert "This update is late." in (settings.site_dir / "index.html").read_text()
    assert publisher.refresh(settings, late + timedelta(seconds=1)) == []


@pytest.mark.parametrize(("key", "value"), [("local_day", "?"), ("generated_at", None), ("revision", "x")])
def test_a_damaged_record_means_everything_is_written_again(
    key: str, value: str | None, writer: str, settings: Settings, now: datetime
) -> None:
    everything = publisher.refresh(settings, now)
    current = settings.site_dir / snapshot.CURRENT
    current.write_text(json.dumps(json.loads(current.read_text()) | {key: value}))
    assert sorted(publisher.refresh(settings, now)) == sorted(everything)


def test_a_page_that_cannot_be_opened_now_is_served_as_it_was(writer: str, settings: Settings, now: datetime) -> None:
    publisher.refresh(settings, now)
    reader = Reader(settings.site_dir, look_every=0)
    before = reader.get("/")
    front: Path = settings.site_dir / "index.html"
    front.unlink()
    # Opening a link that leads to itself fails as a full table of open files does: no file, but not "no such file".
    front.symlink_to(front)
    current = settings.site_dir / snapshot.CURRENT
    snapshot.write_all(settings.site_dir, {f"/{snapshot.CURRENT}": current.read_bytes()})
    assert before is not None
    assert reader.get("/") == before
