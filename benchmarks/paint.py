"""The first contentful paint of the public page on a slow connection: 1.6 Mbit/s, 150 ms there and back.

Twenty components, 90 days, an open incident; Chromium with an empty cache, ten visits. Prints the median and the
worst beside the limit; exit status 1 above it. ``python -m benchmarks.paint``
"""

import statistics
import sys
import tempfile
import threading
from datetime import timedelta

from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from statuspage import clock, schema
from statuspage.app import create_app
from statuspage.db import db
from statuspage.settings import load
from statuspage.site import publisher
from statuspage.web.public import PublicSite
from tests import builders, servers
from tests.browser.conftest import ARGUMENTS, Quiet
from tests.browser.painting import first_paint
from tests.site.test_uptime_pages import a_busy_page

VISITS, LIMIT_MS = 10, 1_000.0


def main() -> int:
    """Publish the page, visit it, print how long the first paint took."""
    port = servers.free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"DATA_DIR": folder, "PUBLIC_URL": f"http://127.0.0.1:{port}"})
        app = create_app(settings)
        with app.app_context():
            schema.migrate(db.engine)
            now = clock.now()
            opened = now - timedelta(days=120)
            builders.page(opened)
            a_busy_page(builders.account(opened), opened, now)
            publisher.publish_all(settings, now)
        site = PublicSite(app, settings.site_dir, settings.public_url)
        server = make_server("127.0.0.1", port, site, threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=servers.chromium_program(), args=ARGUMENTS)
            times = [visit(browser, settings.public_url) for _ in range(VISITS)]
            browser.close()
        server.shutdown()
    median = statistics.median(times)
    print(f"first contentful paint: {median:.0f} ms, at worst {max(times):.0f} ms (limit {LIMIT_MS:.0f} ms)")
    return int(median > LIMIT_MS)


def visit(browser: Browser, url: str) -> float:
    """Return the milliseconds to the first contentful paint for a phone that was never here."""
    context = browser.new_context(base_url=url, viewport={"width": 390, "height": 844})
    milliseconds = first_paint(context.new_page(), "/").milliseconds
    context.close()
    return milliseconds


if __name__ == "__main__":
    sys.exit(main())
