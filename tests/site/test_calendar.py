"""The calendar of maintenance: read by programs, followed through changes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from statuspage.db import db
from statuspage.models import Change, Maintenance, MaintenanceComponent, MaintenanceUpdate, Page
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, MessageKind
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.site.calendar import calendar
from statuspage.site.feeds import clean
from statuspage.site.page import Entry, PublicComponent
from tests import builders
from tests.site import entries
from tests.site.entries import NOW


def parsed(*windows: Entry) -> icalendar.Calendar:
    return check(calendar(entries.frame(), windows))


def check(content: bytes) -> icalendar.Calendar:
    """Check what RFC 5545 demands of the file itself; return what a parser makes of it."""
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert not [line for line in lines if len(line) > 75 or b"\n" in line or b"\r" in line]
    made = icalendar.Calendar.from_ical(content)
    assert isinstance(made, icalendar.Calendar)
    for event in made.walk():
        assert not event.errors
        if event.name == "VEVENT":
            assert {"UID", "DTSTAMP", "DTSTART", "SUMMARY"} <= event.keys()
    return made


def event(window: Entry) -> icalendar.Event:
    (found,) = parsed(window).walk("VEVENT")
    assert isinstance(found, icalendar.Event)
    return found


def test_a_window_is_an_event_with_all_that_readers_need() -> None:
    component = PublicComponent("component000", "Sign-in", "", ComponentState.OPERATIONAL)
    found = event(entries.window(components=(component,)))
    assert found["UID"] == "maintenance0@status.example.com"
    assert found["DTSTART"].dt == datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    assert found["DTEND"].dt == datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert found["DTSTAMP"].dt == NOW
    assert found["SUMMARY"] == "Larkspur maintenance: Larger servers"
    assert found["URL"] == "http://status.example.com/incidents/maintenance0"
    assert found["CATEGORIES"].cats == ["Maintenance"]
    assert found["TRANSP"] == "TRANSPARENT"
    assert found["STATUS"] == "CONFIRMED"
    assert found["DESCRIPTION"] == (
        "Scheduled.\nAffected: Sign-in.\n\nScheduled, 21 Nov 2026, 14:00 UTC:\nWe move.\n\n"
        "http://status.example.com/incidents/maintenance0"
    )


def test_times_are_written_in_utc() -> None:
    content = calendar(entries.frame(), (entries.window(),))
    assert b"DTSTART:20261123T140000Z\r\n" in content
    assert b"DTEND:20261123T170000Z\r\n" in content


def test_programs_are_told_how_it_is_called_and_how_often_to_look() -> None:
    content = calendar(entries.frame(), ())
    for line in (
        b"NAME:Larkspur maintenance",
        b"X-WR-CALNAME:Larkspur maintenance",
        b"REFRESH-INTERVAL;VALUE=DURATION:PT30M",
        b"X-PUBLISHED-TTL:PT30M",
    ):
        assert line in content.split(b"\r\n")
    assert check(content).walk("VEVENT") == []


def test_a_change_raises_the_sequence_and_keeps_the_id() -> None:
    before = event(entries.window())
    moved = event(entries.window(started_at=NOW + timedelta(days=4), changed_at=NOW + timedelta(seconds=1)))
    assert moved["UID"] == before["UID"]
    assert moved["SEQUENCE"] > before["SEQUENCE"]
    assert moved["SEQUENCE"] < 2**31
    assert moved["DTSTAMP"].dt == moved["LAST-MODIFIED"].dt == NOW + timedelta(seconds=1)


def test_a_window_that_was_called_off_says_so() -> None:
    assert event(entries.window(label="Cancelled", is_open=False, is_cancelled=True))["STATUS"] == "CANCELLED"


@pytest.mark.parametrize("length", [timedelta(0), timedelta(minutes=-5)])
def test_a_window_without_length_is_a_moment(length: timedelta) -> None:
    window = entries.window()
    found = event(entries.window(ended_at=window.started_at + length))
    assert "DTEND" not in found


@given(title=st.text(st.characters(exclude_categories=()), max_size=200))
def test_whatever_people_type_the_calendar_stays_valid(title: str) -> None:
    said = event(entries.window(title=title))["SUMMARY"]
    # Line ends of every kind are one kind in a calendar.
    expected = f"Larkspur maintenance: {clean(title)}".replace("\r\n", "\n").replace("\r", "\n")
    assert said == expected


@pytest.fixture
def read(settings: Settings) -> Callable[[], bytes]:
    return (settings.site_dir / "history.ics").read_bytes


@pytest.fixture
def planned(app: Flask, now: datetime) -> Maintenance:
    """A window that is announced."""
    builders.page(now - timedelta(days=40))
    component_id = builders.component(now)
    window = Maintenance(
        id="maintenance0",
        title="Larger servers",
        stage=MaintenanceStage.SCHEDULED,
        scheduled_for=now + timedelta(days=2),
        scheduled_until=now + timedelta(days=2, hours=3),
        last_posted_at=now,
        created_at=now,
        updated_at=now,
    )
    said = MaintenanceUpdate(
        maintenance_id=window.id,
        sequence=1,
        stage=MaintenanceStage.SCHEDULED,
        body="We move.",
        body_html="<p>We move.</p>",
        posted_at=now,
        created_at=now,
    )
    db.session.add(window)
    db.session.flush()
    db.session.add_all([said, MaintenanceComponent(maintenance_id=window.id, component_id=component_id)])
    db.session.commit()
    return window


def change(window: Maintenance, now: datetime) -> None:
    """Say that a window was changed, as the actions do."""
    page = db.session.query(Page).one()
    page.revision += 1
    db.session.add(Change(revision=page.revision, subject_kind="maintenance", subject_id=window.id, changed_at=now))
    window.updated_at = now
    db.session.commit()


def test_a_moved_window_moves_in_the_published_calendar(
    planned: Maintenance, settings: Settings, now: datetime, read: Callable[[], bytes]
) -> None:
    publisher.refresh(settings, now)
    (before,) = check(read()).walk("VEVENT")
    planned.scheduled_until = now + timedelta(days=2, hours=5)
    change(planned, now + timedelta(minutes=1))
    assert "/history.ics" in publisher.refresh(settings, now + timedelta(minutes=1))
    (after,) = check(read()).walk("VEVENT")
    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["DTEND"].dt == now + timedelta(days=2, hours=5)


def test_the_calendar_does_not_change_without_a_change(
    planned: Maintenance, settings: Settings, now: datetime, read: Callable[[], bytes]
) -> None:
    publisher.publish_all(settings, now)
    before = read()
    publisher.publish_all(settings, now + timedelta(hours=1))
    assert read() == before


def test_incidents_leave_the_calendar_alone(
    planned: Maintenance, settings: Settings, now: datetime, read: Callable[[], bytes]
) -> None:
    writer, sign_in = builders.account(now), builders.component(now, "Search")
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now, title="Searching fails")
    publisher.refresh(settings, now)
    assert b"Searching fails" not in read()
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    assert "/history.ics" not in publisher.refresh(settings, now)
