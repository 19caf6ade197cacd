"""The read model of programs: what `page` gives people, with the ids, times and words as they are stored.

It leaves out what `page` leaves out: every query of incidents says PUBLISHED.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from statuspage import shapes
from statuspage.db import db
from statuspage.models import Component, ComponentGroup, Incident, Maintenance, Page
from statuspage.rules.vocabulary import Stage
from statuspage.site.page import OPEN_MAINTENANCE, PUBLISHED
from statuspage.site.shelf import Event, Shelf


@dataclass(frozen=True)
class Records:
    """What the documents for programs are made from, read once for all of them."""

    frame: shapes.Frame
    groups: Sequence[ComponentGroup]
    components: Mapping[str, Component]
    """By their ids, in the page's order; archived ones too, which old incidents name."""
    incidents: Sequence[Event]
    """The newest, by their latest message."""
    open_incidents: Sequence[Event]
    maintenances: Sequence[Event]
    """The newest, by their latest message."""
    open_maintenances: Sequence[Event]

    @property
    def leaves(self) -> list[Component]:
        """The components on the page."""
        return [each for each in self.components.values() if each.archived_at is None]


def load_records(public_url: str, count: int, shelf: Shelf) -> Records:
    """Return the components and the newest ``count`` incidents and maintenances, besides all open ones."""
    page = db.session.execute(select(Page).execution_options(populate_existing=True)).scalar_one()
    published = select(Incident.id).where(PUBLISHED).order_by(Incident.last_posted_at.desc(), Incident.id.desc())
    # One that is planned without a word has no message yet.
    latest = (Maintenance.last_posted_at.desc().nulls_last(), Maintenance.id.desc())
    windows = select(Maintenance.id).order_by(*latest)
    groups = select(ComponentGroup).order_by(ComponentGroup.position).execution_options(populate_existing=True)
    components = select(Component).order_by(Component.position).execution_options(populate_existing=True)
    scalars = db.session.scalars
    return Records(
        frame=shapes.make_frame(page, public_url),
        groups=scalars(groups).all(),
        components={each.id: each for each in scalars(components)},
        incidents=shelf.incidents(scalars(published.limit(count))),
        open_incidents=shelf.incidents(scalars(published.where(Incident.stage != Stage.RESOLVED))),
        maintenances=shelf.maintenances(scalars(windows.limit(count))),
        open_maintenances=shelf.maintenances(scalars(windows.where(Maintenance.stage.in_(OPEN_MAINTENANCE)))),
    )
