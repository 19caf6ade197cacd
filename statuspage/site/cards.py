"""What a link to a page looks like in chats and networks: a picture of the state and a few words."""

from dataclasses import dataclass

from statuspage.rules.vocabulary import ComponentState, worst_state
from statuspage.site.page import Entry, PublicComponent

# The pictures in static/og, and what each shows in words.
PICTURES = {
    "operational": "Operational",
    "degraded": "Degraded",
    "outage": "Outage",
    "maintenance": "Maintenance",
    "resolved": "Resolved",
    "unknown": "Status page",
}
SHORT = 200


@dataclass(frozen=True)
class Card:
    """The preview of one page."""

    picture: str
    path: str = ""
    """The page's address; empty for pages that nobody should link to."""
    words: str = ""
    """What was said last, in short; empty for what the page says of itself."""


def of_entry(entry: Entry) -> Card:
    """Return the preview of an incident or a maintenance window."""
    return Card(_picture_of(entry), entry.path, said_last(entry))


def of_component(component: PublicComponent) -> Card:
    """Return the preview of a component's page."""
    state = "maintenance" if component.in_maintenance else component.state.value
    return Card(state, f"/components/{component.id}")


def said_last(entry: Entry) -> str:
    """Return what was said last as plain text, cut at a word where it is long."""
    return short(entry.updates[0].html.striptags()) if entry.updates else ""


def short(text: str) -> str:
    """Return a text of so many characters at most, cut at a word."""
    if len(text) <= SHORT:
        return text
    cut = text[: SHORT - 1]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut else cut}…"


def _picture_of(entry: Entry) -> str:
    if entry.kind == "maintenance":
        return "maintenance"
    if not entry.is_open:
        return "resolved"
    worst = worst_state(component.state for component in entry.components)
    # An incident is something wrong, whatever components it names.
    return (worst if worst is not ComponentState.OPERATIONAL else ComponentState.DEGRADED).value
