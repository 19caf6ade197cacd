"""The bars of the last days in a real browser: opened by finger and by key, never wider than the screen."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.actions import examples
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("script", "scheme"), [(True, "light"), (False, "dark")])
def test_the_days_with_problems_are_opened_by_finger_and_by_key(
    script: bool, scheme: str, live: Live, open_page: Callable[..., Page]
) -> None:
    now = clock.now()
    examples.create_example("Larkspur", "Etc/UTC", builders.account(now), now)
    live.publish()
    page = open_page(
        viewport={"width": 390, "height": 844}, has_touch=True, java_script_enabled=script, color_scheme=scheme
    )
    page.goto("/")
    uptime = page.locator("details.uptime:not(:has(.uptime-none))").first
    days = uptime.get_by_role("listitem")
    expect(days.first).not_to_be_visible()

    # A finger on the bars themselves.
    box = uptime.locator("summary").bounding_box()
    assert box is not None
    assert box["width"] <= 390
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(days.first).to_be_visible()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(days.first).not_to_be_visible()

    # A key; the list leads to the incident.
    uptime.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(days.first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/*")

    # Of a phone's width thirty days are in sight, of a wide window all.
    for width, days_in_sight in ((390, "30"), (700, "60"), (1280, "90")):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto("/")
        expect(page.locator(f".days-{days_in_sight}")).to_be_visible()
        expect(page.locator(".section-head span:visible")).to_have_count(1)
        # No wider than the screen, without script too: what sticks out would make this box wider.
        body = page.locator("body").bounding_box()
        part = page.locator(".uptime").first.bounding_box()
        assert body is not None
        assert part is not None
        assert part["x"] + part["width"] <= body["x"] + body["width"]
        if script:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
