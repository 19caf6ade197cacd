"""The read model of programs: what `page` gives people, with the ids, times and words as they are stored.

It leaves out what `page` leaves out: every query of incidents says PUBLISHED.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from statuspage import shapes
from statuspage.db import db
from statuspage.site.page import PAGE
from statuspage.site.roster import Roster
from statuspage.site.shelf import Event, Shelf


@dataclass(frozen=True)
class Records:
    """What the documents for programs are made from, read once for all of them."""

    frame: shapes.Frame
    groups: Sequence[Any]
    components: Mapping[str, Any]
    """By their ids, in the page's order; archived ones too, which old incidents name."""
    incidents: Sequence[Event]
    """The newest, by their latest message."""
    open_incidents: Sequence[Event]
    maintenances: Sequence[Event]
    """The newest, by their latest message."""
    open_maintenances: Sequence[Event]
    leaves: Sequence[Any]
    """The components on the page."""

    @cached_property
    def outward(self) -> Mapping[str, dict[str, Any]]:
        """The components on the page as the documents show them, by their ids."""
        return {each.id: shapes.component(self.frame, each) for each in self.leaves}


def load_records(public_url: str, count: int, roster: Roster, shelf: Shelf) -> Records:
    """Return the components and the newest ``count`` incidents and maintenances, besides all open ones."""
    page = db.session.execute(PAGE).scalar_one()
    names = {group.id: group.name for group in roster.groups}
    headings = {each.id: names[each.group_id] for each in roster.components.values() if each.group_id}
    incidents, windows = shelf.incidents, shelf.maintenances
    # One that is planned without a word has no message yet.
    latest = [*windows.last_said(count), *windows.unsaid()][:count]
    return Records(
        frame=shapes.Frame(page, public_url, roster.covered, headings),
        groups=roster.groups,
        components=roster.components,
        incidents=shelf.events(incidents.last_said(count)),
        open_incidents=shelf.events([place.id for place in incidents.still_open()]),
        maintenances=shelf.events((), latest),
        open_maintenances=shelf.events((), [place.id for place in windows.still_open()]),
        leaves=list(roster.listed.values()),
    )
