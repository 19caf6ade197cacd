"""The course of an incident, beside its public messages: severity, declaration, roles, the team, "I'm on it"."""

from collections.abc import Callable, Mapping
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import corrections, escalation, incidents
from statuspage.actions.policies import policy_of
from statuspage.db import db
from statuspage.models import Account, Incident, Promise
from statuspage.rules.escalation import SNOOZES
from statuspage.rules.policy import NEXT_TIME, UNOWED_NEXT_UPDATE
from statuspage.rules.times import parse_typed_instant, span_in_words, typed_instant
from statuspage.rules.vocabulary import (
    SEVERITY_MEANINGS,
    AccountRole,
    Conflict,
    IncidentRole,
    NotFound,
    RuleBroken,
    Severity,
    choose,
)
from statuspage.web import access
from statuspage.web.console.messages import get_incident
from statuspage.web.forms import STALE, StaleForm, form_token, posted_nonce, posted_version, typed
from statuspage.web.nudges import posted_span
from statuspage.web.publishing import publish_at_once

blueprint = Blueprint("course", __name__, url_prefix="/console/incidents")

_STEPS = "severity, declaration, reopen, roles, 'internal-update', 'holding-update'"


@blueprint.get(f"/<incident_id>/<any({_STEPS}):step>")
@access.needs(AccountRole.RESPONDER)
def form(incident_id: str, step: str) -> ResponseReturnValue:
    """Show the form of one step."""
    incident = get_incident(incident_id)
    return _page(incident, step, _opening_values(incident, step), {})


def post_again(incident_id: str, step: str) -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _page(get_incident(incident_id), step, typed(), {"": STALE}), 403


@blueprint.post(f"/<incident_id>/<any({_STEPS}):step>")
@access.needs(AccountRole.RESPONDER)
def post(incident_id: str, step: str) -> ResponseReturnValue:
    """Take one step; the room shows what came of it."""
    incident, now = get_incident(incident_id), clock.now()
    try:
        _ACTIONS[step](incident_id, now)
    except StaleForm:
        return post_again(incident_id, step)
    except RuleBroken as broken:
        return _page(incident, step, typed(), broken.errors), 422
    except Conflict as conflict:
        return _page(get_incident(incident_id), step, typed(), {"": str(conflict)}), 409
    publish_at_once(now)
    return redirect(url_for("messages.room", incident_id=incident_id, done=step), 303)


post.keep_typed = post_again  # type: ignore[attr-defined]


@blueprint.get("/<incident_id>/promises/<promise_id>/on-it")
@access.needs(AccountRole.RESPONDER)
def ask_on_it(incident_id: str, promise_id: str) -> ResponseReturnValue:
    """Show for how long the next nudge may be held back."""
    return _on_it_page(_promise(incident_id, promise_id), "")


@blueprint.post("/<incident_id>/promises/<promise_id>/on-it")
@access.needs(AccountRole.RESPONDER)
def on_it(incident_id: str, promise_id: str) -> ResponseReturnValue:
    """Take note that somebody is on it."""
    promise = _promise(incident_id, promise_id)
    try:
        escalation.snooze(promise.id, posted_span(), current_user.id, clock.now())
    except (Conflict, RuleBroken) as refused:
        sentence = str(refused) if isinstance(refused, Conflict) else " ".join(refused.errors.values())
        return _on_it_page(promise, sentence), 409 if isinstance(refused, Conflict) else 422
    return redirect(url_for("messages.room", incident_id=incident_id, done="on-it"), 303)


def _regrade(incident_id: str, now: datetime) -> None:
    severity = choose(Severity, request.form.get("severity", ""), "severity", "Please choose a severity.")
    corrections.regrade(incident_id, severity, request.form.get("reason", ""), posted_version(), current_user.id, now)


def _correct_declaration(incident_id: str, now: datetime) -> None:
    moment = parse_typed_instant(request.form.get("declared_at", ""))
    if moment is None:
        raise RuleBroken({"declared_at": "Please give a date and time in UTC, like 2026-11-21 13:55."})
    reason = request.form.get("reason", "")
    corrections.correct_declaration(incident_id, moment, reason, posted_version(), current_user.id, now)


def _reopen(incident_id: str, now: datetime) -> None:
    _require_comms()
    corrections.reopen(incident_id, request.form.get("reason", ""), posted_version(), current_user.id, now)


def _assign_roles(incident_id: str, now: datetime) -> None:
    roles = {role: request.form.get(f"role_{role.value}", "") for role in IncidentRole}
    corrections.assign_roles(incident_id, roles, current_user.id, now)


def _post_internal_update(incident_id: str, now: datetime) -> None:
    body = request.form.get("body", "")
    corrections.post_internal_update(incident_id, body, posted_nonce(), current_user.id, now)


def _post_holding_update(incident_id: str, now: datetime) -> None:
    _require_comms()
    incidents.post_holding_update(incident_id, posted_nonce(), current_user.id, now)


_ACTIONS: Mapping[str, Callable[[str, datetime], None]] = {
    "severity": _regrade,
    "declaration": _correct_declaration,
    "reopen": _reopen,
    "roles": _assign_roles,
    "internal-update": _post_internal_update,
    "holding-update": _post_holding_update,
}


def _require_comms() -> None:
    """What customers see needs the role that speaks to them."""
    if not current_user.role.allows(AccountRole.COMMS):
        raise RuleBroken({"": "This changes what customers see: it needs the role Comms."})


def _opening_values(incident: Incident, step: str) -> dict[str, str]:
    if step == "severity":
        return {"severity": incident.severity.value if incident.severity else ""}
    if step == "declaration":
        return {"declared_at": typed_instant(incident.declared_at)}
    if step == "roles":
        return {f"role_{each.role.value}": each.account_id for each in incident.roles}
    return {}


def _page(incident: Incident, step: str, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    people = db.session.scalars(
        select(Account).where(Account.disabled_at.is_(None), Account.role != AccountRole.VIEWER).order_by(Account.name)
    ).all()
    policy = policy_of(incident.severity or Severity.SEV4)
    after = policy.next_update or UNOWED_NEXT_UPDATE
    policies = [(severity, SEVERITY_MEANINGS[severity], policy_of(severity)) for severity in Severity]
    return render_template(
        "console/course.html",
        incident=incident,
        step=step,
        typed=values,
        errors=errors,
        form_token=form_token(),
        policies=policies,
        roles=list(IncidentRole),
        people_options=[(person.id, person.name) for person in people],
        holding_text=policy.holding_update.text.replace(NEXT_TIME, f"({span_in_words(after)} after you post this)"),
    )


def _on_it_page(promise: Promise, sentence: str) -> str:
    snoozes = [int(span.total_seconds() // 60) for span in SNOOZES]
    return render_template("console/on_it.html", promise=promise, sentence=sentence, snoozes=snoozes, now=clock.now())


def _promise(incident_id: str, promise_id: str) -> Promise:
    promise = db.session.get(Promise, promise_id)
    if promise is None or promise.incident_id != incident_id:
        raise NotFound("promise")
    return promise
