"""One incident from signing in to closing it by two people who have only a keyboard, and always see where they are."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.actions.policies import edit_policy
from statuspage.rules.vocabulary import AccountRole, Severity
from tests import builders
from tests.browser.conftest import Live
from tests.browser.test_incident_room import Keyboard

pytestmark = pytest.mark.browser

FARTHEST, WHOLE_PAGE = 60, 150
# What a frame shows has a focus of its own, the parts of a date have one field's, and the last is followed by the first.
_STEP = """
() => {
  const here = document.activeElement, before = window.focusedBefore;
  window.focusedBefore = here;
  if (here === document.body || here.tagName === "IFRAME") return "";
  const style = getComputedStyle(here), box = here.getBoundingClientRect();
  const name = `${here.tagName} ${here.id || here.name || here.textContent.trim().slice(0, 30)}`;
  if (here === before && !here.type.startsWith("date")) return `${name} lets nobody out`;
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return `the focus on ${name} can't be seen`;
  if (box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1) return `${name} has the focus out of sight`;
  const isFirst = here === document.querySelector("a[href]");
  if (before?.isConnected && here !== before && !isFirst && !(before.compareDocumentPosition(here) & Node.DOCUMENT_POSITION_FOLLOWING))
    return `${name} comes too late`;
  return "";
}
"""
_EMPTY = """
() => [...document.querySelectorAll("main form :required")].find((each) => !each.validity.valid && !each.value)?.name
"""


class Walker(Keyboard):
    """Somebody who looks where the focus is after every step."""

    def press(self, key: str) -> None:
        super().press(key)
        if key == "Tab":
            assert self.page.evaluate(_STEP) == "", self.page.url

    def go_to(self, selector: str) -> None:
        target, begun = self.page.locator(selector).first, self.keys
        while not target.evaluate("element => element === document.activeElement"):
            assert self.keys < begun + FARTHEST, f"{selector} is too far away on {self.page.url}"
            self.press("Tab")

    def follow(self, selector: str, leads_to: str) -> None:
        """Go there and press Enter."""
        self.go_to(selector)
        self.press("Enter")
        self.page.wait_for_url(leads_to)

    def fill_in(self, text: str) -> None:
        """Type the same into everything that the form still asks for."""
        while name := self.page.evaluate(_EMPTY):
            self.go_to(f"main form [name={name}]")
            self.type(text)

    def sign_in(self, email: str) -> None:
        self.page.goto("/login")
        self.go_to("[name=email]")
        self.type(email)
        self.press("Tab")
        self.type(builders.PASSWORD)
        self.press("Enter")
        self.page.wait_for_url("**/console/")

    def walk_through(self) -> int:
        """Press the tabulator until the page is over; return how often that was."""
        begun = self.keys
        while self.keys < begun + WHOLE_PAGE:
            self.press("Tab")
            if self.page.evaluate("document.activeElement === document.body"):
                return self.keys - begun
        raise AssertionError("the page has no end")


def test_an_incident_from_signing_in_to_closing_it(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now() - timedelta(minutes=1)
    builders.page(now)
    builders.component(now, "Checkout")
    by = builders.account(now, AccountRole.COMMS, "grace@example.com")
    builders.account(now, AccountRole.RESPONDER, "alan@example.com")
    owed = {"direct_email": None, "internal_update": None, "post_mortem": None, "public_post_mortem_if_down": None}
    edit_policy(Severity.SEV1, owed, None, by, now)
    live.publish()
    grace = Walker(open_page(viewport={"width": 1280, "height": 844}))
    alan = Walker(open_page(viewport={"width": 390, "height": 844}))

    grace.sign_in("grace@example.com")
    grace.follow("main a.button[href='/console/incidents/new']", "**/console/incidents/new")
    grace.fill_in("Paying by card fails")
    grace.go_to("[name=severity]")
    grace.press("Space")
    grace.go_to(".state-row select")
    grace.type("ou")
    grace.follow("main form > button", re.compile("/console/incidents/[0-9a-z]{12}$"))
    room = grace.page.url

    grace.fill_in("Card payments may be declined.")
    grace.follow("#message-form button.button-primary", "**?posted=acknowledge")
    grace.fill_in("We are undoing a change.")
    grace.go_to("[name=stage]")
    grace.press("ArrowDown")
    grace.follow("#message-form button.button-primary", "**?posted=update")
    grace.press("r")
    grace.page.wait_for_url("**/resolve")
    grace.fill_in("A change overloaded the checkout. It is undone.")
    grace.follow("#message-form button.button-primary", "**?posted=resolve")
    grace.follow("#next-step", "**/post-incident-email")
    grace.fill_in("We try such changes on a small part first.")
    grace.follow("button[value=submit]", "**?done=submit")

    alan.sign_in("alan@example.com")
    alan.follow(f"a[href='{room.removeprefix(live.url)}']", room)
    alan.follow("#next-step", "**/post-incident-email")
    alan.follow("button[value=approve]", "**?done=approve")

    grace.page.reload()
    grace.follow("button[value=send]", "**?done=send")
    grace.follow(".crumb a", room)
    grace.follow("#next-step", "**/close")
    grace.follow("main form button", "**?done=close")
    expect(grace.page.locator(".done")).to_contain_text("Closed")

    # No page holds anybody; a dialog does until it is left, and gives the focus back.
    for path in (room, "/console/", "/"):
        grace.page.goto(path)
        assert grace.walk_through() > 5
    grace.page.goto(room)
    grace.go_to("[data-opens-shortcuts]")
    grace.press("Enter")
    expect(grace.page.get_by_role("dialog")).to_be_visible()
    grace.press("Escape")
    expect(grace.page.locator("[data-opens-shortcuts]")).to_be_focused()
