"""Ninety days of uptime on the pages: right, in words, up to date, and light."""

import gzip
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from sqlalchemy import event, update

from statuspage.actions import components
from statuspage.db import db
from statuspage.models import Component, Incident, Maintenance, MaintenanceComponent
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, MessageKind, Severity
from statuspage.settings import Settings
from statuspage.site import cards, publisher, snapshot
from tests import builders
from tests.pagechecks import check_page, text_of

UP, SLOW, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE
WEIGHT_LIMIT = 14_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def opened(app: Flask, now: datetime) -> datetime:
    """When the page was opened: long ago, in the middle of a day."""
    opened = now - timedelta(days=120)
    builders.page(opened)
    return opened


@pytest.fixture
def writer(opened: datetime) -> str:
    return builders.account(opened)


@pytest.fixture
def sign_in(writer: str, opened: datetime) -> str:
    return builders.component(opened, "Sign-in")


@pytest.fixture
def read(settings: Settings) -> Callable[[str], str]:
    return lambda path: (settings.site_dir / snapshot.file_name(path)).read_text(encoding="utf-8")


def happened(
    writer: str, component_id: str, state: ComponentState, began: datetime, lasted: timedelta, title: str = "It failed"
) -> str:
    """Return the id of an incident that is over."""
    incident_id = builders.declared(writer, {component_id: state}, began, title=title, severity=Severity.SEV3)
    start, end = typed_instant(began), typed_instant(began + lasted)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {component_id: state}, writer, began, started_at=start)
    builders.post(
        MessageKind.RESOLVE, incident_id, {component_id: UP}, writer, began + lasted, started_at=start, resolved_at=end
    )
    return incident_id


def uptime_of(page: str, number: int = 0) -> Element:
    """Return the part of a page that shows a component's uptime."""
    return [each for each in check_page(page).iter() if each.get("class") == "uptime"][number]


def words_of(page: str) -> str:
    """Return what a page says of the first component's uptime beside the bars."""
    part = uptime_of(page)
    for svg in part.iter(f"{SVG}svg"):
        svg.clear()
    return text_of(part)


def bars_of(page: str) -> list[str]:
    """Return the classes of the bars of the first component, one for each day, oldest first."""
    found = {}
    for path in next(uptime_of(page).iter(f"{SVG}svg")):
        for first, length in re.findall(r"M(\d+) \d+h(\d+)", path.get("d", "")):
            for day in range(int(first) // 4, (int(first) + int(length)) // 4 + 1):
                found[day] = path.get("class", "")
    return [found[day] for day in range(90)]


def maintained(component_id: str, begin: datetime, length: timedelta, stage: MaintenanceStage, **about: Any) -> None:
    """Put a maintenance window on record."""
    about.setdefault("completed_at", begin + length if stage is MaintenanceStage.COMPLETED else None)
    window = Maintenance(
        title="Upgrade", stage=stage, scheduled_for=begin, scheduled_until=begin + length, created_at=begin,
        updated_at=begin, components=[MaintenanceComponent(component_id=component_id)], **about,
    )  # fmt: skip
    db.session.add(window)
    db.session.commit()


def test_a_component_that_never_failed_is_up_for_ninety_days(
    sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    publisher.refresh(settings, now)
    assert words_of(read("/")) == "100 % over 90 days No problems All days of Sign-in"
    assert bars_of(read("/")) == ["up"] * 90
    assert "100 % over 90 days, no days with problems" in text_of(check_page(read(f"/components/{sign_in}")))


def test_days_with_problems_are_bars_words_and_links(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = happened(writer, sign_in, DOWN, now - timedelta(days=4), timedelta(minutes=90), "Signing in failed")
    happened(writer, sign_in, SLOW, now - timedelta(days=9), timedelta(hours=2), "It was slow")
    publisher.refresh(settings, now)
    bars = bars_of(read("/"))
    assert {index: bar for index, bar in enumerate(bars) if bar != "up"} == {85: "down", 80: "slow"}
    shown = uptime_of(read("/"))
    assert shown.tag == "details"
    words = words_of(read("/"))
    assert "99.93 % over 90 days 2 days with problems" in words
    assert "17 Nov: Outage 1 h 30 min · Signing in failed" in words
    assert "12 Nov: Degraded 2 h · It was slow" in words
    assert words.index("17 Nov: Outage 1 h 30 min ·") < words.index("12 Nov: Degraded 2 h ·")
    assert [title.text for title in shown.iter(f"{SVG}title")] == [
        "12 Nov: Degraded 2 h", "17 Nov: Outage 1 h 30 min"
    ]  # fmt: skip
    assert f"/incidents/{incident_id}" in [each.get("href") for each in shown.iter() if each.tag == "a"]
    table = text_of(check_page(read(f"/components/{sign_in}")))
    assert "17 Nov 1 h 30 min – Signing in failed 12 Nov – 2 h It was slow" in table
    assert "November 2026 99.6" in table
    assert "October 2026 100 % none" in table


def test_a_backdated_incident_corrects_the_days_before(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    publisher.refresh(settings, now)
    incident_id = builders.declared(writer, {sign_in: DOWN}, now)
    early = typed_instant(now - timedelta(hours=20))
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: DOWN}, writer, now, started_at=early)
    publisher.refresh(settings, now)
    assert bars_of(read("/"))[-2:] == ["down", "down"]
    words = words_of(read("/"))
    # From 18:00 the day before to 14:00 today.
    assert "21 Nov: Outage 14 h" in words
    assert "20 Nov: Outage 6 h" in words
    end = typed_instant(now - timedelta(hours=16))
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: UP}, writer, now, started_at=early, resolved_at=end)
    publisher.refresh(settings, now)
    assert bars_of(read("/"))[-2:] == ["down", "up"]
    assert "20 Nov: Outage 4 h" in words_of(read("/"))


def test_of_days_before_a_component_was_there_nothing_is_said(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    builders.component(now - timedelta(days=9), "New")
    publisher.refresh(settings, now)
    assert bars_of(read("/")) == ["unknown"] * 80 + ["up"] * 10
    assert words_of(read("/")) == "100 % over 10 days No problems All days of New"


def test_a_start_date_that_is_still_to_come_leaves_everything_unknown(
    sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    db.session.execute(update(Component).values(start_date=(now + timedelta(days=2)).date()))
    db.session.commit()
    publisher.publish_all(settings, now)
    assert words_of(read("/")) == "No data yet"
    check_page(read(f"/components/{sign_in}"))


@pytest.mark.parametrize(
    ("stage", "counts", "bar", "percent"),
    [
        (MaintenanceStage.COMPLETED, False, "planned", "100 %"),
        (MaintenanceStage.COMPLETED, True, "down", "99.95 %"),
        (MaintenanceStage.SCHEDULED, False, "down", "99.95 %"),
    ],
)
def test_maintenance_counts_neither_way_unless_the_page_says_so(
    stage: MaintenanceStage, counts: bool, bar: str, percent: str,
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str],
) -> None:  # fmt: skip
    happened(writer, sign_in, DOWN, now - timedelta(days=4), timedelta(hours=1))
    maintained(sign_in, now - timedelta(days=4, hours=1), timedelta(hours=3), stage)
    components.edit_uptime_rule("0", not counts, writer, now)
    publisher.refresh(settings, now)
    assert bars_of(read("/"))[85] == bar
    assert words_of(read("/")).startswith(f"{percent} over 90 days")


@pytest.mark.parametrize(
    ("began", "bar"),
    [(None, "down"), (timedelta(hours=-1), "planned")],
    ids=["before it began", "while it went on"],
)
def test_maintenance_that_was_called_off_takes_away_what_it_lasted(
    began: timedelta | None, bar: str,
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str],
) -> None:  # fmt: skip
    trouble = now - timedelta(days=4)
    happened(writer, sign_in, DOWN, trouble, timedelta(hours=1))
    maintained(
        sign_in, trouble - timedelta(hours=1), timedelta(hours=3), MaintenanceStage.COMPLETED,
        started_at=trouble + began if began is not None else None, cancelled_at=trouble + timedelta(hours=2),
        completed_at=trouble + timedelta(hours=2),
    )  # fmt: skip
    publisher.refresh(settings, now)
    assert bars_of(read("/"))[85] == bar


def test_degraded_time_counts_as_much_as_the_page_says(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    happened(writer, sign_in, SLOW, now - timedelta(days=4), timedelta(hours=9))
    for percent, words in (("0", "100 %"), ("50", "99.79 %"), ("100", "99.58 %")):
        components.edit_uptime_rule(percent, True, writer, now)
        publisher.refresh(settings, now)
        assert words_of(read("/")).startswith(words)


def test_a_new_day_moves_the_bars_of_every_page_on(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    happened(writer, sign_in, DOWN, now, timedelta(minutes=30))
    publisher.refresh(settings, now + timedelta(minutes=30))
    assert bars_of(read("/"))[-1] == "down"
    written = publisher.refresh(settings, now + timedelta(days=1))
    assert {"/", f"/components/{sign_in}"} <= set(written)
    assert bars_of(read("/"))[-2:] == ["down", "up"]


def test_while_a_component_is_down_its_page_goes_on_counting(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    other = builders.component(now, "Search")
    builders.acknowledged(writer, {sign_in: DOWN}, now)
    publisher.refresh(settings, now)
    later = now + timedelta(minutes=10)
    written = publisher.refresh(settings, later)
    assert f"/components/{sign_in}" in written
    assert f"/components/{other}" not in written


def test_days_are_those_of_the_page(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    components.edit_page("Larkspur", "Pacific/Auckland", "", writer, now)
    # 18:00 UTC on the 17th is the 18th in Auckland.
    happened(writer, sign_in, DOWN, now - timedelta(days=4) + timedelta(hours=4), timedelta(hours=1))
    publisher.refresh(settings, now)
    assert "18 Nov: Outage 1 h" in words_of(read("/"))


def test_what_readers_may_not_see_is_not_named(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    happened(writer, sign_in, DOWN, now - timedelta(days=4), timedelta(hours=1), "Secret trouble")
    db.session.execute(update(Incident).values(last_posted_at=None))
    db.session.commit()
    publisher.publish_all(settings, now)
    assert "17 Nov: Outage 1 h" in words_of(read("/"))
    assert "Secret trouble" not in read("/") + read(f"/components/{sign_in}")


def a_busy_page(writer: str, opened: datetime, now: datetime) -> None:
    """Make 20 components in 4 groups, 30 past incidents, maintenance, and an incident that goes on."""
    groups = [components.create_group(name, writer, opened) for name in ("Shop", "Accounts", "Partners", "Inside")]
    ids = [
        components.create_component(f"Part number {number}", "What it is for.", groups[number % 4], writer, opened)
        for number in range(20)
    ]
    for number in range(30):
        began = now - timedelta(days=1 + number * 3, hours=number % 7)
        state = (DOWN, SLOW)[number % 2]
        title = f"{('Payments', 'Search', 'Signing in')[number % 3]} failed for some customers, number {number}"
        happened(writer, ids[number * 7 % 20], state, began, timedelta(minutes=17 + number * 11), title)
    maintained(ids[3], now - timedelta(days=12), timedelta(hours=2), MaintenanceStage.COMPLETED)
    builders.acknowledged(writer, {ids[0]: DOWN, ids[5]: SLOW}, now, title="Signing in fails")


def test_the_front_page_is_light(
    writer: str, opened: datetime, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    a_busy_page(writer, opened, now)
    publisher.refresh(settings, now)
    front = read("/")
    check_page(front)
    loaded = re.findall(r'<(?:link rel="stylesheet"|script)[^>]+(?:href|src)="([^"]+)"', front)
    assert len(loaded) == 3
    sent = {path: len(gzip.compress(read(path).encode(), 6)) for path in ("/", *loaded)}
    assert sum(sent.values()) < WEIGHT_LIMIT, sent
    assert not re.search(r"@import|@font-face|url\(", "".join(read(path) for path in loaded))


def test_uptime_takes_a_few_queries_however_many_components_there_are(
    writer: str, opened: datetime, settings: Settings, now: datetime
) -> None:
    counts = []
    for number in (1, 10):
        for name in range(number):
            builders.component(opened, f"Part {name} of {number}")
        publisher.publish_all(settings, now)
        asked: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *a, asked=asked: asked.append(a[2]))
        site = publisher.Site(publisher.page.load_frame("http://status.example.com"), now)  # type: ignore[arg-type]
        assert site.pasts.in_brief()
        counts.append(len([statement for statement in asked if statement.startswith("SELECT")]))
    assert counts[1] <= counts[0] <= 10


def test_links_to_the_page_say_what_is_the_matter(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now, title='Signing in "fails" & more')
    publisher.refresh(settings, now)
    for path, title, description in (
        (
            "/",
            "Larkspur status: Some systems are down",
            'Some systems are down. Signing in "fails" & more (identified)',
        ),
        (
            f"/incidents/{incident_id}",
            'Signing in "fails" & more – Larkspur status',
            "next update by 21 Nov 2026, 14:30",
        ),
    ):
        root = check_page(read(path))
        said = {
            each.get("property") or each.get("name"): each.get("content", "")
            for each in root.iter()
            if each.tag == "meta"
        }
        assert said["og:title"] == title
        assert description.replace("identified", "investigating") in said["description"]
        # What was said last, in short.
        assert said["og:description"].startswith("We are looking into a problem with: Signing in What you may notice")
        assert said["og:description"].endswith("…")
        assert len(said["og:description"]) <= cards.SHORT
        assert said["og:url"] == f"http://status.example.com{path}"
        address, picture = said["og:image"].removeprefix("http://status.example.com"), "outage"
        assert address == publisher._asset_path("png", picture)
        assert (settings.site_dir / address.lstrip("/")).read_bytes().startswith(b"\x89PNG")
        assert (said["og:image:alt"], said["twitter:card"]) == ("Outage", "summary_large_image")


def test_the_banner_says_what_is_affected(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str], tmp_path: Path
) -> None:
    builders.component(now, "Search")
    builders.acknowledged(writer, {sign_in: DOWN}, now)
    publisher.refresh(settings, now)
    assert "Affected: Sign-in. Everything else is operational." in text_of(check_page(read("/")))
