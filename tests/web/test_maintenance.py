"""Maintenance windows in the console: plan, check, move, start, finish, call off; without a script."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions.components import edit_page
from statuspage.db import db
from statuspage.models import Maintenance, MaintenanceSeries
from statuspage.rules import maintenance as rules
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
BERLIN = ZoneInfo("Europe/Berlin")
LIST, NEW = "/console/maintenance/", "/console/maintenance/new"


@pytest.fixture
def sign_in(app: Flask, started: datetime) -> str:
    builders.page(started)
    edit_page("Larkspur", "Europe/Berlin", "", builders.account(started), started)
    return builders.component(started)


@pytest.fixture
def comms(arrive: Arrive, sign_in: str) -> Visitor:
    return arrive(AccountRole.COMMS)


def asked(sign_in: str, **changes: str) -> dict[str, str]:
    year = clock.now().year + 1
    return {
        "title": "Upgrade of sign-in",
        "body": "Signing in may take longer.",
        "component": sign_in,
        "scheduled_for": f"{year}-01-10T02:00",
        "scheduled_until": f"{year}-01-10T04:00",
        "notifies": "yes",
        "starts_itself": "yes",
        "finishes_itself": "yes",
        "remind_minutes": "60",
        "repeat": "",
        "action": "plan",
    } | changes


def windows() -> list[Maintenance]:
    db.session.rollback()
    query = select(Maintenance).order_by(Maintenance.scheduled_for)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def planned(comms: Visitor, sign_in: str, **changes: str) -> str:
    answer = comms.post(NEW, asked(sign_in, **changes))
    assert answer.status_code == 303, text_of(check_page(answer.text))
    return windows()[0].id


def test_the_empty_list_teaches(comms: Visitor) -> None:
    page = text_of(check_page(comms.get(LIST).text))
    assert "Nothing is planned." in page
    assert "Plan maintenance" in page


def test_a_window_is_planned_in_the_zone_of_the_page(comms: Visitor, sign_in: str) -> None:
    window_id = planned(comms, sign_in)
    (window,) = windows()
    assert (window.scheduled_for.hour, window.scheduled_until.hour) == (1, 3)
    page = text_of(check_page(comms.get(f"{LIST}{window_id}").text))
    assert "02:00 CET" in page
    assert "01:00 UTC" in page
    assert "Upgrade of sign-in" in text_of(check_page(comms.get(LIST).text))


def test_a_plan_is_looked_at_before_anything_happens(comms: Visitor, sign_in: str, started: datetime) -> None:
    builders.subscribed(started)
    answer = comms.post(NEW, asked(sign_in, action="check", repeat="weekly"))
    page = text_of(check_page(answer.text))
    assert answer.status_code == 200
    assert "every week on" in page
    assert page.count("02:00 CET") == 4
    assert "Told at once: 1 person by e-mail" in page
    assert "Signing in may take longer." in answer.text
    assert windows() == []


def test_the_same_form_posted_twice_plans_once(comms: Visitor, sign_in: str) -> None:
    fields = comms.hidden(NEW) | asked(sign_in)
    places = [comms.post_as_is(NEW, fields).headers["Location"] for _ in range(2)]
    assert places[0] == places[1]
    assert len(windows()) == 1


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"title": ""}, "title", "title customers understand"),
        ({"body": " "}, "body", "what customers will notice"),
        ({"component": "nosuchcompon"}, "components", "does not exist any more"),
        ({"scheduled_for": "tomorrow"}, "scheduled_for", "date and time"),
        ({"scheduled_for": "2020-01-01T00:00"}, "scheduled_for", "in the past"),
        ({"scheduled_until": "2020-01-01T00:00"}, "scheduled_until", "after the start"),
        ({"remind_minutes": "soon"}, "remind_minutes", "number of minutes"),
        ({"remind_minutes": "99999"}, "remind_minutes", "14 days"),
        ({"repeat": "custom", "rule": ""}, "rule", "FREQ=WEEKLY"),
        ({"repeat": "custom", "rule": "FREQ=SECONDLY"}, "rule", "how often"),
        ({"repeat": "always"}, "repeat", "one of the options"),
        ({"title": "x\x00y"}, "title", "one line"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(
    changes: dict[str, str], field: str, part: str, comms: Visitor, sign_in: str
) -> None:
    answer = comms.post(NEW, asked(sign_in, **{"title": "Kept title"} | changes))
    assert answer.status_code == 422
    page = answer.text
    assert f'id="error-{field}"' in page
    assert part in page
    if "\x00" not in changes.get("title", ""):
        check_page(page)
        assert "Kept title" in page or "title" in changes
    assert windows() == []


def test_a_window_is_moved_and_extended(comms: Visitor, sign_in: str) -> None:
    window_id = planned(comms, sign_in)
    place = f"{LIST}{window_id}/edit"
    check_page(comms.get(place).text)
    year = clock.now().year + 1
    fields = asked(
        sign_in, scheduled_for=f"{year}-01-11T02:00", scheduled_until=f"{year}-01-11T05:00", body="A holiday."
    )
    assert comms.post(place, fields).status_code == 303
    (window,) = windows()
    assert (window.scheduled_for.day, window.scheduled_until.hour) == (11, 4)
    assert window.updates[0].body.startswith("A holiday.")
    stale = comms.hidden(place) | fields | {"version": "1"}
    answer = comms.post_as_is(place, stale)
    assert answer.status_code == 409
    assert "A holiday." in answer.text


def test_saving_without_a_change_says_nothing_to_anybody(comms: Visitor, sign_in: str) -> None:
    window_id = planned(comms, sign_in)
    comms.post(f"{LIST}{window_id}/edit", asked(sign_in, body=""))
    assert len(windows()[0].updates) == 1


def test_start_update_finish(comms: Visitor, sign_in: str) -> None:
    place = f"{LIST}{planned(comms, sign_in)}"
    for what, fields, words in (
        ("start", {"tell": "yes"}, "The work has begun."),
        ("update", {"stage": "verifying", "body": "We are checking.", "tell": "yes"}, "We are checking."),
        ("finish", {"tell": "yes"}, "The work is finished."),
    ):
        answer = comms.post(f"{place}/{what}", fields, on=place)
        assert answer.status_code == 303
        assert words in text_of(check_page(comms.get(answer.headers["Location"]).text))
    assert windows()[0].stage.value == "completed"
    answer = comms.post(f"{place}/cancel", {}, on=NEW, version="4")
    assert answer.status_code == 409
    check_page(answer.text)


def test_an_empty_update_is_refused_and_a_forged_form_too(comms: Visitor, sign_in: str) -> None:
    place = f"{LIST}{planned(comms, sign_in)}"
    answer = comms.post(f"{place}/update", {"stage": "scheduled", "body": ""}, on=place)
    assert answer.status_code == 422
    assert 'id="error-body"' in answer.text
    forged = comms.post(f"{place}/update", {"stage": "scheduled", "body": "Kept words", "form_token": "x"}, on=place)
    assert forged.status_code == 403
    assert "Kept words" in forged.text


def test_a_cancelled_window_says_so(comms: Visitor, sign_in: str) -> None:
    place = f"{LIST}{planned(comms, sign_in)}"
    assert comms.post(f"{place}/cancel", {"body": "No longer needed."}, on=place).status_code == 303
    page = text_of(check_page(comms.get(place).text))
    assert "Cancelled" in page
    assert "No longer needed." in page
    assert "Start now" not in page


@pytest.mark.parametrize(
    ("choice", "stage", "words"),
    [
        ("cancel", "completed", "its windows in the calendar are called off"),
        ("keep", "scheduled", "Windows in the calendar stay"),
    ],
)
def test_a_series_is_ended(choice: str, stage: str, words: str, comms: Visitor, sign_in: str) -> None:
    page = f"{LIST}{planned(comms, sign_in, repeat='weekly')}"
    shown = text_of(check_page(comms.get(page).text))
    assert all(rules.window_in_words(each.scheduled_for, each.scheduled_until, BERLIN) in shown for each in windows())
    answer = comms.post(f"{page}/end-series", {"windows": choice, "why": "No longer needed."}, on=page)
    assert answer.status_code == 303
    assert words in text_of(check_page(comms.get(answer.headers["Location"]).text))
    assert [each.stage.value for each in windows()] == [stage] * 2
    assert db.session.scalars(select(MaintenanceSeries.ended_at)).one() is not None
    assert "End the series" not in comms.get(page).text
    assert comms.post(f"{page}/end-series", {"windows": choice}, on=NEW).status_code == 409


def test_a_series_is_not_ended_without_a_choice_nor_by_a_stale_form(comms: Visitor, sign_in: str) -> None:
    page = f"{LIST}{planned(comms, sign_in, repeat='weekly')}"
    refused = comms.post(f"{page}/end-series", {"windows": "", "why": "Kept words"}, on=page)
    too_long = comms.post(f"{page}/end-series", {"windows": "cancel", "why": "x" * 30_000}, on=page)
    for answer, field in ((refused, "windows"), (too_long, "why")):
        assert answer.status_code == 422
        check_page(answer.text)
        assert f'id="error-{field}"' in answer.text
    assert "Kept words" in refused.text
    forged = {"windows": "keep", "why": "Kept words", "form_token": "x"}
    stale = comms.post(f"{page}/end-series", forged, on=page)
    assert stale.status_code == 403
    assert "Kept words" in stale.text
    assert db.session.scalars(select(MaintenanceSeries.ended_at)).one() is None


def test_a_window_of_no_series_has_none_to_end(comms: Visitor, sign_in: str) -> None:
    page = f"{LIST}{planned(comms, sign_in)}"
    assert "End the series" not in comms.get(page).text
    assert comms.post(f"{page}/end-series", {"windows": "keep"}, on=page).status_code == 404


def test_overlapping_windows_are_pointed_out(comms: Visitor, sign_in: str) -> None:
    planned(comms, sign_in)
    answer = comms.post(NEW, asked(sign_in, action="check", title="Another"))
    assert "At the same time: Upgrade of sign-in" in text_of(check_page(answer.text))


def test_a_viewer_reads_and_changes_nothing(arrive: Arrive, sign_in: str, started: datetime) -> None:
    window_id = builders.window(started, (sign_in,), scheduled_for=started + timedelta(days=2))
    viewer = arrive(AccountRole.VIEWER)
    for path in (LIST, f"{LIST}{window_id}"):
        page = check_page(viewer.get(path).text)
        assert "Start now" not in text_of(page)
    for path in (NEW, f"{LIST}{window_id}/edit"):
        assert viewer.get(path).status_code == 403
    assert viewer.post(f"{LIST}{window_id}/cancel", {}, on="/console/account/").status_code == 403
    assert viewer.get(f"{LIST}nosuchwindow").status_code == 404


def test_strangers_get_nothing(anonymous: Visitor, sign_in: str) -> None:
    for path in (LIST, NEW):
        assert anonymous.get(path).status_code in (302, 303, 401)
