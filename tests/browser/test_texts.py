"""Wording and saved replies in a real browser: what scripts add, and the tabs that need none."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.actions import replies
from statuspage.rules.vocabulary import AccountRole, ComponentState, Severity
from tests import builders
from tests.browser.conftest import Live


def test_a_placeholder_is_put_where_the_cursor_is(live: Live, open_page: Callable[..., Page]) -> None:
    builders.page(clock.now())
    builders.account(clock.now(), AccountRole.ADMIN, "admin@example.com")
    live.publish()
    page = open_page("admin@example.com")
    page.goto("/admin/templates/fr/update")
    text = page.get_by_label("Text")
    text.evaluate("box => { box.focus(); box.setSelectionRange(0, 0); }")
    page.get_by_role("button", name="{stage}").focus()
    page.keyboard.press("Enter")
    expect(text).to_have_value("{stage}" + text.input_value().removeprefix("{stage}"))
    expect(text).to_be_focused()
    # The preview follows what is put in as it follows what is typed.
    expect(page.locator("#preview")).to_contain_text("cause identifiée")
    text.fill("{nonsense}")
    expect(page.locator("#preview")).to_contain_text("There is no placeholder {nonsense}.")


def test_a_saved_reply_leads_to_a_first_message_and_its_preview(live: Live, open_page: Callable[..., Page]) -> None:
    now = clock.now()
    builders.page(now)
    by, component_id = builders.account(now, AccountRole.COMMS, "comms@example.com"), builders.component(now)
    builders.subscribed(now)
    said = {"affected": "Signing in", "symptoms": "Signing in may take over a minute."}
    states = {component_id: ComponentState.DEGRADED}
    replies.add_reply(replies.Reply("Signing in is slow", Severity.SEV2, "de", states, said), by, now)
    live.publish()
    page = open_page("comms@example.com", viewport={"width": 390, "height": 800}, java_script_enabled=False)
    page.goto("/console/incidents/new")
    page.get_by_role("link", name="Signing in is slow").click()
    page.get_by_role("button", name="Declare and write the first message").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Das können Sie bemerken: Signing in may take over a minute.")
    expect(preview).to_contain_text("1 person")
    # One tab is open at a time, without a script, and reached by keyboard.
    preview.get_by_text("E-mail", exact=True).last.press("Enter")
    expect(preview.get_by_text("[Larkspur status] Signing in is slow")).to_be_visible()
    expect(preview.get_by_text("The whole page")).to_be_hidden()
    mail = preview.frame_locator("iframe[title='HTML of the mail']")
    expect(mail.get_by_role("heading", name="Signing in is slow")).to_be_visible()
    preview.get_by_text("Page", exact=True).press("Enter")
    preview.get_by_text("The whole page").click()
    whole = preview.frame_locator("iframe[title='The whole page with this message']")
    expect(whole.get_by_role("heading", name="Signing in is slow", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
