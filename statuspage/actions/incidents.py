"""Declare an incident, tell the public about it, resolve it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.ledger import audit, mark_changed, take_page
from statuspage.actions.templates import template_for
from statuspage.db import insert_once, transaction
from statuspage.delivery.outbox import announce_to_subscribers
from statuspage.models import (
    Account,
    Component,
    ComponentStateChange,
    Drill,
    FormSubmission,
    Incident,
    IncidentComponent,
    RoleAssignment,
    Update,
    new_id,
)
from statuspage.rules.messages import Draft, check_title, render
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    Impact,
    IncidentRole,
    NotFound,
    RuleBroken,
    Severity,
    Stage,
    Visibility,
    worst_state,
)

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


@dataclass(frozen=True)
class Post:
    """A public message as it comes from a form."""

    draft: Draft
    states: States
    version: int
    """The incident's version that the writer saw."""


def declare(declaration: Declaration, nonce: str, by: str, now: datetime) -> str:
    """Record that customers are affected; the clock starts. Return the incident's id.

    Nothing is public until the first message is posted. The same nonce again
    returns the incident that it made the first time.

    Raises RuleBroken for a bad title, an unknown component or account.
    """
    with transaction(now) as session:
        incident_id = new_id()
        earlier = _claim_form(session, nonce, incident_id, repr(declaration), by, now)
        if earlier is not None:
            return earlier
        record_declaration(session, incident_id, declaration, by, now)
        return incident_id


def record_declaration(
    session: Session, incident_id: str, declaration: Declaration, by: str | None, now: datetime
) -> None:
    """Write a declared incident into the transaction of the action that declares it.

    Raises RuleBroken for a bad title, no or an unknown component, an unknown account.
    """
    title = check_title(declaration.title)
    if not declaration.states:
        raise RuleBroken({"components": "Please choose at least one affected component and its state."})
    session.add(
        Incident(
            id=incident_id,
            title=title,
            severity=declaration.severity,
            visibility=declaration.visibility,
            stage=Stage.INVESTIGATING,
            started_at=now,
            declared_at=now,
            declared_by_id=by,
            created_at=now,
            updated_at=now,
        )
    )
    session.flush()
    _affect(session, incident_id, declaration.states)
    _assign(session, incident_id, declaration.roles)
    audit(session, by, "declare", "incident", incident_id, now, title=title, severity=declaration.severity)


def acknowledge(incident_id: str, post: Post, nonce: str, by: str, now: datetime) -> str:
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


def post_update(incident_id: str, post: Post, nonce: str, by: str, now: datetime) -> str:
    """Post a further public message. Return the update's id.

    Raises NotFound, Conflict if nothing was acknowledged yet, the incident is
    resolved or changed since the writer saw it, RuleBroken for bad input.
    """
    return _post_once(incident_id, post, _require_acknowledged, nonce, by, now)


def resolve(incident_id: str, post: Post, nonce: str, by: str, now: datetime) -> str:
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


def _post_once(
    incident_id: str, post: Post, prepare: Callable[[Incident], None], nonce: str, by: str, now: datetime
) -> str:
    """Post a message in one transaction; the same nonce again returns the first one's id."""
    with transaction(now) as session:
        update_id = new_id()
        take_page(session)
        earlier = _claim_form(session, nonce, update_id, repr((incident_id, post.draft, dict(post.states))), by, now)
        if earlier is not None:
            return earlier
        incident = _take(session, incident_id, post.version)
        if not incident.is_open:
            raise Conflict("This incident is resolved already.")
        _require_drill_goes_on(session, incident)
        prepare(incident)
        _post(session, incident, update_id, post, by, now)
        return update_id


def _claim_form(session: Session, nonce: str, result_id: str, content: str, by: str, now: datetime) -> str | None:
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


def _take(session: Session, incident_id: str, version: int) -> Incident:
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
    return incident


def _require_acknowledged(incident: Incident) -> None:
    if incident.last_posted_at is None:
        raise Conflict("Nothing is public yet: please post the acknowledge message first.")


def _require_drill_goes_on(session: Session, incident: Incident) -> None:
    if incident.visibility is Visibility.DRILL:
        drill = session.get(Drill, incident.id, populate_existing=True)
        if drill is not None and drill.ended_at is not None:
            raise Conflict("This drill has ended: its score sheet stays as it is.")


def _post(session: Session, incident: Incident, update_id: str, post: Post, by: str, now: datetime) -> None:
    """Write the message and everything that commits with it."""
    draft = post.draft
    body = render(template_for(draft.kind, session), draft, incident.started_at)
    incident.stage = draft.stage
    incident.next_update_by = draft.instant("next_update_by")
    incident.last_posted_at = now
    incident.updated_at = now
    session.add(
        Update(
            id=update_id,
            incident_id=incident.id,
            sequence=len(incident.updates) + 1,
            kind=draft.kind,
            stage=draft.stage,
            body=body,
            body_html=prose.to_html(body),
            fields={name: str(value or "") for name, value in draft.values.items()},
            component_states=_set_states(session, incident, post.states, now),
            next_update_by=incident.next_update_by,
            posted_at=now,
            created_at=now,
            author_id=by,
        )
    )
    session.flush()
    if incident.visibility is Visibility.PUBLIC:
        announce_to_subscribers(session, "incident_update", update_id, incident, now)
        mark_changed(session, "incident", incident.id, now)
    audit(session, by, draft.kind.value, "incident", incident.id, now, update_id=update_id)


def _set_states(session: Session, incident: Incident, states: States, now: datetime) -> list[dict[str, str]]:
    """Give components the states of this message; return what to keep with the update."""
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


def _assign(session: Session, incident_id: str, roles: Mapping[IncidentRole, str]) -> None:
    for role, account_id in roles.items():
        account = session.get(Account, account_id)
        if account is None or account.disabled_at is not None:
            raise RuleBroken({f"role_{role.value}": "This person has no account here any more."})
        session.add(RoleAssignment(incident_id=incident_id, role=role, account_id=account_id))
