"""What stands between a reader and the first paint, measured by Chromium on a slow connection of its own making."""

from dataclasses import dataclass

from playwright.sync_api import Page

# A phone on a bad day: 1.6 Mbit/s, and 150 ms there and back.
CONNECTION = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
_PAINTED = """
() => new Promise((resolve) => new PerformanceObserver((list, observer) => {
  const found = list.getEntriesByName("first-contentful-paint")[0];
  if (found) { observer.disconnect(); resolve(found.startTime); }
}).observe({ type: "paint", buffered: true }))
"""
_LOADED = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((each) => [new URL(each.name).pathname, each.encodedBodySize, each.renderBlockingStatus])
"""


@dataclass(frozen=True)
class Painted:
    """One visit with nothing in the cache."""

    milliseconds: float
    """From the click to the first contentful paint."""
    sizes: dict[str, int]
    """What was loaded, as it was sent."""
    blocking: list[str]
    """What the first paint waited for, besides the page itself."""


def first_paint(page: Page, path: str) -> Painted:
    """Open a page over a slow connection, as if for the first time."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.send("Network.emulateNetworkConditions", CONNECTION)
    page.goto(path, wait_until="load")
    milliseconds = float(page.evaluate(_PAINTED))
    loaded = page.evaluate(_LOADED)
    session.detach()
    blocking = [name for name, _, status in loaded if status == "blocking" and name != path]
    return Painted(milliseconds, {name: size for name, size, _ in loaded}, blocking)
