"""The product's main job, end to end: on an imported page, one incident from declaration to resolution.

Real processes, a real browser, and a server that answers like SendGrid; the
whole service with a real SMTP server is in faults/test_promises_kept.py.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import feedparser
import pytest
import requests
from playwright.sync_api import Browser, Page

from tests import mailservers
from tests.browser import installation
from tests.browser.installation import ADMIN, ADMIN_PASSWORD, Installation
from tests.mailservers import MailServer
from tests.nursery import Nursery
from tests.pagechecks import check_page

pytestmark = pytest.mark.browser

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "statuspage" / "page"
COMMS, COMMS_PASSWORD = "grace@example.com", "another good password"
READER = "reader@example.com"
TITLE = "Signing in is slow"


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path / "mail") as server:
        yield server


@pytest.fixture
def service(mail: MailServer, tmp_path: Path, nursery: Nursery) -> Iterator[Installation]:
    settings = {"SENDGRID_API_KEY": "SG.test", "SENDGRID_URL": mail.url}
    with installation.running(
        nursery, tmp_path, FIXTURE, MAIL_FROM="Status <status@example.com>", **settings
    ) as running:
        yield running


@pytest.fixture
def visit(chromium: Browser, service: Installation) -> Iterator[Callable[..., Page]]:
    """Return a way to open a browser of somebody's own; what their pages complain about fails the test."""
    complaints: list[str] = []
    contexts = []

    def note(kind: str, text: str) -> None:
        # A refused form is said with the status 422, which Chromium counts as an error.
        if kind == "error" and "status of 422" not in text:
            complaints.append(text)

    def open_browser(**options: object) -> Page:
        context = chromium.new_context(base_url=service.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: note(message.type, message.text))
        page.on(
            "request",
            lambda request: complaints.append(request.url) if not request.url.startswith(service.url) else None,
        )
        return page

    yield open_browser
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/")


def link_in(mail: MailServer, to: str, path: str) -> str:
    text = mail.wait_for(1, to)[0].get_body(("plain",))
    assert text is not None
    found = re.search(rf"http://\S*({path}/\S+)", text.get_content())
    assert found is not None, text.get_content()
    return found[1]


def test_one_incident_from_declaration_to_resolution(
    service: Installation, mail: MailServer, visit: Callable[..., Page]
) -> None:
    # An administrator invites a comms lead, who chooses a password.
    admin = visit()
    sign_in(admin, ADMIN, ADMIN_PASSWORD)
    admin.get_by_role("link", name="Administration").click()
    admin.get_by_role("navigation", name="Administration").get_by_role("link", name="People").click()
    admin.get_by_label("E-mail address").fill(COMMS)
    admin.get_by_label("Name").fill("Grace")
    admin.get_by_role("button", name="Send the invitation").click()
    comms = visit()
    comms.goto(link_in(mail, COMMS, "/invitation"))
    comms.get_by_label("Password").fill(COMMS_PASSWORD)
    comms.get_by_role("button", name="Save and sign in").click()
    sign_in(comms, COMMS, COMMS_PASSWORD)

    # A reader without JavaScript signs up on the page and confirms by the mailed link.
    reader = visit(java_script_enabled=False, viewport={"width": 390, "height": 844})
    reader.goto("/")
    reader.locator("summary", has_text="Get updates").click()
    reader.get_by_label("Your e-mail address").fill(READER)
    reader.get_by_role("button", name="Send me updates").click()
    assert reader.get_by_role("heading", level=1).inner_text() == "Please check your inbox"
    reader.goto(link_in(mail, READER, "/subscriptions"))
    reader.get_by_role("button", name="Yes, send me updates").click()
    assert reader.get_by_role("heading", level=1).inner_text() == "You are subscribed"

    # The comms lead declares a SEV1: nothing is public yet.
    comms.get_by_role("link", name="Declare an incident").click()
    comms.get_by_label("Title").fill(TITLE)
    comms.get_by_role("radio", name="SEV1").check()
    first_component = comms.locator(".state-row label").first.inner_text()
    comms.get_by_label(first_component, exact=True).select_option("outage")
    comms.get_by_role("button", name="Declare and write the first message").click()
    comms.wait_for_url(re.compile("/console/incidents/[0-9a-z]{12}$"))
    first = comms.locator("#clocks li", has_text="First public update").inner_text()
    assert "in 14 min" in first or "in 15 min" in first
    assert TITLE not in requests.get(service.url, timeout=30).text

    # The preview follows the typing; the message is on the page when the answer comes.
    comms.get_by_label("What customers may notice").fill("Signing in takes over a minute.")
    comms.locator("#preview", has_text="Signing in takes over a minute.").wait_for()
    assert "Next update by" in comms.locator("#preview .preview-panel").first.inner_text()
    comms.get_by_role("button", name="Post the first message").click()
    comms.wait_for_url("**?posted=acknowledge")
    page = requests.get(service.url, timeout=30).text
    check_page(page)
    assert "Signing in takes over a minute." in page
    assert "Some systems are down" in page
    reader.goto("/")
    # Pages may be kept for some seconds; a reader who wants to know presses reload.
    reader.reload()
    assert "Next update by" in reader.locator(".promise").inner_text()

    comms.get_by_label("What is being done").fill("We are undoing this morning's change.")
    comms.get_by_role("radio", name="Identified").check()
    comms.get_by_role("button", name="Post the update").click()
    comms.wait_for_url("**?posted=update")

    # Something is wrong: it is said beside the field, and what was typed is kept.
    comms.get_by_role("link", name="Resolve").click()
    comms.get_by_label("What happened").fill("A change overloaded sign-in.")
    comms.get_by_label("Resolved at (UTC)").fill("2099-01-01T00:00")
    comms.get_by_role("button", name="Post and resolve").click()
    assert "This is in the future" in comms.locator("#error-resolved_at").inner_text()
    assert comms.get_by_label("What happened").input_value() == "A change overloaded sign-in."
    comms.get_by_label("Resolved at (UTC)").fill(time.strftime("%Y-%m-%dT%H:%M", time.gmtime()))
    assert comms.get_by_label(first_component, exact=True).input_value() == "operational"
    comms.get_by_role("button", name="Post and resolve").click()
    comms.wait_for_url("**?posted=resolve")
    assert comms.locator("#next-title").inner_text() == "Resolved"
    reader.goto(f"/incidents/{comms.url.rsplit('/', 1)[1].partition('?')[0]}")
    assert "Resolved" in reader.locator(".incident-facts").inner_text()
    assert reader.locator(".promise").count() == 0

    # The reader has three mails of one thread; the feed has one item.
    incident_url = f"{service.url}/incidents/{comms.url.rsplit('/', 1)[1].partition('?')[0]}"
    mails = [each for each in mail.wait_for(4, READER) if TITLE in each["Subject"]]
    assert len(mails) == 3
    for each, words in zip(mails, ("takes over a minute", "undoing this morning", "overloaded sign-in"), strict=True):
        for kind in ("plain", "html"):
            part = each.get_body((kind,))
            assert part is not None
            assert words in part.get_content()
            assert incident_url in part.get_content()
    feed = feedparser.parse(requests.get(f"{service.url}/history.rss", timeout=30).content)
    assert not feed.bozo
    assert (feed.entries[0].title, feed.entries[0].link) == (TITLE, incident_url)
    assert [entry.link for entry in feed.entries].count(incident_url) == 1
    assert "overloaded sign-in" in feed.entries[0].summary

    # One click, as a mail program does it, ends it: no further mail comes.
    leave = mails[-1]["List-Unsubscribe"].strip("<>")
    answer = requests.post(leave, data={"List-Unsubscribe": "One-Click"}, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "Set-Cookie" not in answer.headers
