"""Declare an incident, tell the public about it, resolve it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.drafts import forget_draft
from statuspage.actions.ledger import audit, mark_changed, record_override, take_page
from statuspage.actions.policies import policy_in, version_in_force
from statuspage.actions.promises import Fact, record
from statuspage.actions.state_ledger import record_earlier_end, record_earlier_start
from statuspage.actions.templates import template_for, usual_language
from statuspage.db import insert_once, transaction
from statuspage.delivery.announcements import announce_component_change, announce_to_subscribers
from statuspage.models import (
    Account,
    Component,
    ComponentStateChange,
    Drill,
    FormSubmission,
    Incident,
    IncidentComponent,
    RoleAssignment,
    SavedReply,
    Update,
    new_id,
)
from statuspage.rules.languages import check_language
from statuspage.rules.messages import CLOCK_TOLERANCE, Draft, check_title, render
from statuspage.rules.policy import NEXT_TIME, UNOWED_NEXT_UPDATE
from statuspage.rules.promises import check_next_update
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    EventKind,
    Impact,
    IncidentRole,
    MessageKind,
    NotFound,
    RuleBroken,
    Severity,
    Stage,
    Visibility,
    worst_state,
)

# Older than this, an incident belongs to an import.
LONGEST_BACKDATING = timedelta(days=90)

States = Mapping[str, ComponentState]
"""Component id to the state the incident gives it."""


@dataclass(frozen=True)
class Declaration:
    """What is asked for when an incident is declared."""

    title: str
    severity: Severity
    states: States
    roles: Mapping[IncidentRole, str]
    """Role to the id of the account that holds it."""
    visibility: Visibility = Visibility.PUBLIC
    declared_at: datetime | None = None
    """When customer impact was confirmed, should that be a while ago."""
    language: str = ""
    """What its messages are written in; empty for the usual one."""
    reply_id: str = ""
    """The saved reply that its first message opens with, if any."""


@dataclass(frozen=True)
class Post:
    """A public message as it comes from a form."""

    draft: Draft
    states: States
    version: int
    """The incident's version that the writer saw."""
    reason: str = ""
    """Why the next update comes later than the policy says."""
    body: str = ""
    """A finished text that stands in place of the template's."""
    overridden: tuple[str, ...] = ()
    """Words that are marked, and that the writer posts as they are."""


def declare(declaration: Declaration, nonce: str, by: str | None, now: datetime) -> str:
    """Record that customers are affected; the clock starts. Return the incident's id.

    Nothing is public until the first message is posted. The same nonce again
    returns the incident that it made the first time. ``by`` is None for a program.

    Raises RuleBroken for a bad title, a time that can't be, an unknown component or account.
    """
    with transaction(now) as session:
        incident_id = new_id()
        earlier = claim_form(session, nonce, incident_id, repr(declaration), by, now)
        if earlier is not None:
            return earlier
        record_declaration(session, incident_id, declaration, by, now)
        return incident_id


def record_declaration(
    session: Session, incident_id: str, declaration: Declaration, by: str | None, now: datetime
) -> None:
    """Write a declared incident, and what it owes, into the transaction of the action that declares it.

    Raises RuleBroken for a bad title, a time that can't be, no or an unknown component, an unknown account.
    """
    title = check_title(declaration.title)
    declared_at = check_declared_at(declaration.declared_at or now, now)
    if not declaration.states:
        raise RuleBroken({"components": "Please choose at least one affected component and its state."})
    reply = session.get(SavedReply, declaration.reply_id) if declaration.reply_id else None
    session.add(
        Incident(
            id=incident_id,
            title=title,
            language=check_language(declaration.language or usual_language(session)),
            opening=dict(reply.fields) if reply else None,
            severity=declaration.severity,
            visibility=declaration.visibility,
            stage=Stage.INVESTIGATING,
            started_at=declared_at,
            declared_at=declared_at,
            declared_by_id=by,
            created_at=now,
            updated_at=now,
        )
    )
    session.flush()
    _affect(session, incident_id, declaration.states)
    assign(session, incident_id, declaration.roles)
    incident = session.get_one(Incident, incident_id)
    record(session, incident, EventKind.DECLARED, Fact(occurred_at=declared_at), by, now)
    about = {"title": title, "severity": declaration.severity, "reply_id": declaration.reply_id}
    audit(session, by, "declare", "incident", incident_id, now, **about)


def check_declared_at(declared_at: datetime, now: datetime) -> datetime:
    """Return the moment customer impact was confirmed. Raises RuleBroken on ``declared_at`` if it can't be."""
    if declared_at > now + CLOCK_TOLERANCE:
        raise RuleBroken({"declared_at": f"This is in the future; it is {instant_in_words(now)} now."})
    if now - declared_at > LONGEST_BACKDATING:
        raise RuleBroken({"declared_at": f"Please give a time within the last {LONGEST_BACKDATING.days} days."})
    return min(declared_at, now)


def acknowledge(incident_id: str, post: Post, nonce: str, by: str | None, now: datetime) -> str:
    """Post the first public message of an incident. Return the update's id.

    Raises NotFound, Conflict if there is a first message already or the
    incident changed since the writer saw it, RuleBroken for bad input.
    """

    def prepare(incident: Incident) -> None:
        if incident.last_posted_at is not None:
            raise Conflict("This incident has been acknowledged already: please post an update instead.")
        incident.impact = Impact(post.draft.text("impact"))
        incident.started_at = post.draft.instant("started_at") or incident.started_at
        if post.states:
            # Until now nothing was public: what turned out not to be affected was never affected.
            incident.components = [each for each in incident.components if each.component_id in post.states]

    return _post_once(incident_id, post, prepare, nonce, by, now)


def post_update(incident_id: str, post: Post, nonce: str, by: str | None, now: datetime) -> str:
    """Post a further public message. Return the update's id.

    Raises NotFound, Conflict if nothing was acknowledged yet, the incident is
    resolved or changed since the writer saw it, RuleBroken for bad input.
    """
    return _post_once(incident_id, post, _require_acknowledged, nonce, by, now)


def resolve(incident_id: str, post: Post, nonce: str, by: str | None, now: datetime) -> str:
    """Post the last public message: service is restored. Return the update's id.

    Raises NotFound, Conflict if nothing was acknowledged yet, the incident is
    resolved or changed since the writer saw it, RuleBroken for bad input.
    """

    def prepare(incident: Incident) -> None:
        _require_acknowledged(incident)
        resolved_at = post.draft.instant("resolved_at") or now
        if resolved_at < incident.started_at:
            raise RuleBroken({"resolved_at": "This is before the incident started."})
        incident.resolved_at = resolved_at
        incident.stage = Stage.RESOLVED

    return _post_once(incident_id, post, prepare, nonce, by, now)


def post_holding_update(incident_id: str, nonce: str, by: str, now: datetime) -> str:
    """Post the policy's approved holding wording in a person's name. Return the update's id.

    Raises NotFound, Conflict if nothing was acknowledged yet or the incident is resolved.
    """
    with transaction(now) as session:
        update_id = new_id()
        take_page(session)
        earlier = claim_form(session, nonce, update_id, repr((incident_id, "holding")), by, now)
        if earlier is not None:
            return earlier
        incident = session.get(Incident, incident_id, populate_existing=True)
        if incident is None:
            raise NotFound("incident")
        if not incident.is_open:
            raise Conflict("This incident is resolved already.")
        _require_acknowledged(incident)
        require_drill_goes_on(session, incident)
        hold(session, incident, update_id, by, now)
        return update_id


def hold(session: Session, incident: Incident, update_id: str, by: str | None, now: datetime) -> None:
    """Write the holding update and everything that commits with it; automatic when nobody posts it."""
    severity = incident.severity or Severity.SEV4
    policy = policy_in(version_in_force(session, severity, now), severity)
    next_update_by = now + (policy.next_update or UNOWED_NEXT_UPDATE)
    body = policy.holding_update.text.replace(NEXT_TIME, instant_in_words(next_update_by))
    # What the clock posts is the approved wording: there is nobody to take it back.
    tell_at = policy.undo_until(MessageKind.UPDATE, now) if by is not None else None
    message = Message(MessageKind.UPDATE, incident.stage, body, next_update_by, None, by is None, tell_at)
    write_message(session, incident, update_id, message, {}, by, now)
    fact = Fact(next_update_by=next_update_by, is_automatic=by is None)
    record(session, incident, EventKind.POSTED, fact, by, now)
    audit(session, by, "holding_update", "incident", incident.id, now, update_id=update_id)


def _post_once(
    incident_id: str, post: Post, prepare: Callable[[Incident], None], nonce: str, by: str | None, now: datetime
) -> str:
    """Post a message in one transaction; the same nonce again returns the first one's id."""
    with transaction(now) as session:
        update_id = new_id()
        take_page(session)
        earlier = claim_form(session, nonce, update_id, _content(incident_id, post), by, now)
        if earlier is not None:
            return earlier
        incident = take(session, incident_id, post.version)
        if not incident.is_open:
            raise Conflict("This incident is resolved already.")
        prepare(incident)
        _post(session, incident, update_id, post, by, now)
        return update_id


def _content(incident_id: str, post: Post) -> str:
    """What makes two posted forms the same."""
    return repr((incident_id, post.draft, dict(post.states), post.reason, post.body))


def claim_form(session: Session, nonce: str, result_id: str, content: str, by: str | None, now: datetime) -> str | None:
    """Claim a form's nonce; return what it made the first time, if it is not the first.

    Raises Conflict if it comes again with other content.
    """
    digest = hashlib.sha256(content.encode()).hexdigest()
    claim = {"nonce": nonce, "account_id": by, "result_id": result_id, "digest": digest, "submitted_at": now}
    if insert_once(session, FormSubmission.__table__, claim):  # type: ignore[arg-type]
        return None
    earlier = session.execute(select(FormSubmission).where(FormSubmission.nonce == nonce)).scalar_one()
    if earlier.digest != digest:
        raise Conflict("This form was posted already, with other words. Yours are kept below: please check and post.")
    return earlier.result_id


def take(session: Session, incident_id: str, version: int) -> Incident:
    """Take the incident for a change; of two writers who saw the same version one gets it."""
    taken = session.execute(
        update(Incident)
        .where(Incident.id == incident_id, Incident.version == version)
        .values(version=Incident.version + 1)
    )
    incident = session.get(Incident, incident_id, populate_existing=True)
    if incident is None:
        raise NotFound("incident")
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("Somebody else changed this incident while you were writing. Your text is kept below.")
    require_drill_goes_on(session, incident)
    return incident


def _require_acknowledged(incident: Incident) -> None:
    if incident.last_posted_at is None:
        raise Conflict("Nothing is public yet: please post the acknowledge message first.")


def require_drill_goes_on(session: Session, incident: Incident) -> None:
    """Raise Conflict if the incident is a drill that has ended."""
    if incident.visibility is Visibility.DRILL:
        drill = session.get(Drill, incident.id, populate_existing=True)
        if drill is not None and drill.ended_at is not None:
            raise Conflict("This drill has ended: its score sheet stays as it is.")


def _post(session: Session, incident: Incident, update_id: str, post: Post, by: str | None, now: datetime) -> None:
    """Write the message and everything that commits with it."""
    draft = post.draft
    severity = incident.severity or Severity.SEV4
    policy = policy_in(version_in_force(session, severity, now), severity)
    next_update_by = draft.instant("next_update_by")
    if next_update_by is None and policy.next_update is not None and draft.kind is not MessageKind.RESOLVE:
        next_update_by = now + policy.next_update
    reason = check_next_update(policy, next_update_by, post.reason, now)
    body = post.body or render(
        template_for(draft.kind, incident.language, session), draft, incident.started_at, incident.language
    )
    fields = {name: str(value or "") for name, value in draft.values.items()}
    tell_at = policy.undo_until(draft.kind, now)
    message = Message(draft.kind, draft.stage, body, next_update_by, fields, tell_at=tell_at)
    write_message(session, incident, update_id, message, post.states, by, now)
    resolved = draft.kind is MessageKind.RESOLVE
    fact = Fact(incident.resolved_at if resolved else None, next_update_by, reason)
    record(session, incident, EventKind.RESOLVED if resolved else EventKind.POSTED, fact, by, now)
    record_override(session, "update", update_id, incident.id, post.overridden, by, now)
    audit(session, by, draft.kind.value, "incident", incident.id, now, update_id=update_id, reason=reason)
    forget_draft(session, incident.id, draft.kind, by)


@dataclass(frozen=True)
class Message:
    """A public message with its finished text."""

    kind: MessageKind
    stage: Stage
    body: str
    next_update_by: datetime | None
    fields: Mapping[str, str] | None = None
    """What was typed; None for what nobody typed."""
    is_automatic: bool = False
    tell_at: datetime | None = None
    """Until when subscribers are not told, so that it can be taken back; None: they are told at once."""


def write_message(
    session: Session,
    incident: Incident,
    update_id: str,
    message: Message,
    states: States,
    by: str | None,
    now: datetime,
) -> None:
    """Put a message into the incident, and what is to be told and published into the same transaction."""
    incident.stage = message.stage
    incident.next_update_by = message.next_update_by
    incident.last_posted_at = now
    incident.updated_at = now
    session.add(
        Update(
            id=update_id,
            incident_id=incident.id,
            sequence=len(incident.updates) + 1,
            kind=message.kind,
            stage=message.stage,
            body=message.body,
            body_html=prose.to_html(message.body),
            fields=dict(message.fields) if message.fields is not None else None,
            component_states=set_states(session, incident, states, now, message.tell_at),
            next_update_by=message.next_update_by,
            is_automatic=message.is_automatic,
            posted_at=now,
            created_at=now,
            author_id=by,
        )
    )
    session.flush()
    if incident.visibility is Visibility.PUBLIC:
        if message.kind is MessageKind.ACKNOWLEDGE:
            record_earlier_start(session, incident, now)
        elif message.kind is MessageKind.RESOLVE:
            record_earlier_end(session, incident, now)
        announce_to_subscribers(session, "incident_update", update_id, incident, now, message.tell_at)
        mark_changed(session, "incident", incident.id, now)


def set_states(
    session: Session, incident: Incident, states: States, now: datetime, tell_at: datetime | None = None
) -> list[dict[str, str]]:
    """Give components the states of this message; return what to keep with the update.

    Nobody is told of a change before ``tell_at``.
    """
    _affect(session, incident.id, states)
    session.refresh(incident, ["components"])
    rows = []
    for affected in incident.components:
        component = affected.component
        old, new = component.state, component.state
        if incident.visibility is Visibility.PUBLIC:
            new = worst_state([affected.state, *_states_from_open_incidents(session, component.id)])
        if old is not new:
            component.state, component.updated_at = new, now
            session.add(
                ComponentStateChange(component_id=component.id, state=new, changed_at=now, incident_id=incident.id)
            )
            announce_component_change(session, component.id, old, new, incident, now, tell_at)
        rows.append(
            {"component_id": component.id, "name": component.name, "old_state": old.value, "new_state": new.value}
        )
    return rows


def _states_from_open_incidents(session: Session, component_id: str) -> list[ComponentState]:
    """What the open public incidents say of a component: resolving one never hides another."""
    return list(
        session.scalars(
            select(IncidentComponent.state)
            .join(Incident)
            .where(
                IncidentComponent.component_id == component_id,
                Incident.visibility == Visibility.PUBLIC,
                Incident.last_posted_at.is_not(None),
                Incident.stage != Stage.RESOLVED,
            )
        )
    )


def _affect(session: Session, incident_id: str, states: States) -> None:
    known = set(session.scalars(select(Component.id).where(Component.id.in_(states), Component.archived_at.is_(None))))
    if states.keys() - known:
        raise RuleBroken({"components": "One of the components does not exist any more: please choose again."})
    for position, (component_id, state) in enumerate(states.items()):
        affected = session.get(IncidentComponent, (incident_id, component_id))
        if affected is None:
            session.add(
                IncidentComponent(
                    incident_id=incident_id,
                    component_id=component_id,
                    state=state,
                    worst_state=state,
                    position=position,
                )
            )
        else:
            affected.state = state
            affected.worst_state = worst_state([state, affected.worst_state])
    session.flush()


def assign(session: Session, incident_id: str, roles: Mapping[IncidentRole, str]) -> None:
    """Give roles in the incident to accounts, in an open transaction. Raises RuleBroken on ``role_…``."""
    for role, account_id in roles.items():
        account = session.get(Account, account_id)
        if account is None or account.disabled_at is not None:
            raise RuleBroken({f"role_{role.value}": "This person has no account here any more."})
        session.merge(RoleAssignment(incident_id=incident_id, role=role, account_id=account_id))
    session.flush()
