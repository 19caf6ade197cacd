"""The hold with Undo in a real browser, by keyboard: the mails are counted down, taken back, and nobody is mailed."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import installation
from tests.browser.installation import ADMIN, ADMIN_PASSWORD
from tests.browser.test_first_incident import sign_in

pytestmark = pytest.mark.browser


def test_an_update_is_taken_back_by_keyboard_and_nobody_is_mailed(chromium: Browser, tmp_path: Path) -> None:
    with installation.running(tmp_path) as service:
        context = chromium.new_context(base_url=service.url, viewport={"width": 390, "height": 844})
        page = context.new_page()
        sign_in(page, ADMIN, ADMIN_PASSWORD)
        page.goto("/admin/policies/SEV1")
        page.get_by_label("Hold with Undo").fill("20 s")
        page.get_by_role("button", name="Save the policy").click()
        page.goto("/console/incidents/new")
        page.get_by_label("Title").fill("Paying by card fails")
        page.get_by_role("radio", name="SEV1").check()
        page.get_by_label("Checkout", exact=True).select_option("outage")
        page.get_by_role("button", name="Declare and write the first message").click()
        page.get_by_label("What customers may notice").fill("Card payments may be declined.")
        page.get_by_role("button", name="Post the first message").click()
        page.wait_for_url("**?posted=acknowledge")
        assert page.get_by_role("button", name="Undo").count() == 0

        page.get_by_label("What is being done").fill("We are undoing a change.")
        page.get_by_role("button", name="Post the update").click()
        page.wait_for_url("**?posted=update")
        expect(page.locator("#held")).to_contain_text(re.compile(r"E-mails leave in 1?[0-9] s"))
        page.get_by_role("button", name="Undo").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**?done=undo")
        expect(page.locator(".done")).to_contain_text("nobody was mailed")
        expect(page.locator("#held")).to_have_count(0)
        page.wait_for_timeout(21_000)
        page.reload()
        expect(page.locator(".timeline .delivery").first).to_contain_text("before anybody was mailed")

        page.get_by_role("link", name="Correct the text and send").click()
        page.get_by_label("Text").fill("We have undone a change.")
        page.get_by_role("button", name="Correct the text and send").click()
        page.wait_for_url("**?done=corrected-and-sent")
        # The line follows by itself.
        expect(page.locator(".timeline .delivery").first).to_contain_text(re.compile("Nobody had|E-mail:"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
