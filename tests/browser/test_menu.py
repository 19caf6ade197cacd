"""The administration's menu on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def test_where_one_is_in_the_administration_is_in_sight_on_a_phone(live: Live, open_page: Callable[..., Page]) -> None:
    builders.page(clock.now())
    builders.account(clock.now(), AccountRole.ADMIN, "ada@example.com")
    live.publish()
    page = open_page("ada@example.com", viewport={"width": 390, "height": 844})
    for path in ("/admin/audit/", "/admin/integrations/", "/admin/"):
        page.goto(path)
        here = page.get_by_role("navigation", name="Administration").locator("[aria-current]")
        expect(here).to_have_attribute("href", path)
        expect(here).to_be_in_viewport(ratio=0.99)
