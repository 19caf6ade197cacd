"""The clocks in a real browser: they run down by themselves, turn late, and lead to the form that stops them."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import installation
from tests.browser.installation import ADMIN, ADMIN_PASSWORD
from tests.browser.test_first_incident import sign_in

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1280])
def test_a_clock_runs_down_turns_late_and_leads_to_its_form(width: int, chromium: Browser, tmp_path: Path) -> None:
    with installation.running(tmp_path) as service:
        context = chromium.new_context(base_url=service.url, viewport={"width": width, "height": 844})
        page = context.new_page()
        sign_in(page, ADMIN, ADMIN_PASSWORD)
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
        clock = page.locator("#clocks li", has_text="First public update")
        expect(clock).to_contain_text(re.compile(r"in \d s"))
        expect(clock).to_contain_text("late", timeout=15_000)
        assert clock.get_attribute("data-late") is not None

        # One click away, by keyboard: the form that meets it; then the clock of the next update runs.
        clock.get_by_role("link").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/acknowledge")
        page.get_by_label("What customers may notice").fill("Card payments may be declined.")
        page.get_by_role("button", name="Post the first message").click()
        page.wait_for_url("**?posted=acknowledge")
        expect(page.locator("#clocks li").first).to_contain_text("Next public update")
        expect(page.locator(".promises")).to_contain_text("First public update Late")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
