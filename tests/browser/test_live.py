"""The light service that tests of pages stand on is a whole one: public page, signing in, console."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def test_a_published_page_is_read_and_a_person_signs_in(live: Live, open_page: Callable[..., Page]) -> None:
    builders.page(clock.now())
    builders.component(clock.now(), "Checkout")
    builders.account(clock.now(), AccountRole.COMMS, "grace@example.com")
    live.publish()
    page = open_page("grace@example.com", viewport={"width": 390, "height": 844})
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("link", name="Checkout")).to_be_visible()
