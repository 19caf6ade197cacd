"""The incident room at 3 a.m.: the first message within a minute, and two people who never overwrite each other."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.db import db
from statuspage.models import Account
from statuspage.rules.vocabulary import AccountRole, ComponentState
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser

MOST_PAGES, MOST_FIELDS, MOST_KEYS = 3, 4, 60
TITLE, SYMPTOMS = "Paying by card fails", "Card payments may be declined."
# Somebody who types 20 words a minute, and looks before each other key.
LETTERS_A_SECOND, KEYS_A_SECOND = 1.6, 2


class Keyboard:
    """A person who has only a keyboard, and counts."""

    def __init__(self, page: Page) -> None:
        self.page, self.keys, self.letters = page, 0, 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.keys += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.letters += len(text)

    def go_to(self, selector: str) -> None:
        """Press the tabulator until this has the focus."""
        target = self.page.locator(selector)
        while not target.evaluate("element => element === document.activeElement"):
            assert self.keys < MOST_KEYS, f"{selector} is too far away"
            self.press("Tab")


def empty_required(page: Page) -> int:
    """Count what the form still asks for: fields that are required and empty, a group of choices as one."""
    return int(
        page.evaluate(
            """() => {
              const asked = [...document.querySelectorAll("main form :required")].filter((each) => !each.validity.valid);
              return new Set(asked.map((each) => each.name)).size;
            }"""
        )
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_whoever_has_read_no_manual_posts_the_first_message_within_a_minute(
    width: int, live: Live, open_page: Callable[..., Page]
) -> None:
    builders.page(clock.now())
    builders.component(clock.now(), "Checkout")
    builders.component(clock.now(), "Search")
    builders.account(clock.now(), AccountRole.COMMS, "grace@example.com")
    live.publish()
    page = open_page("grace@example.com", viewport={"width": width, "height": 844})
    hands, pages, fields = Keyboard(page), 1, 0

    # The board says what to do first.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.get_by_role("link", name="Declare an incident")).to_be_in_viewport()
    hands.press("Tab")
    hands.press("Enter")
    hands.go_to("main a.button[href='/console/incidents/new']")
    hands.press("Enter")
    page.wait_for_url("**/console/incidents/new")
    pages += 1

    # What is declared: a title, how bad it is, and what customers can't use.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fields += empty_required(page) + 1
    hands.type(TITLE)
    hands.press("Tab")
    hands.press("Space")
    hands.press("Tab")
    expect(page.locator(".state-row select").first).to_be_focused()
    hands.type("ou")
    hands.go_to("main form > button")
    hands.press("Enter")
    page.wait_for_url(re.compile("/console/incidents/[0-9a-z]{12}$"))
    pages += 1

    # The room: the owed message is open, its clock beside it, and one field is empty.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(".message-due")).to_be_in_viewport()
    fields += empty_required(page)
    hands.go_to("a.skip[href='#field-symptoms']")
    hands.press("Enter")
    expect(page.get_by_label("What customers may notice")).to_be_focused()
    hands.type(SYMPTOMS)
    hands.go_to("#message-form button.button-primary")
    hands.press("Enter")
    page.wait_for_url("**?posted=acknowledge")

    expect(page.locator(".done")).to_contain_text("Posted. It is on the public page")
    page.goto("/")
    expect(page.get_by_text(SYMPTOMS).first).to_be_visible()
    assert pages <= MOST_PAGES
    assert fields <= MOST_FIELDS
    assert hands.keys <= MOST_KEYS
    seconds = hands.letters / LETTERS_A_SECOND + hands.keys / KEYS_A_SECOND
    assert seconds <= 60, f"{hands.letters} letters and {hands.keys} other keys"


def test_two_people_at_once_see_each_other_and_lose_nothing(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now()
    builders.page(now)
    states = {builders.component(now, "Checkout"): ComponentState.OUTAGE}
    for name in ("Grace", "Alan"):
        account_id = builders.account(now, AccountRole.COMMS, f"{name.lower()}@example.com")
        db.session.get_one(Account, account_id).name = name
        db.session.commit()
    incident_id = builders.acknowledged(account_id, states, now, title=TITLE)
    live.publish()
    room = f"/console/incidents/{incident_id}"
    grace, alan = open_page("grace@example.com"), open_page("alan@example.com")

    # What is typed is kept, and the other one knows that somebody writes.
    grace.goto(room)
    grace.get_by_label("What is being done").fill("We are undoing this morning's change.")
    expect(grace.locator("#draft-note")).to_contain_text("Draft saved")
    alan.goto(room)
    expect(alan.locator("#people")).to_contain_text("Grace is here, writing an update since")

    # Alan is faster. Grace hears of it, sees his words, and has hers.
    alan.get_by_label("What is being done").fill("A supplier has found the cause.")
    alan.get_by_role("radio", name="Identified").check()
    alan.get_by_role("button", name="Post the update").click()
    alan.wait_for_url("**?posted=update")
    told = grace.locator("#news")
    # Coming back to a window asks at once; else it would take some seconds.
    grace.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(told).to_contain_text("Alan posted an update at")
    expect(grace.locator("#timeline")).to_contain_text("A supplier has found the cause.")
    expect(grace.locator("#heading")).to_contain_text("Identified")
    before = grace.locator("[name=version]").input_value()
    told.get_by_text("Show").click()
    expect(told.locator(".prose")).to_contain_text("A supplier has found the cause.")
    expect(grace.locator("[name=version]")).not_to_have_value(before)
    expect(grace.get_by_role("radio", name="Identified")).to_be_checked()
    expect(grace.get_by_label("What is being done")).to_have_value("We are undoing this morning's change.")
    told.get_by_role("button", name="Seen").click()
    expect(told).to_be_empty()

    # Another device: the words are there too. Having seen Alan's, Grace posts hers.
    phone = open_page("grace@example.com", viewport={"width": 390, "height": 844})
    phone.goto(room)
    expect(phone.get_by_label("What is being done")).to_have_value("We are undoing this morning's change.")
    expect(phone.locator(".draft")).to_contain_text("Draft from")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    grace.get_by_role("button", name="Post the update").click()
    grace.wait_for_url("**?posted=update")
    assert grace.locator(".draft").count() == 0

    # Keys do what they say, unless somebody types.
    grace.keyboard.press("n")
    expect(grace.get_by_label("What is being done")).to_be_focused()
    grace.keyboard.press("r")
    expect(grace.get_by_label("What is being done")).to_have_value("r")
    grace.get_by_label("What is being done").fill("")
    grace.locator("#timeline-title").focus()
    grace.keyboard.press("r")
    grace.wait_for_url("**/resolve")
    grace.keyboard.press("?")
    expect(grace.get_by_role("dialog")).to_be_visible()
    grace.get_by_role("button", name="Turn the keys off").click()
    grace.get_by_role("button", name="Close").click()
    grace.keyboard.press("b")
    assert grace.url.endswith("/resolve")
