"""Every page in every state: heard by axe-core, read as a source, on any screen, by day and by night."""

from collections.abc import Callable, Iterable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from statuspage import clock
from statuspage.actions import people
from statuspage.actions.policies import edit_policy
from statuspage.links import Purpose
from statuspage.models import Incident, Update
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, Severity
from statuspage.web import subscribe
from tests import builders
from tests.browser import everything
from tests.browser.conftest import Live
from tests.browser.everything import ADMIN, Everything, first
from tests.browser.looking import lend_ears, look, look_after, look_at_frame, look_here

pytestmark = pytest.mark.browser

Open = Callable[..., Page]

# Data, parts of pages, what is looked at as a reader below, and what leads on to the newest month.
NO_PAGES = {
    *("static", "health.healthz", "health.readyz", "clocks.fragment", "delivery.lines", "manage.download"),
    *("admin_page.logo", "admin_page.sample"),
    *("admin_audit.export", "admin_imports.export", "reports.download", "reports.show_json", "reports.latest"),
}
READERS = {
    *("auth.sign_in", "auth.invitation", "subscribe.form", "subscribe.follow_form", "subscribe.show", "subscribe.ask"),
    *("manage.show", "manage.ask_erase"),
}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take who fills in a form at once for a person, not for a program."""
    monkeypatch.setattr(subscribe, "FASTEST_PERSON_SECONDS", 0.0)


@pytest.fixture
def open_page(open_page: Open) -> Open:
    def make(email: str = "") -> Page:
        page = open_page(email)
        lend_ears(page)
        return page

    return make


@pytest.fixture
def whole(live: Live) -> Everything:
    return everything.made(live.settings)


def refuse(problems: Iterable[str]) -> None:
    """Fail with every problem, not with the first."""
    said = "\n".join(problems)
    if said:
        pytest.fail(said, pytrace=False)


def problems_of(page: Page, paths: list[str]) -> list[str]:
    return [problem for path in paths for problem in look(page, path)]


def test_what_is_wrong_is_heard(live: Live, open_page: Open) -> None:
    builders.page(clock.now())
    live.publish()
    page = open_page()
    source = """<!doctype html><html lang="en"><title>Grey</title>
      <style>h1 { color: #ccc } a { display: block; width: 900px }
        @media (prefers-color-scheme: dark) { body { background: #222 } h1, a { color: #eee } p { color: #444 } }</style>
      <main><h1>Grey</h1><p>Black</p><p>Black again</p><a href="/">here</a><img src="/favicon.svg"></main></html>"""
    page.route("**/grey", lambda route: route.fulfill(body=source, content_type="text/html"))
    said = "\n".join(look(page, "/grey"))
    for wrong in ("color-contrast: ['h1']", "dark, 390 px: color-contrast: ['p", "image-alt", "wider than 390 px"):
        assert wrong in said, said
    # Two that look the same: the first stands for both.
    assert said.count("dark, 390 px: color-contrast") == 1


def test_no_page_is_forgotten(app: Flask, whole: Everything) -> None:
    routes = app.url_map.bind("status.example.com")
    paths = [*everything.incident_pages(whole), *everything.other_pages(whole), *everything.mail_frames(whole)]
    looked_at = {routes.match(path.partition("?")[0])[0] for path in paths}
    pages = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert {name for name in pages if not name.startswith("api_")} - looked_at - NO_PAGES == READERS


def test_an_installation_on_its_first_day(live: Live, open_page: Open) -> None:
    builders.page(clock.now())
    builders.account(clock.now(), AccountRole.ADMIN, ADMIN)
    live.publish()
    page = open_page(ADMIN)
    console = [
        "",
        "incidents/new",
        "maintenance/",
        "maintenance/new",
        "clocks/",
        "drills/",
        "action-items/",
        "reports/",
    ]
    admin = ["", "page/", "components/", "people/", "replies/", "channels/", "integrations/", "tokens/", "imports/",
        "subscribers/", "suppressions/", "audit/", "words/"]  # fmt: skip
    paths = ["/", "/history", *(f"/console/{each}" for each in console), *(f"/admin/{each}" for each in admin)]
    refuse(problems_of(page, paths))


def test_every_page_about_incidents(whole: Everything, live: Live, open_page: Open) -> None:
    paths = everything.incident_pages(whole)
    live.publish()
    page = open_page(ADMIN)
    problems = problems_of(page, paths)
    problems += look(page, held_update(whole))
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    problems += look_here(page, "the list of keys", page.request.get(page.url).text())
    refuse(problems)


def held_update(whole: Everything) -> str:
    """Return the path of a room in which an update can be taken back, as its writer sees it after posting."""
    edit_policy(Severity.SEV1, {"undo_window": "PT10M"}, None, whole.by, whole.now)
    incident_id = whole.open("Returns are not booked", "Orders and returns", ComponentState.OUTAGE)
    whole.post(MessageKind.UPDATE, incident_id, "Orders and returns", ComponentState.OUTAGE, 0)
    return f"/console/incidents/{incident_id}?posted=update"


def test_every_other_page_of_the_console(whole: Everything, live: Live, open_page: Open) -> None:
    paths = everything.other_pages(whole)
    live.publish()
    page = open_page(ADMIN)
    problems = problems_of(page, paths)
    for path in everything.mail_frames(whole):
        problems += look_at_frame(page, path)
    refuse(problems)


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
    refuse(problems)


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
          form.requestSubmit(["[value=submit]", ".button-primary", "button"].map((each) => form.querySelector(each)).find(Boolean));
        }"""
    )


def test_every_page_that_readers_see(whole: Everything, live: Live, open_page: Open) -> None:
    page, problems = open_page(), []

    def front(said: str) -> None:
        live.publish()
        page.goto("/")
        # Pages may be kept for some seconds.
        problems.extend(look_after(page, said, page.reload))
        expect(page.get_by_role("heading", level=1)).to_have_text(said)

    front("All systems operational")
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
    refuse(problems)


def reader_comes_and_goes(whole: Everything, page: Page, incident_id: str) -> list[str]:
    """Sign up, confirm, follow an incident, choose, leave, have everything erased; and come by links that don't work."""
    problems = []

    def press(name: str, heading: str) -> None:
        problems.extend(look_after(page, heading, page.get_by_role("button", name=name, exact=True).click))
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)

    def visit(path: str, status: int = 200) -> None:
        problems.extend(look(page, path, status))

    page.goto("/subscribe")
    page.get_by_label("Your e-mail address").fill("new@example.com")
    press("Get updates", "Please check your inbox")
    reader, leaver = (builders.asked(whole.now, f"{name}@example.com") for name in ("reader", "leaver"))
    settings = f"/subscriptions/manage/{whole.token(Purpose.MANAGE, reader)}"
    visit(f"/subscriptions/{whole.token(Purpose.CONFIRM, reader)}")
    press("Yes, send me updates", "You are subscribed")
    visit(f"/subscriptions/{whole.token(Purpose.CONFIRM, f'{reader}:{incident_id}')}")
    press("Yes, follow it", "You are subscribed")
    visit(settings)
    press("Save", "Your subscription")
    visit(f"{settings}/erase")
    press("Erase everything", "Your data is erased")
    builders.confirm(leaver, whole.now)
    visit(f"/unsubscribe/{whole.token(Purpose.UNSUBSCRIBE, leaver)}")
    press("Unsubscribe", "You are unsubscribed")
    for path in ("/subscriptions/manage/nonsense", "/unsubscribe/nonsense", "/invitation/nonsense", "/nudges/nonsense"):
        visit(path, 400)
    invited = people.invite("new@example.com", "Alan", AccountRole.COMMS, whole.by, whole.now)
    visit(f"/invitation/{whole.token(Purpose.INVITATION, invited)}")
    visit("/login")
    return problems
