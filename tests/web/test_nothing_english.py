"""On the German and the French pages no word of ours is English; what people wrote stays as it is."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import icalendar
import pytest
from flask import Flask
from sqlalchemy import select

from statuspage.actions import branding, components, deliveries
from statuspage.db import db, transaction
from statuspage.models import Incident, Maintenance, MaintenanceComponent, Page, Update
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import AccountRole, ComponentState, MaintenanceStage, MessageKind
from statuspage.settings import Settings
from statuspage.site import notices, page, publisher, snapshot
from tests import builders
from tests.pagechecks import check_page

UP, SLOW, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# People write Greek here: whatever Latin word is the same in two languages is ours.
NAME, TITLE = "Λάρκσπουρ", "Η είσοδος αποτυγχάνει"
# Where else a page says something: to hear, to hover over, to the script, in chats and search engines.
SAID = (
    *("title", "aria-label", "alt", "placeholder", "data-yours", "data-late"),
    *("data-newer", "data-silent", "data-cut-off", "data-page-unknown", "data-unknown"),
)
DESCRIBING = {"description", "og:title", "og:site_name", "og:image:alt"}
# What is called the same in German, or in French.
NAMES = {
    *("English", "Deutsch", "Français", "RSS", "Atom", "JSON Feed", "JSON", "Slack", "Teams", "Discord", "Webhook"),
}
SAME = {
    "de": {"Status", "Chat", "status"},
    "fr": {"Maintenance", "Pages", "Incidents", "E-mail"},
}
# A time, a span, a share of days, a month that is spelt alike, a component's feed.
NUMBERS = re.compile(
    r"[\d:.,() ]+(UTC|%|h|min|h \d+ min)?\)?|(August|September|November) \d{4}|[^A-Za-z]+ \((RSS|Atom)\)"
)


def texts(element: Element) -> Iterator[str]:
    """Every text that a page tells its reader, outside of what people wrote."""
    if "prose" in element.get("class", "").split():
        return
    yield element.text or ""
    yield from (element.get(name, "") for name in SAID)
    if (element.get("name") or element.get("property")) in DESCRIBING:
        yield element.get("content", "")
    for child in element:
        if isinstance(child.tag, str):
            yield from texts(child)
        yield child.tail or ""


def told(html: str) -> set[str]:
    """Return the texts of a page that have a Latin letter."""
    folded = (" ".join(text.split()) for text in texts(check_page(html)))
    return {text for text in folded if re.search("[A-Za-z]", text)}


@pytest.fixture
def admin(app: Flask, now: datetime) -> str:
    begun = now - 200 * DAY
    page_id = builders.page(begun, NAME)
    admin = builders.account(begun, AccountRole.ADMIN)
    components.edit_page(NAME, "Etc/UTC", "https://example.com/", admin, begun)
    branding.edit_languages("en", ("de", "fr"), admin, begun)
    assert db.session.get(Page, page_id)
    return admin


def resolved(by: str, states: dict[str, ComponentState], began: datetime, lasted: timedelta) -> str:
    incident_id = builders.declared(by, states, began, title=TITLE)
    start, end = typed_instant(began), typed_instant(began + lasted)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, by, began, started_at=start)
    well = dict.fromkeys(states, UP)
    builders.post(MessageKind.RESOLVE, incident_id, well, by, began + lasted, started_at=start, resolved_at=end)
    return incident_id


def window(
    component_id: str, begins: datetime, ends: datetime, stage: MaintenanceStage, now: datetime, **about: datetime
) -> None:
    with transaction(now) as session:
        session.add(
            Maintenance(
                title="Αναβάθμιση", stage=stage, scheduled_for=begins, scheduled_until=ends, created_at=begins,
                updated_at=begins, last_posted_at=now, components=[MaintenanceComponent(component_id=component_id)], **about,
            )
        )  # fmt: skip


def nothing_listed(_admin: str, _now: datetime) -> None:
    """A page that was opened a moment ago."""


def all_is_well(admin: str, now: datetime) -> None:
    """Nothing ever happened; one component is new."""
    components.create_component("Είσοδος", "Για όλους", "", admin, now - 100 * DAY)
    components.create_component("Νέα", "", "", admin, now)


def maintained(admin: str, now: datetime) -> None:
    """Windows are over, run, take too long, begin soon and later, and one was called off."""
    group = components.create_group("Ομάδα", admin, now - 100 * DAY)
    ids = [components.create_component(f"Μέρος {n}", "", group, admin, now - 100 * DAY) for n in range(3)]
    stages = MaintenanceStage
    window(ids[0], now - HOUR, now + HOUR, stages.IN_PROGRESS, now)
    window(ids[1], now - 3 * HOUR, now - HOUR, stages.VERIFYING, now)
    window(ids[2], now + 2 * HOUR, now + 3 * HOUR, stages.SCHEDULED, now)
    window(ids[2], now + 3 * DAY, now + 4 * DAY, stages.SCHEDULED, now)
    window(ids[0], now - 5 * DAY, now - 5 * DAY + HOUR, stages.COMPLETED, now, completed_at=now - 5 * DAY + HOUR)
    window(
        ids[0],
        now - 4 * DAY,
        now - 4 * DAY + HOUR,
        stages.COMPLETED,
        now,
        completed_at=now - 5 * DAY,
        cancelled_at=now - 5 * DAY,
    )


def in_trouble(admin: str, now: datetime) -> None:
    """Much is broken, some of it was before; a promise is late; a post-mortem is out; words were corrected."""
    ids = [components.create_component(f"Μέρος {n}", "", "", admin, now - 100 * DAY) for n in range(8)]
    first = resolved(admin, {ids[0]: DOWN, ids[1]: SLOW}, now - 9 * DAY, 26 * HOUR)
    resolved(admin, {ids[0]: SLOW}, now - 40 * DAY, HOUR)
    resolved(admin, {ids[0]: DOWN}, now - 9 * HOUR, HOUR / 2)
    with transaction(now) as session:
        told_of = session.get_one(Incident, first)
        told_of.post_mortem, told_of.post_mortem_published_at = "Τι μάθαμε", now
    for number, component_id in enumerate(ids[:6]):
        began = now - timedelta(hours=1 + number, minutes=5)
        about = {component_id: (DOWN, SLOW)[number % 2]}
        last = builders.acknowledged(admin, about, began, title=TITLE)
    update = db.session.get_one(Incident, last, populate_existing=True).updates[0]
    deliveries.correct_update(update.id, "Νέα λόγια", admin, now)
    builders.post(MessageKind.UPDATE, last, {ids[5]: DOWN}, admin, now)
    silent = builders.declared(admin, {ids[6]: DOWN}, now, title=TITLE)
    with transaction(now) as session:
        session.get_one(Incident, silent).last_posted_at = now


SCENES = (nothing_listed, all_is_well, maintained, in_trouble)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_word_of_ours_is_english_where_another_language_is_spoken(
    scene: "type[object]", admin: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene(admin, now)
    monkeypatch.setattr(page, "ENTRIES_OF_MONTH_ON_HISTORY", 1)
    publisher.publish_all(settings, now)
    folder = settings.site_dir
    before = pages(folder)
    notices.post(settings.data_dir, folder, settings.public_url, "Νέα για όλους", now)
    for language in ("de", "fr"):
        same = {
            (path, text)
            for path in published(folder)
            for text in told(read(folder, path)) & told(read(folder, f"/{language}{path}")) - NAMES - SAME[language]
            if not NUMBERS.fullmatch(text)
        }
        assert same == set(), language
        assert 'class="notice"' in read(folder, f"/{language}/")
    notices.withdraw(settings.data_dir, folder, settings.public_url)
    assert pages(folder) == before


def read(folder: Path, path: str) -> str:
    return (folder / snapshot.file_name(path)).read_text(encoding="utf-8")


def pages(folder: Path) -> dict[str, str]:
    return {str(file): file.read_text(encoding="utf-8") for file in folder.rglob("*.html")}


def published(folder: Path) -> Iterator[str]:
    """Every page in the page's own language."""
    yield from ("/", "/404", "/history")
    for kind in ("history", "incidents", "components"):
        yield from (f"/{kind}/{file.stem}" for file in (folder / kind).glob("*.html"))


@pytest.mark.parametrize("language", ["de", "fr"])
@pytest.mark.parametrize("scene", [maintained, in_trouble], ids=lambda scene: scene.__name__)
def test_feeds_calendar_badge_and_banner_speak_the_page_s_own_language(
    scene: "type[object]", language: str, admin: str, settings: Settings, now: datetime
) -> None:
    scene(admin, now)
    publisher.publish_all(settings, now)
    english = dict(heard(settings.site_dir))
    branding.edit_languages(language, ("en",), admin, now)
    publisher.refresh(settings, now)
    own = dict(heard(settings.site_dir))
    assert own.keys() == english.keys()
    same = {(where, text) for where in own for text in own[where] & english[where] if re.search("[A-Za-z]", text)}
    assert same == set()
    assert json.loads(read(settings.site_dir, "/feed.json"))["language"] == language
    assert f'lang="{language}"' in read(settings.site_dir, "/badge.svg")
    # It runs on pages that say by themselves in which encoding they are.
    assert read(settings.site_dir, "/embed.js").isascii()


def heard(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """What is said outside of the page's own pages: where, and every text but what people wrote."""
    feed = json.loads(read(folder, "/feed.json"))
    bodies = [*db.session.scalars(select(Update.body_html))]
    items = [item["content_html"] for item in feed["items"]]
    for body in bodies:
        items = [item.replace(body, "") for item in items]
    yield "JSON Feed", {feed["title"], *(text for item in items for text in re.findall("[^<>]+(?=<)", item))}
    for path in ("/history.rss", "/history.atom"):
        root = ET.parse(folder / path[1:]).getroot()
        heads = ("title", "subtitle", "description")
        shown = [element for each in root[:1] for element in each] if path.endswith("rss") else [*root]
        said = {element.text or "" for element in shown if element.tag.rpartition("}")[2] in heads}
        stylesheet = re.search('href="(/assets/[^"]+)"', read(folder, path))
        assert stylesheet
        about = re.search('content: "([^"]+)";', read(folder, stylesheet[1]))
        assert about
        yield path, {*said, about[1]}
    windows = icalendar.Calendar.from_ical((folder / "history.ics").read_bytes())
    told_of = [str(windows["name"]), *(str(each["description"]).splitlines()[0] for each in windows.walk("VEVENT"))]
    yield "calendar", {*told_of, *(str(each["summary"]) for each in windows.walk("VEVENT"))}
    badge = ET.fromstring(read(folder, "/badge.svg"))
    yield (
        "badge",
        {element.text or "" for element in badge.iter() if element.tag.rpartition("}")[2] in ("title", "text")},
    )
    words = re.search(r"const said = (\{.*\});", read(folder, "/embed.js"))
    assert words
    yield "banner", {*json.loads(words[1]).values()}
