"""Drills: start one, follow it, end it, read the score sheet."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import drills
from statuspage.db import db
from statuspage.models import Drill, Incident
from statuspage.rules.drills import SCENARIOS, Scenario, ToldInject, injects_until, next_inject_at
from statuspage.rules.vocabulary import (
    PAGE_STATE_WORDS,
    AccountRole,
    Conflict,
    IncidentRole,
    NotFound,
    RuleBroken,
    worst_state,
)
from statuspage.site import page
from statuspage.web import access
from statuspage.web.confirm import Question, ask
from statuspage.web.console.incidents import grouped_components, people_options, posted_roles
from statuspage.web.forms import typed

blueprint = Blueprint("drills", __name__, url_prefix="/console/drills")


@dataclass(frozen=True)
class Play:
    """A drill and what its players have been told."""

    drill: Drill
    scenario: Scenario | None
    """None if this version knows it no more."""
    told: list[ToldInject]
    """Newest first."""
    more_at: datetime | None
    """When they are told the next thing; None once everything is told or the drill has ended."""


def play_of(incident_id: str, now: datetime) -> Play | None:
    """Return how far a drill has come; None if the incident is no drill."""
    drill = db.session.get(Drill, incident_id, populate_existing=True)
    if drill is None:
        return None
    scenario = SCENARIOS.get(drill.scenario)
    if scenario is None:
        return Play(drill, None, [], None)
    # Not the declaration's time: to correct that one is part of what can be practised.
    began_at, until = drill.incident.created_at, drill.ended_at or now
    more_at = None if drill.ended_at else next_inject_at(scenario, began_at, until)
    return Play(drill, scenario, injects_until(scenario, began_at, until), more_at)


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def index() -> ResponseReturnValue:
    """List the drills and the form that starts one."""
    return _list({"role_comms_lead": current_user.id}, {})


@blueprint.post("/")
@access.needs(AccountRole.RESPONDER)
def start() -> ResponseReturnValue:
    """Start a drill; the next page tells its players the first thing."""
    # Nothing chosen is everything: most drills are about the whole product.
    component_ids = request.form.getlist("component") or None
    try:
        incident_id = drills.start_drill(
            request.form.get("scenario", ""), component_ids, posted_roles(), current_user.id, clock.now()
        )
    except RuleBroken as broken:
        return _list(typed(), broken.errors), 422
    except Conflict as conflict:
        return _list(typed(), {"": str(conflict)}), 409
    return redirect(url_for("drills.show", incident_id=incident_id), 303)


@blueprint.get("/<incident_id>")
@access.needs(AccountRole.VIEWER)
def show(incident_id: str) -> ResponseReturnValue:
    """Show what readers would see, what the players were told, and at the end the score sheet."""
    return _show(incident_id, "")


@blueprint.get("/<incident_id>/end")
@access.needs(AccountRole.RESPONDER)
def ask_to_end(incident_id: str) -> ResponseReturnValue:
    """Ask whether a drill is to end."""
    drill = db.session.get(Drill, incident_id, populate_existing=True)
    if drill is None or drill.ended_at is not None:
        raise NotFound("drill")
    question = Question(
        question="End this drill?",
        consequences=(
            "Nothing more can be posted in it, and the score sheet is final.",
            "A message that is still owed counts as it stands now. This can’t be undone; the same drill can be played again.",
        ),
        button="End the drill",
        back=url_for("drills.show", incident_id=incident_id),
        back_label="The drill",
        no="Go on playing",
    )
    return ask(question)


@blueprint.post("/<incident_id>/end")
@access.needs(AccountRole.RESPONDER)
def end(incident_id: str) -> ResponseReturnValue:
    """End the drill; the same page then shows the score sheet."""
    try:
        drills.end_drill(incident_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _show(incident_id, str(conflict)), 409
    return redirect(url_for("drills.show", incident_id=incident_id), 303)


def _show(incident_id: str, sentence: str) -> str:
    now = clock.now()
    sheet = drills.score_sheet(incident_id, now)
    play = play_of(incident_id, now)
    entry = page.load_drill(incident_id)
    affected = [each.state for each in entry.components] if entry and entry.is_open else []
    return render_template(
        "console/drill.html",
        play=play,
        sheet=sheet,
        entry=entry,
        page_words=PAGE_STATE_WORDS[worst_state(affected)],
        page_state=worst_state(affected),
        errors={"": sentence} if sentence else {},
        may_end=current_user.role.allows(AccountRole.RESPONDER),
        paused="paused" in request.args,
        now=now,
    )


def _list(values: dict[str, str], errors: dict[str, str]) -> str:
    newest_first = select(Drill).join(Incident).order_by(Incident.created_at.desc())
    return render_template(
        "console/drills.html",
        drills=db.session.scalars(newest_first).all(),
        scenarios=SCENARIOS,
        typed=values,
        errors=errors,
        groups=grouped_components(),
        chosen=request.form.getlist("component"),
        roles=list(IncidentRole),
        people_options=people_options(),
        may_start=current_user.role.allows(AccountRole.RESPONDER),
    )
