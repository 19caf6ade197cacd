"""Every page in every state: heard by axe-core, read as a source, on any screen, by day and by night."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.actions import aftermath
from statuspage.links import Purpose
from statuspage.models import Incident, Update
from statuspage.rules.vocabulary import AccountRole, ComponentState, DocumentKind, MessageKind, Severity
from statuspage.web import subscribe
from tests import builders
from tests.browser import everything
from tests.browser.conftest import Live
from tests.browser.everything import ADMIN, Everything, first
from tests.browser.looking import look, look_after, look_at_frame

pytestmark = pytest.mark.browser

Open = Callable[..., Page]

# Answers that are no pages: data, and parts of pages.
NO_PAGES = (
    "api_", "health.", "static", ".download", ".export", ".show_json", ".fragment", ".lines", "manage.download",
)  # fmt: skip
# Sends on to the newest month.
SENDS_ON = "reports.latest"


@pytest.fixture
def whole(live: Live) -> Everything:
    return everything.made(live.settings)


def problems_of(page: Page, paths: list[str]) -> str:
    return "\n".join(problem for path in paths for problem in look(page, path))


def test_an_installation_on_its_first_day(live: Live, open_page: Open) -> None:
    builders.page(clock.now())
    builders.account(clock.now(), AccountRole.ADMIN, ADMIN)
    live.publish()
    page = open_page(ADMIN)
    console = ["", "incidents/new", "maintenance/", "maintenance/new", "clocks/", "drills/", "action-items/", "reports/"]
    admin = ["", "page/", "components/", "people/", "replies/", "channels/", "integrations/", "tokens/", "imports/",
        "subscribers/", "suppressions/", "audit/", "words/"]  # fmt: skip
    paths = ["/", "/history", *(f"/console/{each}" for each in console), *(f"/admin/{each}" for each in admin)]
    assert problems_of(page, paths) == ""


def test_every_page_about_incidents(whole: Everything, live: Live, open_page: Open) -> None:
    paths = everything.incident_pages(whole)
    live.publish()
    page = open_page(ADMIN)
    assert problems_of(page, paths) == ""


def test_every_other_page_of_the_console(whole: Everything, live: Live, open_page: Open) -> None:
    paths = everything.other_pages(whole)
    live.publish()
    page = open_page(ADMIN)
    assert problems_of(page, paths) == ""
    assert "\n".join(problem for path in everything.mail_frames(whole) for problem in look_at_frame(page, path)) == ""


def test_every_form_that_says_what_is_wrong(whole: Everything, live: Live, open_page: Open) -> None:
    late = whole.open("Paying by card fails", "Checkout", ComponentState.OUTAGE)
    resolved = whole.resolved("Signing in fails", "Sign-in")
    room, after = f"/console/incidents/{late}", f"/console/incidents/{resolved}"
    forms = [
        "/console/incidents/new",
        *(f"{room}/{step}" for step in ("update", "resolve", "internal-update", "direct-email")),
        f"{room}/updates/{first(Update.id, Update.incident_id == late)}/correct",
        *(f"{after}/{text}" for text in ("post-incident-email", "post-mortem")),
        "/console/maintenance/new",
        *(f"/admin/{name}/" for name in ("page", "components", "people", "channels", "tokens", "words", "imports")),
        "/admin/replies/new",
        "/admin/policies/SEV1",
        "/admin/templates/en/update",
        "/subscribe",
    ]
    live.publish()
    page = open_page(ADMIN)
    problems = []
    for path in forms:
        page.goto(path)
        problems += look_after(page, path, lambda: send_empty(page), 422)
        expect(page.locator("[id^=error-]").first).to_be_visible()
    page.context.clear_cookies()
    page.goto("/login")
    problems += look_after(page, "/login", lambda: send_empty(page), 422)
    assert "\n".join(problems) == ""


def send_empty(page: Page) -> None:
    """Send the page's first form that has anything to fill in, with nothing in it."""
    page.evaluate(
        """() => {
          const form = [...document.querySelectorAll("main form[method=post]")].find((each) => each.querySelector(
            "input:not([type=hidden]):not([type=radio]):not([type=checkbox]), textarea"));
          for (const each of form.elements) {
            if (each.type === "hidden" || each.tagName === "BUTTON") continue;
            if (each.tagName === "TEXTAREA" || /text|email|password|date|number|url/.test(each.type)) each.value = "";
          }
          form.noValidate = true;
          form.requestSubmit();
        }"""
    )


def test_every_page_that_readers_see(
    whole: Everything, live: Live, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribe, "FASTEST_PERSON_SECONDS", 0.0)
    page, problems = open_page(), []

    def front(said: str) -> None:
        live.publish()
        problems.extend(look(page, "/"))
        expect(page.get_by_role("heading", level=1)).to_have_text(said)

    front("All systems are working")
    slow = whole.open("Search is slow", "Search", ComponentState.DEGRADED)
    front("Some systems are degraded")
    builders.window(whole.now, (whole.component("Sign-in"),), whole.by)
    window = whole.running_window()
    late = whole.open("Paying by card fails", "Checkout", ComponentState.OUTAGE, 50)
    front("Some systems are down")
    expect(page.locator(".late").first).to_be_visible()
    closed = first(Incident.id, Incident.post_mortem_published_at.is_not(None))
    paths = ["/history", f"/history/{whole.now:%Y-%m}", f"/components/{whole.component('Checkout')}", "/subscribe"]
    paths += [f"/subscribe?method={method}" for method in ("webhook", "slack")]
    paths += [f"/incidents/{each}" for each in (late, slow, window, closed)]
    paths += [f"/subscribe/incidents/{late}"]
    problems += [problem for path in paths for problem in look(page, path)]
    problems += look(page, "/nothing/here", 404) + look(page, "/incidents/nosuchthing0", 404)
    problems += reader_comes_and_goes(whole, page, late)
    assert "\n".join(problems) == ""


def reader_comes_and_goes(whole: Everything, page: Page, incident_id: str) -> list[str]:
    """Sign up, confirm, change, follow an incident, leave, have everything erased; and come by links that are too old."""
    problems = []

    def press(name: str, what: str) -> None:
        problems.extend(look_after(page, what, page.get_by_role("button", name=name).click))

    page.goto("/subscribe")
    page.get_by_label("Your e-mail address").fill("new@example.com")
    press("Get updates", "subscribed")
    reader = builders.asked(whole.now, "reader@example.com")
    confirm = f"/subscriptions/{whole.token(Purpose.CONFIRM, reader)}"
    problems.extend(look(page, confirm))
    return problems
