"""A page that nobody renews any more says so by itself, and never goes on being green."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from statuspage.actions import branding
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.site import publisher
from tests import builders, staticserver
from tests.staticserver import Static

pytestmark = pytest.mark.browser

MADE = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)


@pytest.fixture
def component_id(app: Flask, settings: Settings) -> str:
    builders.page(MADE)
    made = builders.component(MADE)
    publisher.publish_all(settings, MADE)
    return made


@pytest.fixture
def static(component_id: str, settings: Settings) -> Iterator[Static]:
    with staticserver.serving(settings.site_dir, MADE) as server:
        yield server


@pytest.fixture
def reader(chromium: Browser, static: Static) -> Iterator[Page]:
    context = chromium.new_context(base_url=static.url)
    page = context.new_page()
    page.clock.install(time=MADE)
    yield page
    context.close()


# Of one database only: nothing here asks it anything once the folder is written.
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@only_sqlite
def test_a_page_that_is_renewed_stays_as_it_is(static: Static, reader: Page) -> None:
    reader.goto("/")
    reader.clock.run_for(90_000)
    expect(reader.get_by_role("heading", level=1)).to_have_text("All systems operational")
    assert reader.locator(".stale").count() == 0


@only_sqlite
def test_a_front_page_that_nobody_renews_is_not_green(static: Static, reader: Page) -> None:
    static.now = MADE + timedelta(minutes=3)
    reader.clock.set_system_time(static.now)
    reader.goto("/")
    expect(reader.get_by_role("alert")).to_have_text(
        "This page has not been updated since 14:30 UTC. It may be out of date."
    )
    expect(reader.get_by_role("heading", level=1)).to_have_text("Not known just now")
    assert reader.locator(".state-operational, .banner-operational").count() == 0
    expect(reader.locator(".components .state")).to_have_text("Unknown")
    assert reader.title() == "Larkspur status: not known just now"


@only_sqlite
def test_a_page_left_open_says_so_when_its_publisher_dies(static: Static, reader: Page) -> None:
    reader.goto("/")
    static.now = MADE + timedelta(minutes=3)
    reader.clock.run_for(180_000)
    expect(reader.get_by_role("alert")).to_contain_text("has not been updated since 14:30 UTC")


@only_sqlite
def test_a_page_left_open_is_renewed_by_itself(static: Static, reader: Page, app: Flask, settings: Settings) -> None:
    reader.goto("/")
    static.now = MADE + timedelta(minutes=3)
    builders.component(static.now, "Search")
    publisher.refresh(settings, static.now)
    reader.clock.run_for(150_000)
    expect(reader.get_by_role("link", name="Search")).to_be_visible()
    assert reader.locator(".stale").count() == 0


@only_sqlite
def test_in_german_it_is_said_in_german_and_renewed_as_well(static: Static, reader: Page, settings: Settings) -> None:
    branding.edit_languages("en", ("de",), builders.account(MADE, AccountRole.ADMIN), MADE)
    publisher.publish_all(settings, MADE)
    reader.goto("/de/")
    static.now = MADE + timedelta(minutes=3)
    reader.clock.run_for(180_000)
    expect(reader.get_by_role("alert")).to_have_text(
        "Diese Seite wurde seit 14:30 UTC nicht aktualisiert. Sie ist vielleicht veraltet."
    )
    expect(reader.get_by_role("heading", level=1)).to_have_text("Derzeit nicht bekannt")
    expect(reader.locator(".components .state")).to_have_text("Unbekannt")
    assert reader.title() == "Status von Larkspur: derzeit nicht bekannt"
    publisher.refresh(settings, static.now)
    reader.clock.run_for(60_000)
    expect(reader.get_by_role("heading", level=1)).to_have_text("Alle Systeme in Betrieb")
    assert reader.locator(".stale").count() == 0


@only_sqlite
def test_what_somebody_types_is_not_lost_to_a_renewal(
    static: Static, reader: Page, app: Flask, settings: Settings
) -> None:
    reader.goto("/")
    reader.locator("summary", has_text="Get updates").click()
    reader.get_by_label("Your e-mail address").fill("ada@example.com")
    static.now = MADE + timedelta(minutes=3)
    publisher.refresh(settings, static.now)
    reader.clock.run_for(150_000)
    expect(reader.get_by_role("alert")).to_have_text(
        "This page is as of 14:30 UTC. There is a newer one: please reload it."
    )
    expect(reader.get_by_label("Your e-mail address")).to_have_value("ada@example.com")


@only_sqlite
@pytest.mark.parametrize("wrong_by", [timedelta(hours=5), timedelta(hours=-5)])
def test_a_readers_wrong_clock_raises_no_alarm(wrong_by: timedelta, static: Static, reader: Page) -> None:
    reader.clock.set_system_time(MADE + wrong_by)
    reader.goto("/")
    reader.wait_for_load_state("networkidle")
    expect(reader.get_by_role("heading", level=1)).to_have_text("All systems operational")
    assert reader.locator(".stale").count() == 0


@only_sqlite
def test_a_readers_slow_clock_hides_nothing(static: Static, reader: Page) -> None:
    static.now = MADE + timedelta(minutes=10)
    reader.clock.set_system_time(MADE - timedelta(hours=5))
    reader.goto("/")
    expect(reader.get_by_role("alert")).to_contain_text("has not been updated since")


@only_sqlite
def test_pages_that_are_written_on_change_do_not_cry_wolf(
    static: Static, reader: Page, component_id: str, settings: Settings, app: Flask
) -> None:
    static.now = MADE + timedelta(hours=5)
    publisher.refresh(settings, static.now)
    reader.clock.set_system_time(static.now)
    for path in (f"/components/{component_id}", "/history"):
        reader.goto(path)
        reader.wait_for_load_state("networkidle")
        assert reader.locator(".stale").count() == 0
    static.now += timedelta(minutes=3)
    reader.goto(f"/components/{component_id}")
    expect(reader.get_by_role("alert")).to_have_text(
        "This page has not been updated since 19:30 UTC. It may be out of date."
    )
    expect(reader.locator(".component-state .state")).to_have_text("Unknown")


@only_sqlite
def test_with_the_server_gone_a_page_left_open_admits_it(static: Static, reader: Page) -> None:
    reader.goto("/")
    static.is_down = True
    reader.clock.run_for(150_000)
    expect(reader.get_by_role("alert")).to_contain_text("can’t be renewed just now")
    assert reader.locator(".banner-operational").count() == 0


@only_sqlite
def test_without_javascript_the_time_is_there_and_what_it_means(chromium: Browser, static: Static) -> None:
    context = chromium.new_context(base_url=static.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    expect(page.locator(".banner .as-of")).to_contain_text("As of 21 Nov 2026, 14:30 UTC.")
    # Playwright switches scripts off only after the page was read, so the words themselves do not show here.
    assert "If that is more than a few minutes ago, this page may be out of date." in page.content()
    context.close()
