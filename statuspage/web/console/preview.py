"""How page, feed and mail will show a message that is still being written."""

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from statuspage import prose
from statuspage.delivery.composition import IncidentMail, render_incident_update
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


def make(
    incident: Incident,
    draft: Draft,
    body: str,
    components: tuple[tuple[str, str], ...],
    page_name: str,
    public_url: str,
    now: datetime,
) -> Preview:
    """Return the message as it would be shown if it were posted now.

    ``components`` are the names and states of what the message affects.
    """
    # Cleaned by prose.
    html = Markup(prose.to_html(body))  # noqa: S704
    update = PublicUpdate(draft.stage.value, LABELS[draft.stage], html, now)
    subject, text, _ = render_incident_update(
        IncidentMail(
            page_name=page_name,
            title=incident.title,
            label=update.label,
            posted_at=now,
            body=body,
            body_html=html,
            next_update_by=draft.instant("next_update_by"),
            components=components,
            incident_url=f"{public_url}/incidents/{incident.id}",
            manage_url="(each reader's own link)",
            unsubscribe_url="(each reader's own link)",
        )
    )
    return Preview(update, incident.title, item_html([update]), subject, text)
