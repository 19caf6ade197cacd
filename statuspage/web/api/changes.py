"""What a body asks to be done with an incident, checked whole before anything is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from statuspage.actions import incidents, policies
from statuspage.actions.corrections import REASON_LIMIT
from statuspage.db import db
from statuspage.models import Account, Component, Incident, IncidentComponent
from statuspage.rules.messages import Draft, check_instants, check_paragraph, check_title
from statuspage.rules.promises import check_next_update
from statuspage.rules.vocabulary import (
    IMPACT_OF,
    OPEN_STAGES,
    ComponentState,
    Conflict,
    Impact,
    IncidentRole,
    MessageKind,
    Severity,
    Stage,
    Visibility,
)
from statuspage.web.api.bodies import Fields
from statuspage.web.api.pages import inward_state
from statuspage.web.api.shapes import INWARD_IMPACTS

# As Statuspage has it.
BODY_LIMIT = 25_000
# What is posted where a program changes the stage and has nothing to say.
WORDINGS = {
    Stage.INVESTIGATING: "We are looking into this.",
    Stage.IDENTIFIED: "We have found the cause and are working on a remedy.",
    Stage.MONITORING: "A remedy is in place and we are watching that it holds.",
    Stage.RESOLVED: "This is resolved.",
}
_MESSAGE_FIRST = "This goes out with a message: please give a body as well."
_NEVER_TAKEN = {
    "scheduled_for": "An incident can't become maintenance: please plan that with a POST of its own.",
    "scheduled_until": "An incident can't become maintenance: please plan that with a POST of its own.",
    "backfill_date": "The past comes in with `statuspage import`.",
}


@dataclass(frozen=True)
class NewIncident:
    """An incident to be declared, and what the public is told of it at once."""

    declaration: incidents.Declaration
    first: incidents.Post | None


@dataclass(frozen=True)
class Changes:
    """What becomes of an incident, in the order it is done; None and empty stay as they are."""

    version: int | None
    reason: str
    reopen: bool
    declared_at: datetime | None
    severity: Severity | None
    roles: Mapping[IncidentRole, str]
    """Role to the id of an account; empty for nobody."""
    internal_update: str
    post: incidents.Post | None


def parse_new(fields: Fields, now: datetime) -> NewIncident:
    """Return what is to be declared. Raises RuleBroken with a sentence for everything that is wrong."""
    title = fields.text("name")
    with fields.noting():
        title = check_title(title)
    severity = fields.choice("severity", Severity) or Severity.SEV3
    visibility = fields.choice("visibility", Visibility) or Visibility.PUBLIC
    states = _states(fields, {})
    if not states:
        fields.refuse("components", "Please name at least one affected component and its state.")
    declared_at = fields.instant("declared_at")
    with fields.noting():
        incidents.check_declared_at(declared_at or now, now)
    roles = _roles(fields)
    _refuse_what_is_never_taken(fields)
    stage = _stage(fields)
    if stage is Stage.RESOLVED:
        fields.refuse("status", "An incident begins open: please resolve it with a PATCH.")
    body = _body(fields)
    first = None
    if body:
        values = {"stage": (stage or Stage.INVESTIGATING).value, "impact": _impact(fields, severity).value}
        first = _post(fields, MessageKind.ACKNOWLEDGE, values, body, {}, severity, now)
    else:
        if stage not in (None, Stage.INVESTIGATING):
            fields.refuse("status", _MESSAGE_FIRST)
        _refuse_without_message(fields, "next_update_by")
    fields.done()
    given = {role: holder for role, holder in roles.items() if holder}
    return NewIncident(
        incidents.Declaration(title, severity, states, given, visibility, declared_at),
        first,
    )


def says_something(fields: Fields) -> bool:
    """Tell whether a body asks for a message: a status does, with or without a text."""
    return any(fields.has(name) for name in ("status", "body", "message"))


def parse_changes(fields: Fields, incident: Incident, now: datetime) -> Changes:
    """Return what is to be changed.

    Raises RuleBroken with a sentence for everything that is wrong, Conflict
    for what can't be done with the incident as it is.
    """
    version = fields.number("version")
    _refuse_what_stays(fields, incident)
    _refuse_what_is_never_taken(fields)
    reopen = fields.flag("reopen") or False
    declared_at, severity = _declared_at(fields, incident, now), fields.choice("severity", Severity)
    if severity is incident.severity:
        severity = None
    reason = _reason(fields, needed=reopen or declared_at is not None or severity is not None)
    roles = _roles(fields)
    internal_update = fields.text("internal_update")
    if fields.has("internal_update"):
        with fields.noting():
            internal_update = check_paragraph("internal_update", internal_update)
    post = _message(fields, incident, severity or incident.severity or Severity.SEV4, now)
    fields.done()
    wanted = Changes(version, reason, reopen, declared_at, severity, roles, internal_update, post)
    _check_possible(wanted, incident)
    return wanted


def _check_possible(wanted: Changes, incident: Incident) -> None:
    """Refuse, before the first step, what a later one would refuse."""
    if wanted.version is not None and wanted.version != incident.version:
        raise Conflict(
            f"This incident has version {incident.version} by now, not {wanted.version}: please read it again."
        )
    if wanted.reopen and incident.is_open:
        raise Conflict("This incident is open already.")
    if incident.closed_at is not None and not wanted.reopen and (wanted.severity or wanted.declared_at):
        raise Conflict("This incident is closed: please re-open it first.")
    if (wanted.post or wanted.internal_update) and not (incident.is_open or wanted.reopen):
        raise Conflict("This incident is resolved already: to go on with it, re-open it.")
    resolves = wanted.post is not None and wanted.post.draft.kind is MessageKind.RESOLVE
    if resolves and incident.last_posted_at is None:
        raise Conflict("Nothing is public yet: please post a first message before you resolve it.")


def _refuse_what_stays(fields: Fields, incident: Incident) -> None:
    name, visibility = fields.text("name").strip(), fields.choice("visibility", Visibility)
    if name not in ("", incident.title):
        fields.refuse("name", "An incident keeps the name it was declared under.")
    if visibility not in (None, incident.visibility):
        fields.refuse("visibility", "An incident keeps the visibility it was declared with.")


def _refuse_what_is_never_taken(fields: Fields) -> None:
    for name, sentence in _NEVER_TAKEN.items():
        if fields.has(name):
            fields.refuse(name, sentence)
    if fields.flag("backfilled"):
        fields.refuse("backfilled", _NEVER_TAKEN["backfill_date"])
    if fields.flag("deliver_notifications") is False:
        fields.refuse("deliver_notifications", "Every public message is sent to the subscribers.")


def _declared_at(fields: Fields, incident: Incident, now: datetime) -> datetime | None:
    """The corrected moment; None where it is the present one, to the millisecond that is given out."""
    declared_at = fields.instant("declared_at")
    if declared_at is None or _to_milliseconds(declared_at) == _to_milliseconds(incident.declared_at):
        return None
    with fields.noting():
        incidents.check_declared_at(declared_at, now)
    if incident.resolved_at is not None and declared_at > incident.resolved_at and not fields.flag("reopen"):
        fields.refuse("declared_at", "This is after the incident was resolved.")
    return declared_at


def _to_milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _reason(fields: Fields, *, needed: bool) -> str:
    reason = fields.text("reason")
    if needed:
        with fields.noting():
            return check_paragraph("reason", reason, REASON_LIMIT)
    return reason


def _message(fields: Fields, incident: Incident, severity: Severity, now: datetime) -> incidents.Post | None:
    """The one message that a status, a body or both ask for."""
    if not says_something(fields):
        for name in ("components", "component_ids", "next_update_by", "impact_override", "resolved_at"):
            _refuse_without_message(fields, name)
        return None
    stage = _stage(fields) or (incident.stage if incident.is_open else Stage.INVESTIGATING)
    body = _body(fields) or WORDINGS[stage]
    resolves = stage is Stage.RESOLVED
    present = {each.component_id: _kept_state(each, fields, resolves=resolves) for each in incident.components}
    states = _states(fields, present)
    if fields.has("resolved_at") and not resolves:
        fields.refuse("resolved_at", "This goes with the status resolved.")
    if fields.has("impact_override") and incident.last_posted_at is not None:
        fields.refuse("impact_override", "The impact is said in the first message.")
    if resolves:
        return _resolution(fields, incident, body, states, now)
    if incident.last_posted_at is None:
        values = {"stage": stage.value, "impact": _impact(fields, severity).value}
        return _post(fields, MessageKind.ACKNOWLEDGE, values, body, states, severity, now)
    return _post(fields, MessageKind.UPDATE, {"stage": stage.value}, body, states, severity, now)


def _kept_state(affected: IncidentComponent, fields: Fields, *, resolves: bool) -> ComponentState:
    """What a component has that is named without a state: the one it will have when the message is posted."""
    if resolves:
        return ComponentState.OPERATIONAL
    return affected.worst_state if fields.flag("reopen") else affected.state


def _resolution(
    fields: Fields, incident: Incident, body: str, states: incidents.States, now: datetime
) -> incidents.Post:
    """The last message: what it does not name is operational again."""
    if fields.has("next_update_by"):
        fields.refuse("next_update_by", "After the last message no next one is promised.")
    resolved_at = fields.instant("resolved_at")
    for name, sentence in check_instants({"resolved_at": resolved_at}, now).items():
        fields.refuse(name, sentence)
    if resolved_at is not None and resolved_at < incident.started_at:
        fields.refuse("resolved_at", "This is before the incident started.")
    listed = [each.component for each in incident.components if each.component.archived_at is None]
    healed = dict.fromkeys([each.id for each in listed], ComponentState.OPERATIONAL)
    draft = Draft(MessageKind.RESOLVE, {"resolved_at": resolved_at})
    return incidents.Post(draft, healed | dict(states), version=0, body=body)


def _post(
    fields: Fields,
    kind: MessageKind,
    values: Mapping[str, str],
    body: str,
    states: incidents.States,
    severity: Severity,
    now: datetime,
) -> incidents.Post:
    """A message with its finished text; its version is put in when it is posted."""
    next_update_by = fields.instant("next_update_by")
    for name, sentence in check_instants({"next_update_by": next_update_by}, now).items():
        fields.refuse(name, sentence)
    reason = fields.text("next_update_reason")
    with fields.noting():
        check_next_update(policies.policy_of(severity), next_update_by, reason, now)
    draft = Draft(kind, {**values, "next_update_by": next_update_by})
    return incidents.Post(draft, states, version=0, reason=reason, body=body)


def _refuse_without_message(fields: Fields, name: str) -> None:
    if fields.has(name):
        fields.refuse(name, _MESSAGE_FIRST)


def _stage(fields: Fields) -> Stage | None:
    word = fields.text("status")
    if not word:
        return None
    if word in (*OPEN_STAGES, Stage.RESOLVED):
        return Stage(word)
    fields.refuse("status", f"An incident is one of {', '.join(Stage)}.")
    return None


def _body(fields: Fields) -> str:
    # Statuspage's older name for it.
    name = "message" if fields.has("message") and not fields.has("body") else "body"
    if not fields.has(name):
        return ""
    with fields.noting():
        return check_paragraph(name, fields.text(name), BODY_LIMIT)
    return ""


def _impact(fields: Fields, severity: Severity) -> Impact:
    word = fields.text("impact_override")
    if word and word not in INWARD_IMPACTS:
        fields.refuse("impact_override", f"Please give one of {', '.join(INWARD_IMPACTS)}.")
    return INWARD_IMPACTS.get(word, IMPACT_OF[severity])


def _states(fields: Fields, present: incidents.States) -> dict[str, ComponentState]:
    """The states given; a component that is named only keeps the one it has in the incident, or is degraded.

    A group stands for its components.
    """
    rows = db.session.execute(select(Component.id, Component.group_id).where(Component.archived_at.is_(None)))
    members = [(row.id, row.group_id) for row in rows]
    given: dict[str, Any] = dict.fromkeys(fields.texts("component_ids")) | fields.mapping("components")
    states = {}
    for name, word in given.items():
        named = [component_id for component_id, group_id in members if name in (component_id, group_id)]
        if not named:
            fields.refuse("components", f"There is no component {name[:40]}.")
        for component_id in named:
            if word is None:
                states[component_id] = present.get(component_id, ComponentState.DEGRADED)
                continue
            with fields.noting():
                states[component_id] = inward_state(word, "components")
    return states


def _roles(fields: Fields) -> dict[IncidentRole, str]:
    """Role to account id; empty for a role that is to be nobody's."""
    roles = {}
    for name, email in fields.mapping("roles").items():
        if name not in set(IncidentRole):
            fields.refuse("roles", f"A role is one of {', '.join(IncidentRole)}.")
            continue
        holder = "" if email is None or email == "" else account_id(email)
        if holder is None:
            fields.refuse(f"roles.{name}", f"Nobody has an account with the address {str(email)[:254]}.")
            continue
        roles[IncidentRole(name)] = holder
    return roles


def account_id(email: object) -> str | None:
    """Return the id of the account with an address; None if nobody has it."""
    if not isinstance(email, str):
        return None
    return db.session.scalar(
        select(Account.id).where(Account.email == email.strip().lower(), Account.disabled_at.is_(None))
    )
