"""Declare an incident, and see it."""

from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import incidents
from statuspage.actions.policies import policy_of
from statuspage.actions.replies import get_reply, saved_replies
from statuspage.actions.templates import usual_language
from statuspage.db import db
from statuspage.models import Account, Component, ComponentGroup, SavedReply
from statuspage.rules.languages import LANGUAGES
from statuspage.rules.messages import check_title
from statuspage.rules.times import parse_typed_instant
from statuspage.rules.vocabulary import (
    SEVERITY_MEANINGS,
    AccountRole,
    ComponentState,
    Conflict,
    IncidentRole,
    RuleBroken,
    Severity,
    Visibility,
    choose,
)
from statuspage.web import access
from statuspage.web.forms import STALE, StaleForm, form_token, posted_nonce, typed

blueprint = Blueprint("incidents", __name__, url_prefix="/console/incidents")


@blueprint.get("/new")
@access.needs(AccountRole.RESPONDER)
def new() -> ResponseReturnValue:
    """Show the form that starts the clock, filled in by a saved reply if one was chosen."""
    values = {"role_comms_lead": current_user.id, "language": usual_language(db.session())}
    chosen = request.args.get("reply", "")
    return _form(values | (opening_values(get_reply(chosen)) if chosen else {}), {})


def opening_values(reply: SavedReply) -> dict[str, str]:
    """Return what the form opens with: what the reply says, of the components those there still are."""
    present = set(db.session.scalars(select(Component.id).where(Component.archived_at.is_(None))))
    states = {f"state_{each}": state for each, state in reply.states.items() if each in present}
    about = {"title": reply.title, "severity": reply.severity.value, "language": reply.language}
    return about | states | {"reply": reply.id}


def declare_again() -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _form(typed(), {"": STALE}), 403


@blueprint.post("/new")
@access.needs(AccountRole.RESPONDER)
def declare() -> ResponseReturnValue:
    """Declare the incident; the next page asks for the first public message."""
    try:
        incident_id = incidents.declare(_declaration(), posted_nonce(), current_user.id, clock.now())
    except StaleForm:
        return declare_again()
    except Conflict as conflict:
        return _form(typed(), {"": str(conflict)}), 409
    except RuleBroken as broken:
        return _form(typed(), broken.errors), 422
    return redirect(url_for("messages.room", incident_id=incident_id), 303)


declare.keep_typed = declare_again  # type: ignore[attr-defined]


def posted_states() -> dict[str, ComponentState]:
    """Return the component states of the posted form; components left at "not affected" are not in it."""
    states = {}
    for name, value in request.form.items():
        if name.startswith("state_") and value:
            states[name.removeprefix("state_")] = choose(
                ComponentState, value, "components", "Please choose one of the three states."
            )
    return states


def grouped_components() -> list[tuple[str, list[Component]]]:
    """Return the page's components under their groups' names, in the page's order."""
    groups = db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position)).all()
    components = db.session.scalars(
        select(Component).where(Component.archived_at.is_(None)).order_by(Component.position)
    ).all()
    named = [(group.name, [each for each in components if each.group_id == group.id]) for group in groups]
    return [(name, each) for name, each in [*named, ("", [c for c in components if c.group_id is None])] if each]


def _declaration() -> incidents.Declaration:
    """Check the whole form at once, so that every mistake is told at once."""
    errors: dict[str, str] = {}
    severity, states = Severity.SEV1, {}
    title = request.form.get("title", "")
    try:
        check_title(title)
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        severity = choose(Severity, request.form.get("severity", ""), "severity", "Please choose a severity.")
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        states = posted_states()
    except RuleBroken as broken:
        errors |= broken.errors
    if not states:
        errors.setdefault("components", "Please choose at least one affected component and its state.")
    declared_at = _declared_at(request.form.get("declared_at", ""), errors)
    language, reply_id = request.form.get("language", ""), request.form.get("reply", "")
    if language and language not in LANGUAGES:
        errors["language"] = "Please choose one of the languages."
    if errors:
        raise RuleBroken(errors)
    visibility = Visibility.INTERNAL if request.form.get("visibility") == "internal" else Visibility.PUBLIC
    return incidents.Declaration(title, severity, states, posted_roles(), visibility, declared_at, language, reply_id)


def people_options() -> list[tuple[str, str]]:
    """Return id and name of everybody who may hold a role in an incident."""
    people = db.session.scalars(
        select(Account).where(Account.disabled_at.is_(None), Account.role != AccountRole.VIEWER).order_by(Account.name)
    )
    return [(person.id, person.name) for person in people]


def posted_roles() -> dict[IncidentRole, str]:
    """Return who was chosen for which role."""
    chosen = {role: request.form.get(f"role_{role.value}", "") for role in IncidentRole}
    return {role: holder for role, holder in chosen.items() if holder}


def _declared_at(text: str, errors: dict[str, str]) -> datetime | None:
    """Return when impact was confirmed, None for now; put a sentence into ``errors`` for what is no time."""
    if not text.strip():
        return None
    moment = parse_typed_instant(text)
    if moment is None:
        errors["declared_at"] = "Please give a date and time in UTC, like 2026-11-21 13:55."
    return moment


def _form(values: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "console/declare.html",
        typed=values,
        errors=errors,
        form_token=form_token(),
        severities=[(severity, SEVERITY_MEANINGS[severity], policy_of(severity)) for severity in Severity],
        groups=grouped_components(),
        replies=saved_replies(),
        languages=LANGUAGES,
        roles=list(IncidentRole),
        people_options=people_options(),
    )
