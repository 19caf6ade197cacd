"""How page, feed and mail will show a message that is still being written."""

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from statuspage import prose
from statuspage.models import Incident
from statuspage.rules.messages import Draft
from statuspage.rules.vocabulary import LABELS
from statuspage.site.feeds import item_html
from statuspage.site.page import PublicUpdate


@dataclass(frozen=True)
class Preview:
    """The same message in each place."""

    update: PublicUpdate
    feed_title: str
    feed_html: Markup
    mail_subject: str
    mail_text: str


def make(incident: Incident, draft: Draft, body: str, now: datetime) -> Preview:
    """Return the message as it would be shown if it were posted now."""
    label = LABELS[draft.stage]
    # Cleaned by prose.
    update = PublicUpdate(draft.stage.value, label, Markup(prose.to_html(body)), now)  # noqa: S704
    return Preview(update, incident.title, item_html([update]), incident.title, body)
