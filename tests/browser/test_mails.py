"""The mail as a mail program shows it: its HTML in a real browser, at night and by day, on a phone and on a desk."""

import os
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from statuspage.models import Announcement
from statuspage.rules.vocabulary import ComponentState, MessageKind
from statuspage.settings import Settings
from tests import builders
from tests.delivery.test_composition import composed

pytestmark = pytest.mark.browser
STARTED = datetime.fromisoformat("2026-11-21T14:00:00+00:00")
# Of the text's colour and of what is behind it, by WCAG 2.2 (1.4.3): 4.5 to 1.
CONTRAST = """
() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const found = parts(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = [];
  for (let text; (text = texts.nextNode());) {
    const element = text.parentElement;
    if (!text.data.trim() || element.closest(".preheader, style")) continue;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort();
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push([text.data.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return poor;
}
"""


@pytest.fixture
def html(app: Flask, settings: Settings) -> str:
    builders.page(STARTED)
    writer = builders.account(STARTED)
    states = {
        builders.component(STARTED, "Sign-in"): ComponentState.OUTAGE,
        builders.component(STARTED, "A part with a rather long name that has to find its place on a phone"): (
            ComponentState.DEGRADED
        ),
    }
    incident_id = builders.declared(writer, states, STARTED, title="Sign-in fails for some customers")
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, STARTED)
    message, recipient = composed(settings, Announcement.kind == "incident_update")
    return recipient.fill(message.html)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_mail_can_be_read_anywhere(chromium: Browser, html: str, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(html)
    expect(page.get_by_role("heading", name="Sign-in fails for some customers")).to_be_visible()
    expect(page.get_by_text("Next update by 21 Nov 2026, 14:30 UTC").first).to_be_visible()
    expect(page.get_by_text("✕ Outage")).to_be_visible()
    expect(page.get_by_role("link", name="stop all with one click")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(CONTRAST) == []
    # Nothing is fetched: who reads a mail is told to nobody.
    assert asked == []
    if folder := os.environ.get("STATUSPAGE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"mail-{width}-{scheme}.png", full_page=True)
    context.close()
