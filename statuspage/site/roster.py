"""The components and their groups as they are now, read once for everything that a publication shows of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Component, ComponentGroup, Maintenance, MaintenanceComponent
from statuspage.rules.maintenance import RUNNING

# Rows instead of objects: an object takes five times as long.
_COMPONENTS = select(Component.__table__).order_by(Component.position)
_GROUPS = select(ComponentGroup.__table__).order_by(ComponentGroup.position)
_COVERED = select(MaintenanceComponent.component_id).join(Maintenance).where(Maintenance.stage.in_(RUNNING))


@dataclass(frozen=True)
class Roster:
    """The components and their groups."""

    components: Mapping[str, Any]
    """Rows of ``components`` by their ids, in the page's order; archived ones too, which old incidents name."""
    groups: Sequence[Any]
    """Rows of ``component_groups``, in the page's order."""
    covered: frozenset[str]
    """Ids of what a running maintenance window covers."""

    @cached_property
    def listed(self) -> Mapping[str, Any]:
        """The components on the page."""
        return {each.id: each for each in self.components.values() if each.archived_at is None}


def load_roster() -> Roster:
    """Return the components and groups."""
    components = {row.id: row for row in db.session.execute(_COMPONENTS)}
    return Roster(components, db.session.execute(_GROUPS).all(), frozenset(db.session.scalars(_COVERED)))
