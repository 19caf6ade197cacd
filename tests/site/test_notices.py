"""A notice for the day the database is gone: on what readers see, cleaned, changed, withdrawn."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import feedparser
import pytest
from flask import Flask

from statuspage.rules.vocabulary import ComponentState, RuleBroken
from statuspage.settings import Settings
from statuspage.site import notices, publisher, snapshot
from statuspage.site.reader import Reader
from tests import builders
from tests.pagechecks import check_page, text_of

URL = "http://status.example.com"
HOSTILE = 'We are <script>x()</script> **down** & "out" ]]> [x](javascript:a) <!--/notice-->'
STATUS = b'{"page":{"id":"x"},"status":{"indicator":"none","description":"All Systems Operational"}}'


@pytest.fixture
def incident(app: Flask, settings: Settings, now: datetime) -> str:
    builders.page(now)
    sign_in = builders.component(now)
    incident_id = builders.acknowledged(builders.account(now), {sign_in: ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    return incident_id


@pytest.fixture
def read(settings: Settings) -> Callable[[str], str]:
    """Return a page without its comments: readers see none."""
    return lambda path: re.sub("<!--.*?-->", "", (settings.site_dir / snapshot.file_name(path)).read_text("utf-8"))


def post(settings: Settings, text: str, now: datetime) -> list[str]:
    return notices.post(settings.data_dir, settings.site_dir, URL, text, now)


def everything(settings: Settings) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in settings.site_dir.rglob("*") if file.is_file()}


def test_a_notice_is_on_the_front_page_and_what_it_leads_to(
    incident: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    written = post(settings, "We are **down**. Next word at 15:00 UTC.", now)
    assert {"/", "/404", "/history", f"/incidents/{incident}", "/history.rss", "/history.atom"} <= set(written)
    for path in ("/", "/history", f"/incidents/{incident}", "/404"):
        text = text_of(check_page(read(path)))
        assert "We are down. Next word at 15:00 UTC." in text, path
        assert "Posted 21 Nov 2026, 14:00 UTC." in text, path
    front = read("/")
    assert front.index('class="notice"') < front.index('id="page-state"')
    assert "Apart from the notice of 21 Nov 2026, 14:00 UTC: Some systems are down" in text_of(check_page(front))
    assert "<title>Notice: Larkspur status" in front


def test_feeds_carry_it_first(incident: str, settings: Settings, now: datetime, read: Callable[[str], str]) -> None:
    post(settings, HOSTILE, now)
    for path in ("/history.rss", "/history.atom"):
        feed = feedparser.parse(read(path))
        assert not feed.bozo
        assert feed.entries[0].title == "Notice"
        assert len(feed.entries) == 2
        assert feed.entries[0].id == f"{URL}/#notice-20261121140000"
        assert "<strong>down</strong>" in str(feed.entries[0])


def test_hostile_words_show_as_they_were_typed(
    incident: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    post(settings, HOSTILE, now)
    root = check_page(read("/"))
    assert "<script>x()</script>" in text_of(root)
    assert not [link for link in root.iter("a") if (link.get("href") or "").startswith("javascript")]
    notices.withdraw(settings.data_dir, settings.site_dir, URL)
    assert "x()" not in read("/")


def test_it_can_be_changed_and_taken_away_without_a_trace(incident: str, settings: Settings, now: datetime) -> None:
    before = everything(settings)
    post(settings, "First words", now)
    post(settings, "Other words", now + timedelta(minutes=5))
    front = (settings.site_dir / "index.html").read_text()
    assert (front.count("Other words"), front.count("First words"), front.count("Notice: ")) == (1, 0, 1)
    notices.withdraw(settings.data_dir, settings.site_dir, URL)
    after = everything(settings)
    assert {name for name in before if before[name] != after[name]} == set()
    assert notices.read(settings.data_dir) is None


def test_what_is_published_meanwhile_carries_it_and_loses_it_too(
    incident: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    post(settings, "The console is unwell", now)
    publisher.publish_all(settings, now + timedelta(minutes=2))
    assert "The console is unwell" in read("/")
    assert "The console is unwell" in read("/history/2026-11")
    assert "Notice" in feedparser.parse(read("/history.rss")).entries[0].title
    notices.withdraw(settings.data_dir, settings.site_dir, URL)
    assert not [file for file in settings.site_dir.rglob("*") if file.is_file() and b"unwell" in file.read_bytes()]
    publisher.refresh(settings, now + timedelta(minutes=4))
    assert "The console is unwell" not in read("/")


def test_it_makes_nothing_newer_and_readers_notice_it(incident: str, settings: Settings, now: datetime) -> None:
    reader = Reader(settings.site_dir, look_every=0)
    assert reader.get("/") is not None
    before = snapshot.read_current(settings.site_dir)
    post(settings, "Something is wrong", now + timedelta(hours=1))
    assert snapshot.read_current(settings.site_dir) == before
    page = reader.get("/")
    assert page is not None
    assert b"Something is wrong" in page.forms[""]


def test_programs_never_read_green_beside_a_notice(incident: str, settings: Settings, now: datetime) -> None:
    notice = notices.Notice("We are down", "2026-11-21T14:00:00Z")
    for path in ("/api/v2/status.json", "/api/v2/summary.json"):
        with_it = notices.onto(path, STATUS, notice, URL)
        document = json.loads(with_it)
        assert document["status"] == {"indicator": "minor", "description": "Notice of 21 Nov 2026, 14:00 UTC"}
        assert document["notice"]["body"] == "We are down"
        again = notices.onto(path, with_it, notices.Notice("Still", "2026-11-21T15:00:00Z"), URL)
        assert notices.onto(path, again, None, URL) == STATUS
    worse = STATUS.replace(b"none", b"critical")
    assert json.loads(notices.onto("/api/v2/status.json", worse, notice, URL))["status"]["indicator"] == "critical"


def test_a_json_feed_carries_it_first() -> None:
    feed = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "an incident"}]}).encode()
    notice = notices.Notice("We are **down**", "2026-11-21T14:00:00Z")
    with_it = notices.onto("/feed.json", notices.onto("/feed.json", feed, notice, URL), notice, URL)
    assert [item["id"] for item in json.loads(with_it)["items"]] == [f"{URL}/#notice-20261121140000", "an incident"]
    assert json.loads(notices.onto("/feed.json", with_it, None, URL)) == json.loads(feed)


@pytest.mark.parametrize("path", ["/api/v2/status.json", "/feed.json", "/favicon.ico", "/favicon.svg", "/robots.txt"])
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b"null", b'{"items": 1, "status": 2}'])
def test_a_file_that_can_show_none_stays_as_it_is(path: str, body: bytes) -> None:
    assert notices.onto(path, body, notices.Notice("x", "2026-11-21T14:00:00Z"), URL) == body


def test_a_page_of_an_earlier_version_takes_one_as_well() -> None:
    page = b'<title>A</title><main id="main">\n<h1 id="page-state">Fine</h1></main>'
    notice = notices.Notice("We are down", "2026-11-21T14:00:00Z")
    assert b"We are down" in notices.onto("/", page, notice, URL)


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 5_001])
def test_words_that_can_not_be_shown_are_refused(text: str, incident: str, settings: Settings, now: datetime) -> None:
    before = everything(settings)
    with pytest.raises(RuleBroken):
        post(settings, text, now)
    assert everything(settings) == before


def test_without_a_published_page_it_says_so(settings: Settings, now: datetime) -> None:
    with pytest.raises(notices.NoSnapshot, match="holds no published page"):
        post(settings, "Words", now)


@pytest.mark.parametrize(("name", "content"), [("current.json", "{"), ("index.html", "\x00half a pa")])
def test_a_damaged_snapshot_is_told_and_left_alone(
    name: str, content: str, incident: str, settings: Settings, now: datetime
) -> None:
    (settings.site_dir / name).write_text(content)
    before = everything(settings)
    with pytest.raises(notices.NoSnapshot, match="damaged"):
        post(settings, "Words", now)
    assert everything(settings) == before
    assert notices.read(settings.data_dir) is None


def test_compressed_forms_of_the_page_without_it_go(incident: str, settings: Settings, now: datetime) -> None:
    stale: list[Path] = []
    for suffix in (".gz", ".br"):
        stale.append(settings.site_dir / f"index.html{suffix}")
        stale[-1].write_bytes(b"the page as it was")
    post(settings, "Words", now)
    assert not any(file.exists() and file.read_bytes() == b"the page as it was" for file in stale)


def test_a_publisher_that_does_not_let_go_holds_up_no_emergency(
    incident: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_SECONDS", 0.1)
    with snapshot.lock(settings.site_dir):
        post(settings, "Words all the same", now)
    assert "Words all the same" in (settings.site_dir / "index.html").read_text()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"text": "x"}', '{"text": "x", "posted_at": "noon"}'])
def test_a_damaged_notice_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / notices.FILE).write_text(content)
    assert notices.read(tmp_path) is None
