"""Plain language while somebody types: the mark appears, its plain word is put in, the message goes out."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from statuspage import clock
from statuspage.db import db
from statuspage.models import Update, WordingOverride
from statuspage.rules.vocabulary import AccountRole, ComponentState
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def test_a_marked_word_is_replaced_by_its_plain_one_and_the_message_posted(
    live: Live, open_page: Callable[..., Page]
) -> None:
    builders.page(clock.now())
    by = builders.account(clock.now(), AccountRole.COMMS, "grace@example.com")
    states = {builders.component(clock.now()): ComponentState.OUTAGE}
    incident_id = builders.acknowledged(by, states, clock.now())
    live.publish()
    page = open_page("grace@example.com", viewport={"width": 390, "height": 844})
    page.goto(f"/console/incidents/{incident_id}")
    tick, field = page.get_by_label("Post it as it is"), page.get_by_label("What is being done")
    expect(tick).to_be_hidden()

    field.fill("🙂 We reverted a change\nto a cluster.")
    marks = page.locator("#marks-field-being_done li")
    expect(marks).to_have_count(2)
    expect(marks.nth(0)).to_contain_text("Jargon reverted: say “undid”")
    expect(tick).to_be_visible()
    expect(field).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    marks.nth(0).get_by_role("button").press("Enter")
    expect(field).to_have_value("🙂 We undid a change\nto a cluster.")
    expect(marks).to_have_count(1)
    marks.nth(0).get_by_role("button").click()
    expect(field).to_have_value("🙂 We undid a change\nto a system.")
    expect(marks).to_have_count(0)
    expect(tick).to_be_hidden()

    page.get_by_role("button", name="Post the update").click()
    page.wait_for_url("**?posted=update")
    db.session.rollback()
    newest = select(Update.body).order_by(Update.sequence.desc()).limit(1)
    assert "We undid a change" in db.session.scalars(newest).one()
    assert db.session.scalars(select(WordingOverride)).all() == []
