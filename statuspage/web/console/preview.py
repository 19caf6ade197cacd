"""How page, feed and mail will show a message that is still being written."""

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from statuspage import prose
from statuspage.models import Incident
from statuspage.rules.messages import Draft
from statuspage.settings import Settings


@dataclass(frozen=True)
class Preview:
    """The same message in each place."""

    page_html: Markup
    feed_title: str
    feed_html: Markup
    mail_subject: str
    mail_text: str


def make(incident: Incident, draft: Draft, body: str, settings: Settings, now: datetime) -> Preview:
    """Return the message as it would be shown if it were posted now."""
    html = Markup(prose.to_html(body))  # noqa: S704  (cleaned by prose)
    return Preview(html, incident.title, html, incident.title, body)
