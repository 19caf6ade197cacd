"""Change the course of an incident: grade it anew, correct its declaration, re-open it, tell the team."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from statuspage.actions.incidents import assign, check_declared_at, claim_form, require_drill_goes_on, set_states, take
from statuspage.actions.ledger import audit, mark_changed, take_page
from statuspage.actions.promises import NOTHING_ELSE, Fact, record
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_to_channel
from statuspage.models import Channel, Document, Incident, InternalUpdate, RoleAssignment, new_id
from statuspage.rules.messages import check_paragraph
from statuspage.rules.vocabulary import (
    ChannelKind,
    Conflict,
    DocumentState,
    EventKind,
    IncidentRole,
    NotFound,
    RuleBroken,
    Severity,
    Stage,
)

REASON_LIMIT = 500
_TEAM_CHATS = select(Channel.id).where(
    Channel.removed_at.is_(None), Channel.account_id.is_(None), Channel.kind != ChannelKind.PAGER
)


def regrade(incident_id: str, severity: Severity, reason: str, version: int, by: str | None, now: datetime) -> None:
    """Give an incident another severity: what is owed follows it.

    Raises NotFound, RuleBroken without a reason, Conflict if it is closed or
    changed since the writer saw it.
    """
    checked = check_paragraph("reason", reason, REASON_LIMIT)
    with transaction(now) as session:
        take_page(session)
        incident = _take_unclosed(session, incident_id, version)
        if incident.severity is severity:
            raise RuleBroken({"severity": f"This incident is {severity.value} already."})
        was, incident.severity = incident.severity, severity
        _change(session, incident, EventKind.REGRADED, Fact(reason=checked), by, now)
        audit(session, by, "regrade", "incident", incident_id, now, was=was, severity=severity, reason=checked)


def correct_declaration(
    incident_id: str, declared_at: datetime, reason: str, version: int, by: str | None, now: datetime
) -> None:
    """Correct when customer impact was confirmed. Both times stay on record.

    Raises NotFound, RuleBroken without a reason or for a time that can't be,
    Conflict if it is closed or changed since the writer saw it.
    """
    checked = check_paragraph("reason", reason, REASON_LIMIT)
    moment = check_declared_at(declared_at, now)
    with transaction(now) as session:
        take_page(session)
        incident = _take_unclosed(session, incident_id, version)
        if incident.resolved_at is not None and moment > incident.resolved_at:
            raise RuleBroken({"declared_at": "This is after the incident was resolved."})
        was, incident.declared_at = incident.declared_at, moment
        if incident.last_posted_at is None:
            incident.started_at = min(incident.started_at, moment)
        _change(session, incident, EventKind.DECLARATION_CORRECTED, Fact(moment, reason=checked), by, now)
        detail = {"was": was.isoformat(), "declared_at": moment.isoformat(), "reason": checked}
        audit(session, by, "correct_declaration", "incident", incident_id, now, **detail)


def reopen(incident_id: str, reason: str, version: int, by: str | None, now: datetime) -> None:
    """Open a resolved incident again: customers are affected after all, or once more.

    Its components are as bad as they were at worst until an update says
    otherwise. Raises NotFound, RuleBroken without a reason, Conflict if it is
    open or changed since the writer saw it.
    """
    checked = check_paragraph("reason", reason, REASON_LIMIT)
    with transaction(now) as session:
        take_page(session)
        incident = take(session, incident_id, version)
        if incident.is_open:
            raise Conflict("This incident is open already.")
        incident.stage, incident.resolved_at, incident.closed_at = Stage.INVESTIGATING, None, None
        session.flush()
        listed = [each for each in incident.components if each.component.archived_at is None]
        set_states(session, incident, {each.component_id: each.worst_state for each in listed}, now)
        # What was approved told of an end that was none: it is written and reviewed anew.
        waiting = Document.state.in_((DocumentState.APPROVED, DocumentState.IN_REVIEW))
        session.execute(
            update(Document)
            .where(Document.incident_id == incident_id, waiting)
            .values(state=DocumentState.REJECTED, send_at=None, updated_at=now, version=Document.version + 1)
        )
        _change(session, incident, EventKind.REOPENED, Fact(reason=checked), by, now)
        audit(session, by, "reopen", "incident", incident_id, now, reason=checked)


def assign_roles(incident_id: str, roles: Mapping[IncidentRole, str], by: str | None, now: datetime) -> None:
    """Say who plays which part from now on; a role with an empty account is nobody's.

    Raises NotFound, RuleBroken on ``role_…`` for somebody without an account.
    """
    with transaction(now) as session:
        if session.get(Incident, incident_id) is None:
            raise NotFound("incident")
        gone = [role for role, account_id in roles.items() if not account_id]
        session.execute(
            delete(RoleAssignment).where(RoleAssignment.incident_id == incident_id, RoleAssignment.role.in_(gone))
        )
        assign(session, incident_id, {role: account_id for role, account_id in roles.items() if account_id})
        audit(session, by, "assign_roles", "incident", incident_id, now, roles=dict(roles))


def post_internal_update(incident_id: str, body: str, nonce: str, by: str | None, now: datetime) -> str:
    """Tell the team how things stand; nothing of it is public. Return the internal update's id.

    Raises NotFound, RuleBroken on ``body``, Conflict if the incident is resolved.
    """
    checked = check_paragraph("body", body)
    with transaction(now) as session:
        update_id = new_id()
        # First, as everybody who may touch promises does: two that wait for each other would be broken off.
        take_page(session)
        earlier = claim_form(session, nonce, update_id, repr((incident_id, checked)), by, now)
        if earlier is not None:
            return earlier
        incident = session.get(Incident, incident_id, with_for_update=True, populate_existing=True)
        if incident is None:
            raise NotFound("incident")
        if not incident.is_open:
            raise Conflict("This incident is resolved already.")
        require_drill_goes_on(session, incident)
        session.add(InternalUpdate(id=update_id, incident_id=incident_id, body=checked, posted_at=now, author_id=by))
        session.flush()
        for channel_id in session.scalars(_TEAM_CHATS):
            announce_to_channel(session, "internal_update", update_id, channel_id, {}, incident, now)
        record(session, incident, EventKind.INTERNAL_UPDATE_POSTED, NOTHING_ELSE, by, now)
        audit(session, by, "internal_update", "incident", incident_id, now, update_id=update_id)
        return update_id


def _take_unclosed(session: Session, incident_id: str, version: int) -> Incident:
    incident = take(session, incident_id, version)
    if incident.closed_at is not None:
        raise Conflict("This incident is closed: re-open it first.")
    return incident


def _change(session: Session, incident: Incident, kind: EventKind, fact: Fact, by: str | None, now: datetime) -> None:
    """Record the event; readers see what follows from it."""
    incident.updated_at = now
    record(session, incident, kind, fact, by, now)
    if incident.is_published:
        mark_changed(session, "incident", incident.id, now)
