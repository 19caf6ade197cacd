"""The feeds: valid in each format, one item for each incident, nothing said is lost."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import feedparser
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from statuspage.actions import components, deliveries
from statuspage.db import db
from statuspage.models import Incident, Update
from statuspage.rules.vocabulary import ComponentState, MessageKind
from statuspage.settings import Settings
from statuspage.site import feeds, publisher, snapshot
from statuspage.site.page import Entry, Frame
from tests import builders
from tests.site import entries
from tests.site.entries import NOW
from tests.site.feedchecks import ATOM, check_atom, check_json_feed, check_rss

STYLES = "/assets/feed.0123456789abcdef.css"
DOWN = ComponentState.OUTAGE
# What people paste and imports bring, lone halves of pairs of characters and all.
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=80)
NASTY = st.one_of(
    ANYTHING, st.sampled_from(["]]>", "\x00\x0b\x1f", "\ud800", "\u202eabc", "👩‍🚒🔥", "<script>x()</script>", "&amp;"])
)


def feed(*shown: Entry, frame: Frame | None = None, **about: str) -> feeds.Feed:
    return feeds.Feed(frame or entries.frame(), shown, STYLES, **about)


# --- valid in each format --------------------------------------------------


@given(title=NASTY, body=NASTY, name=NASTY)
def test_whatever_people_type_the_feeds_stay_valid(title: str, body: str, name: str) -> None:
    shown = entries.incident(title=title, updates=(entries.update(html=f"<p>{escape(body)}</p>"),))
    made = feed(shown, entries.window(title=title), frame=entries.frame(name=name))
    channel = check_rss(feeds.rss(made))
    root = check_atom(feeds.atom(made))
    listed = check_json_feed(feeds.json_feed(made, entries.NOW))["items"]
    assert isinstance(listed, list)
    expected = feeds.clean(title).strip() or shown.id
    first = channel.find("item")
    assert first is not None
    # A parser of XML makes a line feed of a carriage return, unless it was written as a reference; lxml does that.
    assert first.findtext("title") == root.findtext(f"{ATOM}entry/{ATOM}title") == listed[0]["title"] == expected
    said = f"<p>{feeds.clean(str(escape(body)))}</p>"
    assert said in (first.findtext("description") or "")
    assert said in listed[0]["content_html"]


def test_feeds_without_an_entry_are_valid_too() -> None:
    check_rss(feeds.rss(feed()))
    check_atom(feeds.atom(feed()))
    assert check_json_feed(feeds.json_feed(feed(), entries.NOW))["items"] == []


def test_all_formats_say_the_same() -> None:
    made = feed(
        entries.incident("first0000000", next_update_by=NOW + timedelta(minutes=30)),
        entries.window("second000000", changed_at=NOW + timedelta(minutes=5)),
    )
    rss, atom = feedparser.parse(feeds.rss(made)), feedparser.parse(feeds.atom(made))
    listed = check_json_feed(feeds.json_feed(made, entries.NOW))["items"]
    assert isinstance(listed, list)
    assert not rss.bozo
    assert not atom.bozo
    for one, other, third in zip(rss.entries, atom.entries, listed, strict=True):
        assert one.id == other.id == third["id"]
        assert one.link == other.link == third["url"]
        assert one.title == other.title == third["title"]
        assert one.summary == other.content[0].value
        assert one.published_parsed == other.published_parsed
        assert [tag.term for tag in one.tags] == [tag.term for tag in other.tags] == third["tags"]


def test_every_feed_says_where_it_is_and_which_page_it_belongs_to() -> None:
    made = feed(entries.incident(), component_id="component000", component_name="Sign-in")
    for content, suffix in ((feeds.rss(made), "rss"), (feeds.atom(made), "atom")):
        parsed = feedparser.parse(content).feed
        assert parsed.title == "Larkspur status: Sign-in"
        assert parsed.link == "http://status.example.com/components/component000"
        (address,) = (link.href for link in parsed.links if link.rel == "self")
        assert address == f"http://status.example.com/components/component000.{suffix}"
    assert feedparser.parse(feeds.atom(made)).feed.id == "tag:status.example.com,2005:/components/component000"


def test_the_xml_names_its_styles_right_after_its_declaration() -> None:
    for content in (feeds.rss(feed()), feeds.atom(feed())):
        first, second, third = content.split(b"\n", 2)
        assert first.startswith(b"<?xml ")
        assert second == f'<?xml-stylesheet type="text/css" href="{STYLES}"?>'.encode()
        assert third.startswith((b"<rss", b"<feed"))


# --- what an item says -----------------------------------------------------


def test_an_item_holds_every_update_and_what_is_promised() -> None:
    said = tuple(
        entries.update(html=f"<p>Message {number}.</p>", posted_at=NOW - timedelta(minutes=number))
        for number in range(50)
    )
    html = feed(entries.incident(updates=said, next_update_by=NOW + timedelta(minutes=30))).items[0].html
    for number in range(50):
        assert f"<p>Message {number}.</p>" in html
    assert html.index("Message 0.") < html.index("Message 49.")
    assert "Next update by 21 Nov 2026, 14:30 UTC." in html


def test_a_correction_shows_as_one_and_renews_the_item_without_moving_it() -> None:
    corrected = NOW + timedelta(minutes=9)
    edited = entries.incident(updates=(entries.update(edited_at=corrected),), changed_at=corrected)
    item = feed(edited).items[0]
    assert "edited at 21 Nov 2026, 14:09 UTC" in item.html
    assert (item.posted_at, item.changed_at) == (NOW, corrected)
    root = check_atom(feeds.atom(feed(edited)))
    assert root.findtext(f"{ATOM}updated") == "2026-11-21T14:09:00+00:00"


def test_what_was_learned_comes_first() -> None:
    html = feed(entries.incident(post_mortem=Markup("<p>We now test this.</p>"))).items[0].html
    assert html.index("Post-mortem") < html.index("We now test this.") < html.index("We look into it.")


@pytest.mark.parametrize(
    ("label", "end"),
    [("Scheduled", "Mon, 23 Nov 2026 17:00:00 +0000"), ("In progress", None), ("Completed", None), ("Cancelled", None)],
)
def test_maintenance_to_come_says_when_it_ends(label: str, end: str | None) -> None:
    item = check_rss(feeds.rss(feed(entries.window(label=label)))).find("item")
    assert item is not None
    assert item.findtext("maintenanceEndDate") == end
    # Readers hide what is dated in the future: announced today, it is seen today.
    assert item.findtext("pubDate") == "Sat, 21 Nov 2026 14:00:00 +0000"


@pytest.mark.parametrize("zone", ["Etc/UTC", "Pacific/Auckland", "America/St_Johns"])
def test_dates_are_the_same_instants_on_pages_of_every_zone(zone: str) -> None:
    made = feed(entries.incident(), frame=entries.frame(zone=ZoneInfo(zone)))
    for content in (feeds.rss(made), feeds.atom(made)):
        parsed = feedparser.parse(content)
        assert parsed.entries[0].published_parsed[:6] == (2026, 11, 21, 14, 0, 0)
        assert parsed.feed.updated_parsed[:6] == (2026, 11, 21, 14, 0, 0)


# --- from the database to the folder ---------------------------------------


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now - timedelta(days=40))
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


@pytest.fixture
def read(settings: Settings) -> Callable[[str], bytes]:
    return lambda path: (settings.site_dir / snapshot.file_name(path)).read_bytes()


def test_fifty_updates_in_an_hour_lose_nothing(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    other = builders.acknowledged(writer, {sign_in: DOWN}, now, title="The other one")
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    for number in range(50):
        at = now + timedelta(minutes=number + 1)
        builders.post(MessageKind.UPDATE, incident_id, {}, writer, at, being_done=f"Step {number} of fifty.")
    publisher.refresh(settings, now + timedelta(hours=1))
    for path in ("/history.rss", "/history.atom", f"/components/{sign_in}.rss", f"/components/{sign_in}.atom"):
        items = feedparser.parse(read(path)).entries
        assert [item.link.rpartition("/")[2] for item in items] == [incident_id, other]
        for number in range(50):
            assert f"Step {number} of fifty." in items[0].summary
        assert items[0].published_parsed[:5] == (2026, 11, 21, 14, 50)


def test_a_component_has_feeds_of_its_own(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    search = builders.component(now, "Search")
    builders.acknowledged(writer, {sign_in: DOWN}, now, title="Signing in fails")
    builders.acknowledged(writer, {search: DOWN}, now, title="Searching fails")
    publisher.refresh(settings, now)
    check_rss(read(f"/components/{search}.rss"))
    check_atom(read(f"/components/{search}.atom"))
    for suffix in ("rss", "atom"):
        parsed = feedparser.parse(read(f"/components/{search}.{suffix}"))
        assert parsed.feed.title == "Larkspur status: Search"
        assert [item.title for item in parsed.entries] == ["Searching fails"]
    assert f'href="/components/{search}.rss"' in read(f"/components/{search}").decode()
    assert [item.title for item in feedparser.parse(read("/history.rss")).entries].count("Searching fails") == 1


def test_an_update_writes_the_feeds_of_its_components_only(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    search = builders.component(now, "Search")
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    publisher.refresh(settings, now)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    written = publisher.refresh(settings, now)
    assert {f"/components/{sign_in}.rss", f"/components/{sign_in}.atom", "/feed.json"} <= set(written)
    assert not [path for path in written if search in path or path == "/history.ics"]


def test_the_feeds_of_an_archived_component_are_taken_away(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    assert (settings.site_dir / "components" / f"{sign_in}.rss").exists()
    components.archive_component(sign_in, writer, now)
    publisher.refresh(settings, now)
    assert not list((settings.site_dir / "components").glob(f"{sign_in}.*"))


def test_a_corrected_update_renews_its_item_in_every_format(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    update = db.session.query(Update).filter_by(incident_id=incident_id).one()
    later = now + timedelta(minutes=3)
    deliveries.correct_update(update.id, "Signing in is slow, and works.", writer, later)
    publisher.refresh(settings, later)
    entry = feedparser.parse(read("/history.atom")).entries[0]
    assert entry.published_parsed[:5] == (2026, 11, 21, 14, 0)
    assert entry.updated_parsed[:5] == (2026, 11, 21, 14, 3)
    assert "edited at 21 Nov 2026, 14:03 UTC" in entry.summary
    assert b'"date_modified":"2026-11-21T14:03:00Z"' in read("/feed.json")


def test_a_published_post_mortem_is_in_the_feeds(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: DOWN}, now)
    incident = db.session.get_one(Incident, incident_id)
    incident.post_mortem, incident.post_mortem_published_at = "We test this now.", now + timedelta(days=1)
    db.session.commit()
    publisher.publish_all(settings, now)
    entry = feedparser.parse(read("/history.atom")).entries[0]
    assert "We test this now." in entry.summary
    assert entry.updated_parsed[:3] == (2026, 11, 22)


def test_the_styles_of_the_feeds_are_published_under_their_contents_name(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    publisher.refresh(settings, now)
    path = publisher._feed_stylesheet("en")
    assert f'href="{path}"'.encode() in read("/history.rss")
    assert b"rss, feed" in read(path)
    assert publisher._asset_path("css").startswith("/assets/page.")
