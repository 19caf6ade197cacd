"""Incidents and maintenance windows with all their parts, read once and kept until something of them changes.

Most of what a publication writes anew is old: feeds, lists and documents hold dozens of incidents that
ended long ago. Every public change is on record (models.Change), so what is kept is never out of date.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import FromClause, Select, String, bindparam, select

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

# A month of the largest page, and then some; a few megabytes.
MOST = 2_000
# SQLite takes 32,766 values in a statement.
AT_ONCE = 500
# A change of anything else, such as a component's name, may be in all of them.
LOCAL = ("incident", "maintenance", "month")


@dataclass(frozen=True, eq=False)
class Event:
    """An incident or a maintenance window with everything that was said of it."""

    row: Any
    """A row of ``incidents`` or ``maintenances``."""
    updates: Sequence[Any]
    """Rows of ``updates`` or ``maintenance_updates``, newest first."""
    components: Sequence[Any]
    """What it affects or covers: rows of id, name, description, state and archived_at; of a window, as it was when it was read."""
    made: dict[str, Any] = field(default_factory=dict)
    """What was made of it: kept as long as it is."""


@dataclass(frozen=True)
class _Kind:
    """How the events of one table are read, by statements that are built once."""

    events: Select[Any]
    updates: Select[Any]
    components: Select[Any]


def _kind(events: FromClause, updates: FromClause, components: FromClause, owner: str, *more: Any) -> _Kind:
    """Rows instead of objects: an object takes five times as long."""
    ids = bindparam("ids", expanding=True, type_=String)
    affected = (
        select(components.c[owner].label("owner"), Component.id, Component.name, Component.description, *more)
        .add_columns(Component.archived_at)
        .join_from(components, Component, Component.id == components.c.component_id)
        .where(components.c[owner].in_(ids))
    )
    if "position" in components.c:
        affected = affected.order_by(components.c.position)
    said = select(updates, updates.c[owner].label("owner")).where(updates.c[owner].in_(ids))
    return _Kind(select(events).where(events.c.id.in_(ids)), said.order_by(updates.c.sequence.desc()), affected)


_INCIDENTS = _kind(
    Incident.__table__, Update.__table__, IncidentComponent.__table__, "incident_id", IncidentComponent.state
)
_MAINTENANCES = _kind(
    Maintenance.__table__,
    MaintenanceUpdate.__table__,
    MaintenanceComponent.__table__,
    "maintenance_id",
    Component.state,
)


class Shelf:
    """What has been read. A new one for each reading, unless somebody keeps it up to date."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._last: tuple[object, ...] = ()

    def renew(self) -> None:
        """Put away what may have changed since the last time; everything if that can't be told."""
        since = _SINCE if self._last else _NEWEST
        changes = db.session.execute(since, {"revision": self._last[0] if self._last else None}).all()
        changed = changes[1:]
        # After a restored backup the same number stands for another change.
        is_told = bool(self._last and changes) and tuple(changes[0]) == self._last and len(changed) < AT_ONCE
        if not is_told or any(each.subject_kind not in LOCAL for each in changed) or len(self._events) > MOST:
            self._events.clear()
        for each in changed:
            self._events.pop(each.subject_id, None)
        self._last = tuple(changes[-1]) if changes else ()

    def incidents(self, ids: Iterable[str]) -> list[Event]:
        """Return incidents in the order of their ids; all of them must exist."""
        return self._found(list(ids), _INCIDENTS)

    def maintenances(self, ids: Iterable[str]) -> list[Event]:
        """Return maintenance windows in the order of their ids; all of them must exist."""
        return self._found(list(ids), _MAINTENANCES)

    def _found(self, ids: list[str], kind: _Kind) -> list[Event]:
        missing = [each for each in ids if each not in self._events]
        for start in range(0, len(missing), AT_ONCE):
            self._events.update(_read(missing[start : start + AT_ONCE], kind))
        return [self._events[each] for each in ids]


def _read(ids: Sequence[str], kind: _Kind) -> Iterator[tuple[str, Event]]:
    rows = db.session.execute(kind.events, {"ids": ids}).all()
    updates, components = _by_owner(kind.updates, ids), _by_owner(kind.components, ids)
    for row in rows:
        yield row.id, Event(row, updates.get(row.id, ()), components.get(row.id, ()))


def _by_owner(query: Select[Any], ids: Sequence[str]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in db.session.execute(query, {"ids": ids}):
        found.setdefault(row.owner, []).append(row)
    return found


_CHANGES = select(Change.revision, Change.subject_kind, Change.subject_id, Change.changed_at)
_SINCE = _CHANGES.where(Change.revision >= bindparam("revision")).order_by(Change.revision).limit(AT_ONCE + 1)
_NEWEST = _CHANGES.order_by(Change.revision.desc()).limit(1)
