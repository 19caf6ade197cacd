"""A post-mortem from its first word to the public page in a real browser, by two people."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def test_one_writes_another_reviews_and_readers_get_the_public_version(
    live: Live, open_page: Callable[..., Page]
) -> None:
    now = clock.now()
    builders.page(now)
    states, by = {builders.component(now): ComponentState.OUTAGE}, builders.account(now, email="ada@example.com")
    builders.account(now, AccountRole.RESPONDER, "grace@example.com")
    incident_id = builders.acknowledged(by, states, now - timedelta(minutes=50))
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, incident_id, fine, by, now - timedelta(minutes=5))
    live.publish()
    path = f"/console/incidents/{incident_id}/post-mortem"

    author = open_page("ada@example.com", viewport={"width": 390, "height": 844})
    author.goto(path)
    expect(author.locator(".recorded li").first).to_contain_text("It began")
    author.get_by_label("Summary").fill("Sign-in failed.")
    author.get_by_label("Root cause").fill("Human error.")
    author.get_by_label("Impact on users").fill("Nobody could sign in.")
    author.get_by_role("button", name="Begin it with summary and impact").click()
    expect(author.get_by_label("Public version")).to_have_value("**What happened.** Sign-in failed.\n\n"
        "**What you may have noticed.** Nobody could sign in.")  # fmt: skip
    expect(author.locator("#marks-field-root_cause")).to_contain_text("Human error")
    author.get_by_label("Root cause").fill("The store had no limit.")
    expect(author.locator("#draft-note")).to_contain_text("Kept for you alone")
    # A tab that is closed, a battery that dies: the words are there again.
    author.goto(path)
    expect(author.locator(".draft")).to_contain_text("You typed this")
    expect(author.get_by_label("Root cause")).to_have_value("The store had no limit.")
    author.get_by_role("button", name="Save and ask for a review").click()
    expect(author.locator("fieldset.review")).to_contain_text("a second person has to review it")
    author.get_by_label("What is to be done").fill("Watch the memory")
    author.get_by_label("Owner").select_option(by)
    author.get_by_label("Priority").select_option("high")
    author.get_by_label("Due").fill((now + timedelta(days=7)).date().isoformat())
    author.get_by_role("button", name="Add it").click()
    expect(author.locator("#action-items")).to_contain_text("Watch the memory")
    assert author.evaluate("document.documentElement.scrollWidth <= innerWidth")

    reviewer = open_page("grace@example.com")
    reviewer.goto(path)
    reviewer.get_by_role("button", name="Approve what was saved").click()
    author.goto(path)
    author.get_by_role("button", name="Publish the public version").click()
    expect(author.locator(".done")).to_contain_text("on the incident’s public page")
    live.publish()
    reader = open_page()
    reader.goto(f"/incidents/{incident_id}#post-mortem")
    expect(reader.locator("#post-mortem")).to_contain_text("Nobody could sign in.")
    assert "The store had no limit." not in reader.content()
