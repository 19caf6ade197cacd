"""A calendar program reads the page: which work is on at what time, windows that overlap and windows that come again."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import Client

from statuspage.actions import components, maintenances
from statuspage.actions.maintenances import SeriesEnd
from statuspage.db import db
from statuspage.models import Maintenance, MaintenanceSeries
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.web.public import PublicSite
from tests import builders

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
# The clocks there go forward on 28 March 2027: between the two windows of the series.
SATURDAY = datetime(2027, 3, 27, 1, 0, tzinfo=ZoneInfo("UTC"))


@pytest.fixture
def by(app: Flask, now: datetime) -> str:
    components.create_page("Larkspur", BERLIN.key, now)
    return builders.account(now)


@pytest.fixture
def planned(by: str, now: datetime) -> str:
    """Two windows that overlap and a series; the id of the series."""
    sign_in, search = builders.component(now, "Sign-in"), builders.component(now, "Search")
    begins = now + 3 * DAY
    builders.window(now, (sign_in,), by, title="Larger servers", scheduled_for=begins)
    builders.window(now, (sign_in, search), by, title="New cables", scheduled_for=begins + HOUR)
    builders.window(now, (search,), by, title="Weekly care", scheduled_for=SATURDAY, rule="FREQ=WEEKLY")
    return db.session.scalars(select(MaintenanceSeries.id)).one()


class Subscriber:
    """A calendar program that has the page's calendar."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._site = Client(PublicSite(app, settings.site_dir, settings.public_url, look_every=0))
        self._url = settings.public_url

    def events(self) -> list[icalendar.Event]:
        """Ask for the calendar, as every half hour."""
        answer = self._site.get("/history.ics", base_url=self._url)
        assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
        found = icalendar.Calendar.from_ical(answer.get_data()).walk("VEVENT")
        assert len({event["UID"] for event in found}) == len(found)
        return [event for event in found if isinstance(event, icalendar.Event)]

    def on_at(self, moment: datetime) -> set[str]:
        """Return what a day's view shows at a moment."""
        return {
            str(event["SUMMARY"]).removeprefix("Larkspur maintenance: ")
            for event in self.events()
            if event["STATUS"] != "CANCELLED" and event["DTSTART"].dt <= moment < event["DTEND"].dt
        }

    def care(self) -> list[icalendar.Event]:
        """Return the windows of the series, the soonest first."""
        return sorted((e for e in self.events() if "Weekly care" in e["SUMMARY"]), key=lambda e: e["DTSTART"].dt)


@pytest.fixture
def subscriber(app: Flask, planned: str, settings: Settings, now: datetime) -> Subscriber:
    publisher.refresh(settings, now)
    return Subscriber(app, settings)


def test_windows_that_overlap_are_both_on_for_as_long_as_each_lasts(subscriber: Subscriber, now: datetime) -> None:
    begins = now + 3 * DAY
    shown = [subscriber.on_at(begins + half * HOUR / 2) for half in range(-1, 7)]
    first, second = {"Larger servers"}, {"New cables"}
    assert shown == [set(), first, first, first | second, first | second, second, second, set()]


def test_the_windows_of_a_series_keep_their_time_of_day(subscriber: Subscriber) -> None:
    local = [event["DTSTART"].dt.astimezone(BERLIN) for event in subscriber.care()]
    assert [f"{begins:%a %H:%M %z}" for begins in local] == ["Sat 02:00 +0100", "Sat 02:00 +0200"]
    assert [event["DTEND"].dt - event["DTSTART"].dt for event in subscriber.care()] == [2 * HOUR] * 2


def test_every_window_is_an_event_with_its_times(subscriber: Subscriber) -> None:
    told = {(event["DTSTART"].dt, event["DTEND"].dt) for event in subscriber.events()}
    windows = db.session.execute(select(Maintenance.scheduled_for, Maintenance.scheduled_until))
    assert told == {(begins, ends) for begins, ends in windows}
    assert len(told) == 4


def test_a_series_that_is_ended_is_called_off_in_the_calendar(
    subscriber: Subscriber, planned: str, by: str, settings: Settings, now: datetime
) -> None:
    before = {event["UID"]: event["SEQUENCE"] for event in subscriber.care()}
    maintenances.end_series(planned, SeriesEnd(), builders.nonce(), by, now + HOUR)
    publisher.refresh(settings, now + HOUR)
    after = subscriber.care()
    assert [event["STATUS"] for event in after] == ["CANCELLED"] * 2
    assert {event["UID"] for event in after} == before.keys()
    assert all(event["SEQUENCE"] > before[event["UID"]] for event in after)
    assert subscriber.on_at(SATURDAY + HOUR) == set()
