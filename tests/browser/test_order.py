"""The order of components in a real browser: by keyboard and by dragging."""

from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlalchemy import select

from statuspage import clock
from statuspage.db import db
from statuspage.models import Component
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.browser.conftest import Live


def kept() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Component.name).order_by(Component.position)))


def test_components_are_put_in_order_by_keyboard_and_by_dragging(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now()
    builders.page(now)
    for name in ("Sign-in", "Search", "Payments"):
        builders.component(now, name)
    builders.account(now, AccountRole.ADMIN, "ada@example.com")
    live.publish()
    page = open_page("ada@example.com", viewport={"width": 1280, "height": 900})
    page.goto("/admin/components/")
    rows, said = page.locator("#order li"), page.locator("#moved")

    page.get_by_role("button", name="Move Sign-in down").focus()
    page.keyboard.press("Enter")
    expect(said).to_have_text("“Sign-in” is now number 2 of 3.")
    # The focus goes with it, so that the next press moves it on.
    expect(page.get_by_role("button", name="Move Sign-in down")).to_be_focused()
    page.keyboard.press("Enter")
    expect(said).to_have_text("“Sign-in” is now number 3 of 3.")
    expect(page.get_by_role("button", name="Move Sign-in up")).to_be_focused()
    expect(rows.locator("a")).to_have_text(["Search", "Payments", "Sign-in"])
    assert kept() == ["Search", "Payments", "Sign-in"]

    handle, first = rows.nth(2).locator("[data-handle]").bounding_box(), rows.nth(0).bounding_box()
    assert handle
    assert first
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + 10, first["y"] + 2, steps=6)
    page.mouse.up()
    expect(said).to_have_text("“Sign-in” is now number 1 of 3.")
    expect(rows.locator("a")).to_have_text(["Sign-in", "Search", "Payments"])
    assert kept() == ["Sign-in", "Search", "Payments"]

    # A drag that is broken off changes nothing.
    page.mouse.move(handle["x"] + 10, first["y"] + first["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + 10, handle["y"] + 30, steps=6)
    expect(rows.locator("a")).to_have_text(["Search", "Payments", "Sign-in"])
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(rows.locator("a")).to_have_text(["Sign-in", "Search", "Payments"])
    assert kept() == ["Sign-in", "Search", "Payments"]


def test_without_a_script_the_arrows_do_the_same(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now()
    builders.page(now)
    for name in ("Sign-in", "Search"):
        builders.component(now, name)
    builders.account(now, AccountRole.ADMIN, "ada@example.com")
    live.publish()
    page = open_page("ada@example.com", java_script_enabled=False, viewport={"width": 390, "height": 800})
    page.goto("/admin/components/")
    page.get_by_role("button", name="Move Search up").click()
    expect(page.locator("#done")).to_contain_text("“Search” is now number 1 of 2.")
    assert kept() == ["Search", "Sign-in"]
