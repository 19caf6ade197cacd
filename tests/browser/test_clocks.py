"""The clocks in a real browser: they run down by themselves, turn late, and lead to the form that stops them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def test_a_clock_runs_down_turns_late_and_leads_to_its_form(live: Live, open_page: Callable[..., Page]) -> None:
    builders.page(clock.now())
    builders.component(clock.now(), "Checkout")
    builders.account(clock.now(), AccountRole.ADMIN, "ada@example.com")
    live.publish()
    page = open_page("ada@example.com", viewport={"width": 390, "height": 844})
    expect(page.locator("#clocks")).to_contain_text("Nothing is owed just now.")

    # The policy, in words people use.
    page.goto("/admin/policies/SEV1")
    page.get_by_label("First public update", exact=False).fill("8 s")
    page.get_by_label("Internal update to the team", exact=False).fill("")
    page.get_by_role("button", name="Save the policy").click()
    page.wait_for_url("**/admin/policies/?saved=SEV1")

    page.goto("/console/incidents/new")
    page.get_by_label("Title").fill("Paying by card fails")
    page.get_by_role("radio", name="SEV1").check()
    page.get_by_label("Checkout", exact=True).select_option("outage")
    page.get_by_role("button", name="Declare and write the first message").click()
    page.wait_for_url(re.compile("/console/incidents/[0-9a-z]{12}$"))

    # Another page: the clock is there too, and turns late without anybody reloading it.
    page.goto("/console/account/")
    owed = page.locator("#clocks li", has_text="First public update")
    expect(owed).to_contain_text(re.compile(r"in \d s"))
    expect(owed).to_contain_text("late", timeout=15_000)
    assert owed.get_attribute("data-late") is not None

    # One click away, by keyboard: the form that meets it; then the clock of the next update runs.
    owed.get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/acknowledge")
    page.get_by_label("What customers may notice").fill("Card payments may be declined.")
    page.get_by_role("button", name="Post the first message").click()
    page.wait_for_url("**?posted=acknowledge")
    expect(page.locator("#clocks li").first).to_contain_text("Next public update")
    expect(page.locator(".promises")).to_contain_text("First public update Late")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
