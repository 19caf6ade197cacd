"""Declare incidents, tell the public about them, correct them, resolve them, read them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, or_, select, union_all
from sqlalchemy.orm import selectinload

from statuspage import clock
from statuspage.actions import corrections, incidents
from statuspage.db import db
from statuspage.models import FormSubmission, Incident, Maintenance, MaintenanceUpdate, Promise, Update
from statuspage.rules.maintenance import OPEN, RUNNING
from statuspage.rules.vocabulary import Conflict, MaintenanceStage, MessageKind, NotFound, Stage, TokenScope
from statuspage.web import access
from statuspage.web.api import bodies, changes, keys, shapes, windows
from statuspage.web.api.pages import find_frame
from statuspage.web.api.promises import RANK
from statuspage.web.api.routes import PAGE, answer, at, make_blueprint
from statuspage.web.publishing import publish_at_once

blueprint = make_blueprint("api_incidents")

INCIDENT = f"{PAGE}/incidents/<string(length=12):incident_id>"

# Each message, each word for the team, each declaration is claimed under a nonce of its own.
DECLARATION, MESSAGE, TO_THE_TEAM = "declaration", "message", "internal_update"
USED_KEY = "This Idempotency-Key was used already, with another body."


@at(blueprint, f"{PAGE}/incidents", "GET")
@access.needs_scope(TokenScope.READ)
def list_incidents(page_id: str) -> ResponseReturnValue:
    """List incidents and maintenance windows, newest first; ``q`` looks into their names, stages and messages."""
    frame, words = find_frame(page_id), bodies.query_text("q")
    size, offset = bodies.paging()
    rows = union_all(_incident_ids(words), _window_ids(words)).subquery()
    newest_first = select(rows.c.id).order_by(rows.c.at.desc(), rows.c.id).limit(size).offset(offset)
    ids = list(db.session.scalars(newest_first))
    shown = _shapes(frame, _load(select(Incident).where(Incident.id.in_(ids))), clock.now())
    shown += [
        shapes.maintenance(frame, each) for each in windows.load(select(Maintenance).where(Maintenance.id.in_(ids)))
    ]
    return answer(sorted(shown, key=lambda each: ids.index(str(each["id"]))))


def _incident_ids(words: str) -> Select[str, datetime]:
    query = select(Incident.id, Incident.declared_at.label("at"))
    if words:
        said = select(Update.incident_id).where(Update.body.icontains(words, autoescape=True))
        in_stage = Incident.stage.in_([stage for stage in Stage if stage.value == words.lower()])
        named = Incident.title.icontains(words, autoescape=True)
        query = query.where(or_(named, in_stage, Incident.id.in_(said)))
    return query


def _window_ids(words: str) -> Select[str, datetime]:
    query = select(Maintenance.id, Maintenance.created_at.label("at"))
    if words:
        said = select(MaintenanceUpdate.maintenance_id).where(MaintenanceUpdate.body.icontains(words, autoescape=True))
        in_stage = Maintenance.stage.in_([stage for stage in MaintenanceStage if stage.value == words.lower()])
        named = Maintenance.title.icontains(words, autoescape=True)
        query = query.where(or_(named, in_stage, Maintenance.id.in_(said)))
    return query


@at(blueprint, f"{PAGE}/incidents/scheduled", "GET")
@access.needs_scope(TokenScope.READ)
def list_scheduled(page_id: str) -> ResponseReturnValue:
    """List the maintenance windows that are not over, the soonest first."""
    return windows.listed(page_id, OPEN)


@at(blueprint, f"{PAGE}/incidents/upcoming", "GET")
@access.needs_scope(TokenScope.READ)
def list_upcoming(page_id: str) -> ResponseReturnValue:
    """List the maintenance windows that have not begun, the soonest first."""
    return windows.listed(page_id, (MaintenanceStage.SCHEDULED,))


@at(blueprint, f"{PAGE}/incidents/active_maintenance", "GET")
@access.needs_scope(TokenScope.READ)
def list_active_maintenance(page_id: str) -> ResponseReturnValue:
    """List the maintenance windows that go on, the soonest first."""
    return windows.listed(page_id, RUNNING)


@at(blueprint, f"{PAGE}/incidents/unresolved", "GET")
@access.needs_scope(TokenScope.READ)
def list_unresolved(page_id: str) -> ResponseReturnValue:
    """List the incidents that go on, newest first."""
    return _listed(page_id, select(Incident).where(Incident.stage != Stage.RESOLVED))


@at(blueprint, f"{PAGE}/incidents", "POST")
@access.needs_scope(TokenScope.WRITE)
def create_incident(page_id: str) -> ResponseReturnValue:
    """Declare an incident: the clock starts. With a body its first message is posted too; with a window, plan it."""
    find_frame(page_id)
    now, fields = clock.now(), bodies.read("incident")
    if windows.is_wanted(fields):
        with _naming_the_key(keys.nonce(windows.PLANNING)):
            return windows.create(page_id, fields, now)
    wanted = changes.parse_new(fields, now)
    # Two transactions, each done once however often the request comes: a retry completes what a crash left.
    declaring, telling = keys.nonce(DECLARATION), keys.nonce(MESSAGE)
    with _naming_the_key(declaring):
        incident_id = incidents.declare(wanted.declaration, declaring, None, now)
    if wanted.first is not None:
        first = replace(wanted.first, version=_newest_version(incident_id))
        with _naming_the_key(telling):
            incidents.acknowledge(incident_id, first, telling, None, now)
    publish_at_once(now)
    return answer(_shown(page_id, incident_id, now), 201)


@contextlib.contextmanager
def _naming_the_key(nonce: str) -> Iterator[None]:
    """Say of a nonce that was claimed with other content where it came from."""
    try:
        yield
    except Conflict:
        if db.session.get(FormSubmission, nonce) is not None:
            raise Conflict(USED_KEY) from None
        raise


@at(blueprint, INCIDENT, "GET")
@access.needs_scope(TokenScope.READ)
def show_incident(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Return an incident or a maintenance window."""
    if windows.find(incident_id) is not None:
        return answer(windows.shown(page_id, incident_id))
    return answer(_shown(page_id, incident_id, clock.now()))


@at(blueprint, INCIDENT, "PATCH", "PUT")
@access.needs_scope(TokenScope.WRITE)
def edit_incident(page_id: str, incident_id: str) -> ResponseReturnValue:
    """Change an incident: re-open, correct, regrade, assign, tell the team, tell the public, in this order."""
    find_frame(page_id)
    if windows.find(incident_id) is not None:
        return windows.edit(page_id, incident_id, clock.now())
    fields, now = bodies.read("incident"), clock.now()
    incident = _get(incident_id)
    nonces = {step: keys.nonce(step, incident_id, repr(request.get_data())) for step in (MESSAGE, TO_THE_TEAM)}
    if not _was_done(fields, nonces):
        wanted = changes.parse_changes(fields, incident, now)
        _carry_out(incident_id, wanted, nonces, now)
        publish_at_once(now)
    return answer(_shown(page_id, incident_id, now))


def _was_done(fields: bodies.Fields, nonces: Mapping[str, str]) -> bool:
    """Tell whether this very request was carried out before, to its last step that is claimed."""
    if not keys.may_be_a_retry():
        return False
    last = MESSAGE if changes.says_something(fields) else TO_THE_TEAM
    return db.session.get(FormSubmission, nonces[last]) is not None


def _carry_out(incident_id: str, wanted: changes.Changes, nonces: Mapping[str, str], now: datetime) -> None:
    """Do what is wanted, one step after the other, each in a transaction of its own."""
    version = wanted.version

    def next_version() -> int:
        """Of the incident as the caller saw it, raised by our own steps; else as it is now."""
        nonlocal version
        if version is None:
            return _newest_version(incident_id)
        version += 1
        return version - 1

    if wanted.reopen:
        corrections.reopen(incident_id, wanted.reason, next_version(), None, now)
    if wanted.declared_at is not None:
        corrections.correct_declaration(incident_id, wanted.declared_at, wanted.reason, next_version(), None, now)
    if wanted.severity is not None:
        corrections.regrade(incident_id, wanted.severity, wanted.reason, next_version(), None, now)
    if wanted.roles:
        corrections.assign_roles(incident_id, wanted.roles, None, now)
    if wanted.internal_update:
        corrections.post_internal_update(incident_id, wanted.internal_update, nonces[TO_THE_TEAM], None, now)
    if wanted.post is not None:
        post = replace(wanted.post, version=next_version())
        _ACTIONS[post.draft.kind](incident_id, post, nonces[MESSAGE], None, now)


_ACTIONS = {
    MessageKind.ACKNOWLEDGE: incidents.acknowledge,
    MessageKind.UPDATE: incidents.post_update,
    MessageKind.RESOLVE: incidents.resolve,
}


def _newest_version(incident_id: str) -> int:
    return _get(incident_id).version


def _get(incident_id: str) -> Incident:
    found = db.session.get(Incident, incident_id, populate_existing=True)
    if found is None:
        raise NotFound("incident")
    return found


def _listed(page_id: str, query: Select[Incident]) -> ResponseReturnValue:
    frame = find_frame(page_id)
    size, offset = bodies.paging()
    newest_first = query.order_by(Incident.declared_at.desc(), Incident.id).limit(size).offset(offset)
    return answer(_shapes(frame, _load(newest_first), clock.now()))


def _shown(page_id: str, incident_id: str, now: datetime) -> dict[str, object]:
    frame = find_frame(page_id)
    found = _load(select(Incident).where(Incident.id == incident_id))
    if not found:
        raise NotFound("incident")
    return _shapes(frame, found, now)[0]


def _load(query: Select[Incident]) -> Sequence[Incident]:
    options = [selectinload(part) for part in (Incident.updates, Incident.components, Incident.roles)]
    return db.session.scalars(query.options(*options).execution_options(populate_existing=True)).unique().all()


def _shapes(frame: shapes.Frame, found: Sequence[Incident], now: datetime) -> list[dict[str, object]]:
    """Shape incidents with their promises, all read at once."""
    owed: dict[str, list[Promise]] = {each.id: [] for each in found}
    query = select(Promise).where(Promise.incident_id.in_(owed)).options(selectinload(Promise.policy))
    in_order = query.order_by(Promise.opened_at, RANK, Promise.ordinal)
    for promise in db.session.scalars(in_order.execution_options(populate_existing=True)):
        owed[promise.incident_id].append(promise)
    return [shapes.incident(frame, each, owed[each.id], now) for each in found]
