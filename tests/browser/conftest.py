"""A real Chromium, driven by Playwright."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from statuspage import clock
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.web.public import PublicSite
from tests import builders, servers
from tests.conftest import unavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# On a machine that does other things too an answer can take seconds; what never comes fails all the same.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

# Quiet: nothing in the background, no first-run pages. As root Chromium needs --no-sandbox.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = servers.chromium_program()
    if program is None:
        unavailable("Chromium is not installed: install Debian's package chromium (or Google Chrome)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Quiet(WSGIRequestHandler):
    """Answers as a real server does, and keeps no log."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


def in_one_piece(site: "WSGIApplication") -> "WSGIApplication":
    """Close an answer before it is sent: for a browser that is gone meanwhile this server would forget to."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        parts = site(environ, start_response)
        try:
            return [b"".join(parts)]
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    return answer


@dataclass(frozen=True)
class Live:
    """The test's own application behind a real port, with the public site in front, and no worker."""

    url: str
    settings: Settings

    def publish(self) -> None:
        """Publish everything, as the worker would."""
        publisher.publish_all(self.settings, clock.now())


@pytest.fixture
def port() -> int:
    return servers.free_port()


@pytest.fixture
def environ(environ: dict[str, str], port: int) -> dict[str, str]:
    return environ | {"PUBLIC_URL": f"http://127.0.0.1:{port}"}


@pytest.fixture
def live(app: Flask, settings: Settings, port: int) -> Iterator[Live]:
    """A service for a browser that costs no start: for tests of pages, not of processes.

    The test makes what it needs with builders, then publishes; ``worker.tick`` does what a worker would.
    """
    site = PublicSite(app, settings.site_dir, settings.public_url, look_every=0)
    server = make_server("127.0.0.1", port, in_one_piece(site), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Live(settings.public_url, settings)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(chromium: Browser, live: Live) -> Iterator[Callable[..., Page]]:
    """Return a way to open a browser of somebody's own; what a page complains about or fetches elsewhere fails the test."""
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage, page: Page) -> None:
        # A page that says what was refused has a status to match, which Chromium counts as an error.
        is_refusal = "status of 4" in message.text and message.location["url"] == page.main_frame.url
        if message.type == "error" and not is_refusal:
            complaints.append(f"{page.url}: {message.text}")

    def make(email: str = "", **options: object) -> Page:
        context = chromium.new_context(base_url=live.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: note(message, page))
        page.on("request", lambda asked: None if asked.url.startswith(live.url) else complaints.append(asked.url))
        if email:
            page.goto("/login")
            page.get_by_label("E-mail address").fill(email)
            page.get_by_label("Password").fill(builders.PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/console/")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
