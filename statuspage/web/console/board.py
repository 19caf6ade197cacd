"""The board: what is open, and the way to declare something."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from statuspage import clock
from statuspage.db import db
from statuspage.models import Component, Drill, Incident, Promise
from statuspage.rules.vocabulary import AccountRole, PromiseState, Stage, worst_state
from statuspage.web import access
from statuspage.web.console.clocks import form_of

blueprint = Blueprint("console", __name__, url_prefix="/console")

RECENT = 10


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def board() -> ResponseReturnValue:
    """Show open incidents, the soonest due first, and the latest resolved ones."""
    with_components = selectinload(Incident.components)
    # A drill that has ended is over, resolved or not.
    shown = Incident.id.not_in(select(Drill.incident_id).where(Drill.ended_at.is_not(None)))
    opened = db.session.scalars(
        select(Incident).options(with_components).where(Incident.stage != Stage.RESOLVED, shown)
    ).all()
    resolved = db.session.scalars(
        select(Incident)
        .where(Incident.stage == Stage.RESOLVED, shown)
        .order_by(Incident.started_at.desc())
        .limit(RECENT)
    ).all()
    components = db.session.scalars(select(Component).where(Component.archived_at.is_(None))).all()
    now = clock.now()
    owed = _soonest([incident.id for incident in opened])
    return render_template(
        "console/board.html",
        opened=sorted(opened, key=lambda incident: owed[incident.id].due_at if incident.id in owed else now),
        owed=owed,
        form_of=form_of,
        resolved=resolved,
        components=components,
        page_state=worst_state(component.state for component in components),
        now=now,
    )


def _soonest(incident_ids: list[str]) -> dict[str, Promise]:
    """Return the promise of each incident that is due first."""
    query = select(Promise).where(Promise.incident_id.in_(incident_ids), Promise.state == PromiseState.OPEN)
    listed = db.session.scalars(query.order_by(Promise.due_at.desc(), Promise.kind.desc()))
    return {promise.incident_id: promise for promise in listed}
