"""The ledger of promises: record what happened to an incident, and keep what follows from it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.actions.policies import policy_in, version_in_force
from statuspage.models import Incident, IncidentEvent, PolicyVersion, Promise, PromiseChange, new_id
from statuspage.rules import escalation, promises
from statuspage.rules.policy import Policy
from statuspage.rules.vocabulary import ComponentState, EventKind, PromiseKind, PromiseState, Severity


@dataclass(frozen=True)
class Fact:
    """What is recorded beside an event's kind."""

    occurred_at: datetime | None = None
    """None: at the time it is recorded."""
    next_update_by: datetime | None = None
    reason: str = ""
    is_automatic: bool = False
    promise_kind: PromiseKind | None = None


NOTHING_ELSE = Fact()


def record(session: Session, incident: Incident, kind: EventKind, fact: Fact, by: str | None, now: datetime) -> None:
    """Record an event of an incident, and bring its promises up to date, in the fact's own transaction.

    An incident without a severity (an imported one) owes nothing. The caller
    holds the incident: nobody else records anything for it meanwhile.
    """
    if incident.severity is None:
        return
    sequence = session.scalar(select(func.max(IncidentEvent.sequence)).where(IncidentEvent.incident_id == incident.id))
    if sequence is None and kind is not EventKind.DECLARED:
        # Imported, or declared before there were promises: it owes what follows from now on, if it goes on.
        if not incident.is_open and kind is not EventKind.RESOLVED:
            return
        if kind is not EventKind.REOPENED:
            first = EventKind.DECLARED if incident.last_posted_at is None else EventKind.REOPENED
            _add_event(session, incident, 1, first, NOTHING_ELSE, by, now)
            sequence = 1
    _add_event(session, incident, (sequence or 0) + 1, kind, fact, by, now)
    session.flush()
    _reconcile(session, incident)


def _add_event(
    session: Session, incident: Incident, sequence: int, kind: EventKind, fact: Fact, by: str | None, now: datetime
) -> None:
    session.refresh(incident, ["components"])
    session.add(
        IncidentEvent(
            incident_id=incident.id,
            sequence=sequence,
            kind=kind,
            occurred_at=fact.occurred_at or now,
            recorded_at=now,
            policy_id=version_in_force(session, incident.severity or Severity.SEV4, now).id,
            next_update_by=fact.next_update_by,
            reason=fact.reason,
            is_automatic=fact.is_automatic,
            is_down=any(each.state is ComponentState.OUTAGE for each in incident.components),
            promise_kind=fact.promise_kind,
            account_id=by,
        )
    )


def _reconcile(session: Session, incident: Incident) -> None:
    """Write down what the events make owed: new promises, changed ones, and how they changed."""
    computed = promises.ledger(_events(session, incident), incident.started_at, incident.visibility)
    rows = {(row.kind, row.ordinal): row for row in promises_of(session, incident.id)}
    for promise in computed.promises:
        row = rows.get(promise.key)
        if row is None:
            row = rows[promise.key] = Promise(
                id=new_id(), incident_id=incident.id, kind=promise.kind, ordinal=promise.ordinal
            )
        _write(session, row, promise)
    _note_changes(session, rows, computed.changes)
    is_public = any(promise.kind is PromiseKind.NEXT_UPDATE for promise in computed.promises)
    if is_public or not incident.is_open:
        incident.next_update_by = next(
            (each.due_at for each in computed.promises if each.kind is PromiseKind.NEXT_UPDATE and each.is_open), None
        )


_COMPUTED = (
    "policy_id",
    "opened_at",
    "due_at",
    "met_at",
    "state",
    "settled_at",
    "reason",
    "is_recorded_later",
    "is_met_automatically",
)


def _write(session: Session, row: Promise, promise: promises.Promise) -> None:
    """Bring a row to what was computed. Whoever is to be told when changes with the due time only."""
    was_due_at, was_open = row.due_at, row.state is PromiseState.OPEN
    changed = [name for name in _COMPUTED if getattr(row, name) != getattr(promise, name)]
    if not changed:
        return
    for name in changed:
        setattr(row, name, getattr(promise, name))
    if not promise.is_open:
        row.next_step_at = None
    elif not was_open or was_due_at != promise.due_at:
        listed = escalation.steps(promise.policy, promise.kind, promise.opened_at, promise.due_at)
        # Steps that were taken already are told apart by the worker when it comes to them.
        row.next_step_at = min((step.at for step in listed), default=None)
    session.add(row)
    # In order: an update promise is met before the next is opened, as the unique index wants it.
    session.flush()


def _note_changes(
    session: Session, rows: dict[tuple[PromiseKind, int], Promise], changes: tuple[promises.Change, ...]
) -> None:
    written = select(PromiseChange.promise_id, PromiseChange.event_sequence).where(
        PromiseChange.promise_id.in_([row.id for row in rows.values()])
    )
    known = {(row.promise_id, row.event_sequence) for row in session.execute(written)}
    for change in changes:
        promise_id = rows[change.key].id
        if (promise_id, change.event_sequence) not in known:
            session.add(
                PromiseChange(
                    promise_id=promise_id,
                    event_sequence=change.event_sequence,
                    changed_at=change.changed_at,
                    state=change.state,
                    due_at=change.due_at,
                    reason=change.reason,
                )
            )


def _events(session: Session, incident: Incident) -> list[promises.Event]:
    query = (
        select(IncidentEvent, PolicyVersion)
        .join(PolicyVersion, IncidentEvent.policy_id == PolicyVersion.id)
        .where(IncidentEvent.incident_id == incident.id)
        .order_by(IncidentEvent.sequence)
    )
    policies: dict[str, Policy] = {}
    events = []
    for event, version in session.execute(query):
        if version.id not in policies:
            policies[version.id] = policy_in(version, version.severity)
        events.append(
            promises.Event(
                event.sequence,
                event.kind,
                event.occurred_at,
                event.recorded_at,
                policies[version.id],
                version.id,
                event.next_update_by,
                event.reason,
                event.is_automatic,
                event.is_down,
                event.promise_kind,
            )
        )
    return events


def promises_of(session: Session, incident_id: str) -> list[Promise]:
    """Return an incident's promises in the order they were opened."""
    return list(
        session.scalars(
            select(Promise)
            .where(Promise.incident_id == incident_id)
            .order_by(Promise.opened_at, Promise.kind, Promise.ordinal)
            .execution_options(populate_existing=True)
        )
    )
