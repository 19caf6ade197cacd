"""Start a drill, end it, see how it went."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select, update

from statuspage.actions.incidents import Declaration, record_declaration
from statuspage.actions.ledger import audit, take_page
from statuspage.actions.promises import NOTHING_ELSE, record
from statuspage.actions.wording import own_words
from statuspage.db import db, transaction
from statuspage.models import Component, Drill, Incident, Promise, Update, new_id
from statuspage.rules.drills import SCENARIOS, PromiseResult, ScoreSheet, score
from statuspage.rules.vocabulary import Conflict, EventKind, IncidentRole, NotFound, RuleBroken, Visibility


def start_drill(
    scenario_name: str,
    component_ids: Collection[str] | None,
    roles: Mapping[IncidentRole, str],
    by: str | None,
    now: datetime,
) -> str:
    """Declare a practice incident on these components, None for all; the clock starts. Return its incident's id.

    Raises RuleBroken for an unknown scenario, component or account, Conflict
    while the same scenario is being played.
    """
    scenario = SCENARIOS.get(scenario_name)
    if scenario is None:
        raise RuleBroken({"scenario": "Please choose a scenario."})
    with transaction(now) as session:
        # One after the other, so that a double click does not start it twice.
        take_page(session)
        playing = select(Drill.incident_id).where(Drill.scenario == scenario.name, Drill.ended_at.is_(None))
        if session.scalar(playing) is not None:
            raise Conflict("This scenario is being played already: please end that drill first.")
        if component_ids is None:
            query = select(Component.id).where(Component.archived_at.is_(None)).order_by(Component.position)
            component_ids = session.scalars(query).all()
            if not component_ids:
                raise RuleBroken({"components": "A drill needs at least one component: please add one first."})
        states = dict.fromkeys(component_ids, scenario.state)
        incident_id = new_id()
        declaration = Declaration(
            f"DRILL: {scenario.title}", scenario.severity, states, roles, visibility=Visibility.DRILL
        )
        record_declaration(session, incident_id, declaration, by, now)
        session.add(Drill(incident_id=incident_id, scenario=scenario.name))
        return incident_id


def end_drill(incident_id: str, by: str | None, now: datetime) -> None:
    """End a drill, resolved or not: nothing more can be posted, the score sheet is final.

    Raises NotFound, Conflict if it has ended already.
    """
    with transaction(now) as session:
        # A message that is being posted meanwhile is either counted or refused.
        take_page(session)
        ended = session.execute(
            update(Drill).where(Drill.incident_id == incident_id, Drill.ended_at.is_(None)).values(ended_at=now)
        )
        if ended.rowcount != 1:  # type: ignore[attr-defined]
            if session.get(Drill, incident_id) is None:
                raise NotFound(f"There is no drill with the id {incident_id}.")
            raise Conflict("This drill has ended already.")
        incident = session.get_one(Incident, incident_id, populate_existing=True)
        # What is overdue by now was missed; nobody is reminded of the rest any more.
        record(session, incident, EventKind.CLOSED, NOTHING_ELSE, by, now)
        audit(session, by, "end_drill", "incident", incident_id, now)


def score_sheet(incident_id: str, now: datetime) -> ScoreSheet:
    """Return how a drill went, or how it goes so far. Raises NotFound."""
    drill = db.session.get(Drill, incident_id, populate_existing=True)
    if drill is None:
        raise NotFound(f"There is no drill with the id {incident_id}.")
    promises = db.session.scalars(select(Promise).where(Promise.incident_id == incident_id).order_by(Promise.due_at))
    posted = select(Update.posted_at).where(Update.incident_id == incident_id).order_by(Update.sequence)
    return score(
        [PromiseResult(each.kind, each.state, each.due_at, each.met_at) for each in promises],
        db.session.scalars(posted).all(),
        drill.incident.declared_at,
        drill.incident.resolved_at,
        drill.ended_at or now,
        db.session.scalars(
            select(Update.body).where(Update.incident_id == incident_id).order_by(Update.sequence)
        ).all(),
        own_words(),
    )
