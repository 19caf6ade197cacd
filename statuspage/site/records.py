"""The read model of programs: what `page` gives people, with the ids, times and words as they are stored.

It leaves out what `page` leaves out: every query of incidents says PUBLISHED.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, Select, select

from statuspage import shapes
from statuspage.db import db
from statuspage.models import (
    Component,
    ComponentGroup,
    Incident,
    IncidentComponent,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Page,
    Update,
)
from statuspage.rules.vocabulary import Stage
from statuspage.site.page import OPEN_MAINTENANCE, PUBLISHED

# Rows instead of objects: hundreds are read at every change, and an object takes five times as long.
_INCIDENTS, _MAINTENANCES, _UPDATES, _SAID, _AFFECTED, _COVERED = (
    table.__table__
    for table in (Incident, Maintenance, Update, MaintenanceUpdate, IncidentComponent, MaintenanceComponent)
)


@dataclass(frozen=True)
class Event:
    """An incident or a maintenance window with everything that was said of it."""

    row: Any
    """A row of ``incidents`` or ``maintenances``."""
    updates: Sequence[Any]
    """Rows of ``updates`` or ``maintenance_updates``, newest first."""
    component_ids: Sequence[str]


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


def load_records(public_url: str, count: int) -> Records:
    """Return the components and the newest ``count`` incidents and maintenances, besides all open ones."""
    page = db.session.execute(select(Page).execution_options(populate_existing=True)).scalar_one()
    order = (_INCIDENTS.c.last_posted_at.desc(), _INCIDENTS.c.id.desc())
    published = select(_INCIDENTS).where(PUBLISHED).order_by(*order)
    incidents, opened = _with_parts(
        (published.limit(count), published.where(Incident.stage != Stage.RESOLVED)), _UPDATES, _AFFECTED, "incident_id"
    )
    # One that is planned without a word has no message yet.
    latest = (_MAINTENANCES.c.last_posted_at.desc().nulls_last(), _MAINTENANCES.c.id.desc())
    windows = select(_MAINTENANCES).order_by(*latest)
    maintenances, planned = _with_parts(
        (windows.limit(count), windows.where(Maintenance.stage.in_(OPEN_MAINTENANCE))),
        _SAID,
        _COVERED,
        "maintenance_id",
    )
    groups = select(ComponentGroup).order_by(ComponentGroup.position).execution_options(populate_existing=True)
    components = select(Component).order_by(Component.position).execution_options(populate_existing=True)
    return Records(
        frame=shapes.make_frame(page, public_url),
        groups=db.session.scalars(groups).all(),
        components={each.id: each for each in db.session.scalars(components)},
        incidents=incidents,
        open_incidents=opened,
        maintenances=maintenances,
        open_maintenances=planned,
    )


def _with_parts(
    queries: Sequence[Select[Any]], updates: FromClause, components: FromClause, owner: str
) -> list[list[Event]]:
    """Return what each query finds, with what belongs to it; what several find is read once."""
    found = [db.session.execute(query).all() for query in queries]
    ids = {row.id for rows in found for row in rows}
    said, named = defaultdict(list), defaultdict(list)
    if ids:
        for row in db.session.execute(
            select(updates).where(updates.c[owner].in_(ids)).order_by(updates.c.sequence.desc())
        ):
            said[getattr(row, owner)].append(row)
        for row in db.session.execute(select(components).where(components.c[owner].in_(ids))):
            named[getattr(row, owner)].append(row.component_id)
    return [[Event(row, said[row.id], named[row.id]) for row in rows] for rows in found]
