"""From the database to finished files: everything public, only what is public, only what changed."""

import os
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta

import feedparser
import pytest
from flask import Flask
from sqlalchemy import update

from statuspage.actions import components
from statuspage.db import db
from statuspage.models import Change, Incident, Maintenance, MaintenanceComponent, MaintenanceUpdate
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, MessageKind, Visibility
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot, statuspage_v2
from tests import builders
from tests.pagechecks import check_page, text_of

HOSTILE = ']]><script>x()</script> & <b>"it\'s" {{7*7}}'


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now - timedelta(days=40))
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now, "Sign-in")


@pytest.fixture
def read(settings: Settings) -> Callable[[str], str]:
    return lambda path: (settings.site_dir / snapshot.file_name(path)).read_text(encoding="utf-8")


def inodes(settings: Settings) -> dict[str, int]:
    return {
        str(file.relative_to(settings.site_dir)): file.stat().st_ino
        for file in settings.site_dir.rglob("*")
        if file.is_file()
    }


def test_an_open_incident_is_on_every_page_that_should_have_it(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now, title="Signing in fails")
    publisher.refresh(settings, now)
    for path in ("/", "/history", "/history/2026-11", f"/incidents/{incident_id}", f"/components/{sign_in}"):
        root = check_page(read(path))
        assert "Signing in fails" in text_of(root), path
    front = text_of(check_page(read("/")))
    assert "Some systems are down" in front
    assert "Next update by 21 Nov 2026, 14:30 UTC" in front
    assert "Sign-in Outage" in front


def test_updates_come_newest_first(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + timedelta(minutes=20))
    publisher.refresh(settings, now + timedelta(minutes=21))
    for path in ("/", f"/incidents/{incident_id}"):
        page = read(path)
        assert page.index("We are undoing this morning") < page.index("We are looking into a problem")


def test_a_resolved_incident_is_listed_on_its_day_with_its_duration(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now, title="Signing in fails")
    later = now + timedelta(hours=1)
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: ComponentState.OPERATIONAL}, writer, later)
    publisher.refresh(settings, later)
    front = text_of(check_page(read("/")))
    assert "All systems operational" in front
    assert "Signing in fails Resolved 21 Nov 2026, 13:50 UTC, lasted 1 h 10 min" in front
    assert "No incidents reported." in front
    assert "Next update by 21 Nov 2026, 15:30 UTC" not in front


@pytest.mark.parametrize("hidden", ["declared only", "internal", "drill"])
def test_what_is_not_public_appears_nowhere(
    hidden: str, writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    visibility = {"internal": Visibility.INTERNAL, "drill": Visibility.DRILL}.get(hidden, Visibility.PUBLIC)
    incident_id = builders.declared(
        writer, {sign_in: ComponentState.OUTAGE}, now, title="Secret trouble", visibility=visibility
    )
    if hidden != "declared only":
        builders.post(MessageKind.ACKNOWLEDGE, incident_id, {sign_in: ComponentState.OUTAGE}, writer, now)
    publisher.publish_all(settings, now)
    for file in settings.site_dir.rglob("*.*"):
        if file.suffix in (".gz", ".br"):
            continue
        content = file.read_bytes() if file.is_file() else b""
        assert b"Secret trouble" not in content, file
        assert incident_id not in str(file)
    assert "All systems operational" in (settings.site_dir / "index.html").read_text()


def test_only_what_an_update_changes_is_written_anew(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    other_component = builders.component(now, "Search")
    other = builders.acknowledged(writer, {other_component: ComponentState.DEGRADED}, now)
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    before = inodes(settings)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now)
    written = publisher.refresh(settings, now)
    assert set(written) == {
        "/",
        "/history",
        "/history/2026-11",
        "/history.rss",
        "/history.atom",
        "/feed.json",
        "/favicon.svg",
        "/favicon.ico",
        "/badge.svg",
        f"/incidents/{incident_id}",
        f"/components/{sign_in}",
        f"/components/{sign_in}.rss",
        f"/components/{sign_in}.atom",
        *statuspage_v2.PATHS,
    }
    after = inodes(settings)
    untouched = {name for name in before if before[name] == after[name]}
    assert {f"incidents/{other}.html", f"components/{other_component}.html", "404.html"} <= untouched


def test_nothing_is_written_when_nothing_changed(writer: str, settings: Settings, now: datetime) -> None:
    publisher.refresh(settings, now)
    before = inodes(settings)
    assert publisher.refresh(settings, now) == []
    assert inodes(settings) == before


def test_a_renamed_component_is_renamed_on_the_pages_of_its_incidents(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    components.edit_component(sign_in, "Logging in", "", "", ComponentState.OUTAGE, writer, now)
    publisher.refresh(settings, now)
    for path in ("/", f"/components/{sign_in}", f"/incidents/{incident_id}"):
        assert "Logging in" in read(path)


def test_an_archived_component_has_no_page_any_more(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    components.archive_component(sign_in, writer, now)
    publisher.refresh(settings, now)
    assert not (settings.site_dir / "components" / f"{sign_in}.html").exists()


def test_a_renamed_page_is_renamed_everywhere(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    components.edit_page("Bluebell", "Etc/UTC", "", writer, now)
    publisher.refresh(settings, now)
    for path in ("/", "/history", "/history/2026-11", f"/incidents/{incident_id}", "/404", "/history.rss"):
        assert "Bluebell" in read(path), path


def test_a_gap_in_the_record_of_changes_publishes_everything(
    writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    publisher.refresh(settings, now)
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    db.session.query(Change).delete()
    db.session.commit()
    assert "/404" in publisher.refresh(settings, now)


def test_a_folder_of_another_version_is_written_anew(writer: str, settings: Settings, now: datetime) -> None:
    publisher.refresh(settings, now)
    current = snapshot.read_current(settings.site_dir)
    assert current is not None
    older = snapshot.Current(current.revision, "another renderer", current.local_day, current.generated_at)
    snapshot.write_current(settings.site_dir, older)
    assert "/404" in publisher.refresh(settings, now)
    assert publisher.refresh(settings, now) == []


def test_the_front_page_moves_on_with_the_days(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    publisher.refresh(settings, now)
    tomorrow = now + timedelta(days=1)
    assert "/" in publisher.refresh(settings, tomorrow)
    assert "Sun, 22 November" in read("/")
    assert publisher.refresh(settings, tomorrow) == []


def test_a_new_month_gets_a_page_and_a_link_to_it(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    publisher.refresh(settings, now + timedelta(days=14))
    assert "No incidents reported in this month." in read("/history/2026-12")
    assert 'href="/history/2026-12"' in read("/history/2026-11")


def test_days_are_those_of_the_pages_own_time_zone(
    writer: str, sign_in: str, settings: Settings, read: Callable[[str], str]
) -> None:
    components.edit_page("Larkspur", "Pacific/Auckland", "", writer, datetime.fromisoformat("2026-11-30T11:30:00Z"))
    late = datetime.fromisoformat("2026-11-30T11:40:00Z")
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, late, title="Past midnight there")
    assert db.session.get_one(Incident, incident_id).started_at.day == 30
    publisher.refresh(settings, late)
    assert "Past midnight there" in read("/history/2026-12")
    assert not (settings.site_dir / "history" / "2026-11.html").exists()


def test_a_killed_publisher_is_finished_by_the_next(
    writer: str, sign_in: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.refresh(settings, now)
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    moved, count = os.replace, [0]

    def move_three_then_die(source: str, target: str) -> None:
        count[0] += 1
        if count[0] > 3:
            raise KeyboardInterrupt
        moved(source, target)

    monkeypatch.setattr(os, "replace", move_three_then_die)
    with pytest.raises(KeyboardInterrupt):
        publisher.refresh(settings, now)
    monkeypatch.setattr(os, "replace", moved)
    assert f"/incidents/{incident_id}" in publisher.refresh(settings, now)
    assert publisher.refresh(settings, now) == []


def test_two_publishers_of_one_folder_take_turns(
    app: Flask, writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    written: list[list[str]] = []

    def publish() -> None:
        with app.app_context():
            written.append(publisher.refresh(settings, now))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, written)) == [False, False, False, True]


def test_maintenance_is_announced_without_hiding_the_state(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    window = Maintenance(
        id="maintenance0",
        title="Moving house",
        stage=MaintenanceStage.IN_PROGRESS,
        scheduled_for=now,
        scheduled_until=now + timedelta(hours=2),
        last_posted_at=now,
        created_at=now,
        updated_at=now,
    )
    db.session.add(window)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=window.id, component_id=sign_in))
    db.session.add(
        MaintenanceUpdate(
            maintenance_id=window.id,
            sequence=1,
            stage=MaintenanceStage.IN_PROGRESS,
            body="We move.",
            body_html="<p>We move.</p>",
            posted_at=now,
            created_at=now,
        )
    )
    db.session.commit()
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.publish_all(settings, now)
    front = text_of(check_page(read("/")))
    assert "Sign-in Outage" in front
    assert "Under maintenance" not in front
    assert "Moving house In progress Maintenance, 21 Nov 2026, 14:00 UTC to 16:00 UTC" in front
    check_page(read("/incidents/maintenance0"))


def test_hostile_words_show_as_they_were_typed(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.declared(writer, {sign_in: ComponentState.OUTAGE}, now, title=HOSTILE)
    states = {sign_in: ComponentState.OUTAGE}
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now, symptoms=HOSTILE + " [x](javascript:a)")
    publisher.refresh(settings, now)
    for path in ("/", f"/incidents/{incident_id}"):
        root = check_page(read(path))
        ours = {publisher._asset_path("js"), publisher._asset_path("js", "days")}
        assert {script.get("src") for script in root.iter("script")} <= ours
        assert not [link for link in root.iter("a") if (link.get("href") or "").startswith("javascript")]
        assert HOSTILE in text_of(root)
    for path in ("/history.rss", "/history.atom"):
        entry = feedparser.parse(read(path)).entries[0]
        assert "<script>" not in entry.content[0].value if "content" in entry else "<script>" not in entry.summary
        assert entry.title_detail.value.count("&lt;script&gt;") or HOSTILE in entry.title


def test_feeds_have_one_item_for_each_incident_that_moves_up(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    first = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now, title="First")
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now + timedelta(minutes=1), title="Second")
    builders.post(MessageKind.UPDATE, first, {}, writer, now + timedelta(minutes=2))
    publisher.refresh(settings, now)
    for path in ("/history.rss", "/history.atom"):
        feed = feedparser.parse(read(path))
        assert not feed.bozo
        assert feed.feed.link == "http://status.example.com/"
        assert [entry.title for entry in feed.entries] == ["First", "Second"]
        assert feed.entries[0].id == feed.entries[0].link == f"http://status.example.com/incidents/{first}"
        assert feed.entries[0].published_parsed[:5] == (2026, 11, 21, 14, 2)
        assert "Next update by 21 Nov 2026, 14:32 UTC." in feed.entries[0].summary


def test_a_feed_does_not_change_without_a_change(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    publisher.publish_all(settings, now)
    before = [read(path) for path in ("/history.rss", "/history.atom")]
    publisher.publish_all(settings, now + timedelta(hours=1))
    assert [read(path) for path in ("/history.rss", "/history.atom")] == before


def test_no_page_yet_publishes_nothing(app: Flask, settings: Settings, now: datetime) -> None:
    assert publisher.refresh(settings, now) == []
    assert publisher.publish_all(settings, now) == []


def test_the_window_of_days_is_two_weeks(
    writer: str, sign_in: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now, title="Long ago")
    builders.post(MessageKind.RESOLVE, incident_id, {sign_in: ComponentState.OPERATIONAL}, writer, now)
    for days, shown in ((13, True), (14, False)):
        started = now - timedelta(days=days)
        db.session.execute(update(Incident).values(started_at=started))
        db.session.commit()
        publisher.publish_all(settings, now)
        assert ("Long ago" in read("/").partition('id="past-title"')[2]) is shown, days
    assert date(2026, 11, 7) == (now - timedelta(days=14)).date()


def test_the_front_page_says_every_minute_that_it_is_still_so(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], str]
) -> None:
    publisher.refresh(settings, now)
    assert publisher.refresh(settings, now + timedelta(seconds=59)) == []
    assert publisher.refresh(settings, now + timedelta(minutes=1)) == sorted(publisher.RENEWED)
    assert "As of <time" in read("/")
    assert "14:01 UTC" in read("/")
    assert '<meta name="generated-at" content="2026-11-21T14:01:00Z">' in read("/")


def test_somebody_who_waits_for_an_answer_does_not_wait_for_another_publisher(
    writer: str, sign_in: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "PATIENCE_SECONDS", 0.1)
    publisher.refresh(settings, now)
    builders.acknowledged(writer, {sign_in: ComponentState.OUTAGE}, now)
    with snapshot.lock(settings.site_dir), pytest.raises(BlockingIOError):
        publisher.refresh_at_once(settings, now)
    assert "/" in publisher.refresh_at_once(settings, now)


def test_somebody_who_waits_for_an_answer_does_not_wait_for_a_full_rewrite(
    writer: str, settings: Settings, now: datetime
) -> None:
    assert publisher.refresh_at_once(settings, now) == []
    assert "/404" in publisher.refresh(settings, now)


def test_readers_are_sent_no_comments() -> None:
    texts = [body.decode() for path, body in publisher._assets().items() if path.endswith((".css", ".js"))]
    assert len(texts) == 6
    for text in texts:
        assert not [line for line in text.splitlines() if not line or line.startswith(("//", "/*", " "))]
        assert text.endswith(("}\n", ");\n"))
