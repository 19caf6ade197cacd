"""What was recorded of an incident, put together as the timeline of its post-mortem."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.promises import promises_of
from statuspage.models import (
    Account,
    AuditEntry,
    ComponentStateChange,
    EscalationStep,
    Incident,
    IncidentEvent,
    InternalUpdate,
    Promise,
    RoleAssignment,
    Update,
)
from statuspage.rules import timeline
from statuspage.rules.timeline import Moment
from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS, EventKind, PromiseState

# What the other sources tell better, or what came after the incident itself.
_EVENTS = {
    EventKind.DECLARED: "Declared",
    EventKind.REGRADED: "Severity changed",
    EventKind.REOPENED: "Re-opened",
    EventKind.DIRECT_EMAIL_SENT: "Direct e-mail sent to the affected customers",
    EventKind.POST_INCIDENT_EMAIL_SENT: "Post-incident e-mail sent",
    EventKind.WAIVED: "Waived by a second person",
}


def timeline_of(session: Session, incident: Incident) -> str:
    """Return the timeline of an incident as it was recorded so far (rules/timeline.py)."""
    sources = (_began, _events, _roles, _said, _changed, _told_the_team, _reminded, _promised)
    return timeline.write(moment for source in sources for moment in source(session, incident))


def _began(_session: Session, incident: Incident) -> Iterator[Moment]:
    yield Moment(incident.started_at, f"It began: {incident.title}")


def _events(session: Session, incident: Incident) -> Iterator[Moment]:
    query = select(IncidentEvent).where(IncidentEvent.incident_id == incident.id).order_by(IncidentEvent.sequence)
    for event in session.scalars(query):
        if event.kind in _EVENTS:
            reason = f": {event.reason}" if event.reason else ""
            what = f" ({LABELS[event.promise_kind].lower()})" if event.promise_kind else ""
            yield Moment(event.occurred_at, f"{_EVENTS[event.kind]}{what}{reason}")


def _roles(session: Session, incident: Incident) -> Iterator[Moment]:
    query = (
        select(AuditEntry)
        .where(
            AuditEntry.object_kind == "incident",
            AuditEntry.object_id == incident.id,
            AuditEntry.action == "assign_roles",
        )
        .order_by(AuditEntry.id)
    )
    names = {row.id: row.name for row in session.execute(select(Account.id, Account.name))}
    changes = [(entry.acted_at, entry.detail["roles"]) for entry in session.scalars(query)]
    if not changes:
        # They were named at the declaration and have stayed.
        held = session.scalars(select(RoleAssignment).where(RoleAssignment.incident_id == incident.id))
        changes = [(incident.declared_at, {each.role.value: each.account_id for each in held})]
    before: Mapping[str, str] = {}
    for at, roles in changes:
        said = [
            f"{LABELS[role]}: {names.get(account_id, 'nobody') if account_id else 'nobody'}"
            for role, account_id in roles.items()
            if before.get(role, "") != account_id
        ]
        before = {**before, **roles}
        if said:
            yield Moment(at, "; ".join(said))


def _said(session: Session, incident: Incident) -> Iterator[Moment]:
    query = select(Update).where(Update.incident_id == incident.id).order_by(Update.sequence)
    for update in session.scalars(query):
        automatic = ", by itself" if update.is_automatic else ""
        yield Moment(
            update.posted_at, f"Customers were told ({LABELS[update.stage].lower()}{automatic}): {update.body}"
        )
        for each in update.component_states:
            if each["old_state"] != each["new_state"]:
                was, now_is = LABELS[each["old_state"]].lower(), LABELS[each["new_state"]].lower()
                yield Moment(update.posted_at, f"{each['name']} on the page: {was}, now {now_is}")


def _changed(session: Session, incident: Incident) -> Iterator[Moment]:
    """What nobody was told with an update: states set by hand or by a later correction are in the ledger alone."""
    told = {update.posted_at for update in session.scalars(select(Update).where(Update.incident_id == incident.id))}
    told |= {incident.declared_at, incident.started_at}
    names = {each.component_id: each.component.name for each in incident.components}
    query = (
        select(ComponentStateChange)
        .where(ComponentStateChange.incident_id == incident.id)
        .order_by(ComponentStateChange.id)
    )
    for change in session.scalars(query):
        if change.changed_at not in told and change.component_id in names:
            yield Moment(change.changed_at, f"{names[change.component_id]}: {LABELS[change.state].lower()}")


def _told_the_team(session: Session, incident: Incident) -> Iterator[Moment]:
    query = select(InternalUpdate).where(InternalUpdate.incident_id == incident.id).order_by(InternalUpdate.posted_at)
    for told in session.scalars(query):
        yield Moment(told.posted_at, f"The team was told: {told.body}")


def _reminded(session: Session, incident: Incident) -> Iterator[Moment]:
    query = (
        select(EscalationStep, Promise.kind)
        .join(Promise, Promise.id == EscalationStep.promise_id)
        .where(Promise.incident_id == incident.id, EscalationStep.outcome == EscalationStep.NUDGED)
        .order_by(EscalationStep.id)
    )
    for step, kind in session.execute(query):
        told = ", ".join(step.told) or "nobody could be reached"
        yield Moment(step.taken_at, f"Reminder of the {LABELS[kind].lower()}: {told}")


def _promised(session: Session, incident: Incident) -> Iterator[Moment]:
    for promise in promises_of(session, incident.id):
        settled_at: datetime | None = promise.met_at or promise.settled_at
        if settled_at is None:
            continue
        what, due = LABELS[promise.kind], instant_in_words(promise.due_at)
        if promise.state is PromiseState.KEPT:
            yield Moment(settled_at, f"Promise kept: {what.lower()}, due {due}")
        elif promise.state is PromiseState.LATE:
            late = span_in_words(settled_at - promise.due_at)
            yield Moment(settled_at, f"Promise kept late, by {late}: {what.lower()}, due {due}")
        elif promise.state is PromiseState.MISSED:
            yield Moment(settled_at, f"Promise missed: {what.lower()}, due {due}")
