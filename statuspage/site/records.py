"""The read model of programs: what `page` gives people, with the ids, times and words as they are stored.

It leaves out what `page` leaves out: every query of incidents says PUBLISHED.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, select

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
    newest = (_INCIDENTS.c.last_posted_at.desc(), _INCIDENTS.c.id.desc())
    incidents = _incidents(select(_INCIDENTS).where(PUBLISHED).order_by(*newest).limit(count))
    opened = _incidents(select(_INCIDENTS).where(PUBLISHED, Incident.stage != Stage.RESOLVED).order_by(*newest))
    # One that is planned without a word has no message yet.
    latest = (_MAINTENANCES.c.last_posted_at.desc().nulls_last(), _MAINTENANCES.c.id.desc())
    maintenances = _maintenances(select(_MAINTENANCES).order_by(*latest).limit(count))
    planned = _maintenances(select(_MAINTENANCES).where(Maintenance.stage.in_(OPEN_MAINTENANCE)).order_by(*latest))
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


def _incidents(query: Any) -> list[Event]:
    return _with_parts(query, _UPDATES, _AFFECTED, "incident_id")


def _maintenances(query: Any) -> list[Event]:
    return _with_parts(query, _SAID, _COVERED, "maintenance_id")


def _with_parts(query: Any, updates: FromClause, components: FromClause, owner: str) -> list[Event]:
    rows = db.session.execute(query).all()
    ids = [row.id for row in rows]
    said: dict[str, list[Any]] = defaultdict(list)
    for row in db.session.execute(select(updates).where(updates.c[owner].in_(ids)).order_by(updates.c.sequence.desc())):
        said[getattr(row, owner)].append(row)
    named: dict[str, list[str]] = defaultdict(list)
    for row in db.session.execute(select(components).where(components.c[owner].in_(ids))):
        named[getattr(row, owner)].append(row.component_id)
    return [Event(row, said[row.id], named[row.id]) for row in rows]
