"""What leaves the page: the banner on somebody else's site, and a feed that somebody opens in a browser."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from statuspage.rules.branding import Brand
from statuspage.site import banner, feeds, publisher
from statuspage.web.public import CONTENT_SECURITY_POLICY
from tests.site import entries

pytestmark = pytest.mark.browser

INCIDENT = {"id": "incident0000", "name": "<b>Signing in</b> fails", "status": "investigating", "impact": "critical"}
OTHER = {"id": "incident1111", "name": "Search is slow", "status": "identified", "impact": "minor"}
WINDOW = {"id": "maintenance0", "name": "Larger servers", "status": "in_progress", "impact": "maintenance"}


@dataclass
class Site:
    """A web server on a port of its own: an origin."""

    url: str
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)

    def put(self, path: str, kind: str, body: bytes) -> None:
        self.files[path] = (kind, body)

    def say(self, indicator: str, incidents: list[Any], maintenances: list[Any]) -> None:
        """Answer at the address of the summary as Statuspage does."""
        summary = {
            "page": {"id": "page00000000", "name": "Larkspur", "url": self.url},
            "components": [],
            "incidents": incidents,
            "scheduled_maintenances": maintenances,
            "status": {"indicator": indicator, "description": "Partial System Outage"},
        }
        self.put("/api/v2/summary.json", "application/json", json.dumps(summary).encode())


@contextlib.contextmanager
def served(**headers: str) -> Iterator[Site]:
    site = Site("", headers={name.replace("_", "-"): value for name, value in headers.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.cookies.append(self.headers.get("Cookie", ""))
            kind, body = site.files.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            for name, value in {"Content-Type": kind or "text/plain", **site.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def status() -> Iterator[Site]:
    """The status page's own origin."""
    with served(Access_Control_Allow_Origin="*", X_Content_Type_Options="nosniff") as site:
        site.put("/embed.js", "text/javascript", banner.banner(Brand()))
        yield site


@pytest.fixture
def shop(status: Site) -> Iterator[Site]:
    """Somebody else's site, with a policy that forbids inline styles and scripts."""
    policy = f"default-src 'none'; script-src {status.url}; connect-src {status.url}"
    with served(Content_Security_Policy=policy) as site:
        words = f'<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1><script src="{status.url}/embed.js" defer></script>'
        site.put("/", "text/html", words.encode())
        yield site


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 900, "height": 600})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # The browser asks the shop for an icon it doesn't have.
    assert [each for each in complaints if "404" not in each] == []


def take(page: Page, name: str) -> None:
    folder = os.environ.get("STATUSPAGE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_banner_is_there_only_while_something_is_wrong(status: Site, shop: Site, visit: Page) -> None:
    notice = visit.get_by_role("status")
    status.say("none", [], [WINDOW | {"status": "scheduled"}])
    with visit.expect_response("**/summary.json"):
        visit.goto(shop.url)
    expect(notice).to_have_count(0)

    due = datetime.now(UTC) + timedelta(minutes=20)
    status.say("critical", [INCIDENT | {"next_update_by": due.isoformat()}, OTHER], [])
    visit.goto(shop.url)
    expect(notice).to_contain_text("<b>Signing in</b> fails (and 1 more)")
    expect(notice).to_contain_text("Next update by")
    expect(visit.get_by_role("link")).to_have_attribute("href", f"{status.url}/")
    # Styled though the site's policy forbids styles.
    assert notice.locator("xpath=..").evaluate("each => getComputedStyle(each).position") == "fixed"
    take(visit, "embed")

    status.say("none", [], [WINDOW])
    visit.goto(shop.url)
    expect(notice).to_contain_text("Larger servers")
    expect(visit.get_by_role("link")).to_have_attribute("href", f"{status.url}/incidents/maintenance0")
    status.say("major", [], [])
    visit.goto(shop.url)
    expect(notice).to_contain_text("Some systems are down")
    assert set(status.cookies) == {""}


def test_a_banner_is_closed_by_keyboard_until_something_else_is_wrong(status: Site, shop: Site, visit: Page) -> None:
    status.say("critical", [INCIDENT], [])
    visit.goto(shop.url)
    close = visit.get_by_role("button", name="Close this notice")
    expect(close).to_be_visible()
    visit.keyboard.press("Tab")
    expect(visit.get_by_role("link")).to_be_focused()
    visit.keyboard.press("Tab")
    visit.keyboard.press("Enter")
    expect(close).to_have_count(0)
    with visit.expect_response("**/summary.json"):
        visit.reload()
    expect(close).to_have_count(0)

    status.say("critical", [INCIDENT, OTHER], [])
    visit.reload()
    expect(visit.get_by_role("status")).to_contain_text("(and 1 more)")
    visit.get_by_role("link").focus()
    visit.keyboard.press("Escape")
    expect(close).to_have_count(0)


def test_a_status_page_that_does_not_answer_leaves_the_site_alone(status: Site, shop: Site, visit: Page) -> None:
    visit.goto(shop.url)
    visit.wait_for_timeout(300)
    expect(visit.get_by_role("button")).to_have_count(0)
    expect(visit.get_by_role("heading", name="Shop")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["rss", "atom"])
def test_a_feed_opened_in_a_browser_can_be_read(kind: str, scheme: str, chromium: Browser) -> None:
    styles = publisher._feed_stylesheet("en")
    made = feeds.Feed(
        entries.frame(),
        (entries.incident(), entries.window(), entries.incident("third0000000", label="Resolved")),
        styles,
    )
    with served(Content_Security_Policy=CONTENT_SECURITY_POLICY, X_Content_Type_Options="nosniff") as site:
        # The public layer calls it so for browsers.
        site.put(f"/history.{kind}", "application/xml; charset=utf-8", getattr(feeds, kind)(made))
        site.put(styles, "text/css; charset=utf-8", publisher._assets()[styles])
        context = chromium.new_context(viewport={"width": 900, "height": 700}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{site.url}/history.{kind}")
        take(page, f"feed-{kind}-{scheme}")
        said = page.evaluate("document.documentElement.innerText || document.documentElement.textContent")
        assert "Larkspur status: incident history" in said
        for name, shown in (("title", "block"), ("id" if kind == "atom" else "guid", "none")):
            style = f"getComputedStyle(document.getElementsByTagName('{name}')[0]).display"
            assert page.evaluate(style) == shown, name
        body = "content" if kind == "atom" else "description"
        assert page.evaluate(f"getComputedStyle([...document.getElementsByTagName('{body}')].at(-1)).display") == "none"
        note = page.evaluate("getComputedStyle(document.getElementsByTagName('title')[0], '::after').content")
        assert "feed reader" in note
        context.close()
