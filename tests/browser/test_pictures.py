"""The pictures of the documentation: ten screens on which something happens, none wider than its window.

``STATUSPAGE_SCREENSHOTS=docs/images pytest tests/browser/test_pictures.py`` takes them anew.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from statuspage.actions import aftermath, corrections, drafts
from statuspage.models import Incident
from statuspage.rules.vocabulary import ComponentState, DocumentKind, IncidentRole, MessageKind
from tests import builders
from tests.browser import everything
from tests.browser.conftest import Live
from tests.browser.everything import ADMIN, Everything, first

pytestmark = pytest.mark.browser

# Somebody for whom it is not the time that the page is written in.
READER = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
FIRST = {"affected": "Paying by card", "symptoms": "Card payments may be declined. Paying by bank transfer works."}
NEXT = {
    "affected": "Paying by card still fails for most customers.",
    "being_done": "We have found the cause and are switching to our second payment partner.",
}
TOLD = {
    29: "Card payments fail at our first partner; their status page says nothing yet.",
    15: "The partner confirms an outage. We prepare the switch to the second one.",
    2: "Half of the payments go to the second partner; declines are falling.",
}
TOLD_NEXT = "Half of the card payments work again. We are moving the rest."
TECHNICAL = "The payment API returns HTTP 502 because somebody forgot to rotate a TLS certificate."


def happen(whole: Everything) -> str:
    """Let the checkout fail, half an hour ago; return the incident's id."""
    roles = {IncidentRole.COMMANDER: whole.by, IncidentRole.COMMS_LEAD: whole.colleague}
    made = whole.declared("Paying by card fails", "Checkout", 34, roles=roles)
    states = {
        whole.component("Checkout"): ComponentState.OUTAGE,
        whole.component("Orders and returns"): ComponentState.DEGRADED,
    }
    for kind, ago, words in ((MessageKind.ACKNOWLEDGE, 30, FIRST), (MessageKind.UPDATE, 12, NEXT)):
        builders.post(kind, made, states, whole.by, whole.ago(ago), **words)
    for ago, said in TOLD.items():
        corrections.post_internal_update(made, said, builders.nonce(), whole.by, whole.ago(ago))
    for name in ("ines", "omar", "wei", "lena", "tomas", "aisha"):
        builders.subscribed(whole.now, f"{name}@example.com")
    drafts.be_present(made, whole.colleague, whole.now)
    whole.work()
    return made


def write_down(whole: Everything) -> str:
    """Begin the post-mortem of an incident of the example; return the incident's id."""
    made = first(Incident.id, Incident.title == "Search showed outdated stock")
    texts = {
        "summary": "For 40 minutes the search showed products as available that were sold out.",
        "root_cause": "The job that copies the stock into the search stopped, and nothing watched it.",
        "impact": "31 orders had to be called off; each customer was written to the same day.",
    }
    aftermath.save_document(made, DocumentKind.POST_MORTEM, texts, 0, whole.by, whole.now)
    return made


def test_the_pictures_of_the_documentation(live: Live, open_page: Callable[..., Page], tmp_path: Path) -> None:
    folder = Path(os.environ.get("STATUSPAGE_SCREENSHOTS", tmp_path))
    whole = everything.made(live.settings)
    room = f"/console/incidents/{happen(whole)}"
    look_back = f"/console/incidents/{write_down(whole)}/post-mortem"
    closed = first(Incident.id, Incident.post_mortem_published_at.is_not(None))
    live.publish()
    desk = open_page(ADMIN, viewport={"width": 1280, "height": 720}, color_scheme="light", **READER)
    phone = open_page(ADMIN, viewport={"width": 390, "height": 844}, color_scheme="dark", **READER)

    def take(page: Page, name: str, path: str, part: Locator | None = None) -> None:
        if page.url != f"{live.url}{path}":
            page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        # Where something is chosen, from there on down.
        if part:
            part.evaluate(
                """element => {
                  const top = (element.closest(".field") ?? element).getBoundingClientRect().top;
                  scrollTo({ top: top + scrollY - 12 });
                }"""
            )
        page.screenshot(path=folder / f"{name}.png")

    take(desk, "page-desktop", "/")
    take(phone, "page-phone", "/")
    take(desk, "incident-desktop", f"/incidents/{closed}")
    phone.locator("summary", has_text="Get updates").click()
    take(phone, "subscribe-phone", "/", phone.locator("summary", has_text="Get updates"))
    take(desk, "board-desktop", "/console/")
    take(desk, "room-desktop", room)
    take(phone, "room-phone", room)
    take(desk, "post-mortem-desktop", look_back, desk.locator("#field-summary"))
    take(desk, "administration-desktop", "/admin/")
    take(desk, "report-desktop", f"/console/reports/{whole.ago(24 * 24 * 60):%Y-%m}")
    # One column.
    desk.set_viewport_size({"width": 760, "height": 780})
    desk.goto(room)
    desk.get_by_label("What is being done").fill(TECHNICAL)
    expect(desk.locator(".marks li").first).to_be_visible()
    take(desk, "wording-desktop", room, desk.get_by_label("What is being done"))
    desk.get_by_label("What is being done").fill(TOLD_NEXT)
    expect(desk.locator("#preview")).to_contain_text(TOLD_NEXT)
    desk.locator("#preview").get_by_text("E-mail", exact=True).last.click()
    mail = desk.locator("#preview").frame_locator("iframe[title='HTML of the mail']")
    expect(mail.get_by_text(TOLD_NEXT).first).to_be_visible()
    take(desk, "preview-desktop", room, desk.locator("#preview"))
    assert {file.stem for file in folder.glob("*.png")} >= {"page-desktop", "room-phone", "preview-desktop"}
