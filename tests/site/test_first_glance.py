"""The first glance: is it me, what is affected, since when, what is being done, when do I hear more; each page's preview."""

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from markupsafe import Markup

from statuspage.actions import components
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import ComponentState, Impact, MessageKind
from statuspage.settings import Settings
from statuspage.site import cards, course, headline, publisher, snapshot
from statuspage.site.page import Front, PublicComponent
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.site.entries import NOW, incident, update, window

UP, SLOW, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INVESTIGATING, IDENTIFIED, MONITORING = (
    incident(stage, stage=stage, started_at=NOW - ago * MINUTE, next_update_by=NOW + due * MINUTE)
    for stage, ago, due in (("investigating", 5, 25), ("identified", 40, -2), ("monitoring", 90, 10))
)
RUNNING = window(stage="in_progress", started_at=NOW - HOUR, ended_at=NOW + HOUR)
IN_AN_HOUR = window("maintenance1", stage="scheduled", started_at=NOW + HOUR, ended_at=NOW + 2 * HOUR)
IN_TWO_DAYS = window("maintenance2", stage="scheduled")


def front(state: ComponentState = UP, *, incidents: tuple[Any, ...] = (), windows: tuple[Any, ...] = ()) -> Front:
    groups = (("", (PublicComponent("checkout0000", "Checkout", "", state),)),)
    return Front(state, groups, incidents, windows, ())


@pytest.mark.parametrize(
    ("shown", "mark", "words", "whose"),
    [
        (front(), "operational", "All systems operational", "it may be on your side"),
        (front(SLOW, incidents=(INVESTIGATING,)), "degraded", "Some systems are degraded", "it is us, not you"),
        (front(DOWN, incidents=(INVESTIGATING,)), "outage", "Some systems are down", "it is us, not you"),
        (front(incidents=(MONITORING,)), "operational", "All systems operational", "described below, it is us"),
        (front(windows=(RUNNING,)), "maintenance", "Under maintenance", "it is us, and planned"),
        (front(windows=(IN_AN_HOUR,)), "operational", "All systems operational", "it may be on your side"),
        # Maintenance never hides that something is wrong.
        (front(DOWN, windows=(RUNNING,)), "outage", "Some systems are down", "it is us, not you"),
        (Front(UP, (), (), (), ()), "unknown", "No components listed yet", "it may be on your side"),
    ],
)
def test_shape_and_words_say_how_things_are_and_whose_trouble_it_is(
    shown: Front, mark: str, words: str, whose: str
) -> None:
    said = headline.of(shown, NOW)
    assert (said.mark, said.words) == (mark, words)
    assert whose in said.whose
    assert said.offers_support == (whose in ("it may be on your side", "it is us, and planned"))


def test_of_several_incidents_the_oldest_start_and_the_nearest_promise_count() -> None:
    said = headline.of(front(DOWN, incidents=(INVESTIGATING, IDENTIFIED, MONITORING)), NOW)
    assert said.since == NOW - 90 * MINUTE
    assert said.next_update_by == NOW - 2 * MINUTE
    assert [doing for _, doing in said.doing] == [
        "We are looking for the cause.",
        "We know the cause and are working on a fix.",
        "A fix is in place. We are watching whether it holds.",
    ]


def test_maintenance_is_told_of_a_day_ahead_and_while_it_runs() -> None:
    said = headline.of(front(windows=(RUNNING, IN_AN_HOUR, IN_TWO_DAYS)), NOW)
    assert (said.running, said.soon) == ((RUNNING,), (IN_AN_HOUR,))


# --- what an incident did to each component --------------------------------------------------------


def said(minutes: int, **states: ComponentState) -> course.Said:
    rows = [{"component_id": name, "name": name.title(), "new_state": state.value} for name, state in states.items()]
    return NOW + minutes * MINUTE, rows


@pytest.mark.parametrize(
    ("messages", "resolved", "expected"),
    [
        # What the first message says held since it began, ten minutes before; what was added later, since then.
        ([said(0, pay=DOWN), said(20, pay=SLOW, find=SLOW)], None, {"pay": "outage -10..20 degraded 20..", "find": "degraded 20.."}),
        # A resolution that is posted late ends it when it ended.
        ([said(0, pay=DOWN), said(60, pay=UP)], 50, {"pay": "outage -10..50"}),
        # Well again before it was resolved.
        ([said(0, pay=DOWN), said(20, pay=UP), said(60, pay=UP)], 60, {"pay": "outage -10..20 operational 20..60"}),
        # The same state said twice is one stretch; what was never wrong has none.
        ([said(0, pay=SLOW, find=UP), said(20, pay=SLOW)], 30, {"pay": "degraded -10..30"}),
        # Resolved before anything was said: only what had begun by then.
        ([said(0, pay=DOWN), said(20, find=DOWN)], 10, {"pay": "outage -10..10"}),
        ([(NOW, [])], None, {}),
    ],
)  # fmt: skip
def test_a_component_has_a_course(messages: list[course.Said], resolved: int | None, expected: dict[str, str]) -> None:
    def minutes(at: datetime | None) -> str:
        return "" if at is None else str((at - NOW) // MINUTE)

    ended = None if resolved is None else NOW + resolved * MINUTE
    found = course.courses(messages, NOW - 10 * MINUTE, ended, {"pay": "Paying"})
    assert {
        each.component_id: " ".join(f"{s.state} {minutes(s.begin)}..{minutes(s.end)}" for s in each.stretches)
        for each in found
    } == expected
    assert all((each.name, each.has_page) == (("Paying", True) if each.component_id == "pay" else ("Find", False)) for each in found)  # fmt: skip


def test_the_drawn_parts_fill_the_whole_and_nothing_is_drawn_while_it_goes_on() -> None:
    messages = [said(0, pay=DOWN), said(30, pay=SLOW), said(90, pay=UP)]
    over, open_ = (course.courses(messages, NOW, end, {})[0] for end in (NOW + 2 * HOUR, None))
    assert over.parts() == [("outage", 0.0, 25.0), ("degraded", 25.0, 50.0), ("operational", 75.0, 25.0)]
    assert open_.parts() == []


# --- previews of links -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "picture"),
    [
        (incident(components=(PublicComponent("c", "C", "", DOWN),)), "outage"),
        (incident(components=(PublicComponent("c", "C", "", UP),), impact=Impact.HIGH), "degraded"),
        (incident(is_open=False), "resolved"),
        (window(), "maintenance"),
    ],
)
def test_the_picture_of_a_link_shows_the_state(entry: Any, picture: str) -> None:
    assert cards.of_entry(entry).picture == picture


@pytest.mark.parametrize("name", cards.PICTURES)
def test_every_picture_is_of_the_size_that_networks_want_and_light(name: str) -> None:
    body = (publisher.STATIC / f"og/{name}.png").read_bytes()
    assert struct.unpack(">II", body[16:24]) == (1200, 630)
    assert len(body) < 15_000


def test_what_was_said_last_is_cut_at_a_word_and_holds_no_markup() -> None:
    long = incident(updates=(update(html=Markup("<p>Sign in &amp; <em>pay</em>.</p>\n<p>" + "word " * 99 + "</p>")),))
    words = cards.said_last(long)
    assert words.startswith("Sign in & pay. word word")
    assert words.endswith("word…")
    assert len(words) <= cards.SHORT
    assert cards.said_last(incident(updates=())) == ""


# --- on the pages ----------------------------------------------------------------------------------


@pytest.fixture
def read(settings: Settings) -> Callable[[str], str]:
    return lambda path: (settings.site_dir / snapshot.file_name(path)).read_text(encoding="utf-8")


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now - timedelta(days=40))
    return builders.account(now)


def test_the_banner_answers_every_question_of_a_hurried_reader(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    checkout = builders.component(now, "Checkout")
    builders.component(now, "Search")
    builders.acknowledged(writer, {checkout: DOWN}, now, title="Paying fails")
    publisher.refresh(settings, now + 5 * MINUTE)
    banner = next(each for each in check_page(read("/")).iter() if (each.get("class") or "").startswith("banner"))
    assert text_of(banner).startswith(
        "Some systems are down Affected: Checkout. Everything else is operational. "
        "Since 13:50 UTC, for 15 min Now We are looking for the cause. Next update by 14:30 UTC "
        "If one of these does not work for you, it is us, not you. As of 21 Nov 2026, 14:05 UTC."
    )
    publisher.refresh(settings, now + 31 * MINUTE)
    assert "Next update by 14:30 UTC This update is late. We are sorry." in text_of(check_page(read("/")))


def test_all_is_well_and_support_is_one_click_away(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    builders.component(now, "Checkout")
    components.edit_page("Larkspur", "Etc/UTC", "https://larkspur.example/help", writer, now)
    publisher.refresh(settings, now)
    said = text_of(check_page(read("/")))
    assert "it may be on your side, or we may not know yet: ask support." in said


def test_a_resolved_incident_shows_each_components_course(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    checkout, search = (builders.component(now - HOUR, name) for name in ("Checkout", "Search"))
    made = builders.acknowledged(writer, {checkout: DOWN, search: SLOW}, now, title="Paying fails")
    builders.post(MessageKind.UPDATE, made, {checkout: SLOW}, writer, now + HOUR)
    ended = typed_instant(now + 2 * HOUR)
    states = {checkout: UP, search: UP}
    builders.post(MessageKind.RESOLVE, made, states, writer, now + 2 * HOUR + 5 * MINUTE, resolved_at=ended)
    components.archive_component(search, writer, now + 3 * HOUR)
    publisher.refresh(settings, now + 3 * HOUR)
    root = check_page(read(f"/incidents/{made}"))
    table = next(each for each in root.iter("table"))
    assert text_of(table) == (
        "How the incident affected each component State When For "
        "Checkout Outage 21 Nov 2026, 13:50 UTC to 15:00 UTC 1 h 10 min "
        "Degraded 21 Nov 2026, 15:00 UTC to 16:00 UTC 1 h "
        "Search Degraded 21 Nov 2026, 13:50 UTC to 16:00 UTC 2 h 10 min"
    )
    # A component that is gone has no page to lead to.
    assert [link.get("href") for link in table.iter("a")] == [f"/components/{checkout}"]
    assert "13:50 UTC to 16:00 UTC, lasted 2 h 10 min" in text_of(root)
