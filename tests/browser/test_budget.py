"""How much a page may weigh, and how little may stand before its first paint.

Time is noted, not judged: the machine may be busy (benchmarks/paint.py judges it). What makes the time is judged:
bytes and round trips. What console pages weigh, every look at one says (looking.py).
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page

from statuspage import clock
from tests import builders
from tests.browser.conftest import Live
from tests.browser.painting import first_paint
from tests.site.test_uptime_pages import WEIGHT_LIMIT, a_busy_page

pytestmark = pytest.mark.browser


def test_the_first_paint_waits_for_one_round_trip_more_and_a_few_bytes(
    live: Live, open_page: Callable[..., Page], record_property: Callable[[str, object], None]
) -> None:
    now = clock.now()
    opened = now - timedelta(days=120)
    builders.page(opened)
    a_busy_page(builders.account(opened), opened, now)
    live.publish()
    page = open_page(viewport={"width": 390, "height": 844})
    painted = first_paint(page, "/")
    assert page.locator(".components > li").count() == 20
    record_property("first contentful paint, ms", round(painted.milliseconds))
    # As sent: page, style sheet, scripts and icon. What fits into the first ten packets comes in one round trip.
    assert sum(painted.sizes.values()) < WEIGHT_LIMIT
    # Both are named in the page's head and asked for at once: the connection, the page, these: three round trips.
    # (The script writes readers' own times; were it later, the page would jump.)
    assert [name.rpartition(".")[2] for name in painted.blocking] == ["css", "js"]
