"""The hold with Undo in a real browser, by keyboard: the mails are counted down, taken back, and nobody is mailed."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.delivery.providers import transport_for
from statuspage.rules.vocabulary import AccountRole, ComponentState
from statuspage.worker import Worker
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser

HOLD = timedelta(seconds=20)
TITLE = "Sign-in fails"


def work(live: Live, later: timedelta) -> None:
    """Do what a worker does until nothing is left, as if some time had passed."""
    worker = Worker(live.settings, transport_for(live.settings))
    while worker.tick(clock.now() + later):
        pass


def mails(live: Live) -> list[str]:
    """Return the mails about the incident."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(live.settings.outbox_dir.glob("*.eml"))]
    return [text for text in texts if TITLE in text]


def test_an_update_is_taken_back_by_keyboard_and_nobody_is_mailed(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now()
    builders.page(now)
    by = builders.account(now, AccountRole.ADMIN, "ada@example.com")
    builders.subscribed(now)
    states = {builders.component(now): ComponentState.OUTAGE}
    live.publish()
    page = open_page("ada@example.com", viewport={"width": 390, "height": 844})
    page.goto("/admin/policies/SEV1")
    page.get_by_label("Hold with Undo").fill(f"{HOLD.seconds} s")
    page.get_by_role("button", name="Save the policy").click()
    page.wait_for_url("**/admin/policies/?saved=SEV1")

    # The first message is never held.
    incident_id = builders.acknowledged(by, states, clock.now(), title=TITLE)
    work(live, timedelta(0))
    assert len(mails(live)) == 1
    page.goto(f"/console/incidents/{incident_id}")
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
    work(live, 2 * HOLD)
    assert len(mails(live)) == 1
    page.reload()
    expect(page.locator(".timeline .delivery").first).to_contain_text("before anybody was mailed")

    page.get_by_role("link", name="Correct the text and send").click()
    page.get_by_label("Text").fill("We have undone a change.")
    page.get_by_role("button", name="Correct the text and send").click()
    page.wait_for_url("**?done=corrected-and-sent")
    work(live, 2 * HOLD)
    assert len(mails(live)) == 2
    # The line follows by itself.
    expect(page.locator(".timeline .delivery").first).to_contain_text("E-mail:")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
