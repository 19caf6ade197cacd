"""The ledger of component states, when an incident began or ended before its message was posted.

Rows are only ever added: of one moment the row written last holds.
"""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.models import ComponentStateChange, Incident, IncidentComponent
from statuspage.rules import uptime
from statuspage.rules.uptime import Span, StateChange
from statuspage.rules.vocabulary import ComponentState, Visibility

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def record_earlier_start(session: Session, incident: Incident, now: datetime) -> None:
    """Say in the ledger that the components were affected since the incident began, not since its first message."""
    for affected in incident.components:
        timeline = _timeline(session, affected.component_id, incident.started_at)
        rows = uptime.raised(timeline, affected.state, incident.id, incident.started_at, now)
        _add(session, affected.component_id, rows)


def record_earlier_end(session: Session, incident: Incident, now: datetime) -> None:
    """Say in the ledger that the incident weighed on its components until it ended, not until its last message."""
    ended_at = incident.resolved_at or now
    for affected in incident.components:
        timeline = _timeline(session, affected.component_id, ended_at)
        others = _others(session, incident.id, affected.component_id, ended_at)
        rows = uptime.lifted(timeline, affected.state, others, incident.id, ended_at, now)
        _add(session, affected.component_id, rows)


def _timeline(session: Session, component_id: str, since: datetime) -> list[StateChange]:
    """What the ledger says from the last change before ``since`` on."""
    table = ComponentStateChange
    own = select(table.changed_at, table.state, table.incident_id).where(table.component_id == component_id)
    newest = own.where(table.changed_at < since).order_by(table.changed_at.desc(), table.id.desc()).limit(1)
    later = own.where(table.changed_at >= since).order_by(table.changed_at, table.id)
    return [StateChange(*row) for query in (newest, later) for row in session.execute(query)]


def _others(
    session: Session, incident_id: str, component_id: str, since: datetime
) -> list[tuple[Span, ComponentState]]:
    """What the other public incidents made of a component, at worst: when in doubt a component was not up."""
    query = (
        select(Incident.started_at, Incident.resolved_at, IncidentComponent.worst_state)
        .join(IncidentComponent)
        .where(
            IncidentComponent.component_id == component_id,
            Incident.id != incident_id,
            Incident.visibility == Visibility.PUBLIC,
            Incident.last_posted_at.is_not(None),
            Incident.resolved_at.is_(None) | (Incident.resolved_at > since),
        )
    )
    return [(Span(begin, end or _END_OF_TIME), state) for begin, end, state in session.execute(query)]


def _add(session: Session, component_id: str, rows: list[StateChange]) -> None:
    for row in rows:
        session.add(
            ComponentStateChange(
                component_id=component_id, state=row.state, changed_at=row.at, incident_id=row.incident_id
            )
        )
        # One by one: which of one moment was written last is told by the id.
        session.flush()
