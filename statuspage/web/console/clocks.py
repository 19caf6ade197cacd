"""What is owed, soonest first: the bar on every page, and the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Flask, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from statuspage import clock
from statuspage.db import db
from statuspage.models import Incident, Promise
from statuspage.rules.vocabulary import LABELS, AccountRole, PromiseKind, PromiseState
from statuspage.web import access

blueprint = Blueprint("clocks", __name__, url_prefix="/console/clocks")

ON_BAR = 4
ON_PAGE = 500

# Where the thing is written that meets a promise.
FORMS: Mapping[PromiseKind, str] = {
    PromiseKind.FIRST_UPDATE: "/acknowledge",
    PromiseKind.NEXT_UPDATE: "/update",
    PromiseKind.RESOLUTION_UPDATE: "/resolve",
    PromiseKind.DIRECT_EMAIL: "/direct-email",
    PromiseKind.INTERNAL_UPDATE: "/internal-update",
    PromiseKind.POST_INCIDENT_EMAIL: "/post-incident-email",
    PromiseKind.POST_MORTEM: "/post-mortem",
    PromiseKind.PUBLIC_POST_MORTEM: "/post-mortem",
}


@dataclass(frozen=True)
class Clock:
    """One open promise, as a row to read."""

    label: str
    title: str
    """Of the incident."""
    due_at: datetime
    url: str
    snoozed_until: datetime | None


def install(app: Flask) -> None:
    """Let every template ask for the clocks."""
    app.context_processor(lambda: {"clocks_bar": bar})


def bar() -> dict[str, object]:
    """Return what the bar shows: the soonest clocks, how many there are in all, and now."""
    listed = _open(ON_BAR)
    count = len(listed)
    if count == ON_BAR:
        count = db.session.scalar(select(func.count()).where(Promise.state == PromiseState.OPEN)) or count
    return {"listed": listed, "more": count - len(listed), "now": clock.now()}


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def index() -> ResponseReturnValue:
    """List every open promise."""
    return render_template("console/clocks.html", listed=_open(ON_PAGE), now=clock.now())


@blueprint.get("/bar")
@access.needs(AccountRole.VIEWER)
def fragment() -> ResponseReturnValue:
    """Return the bar alone, for pages that stay open."""
    return render_template("console/clocks_bar.html", owed=bar())


def form_of(incident_id: str, kind: PromiseKind) -> str:
    """Return the address of the form that meets a promise of this kind."""
    return f"/console/incidents/{incident_id}{FORMS[kind]}"


def _open(most: int) -> list[Clock]:
    query = (
        select(Promise.kind, Promise.due_at, Promise.snoozed_until, Incident.id, Incident.title)
        .join(Incident, Promise.incident_id == Incident.id)
        .where(Promise.state == PromiseState.OPEN)
        .order_by(Promise.due_at, Promise.kind, Promise.id)
        .limit(most)
    )
    return [
        Clock(
            LABELS[row.kind],
            row.title,
            row.due_at,
            form_of(row.id, row.kind),
            row.snoozed_until,
        )
        for row in db.session.execute(query)
    ]
