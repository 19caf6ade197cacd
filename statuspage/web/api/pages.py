"""The page and its components; the document that describes the API."""

from functools import cache
from pathlib import Path

from flask import Response, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import components
from statuspage.db import db
from statuspage.models import Component, ComponentGroup, Page
from statuspage.rules.vocabulary import ComponentState, NotFound, RuleBroken, TokenScope
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.api import bodies, shapes
from statuspage.web.api.routes import PAGE, answer, at, make_blueprint
from statuspage.web.publishing import publish_at_once

blueprint = make_blueprint("api_pages")

COMPONENT = f"{PAGE}/components/<string(length=12):component_id>"


@blueprint.get("/openapi.json")
@access.public
def openapi() -> ResponseReturnValue:
    """Return the description of the API (OpenAPI 3.1)."""
    return Response(_openapi(), mimetype="application/json")


@cache
def _openapi() -> bytes:
    return Path(__file__).with_name("openapi.json").read_bytes()


@at(blueprint, "/pages", "GET")
@access.needs_scope(TokenScope.READ)
def list_pages() -> ResponseReturnValue:
    """List the pages: there is one."""
    settings: Settings = current_app.config["STATUSPAGE"]
    found = db.session.scalars(select(Page))
    return answer([shapes.page(shapes.make_frame(each, settings.public_url)) for each in found])


@at(blueprint, PAGE, "GET")
@access.needs_scope(TokenScope.READ)
def show_page(page_id: str) -> ResponseReturnValue:
    """Return the page."""
    return answer(shapes.page(find_frame(page_id)))


@at(blueprint, f"{PAGE}/components", "GET")
@access.needs_scope(TokenScope.READ)
def list_components(page_id: str) -> ResponseReturnValue:
    """List the components in the page's order, and behind them their groups."""
    frame = find_frame(page_id)
    size, offset = bodies.paging()
    leaves = _leaves()
    groups = db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position))
    listed = [shapes.component(frame, each) for each in leaves]
    listed += [shapes.group(frame, each, _children(leaves, each.id)) for each in groups]
    return answer(listed[offset : offset + size])


@at(blueprint, f"{PAGE}/components", "POST")
@access.needs_scope(TokenScope.WRITE)
def create_component(page_id: str) -> ResponseReturnValue:
    """Add a component."""
    find_frame(page_id)
    fields, now = bodies.read("component"), clock.now()
    name, description, group_id = fields.text("name"), fields.text("description"), fields.text("group_id")
    state = _state(fields)
    fields.done()
    component_id = components.create_component(name, description, group_id, None, now)
    if state not in (None, ComponentState.OPERATIONAL):
        components.edit_component(component_id, name, description, group_id, state, None, now)
    publish_at_once(now)
    return answer(_component(page_id, component_id), 201)


@at(blueprint, COMPONENT, "GET")
@access.needs_scope(TokenScope.READ)
def show_component(page_id: str, component_id: str) -> ResponseReturnValue:
    """Return a component, or a group."""
    return answer(_component(page_id, component_id))


@at(blueprint, COMPONENT, "PATCH", "PUT")
@access.needs_scope(TokenScope.WRITE)
def edit_component(page_id: str, component_id: str) -> ResponseReturnValue:
    """Change what the body names of a component."""
    find_frame(page_id)
    present = _leaf(component_id)
    values, now = bodies.read_object("component"), clock.now()
    fields = bodies.Fields(values)
    name = fields.text("name", present.name)
    # Here null says something: none.
    description = fields.text("description") if "description" in values else present.description
    group_id = fields.text("group_id") if "group_id" in values else present.group_id or ""
    state = _state(fields)
    fields.done()
    components.edit_component(component_id, name, description, group_id, state, None, now)
    publish_at_once(now)
    return answer(_component(page_id, component_id))


def find_frame(page_id: str) -> shapes.Frame:
    """Return what every shape needs to know of the page. Raises NotFound if it has another id."""
    settings: Settings = current_app.config["STATUSPAGE"]
    page = db.session.scalar(select(Page).execution_options(populate_existing=True))
    if page is None or page.id != page_id:
        raise NotFound("page")
    return shapes.make_frame(page, settings.public_url)


def inward_state(word: object, field: str) -> ComponentState:
    """Return the state that one of our three words, or of Statuspage's five, stands for.

    Raises RuleBroken on ``field`` for any other, and for maintenance.
    """
    if word == shapes.UNDER_MAINTENANCE:
        sentence = "under_maintenance can't be set: it shows while a maintenance window runs."
        raise RuleBroken({field: sentence})
    state = shapes.INWARD_STATES.get(word) if isinstance(word, str) else None
    if state is None:
        raise RuleBroken({field: f"A component is one of {', '.join(shapes.INWARD_STATES)}."})
    return state


def _state(fields: bodies.Fields) -> ComponentState | None:
    state, word = None, fields.text("status")
    if word:
        with fields.noting():
            state = inward_state(word, "status")
    return state


def _leaves() -> list[Component]:
    query = select(Component).where(Component.archived_at.is_(None)).order_by(Component.position)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def _children(leaves: list[Component], group_id: str) -> list[Component]:
    return [each for each in leaves if each.group_id == group_id]


def _leaf(component_id: str) -> Component:
    found = db.session.get(Component, component_id, populate_existing=True)
    if found is None or found.archived_at is not None:
        raise NotFound("component")
    return found


def _component(page_id: str, component_id: str) -> dict[str, object]:
    frame = find_frame(page_id)
    group = db.session.get(ComponentGroup, component_id)
    if group is not None:
        return shapes.group(frame, group, _children(_leaves(), group.id))
    return shapes.component(frame, _leaf(component_id))
