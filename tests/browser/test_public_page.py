"""The public page in a real browser: the reader's own time, every way to hear more, each day's story, any screen."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.rules.vocabulary import ComponentState
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser

KOLKATA = ZoneInfo("Asia/Kolkata")
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) window.shifted += each.value; })
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def incident_id(live: Live) -> str:
    """An open incident on a page with ninety days behind it."""
    now = clock.now()
    long_ago = now - timedelta(days=120)
    builders.page(long_ago)
    by = builders.account(long_ago)
    checkout, search = (builders.component(long_ago, name) for name in ("Checkout", "Search"))
    # Today, so that yesterday is known to have been up.
    began = max(now - timedelta(minutes=10), now.replace(hour=0, minute=0, second=0, microsecond=0))
    made = builders.acknowledged(by, {checkout: ComponentState.OUTAGE}, began, title="Paying fails")
    builders.window(now, (search,), by, scheduled_for=now + timedelta(hours=3))
    live.publish()
    return made


def own_time(instant: datetime) -> str:
    """Return an instant as the script writes it for somebody in Kolkata."""
    local = instant.astimezone(KOLKATA)
    day = "" if local.date() == instant.date() else f"{local:%a} "
    return f"({day}{local.hour % 12 or 12}:{local:%M %p} your time)"


def test_readers_see_their_own_time_beside_utc_on_any_screen_and_nothing_jumps(
    incident_id: str, live: Live, open_page: Callable[..., Page]
) -> None:
    page = open_page(timezone_id="Asia/Kolkata", locale="en-US", viewport={"width": 390, "height": 844})
    page.add_init_script(SHIFTS)
    for path, place in (("/", ".glance .due"), (f"/incidents/{incident_id}", ".promise")):
        page.goto(path)
        due = datetime.fromisoformat(str(page.locator(f"{place} time").get_attribute("datetime")))
        said = page.locator(place).inner_text().replace("\u202f", " ").replace("\n", " ")
        assert f"{due:%H:%M} UTC {own_time(due)}" in said
        assert page.evaluate("window.shifted") == 0
        # A phone, 1,280 px at 200 % and at 400 %, on paper, and from right to left.
        for width in (390, 640, 320):
            page.set_viewport_size({"width": width, "height": 844})
            for medium, direction in (("screen", "ltr"), ("print", "ltr"), ("screen", "rtl")):
                page.emulate_media(media="print" if medium == "print" else "screen")
                page.evaluate("direction => { document.documentElement.dir = direction }", direction)
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, (path, width, medium, direction)
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 390, "height": 844})


def test_every_way_to_hear_more_opens_by_key_and_without_a_script(
    incident_id: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto("/")
    button = page.locator("summary", has_text="Get updates")
    button.focus()
    page.keyboard.press("Enter")
    for way in ("Slack", "Teams", "Discord", "RSS", "Atom", "JSON Feed", "Webhook", "Planned maintenance"):
        expect(page.locator(".ways").get_by_role("link", name=way, exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type("reader@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Please check your inbox")
    page.goto("/")
    button.click()
    page.get_by_role("link", name="Slack").click()
    expect(page.get_by_role("radio", name="Slack")).to_be_checked()


def test_a_day_is_told_by_pointer_finger_and_key(incident_id: str, open_page: Callable[..., Page]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.goto("/")
    card = page.locator(".day-card")
    bars = page.locator("details.uptime").first
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    assert box is not None
    expect(card).not_to_be_visible()

    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 10)
    expect(card).to_contain_text("Outage")
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    expect(card).to_contain_text("Up")
    page.mouse.move(10, 10)
    expect(card).not_to_be_visible()

    page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + 10)
    expect(card).to_contain_text("Outage")

    bars.locator("summary").focus()
    page.keyboard.press("End")
    expect(card).to_contain_text("Outage")
    page.keyboard.press("ArrowLeft")
    expect(card).to_contain_text("Up")
    # Of a phone's width thirty days are in sight: no further than that.
    page.keyboard.press("Home")
    placed = card.bounding_box()
    assert placed is not None
    assert placed["x"] >= 0
    page.keyboard.press("Escape")
    expect(card).not_to_be_visible()
