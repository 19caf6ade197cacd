"""Incidents and maintenance windows with all their parts, read once and kept until something of them changes.

Most of what a publication writes anew is old: feeds, lists and documents hold dozens of incidents that
ended long ago. Every public change is on record (models.Change), so what is kept is never out of date.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, String, and_, bindparam, select

from statuspage.db import db
from statuspage.models import (
    Change,
    Component,
    Incident,
    IncidentComponent,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Update,
)
from statuspage.rules.maintenance import OPEN
from statuspage.rules.vocabulary import Stage, Visibility
from statuspage.site.listing import Listing, Place

# A month of the largest page, and then some; a few megabytes.
MOST = 2_000
# SQLite takes 32,766 values in a statement.
AT_ONCE = 500
# A change of anything else may be in all of them, such as a component's name; an import is one change of the page.
LOCAL = ("incident", "maintenance", "month")

# Readers may see these incidents; every query of incidents that leads to a page says so.
PUBLISHED: ColumnElement[bool] = and_(Incident.visibility == Visibility.PUBLIC, Incident.last_posted_at.is_not(None))


# Plain columns, whichever.
Columns = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Event:
    """An incident or a maintenance window with everything that was said of it."""

    kind: str
    """``incident`` or ``maintenance``."""
    row: Any
    """A row of ``incidents`` or ``maintenances``."""
    updates: Sequence[Any]
    """Rows of ``updates`` or ``maintenance_updates``, newest first."""
    components: Sequence[Any]
    """What it affects or covers: rows of id, name, description, state and archived_at; of a window, as it was when it was read."""
    made: dict[str, Any] = field(default_factory=dict)
    """What was made of it: kept as long as it is."""

    @property
    def began_at(self) -> datetime:
        """When it began; of a maintenance, when its window begins."""
        began_at: datetime = self.row.started_at if self.kind == "incident" else self.row.scheduled_for
        return began_at

    @property
    def is_published(self) -> bool:
        """Whether readers may see it."""
        if self.kind == "maintenance":
            return True
        return self.row.visibility is Visibility.PUBLIC and self.row.last_posted_at is not None


@dataclass(frozen=True)
class _Kind:
    """How the events of one table are read, by statements that are built once."""

    name: str
    events: Select[*Columns]
    updates: Select[*Columns]
    components: Select[*Columns]
    places: Select[*Columns]
    affected: Select[*Columns]
    """Every component of every event."""
    place: Callable[[Any, Iterable[str]], Place]


def _kind(
    name: str,
    tables: tuple[FromClause, FromClause, FromClause],
    owner: str,
    state: Any,
    places: Select[*Columns],
    place: Callable[[Any, Iterable[str]], Place],
) -> _Kind:
    """Rows instead of objects: an object takes five times as long."""
    events, updates, components = tables
    ids = bindparam("ids", expanding=True, type_=String)
    affected = (
        select(components.c[owner].label("owner"), Component.id, Component.name, Component.description, state)
        .add_columns(Component.archived_at)
        .join_from(components, Component, Component.id == components.c.component_id)
        .where(components.c[owner].in_(ids))
    )
    if "position" in components.c:
        affected = affected.order_by(components.c.position)
    said = select(updates, updates.c[owner].label("owner")).where(updates.c[owner].in_(ids))
    return _Kind(
        name,
        select(events).where(events.c.id.in_(ids)),
        said.order_by(updates.c.sequence.desc()),
        affected,
        places,
        select(components.c[owner].label("owner"), components.c.component_id),
        place,
    )


def _place_of_incident(row: Any, component_ids: Iterable[str]) -> Place:
    return Place(
        id=row.id,
        title=row.title,
        began_at=row.started_at,
        ended_at=row.resolved_at,
        posted_at=row.last_posted_at,
        is_open=row.stage is not Stage.RESOLVED,
        next_update_by=row.next_update_by,
        component_ids=frozenset(component_ids),
    )


def _place_of_window(row: Any, component_ids: Iterable[str]) -> Place:
    return Place(
        id=row.id,
        title=row.title,
        began_at=row.scheduled_for,
        ended_at=row.scheduled_until,
        posted_at=row.last_posted_at,
        is_open=row.stage in OPEN,
        next_update_by=None,
        component_ids=frozenset(component_ids),
    )


# Few columns, since there may be many rows.
_PLACES_OF_INCIDENTS: Select[*Columns] = (
    select(Incident.id, Incident.title, Incident.started_at, Incident.resolved_at, Incident.last_posted_at)
    .add_columns(Incident.stage, Incident.next_update_by)
    .where(PUBLISHED)
)
_PLACES_OF_WINDOWS: Select[*Columns] = select(
    Maintenance.id,
    Maintenance.title,
    Maintenance.scheduled_for,
    Maintenance.scheduled_until,
    Maintenance.last_posted_at,
    Maintenance.stage,
)
_INCIDENTS = _kind(
    "incident",
    (Incident.__table__, Update.__table__, IncidentComponent.__table__),
    "incident_id",
    IncidentComponent.state,
    _PLACES_OF_INCIDENTS,
    _place_of_incident,
)
_MAINTENANCES = _kind(
    "maintenance",
    (Maintenance.__table__, MaintenanceUpdate.__table__, MaintenanceComponent.__table__),
    "maintenance_id",
    Component.state,
    _PLACES_OF_WINDOWS,
    _place_of_window,
)
_KINDS = {kind.name: kind for kind in (_INCIDENTS, _MAINTENANCES)}


class Shelf:
    """What has been read. A new one for each reading, unless somebody keeps it up to date."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._listings: dict[str, Listing] = {}
        self._last: tuple[object, ...] = ()

    def renew(self) -> None:
        """Put away what may have changed since the last time; everything if that can't be told."""
        changes = db.session.execute(_SINCE, {"revision": self._last[0]}).all() if self._last else []
        # After a restored backup the same number stands for another change.
        if not changes or tuple(changes[0]) != self._last or len(changes) > AT_ONCE:
            self.clear()
            self._last = tuple(db.session.execute(_NEWEST).first() or ())
            return
        changed = changes[1:]
        if any(each.subject_kind not in LOCAL for each in changed):
            self.clear()
        elif len(self._events) > MOST:
            self._events.clear()
        for each in changed:
            self._events.pop(each.subject_id, None)
        for name, listing in self._listings.items():
            ids = {each.subject_id for each in changed if each.subject_kind == name}
            self._rearrange(listing, list(ids), _KINDS[name])
        self._last = tuple(changes[-1])

    def clear(self) -> None:
        """Put everything away."""
        self._events.clear()
        self._listings.clear()

    @property
    def incidents(self) -> Listing:
        """The incidents that readers may see, in their order."""
        return self._listing(_INCIDENTS)

    @property
    def maintenances(self) -> Listing:
        """The maintenance windows, in their order."""
        return self._listing(_MAINTENANCES)

    def events(self, incident_ids: Iterable[str], maintenance_ids: Iterable[str] = ()) -> list[Event]:
        """Return incidents in the order of their ids, then maintenance windows; what does not exist is left out."""
        return [*self._found(list(incident_ids), _INCIDENTS), *self._found(list(maintenance_ids), _MAINTENANCES)]

    def find(self, event_id: str) -> Event | None:
        """Return the incident or maintenance window of an id, whether readers may see it or not."""
        return next(iter(self.events([event_id], [event_id])), None)

    def _found(self, ids: list[str], kind: _Kind) -> list[Event]:
        missing = [each for each in ids if each not in self._events]
        for start in range(0, len(missing), AT_ONCE):
            self._events.update(_read(missing[start : start + AT_ONCE], kind))
        found = (self._events.get(each) for each in ids)
        return [event for event in found if event is not None and event.kind == kind.name]

    def _listing(self, kind: _Kind) -> Listing:
        if kind.name not in self._listings:
            component_ids: dict[str, list[str]] = {}
            for owner, component_id in db.session.execute(kind.affected):
                component_ids.setdefault(owner, []).append(component_id)
            rows = db.session.execute(kind.places)
            self._listings[kind.name] = Listing(kind.place(row, component_ids.get(row.id, ())) for row in rows)
        return self._listings[kind.name]

    def _rearrange(self, listing: Listing, ids: list[str], kind: _Kind) -> None:
        there = {event.row.id: event for event in self._found(ids, kind)}
        for event_id in ids:
            event = there.get(event_id)
            if event is not None and event.is_published:
                listing.put(kind.place(event.row, (each.id for each in event.components)))
            else:
                listing.remove(event_id)


def _read(ids: Sequence[str], kind: _Kind) -> Iterator[tuple[str, Event]]:
    rows = db.session.execute(kind.events, {"ids": ids}).all()
    if not rows:
        return
    updates, components = _by_owner(kind.updates, ids), _by_owner(kind.components, ids)
    for row in rows:
        yield row.id, Event(kind.name, row, updates.get(row.id, ()), components.get(row.id, ()))


def _by_owner(query: Select[*Columns], ids: Sequence[str]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in db.session.execute(query, {"ids": ids}):
        found.setdefault(row.owner, []).append(row)
    return found


_CHANGES = select(Change.revision, Change.subject_kind, Change.subject_id, Change.changed_at)
_SINCE = _CHANGES.where(Change.revision >= bindparam("revision")).order_by(Change.revision).limit(AT_ONCE + 1)
_NEWEST = _CHANGES.order_by(Change.revision.desc()).limit(1)
