"""Components and their groups."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import components
from statuspage.db import db
from statuspage.models import Component, ComponentGroup
from statuspage.rules.vocabulary import AccountRole, ComponentState, Conflict, NotFound, RuleBroken, choose
from statuspage.web import access
from statuspage.web.console.incidents import grouped_components
from statuspage.web.forms import typed

blueprint = Blueprint("admin_components", __name__, url_prefix="/admin/components")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the components and the forms that add one."""
    return _page({}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def create() -> ResponseReturnValue:
    """Add a component."""
    form = request.form
    try:
        components.create_component(
            form.get("name", ""),
            form.get("description", ""),
            form.get("group_id", ""),
            current_user.id,
            clock.now(),
        )
    except RuleBroken as broken:
        return _page(typed(), broken.errors), 422
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/groups")
@access.needs(AccountRole.ADMIN)
def create_group() -> ResponseReturnValue:
    """Add a group."""
    try:
        components.create_group(request.form.get("name", ""), current_user.id, clock.now())
    except RuleBroken as broken:
        errors = {f"group_{field}": sentence for field, sentence in broken.errors.items()}
        return _page({"group_name": request.form.get("name", "")}, errors), 422
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/groups/<group_id>")
@access.needs(AccountRole.ADMIN)
def edit_group(group_id: str) -> ResponseReturnValue:
    """Rename a group."""
    try:
        components.edit_group(group_id, request.form.get("name", ""), current_user.id, clock.now())
    except RuleBroken as broken:
        errors = {f"{group_id}_{field}": sentence for field, sentence in broken.errors.items()}
        return _page({f"{group_id}_name": request.form.get("name", "")}, errors), 422
    return redirect(url_for("admin_components.index"), 303)


@blueprint.get("/<component_id>")
@access.needs(AccountRole.ADMIN)
def show(component_id: str) -> ResponseReturnValue:
    """Show one component's form."""
    component = _get(component_id)
    values = {
        "name": component.name,
        "description": component.description,
        "group_id": component.group_id or "",
        "state": component.state.value,
    }
    return _component_page(component, values, {})


@blueprint.post("/<component_id>")
@access.needs(AccountRole.ADMIN)
def edit(component_id: str) -> ResponseReturnValue:
    """Change a component."""
    form = request.form
    try:
        state = choose(ComponentState, form.get("state", ""), "state", "Please choose one of the three states.")
        # Somebody may have opened this form before an incident: what it showed is no wish.
        changed = state if form.get("shown_state") != state.value else None
        components.edit_component(
            component_id,
            form.get("name", ""),
            form.get("description", ""),
            form.get("group_id", ""),
            changed,
            current_user.id,
            clock.now(),
        )
    except RuleBroken as broken:
        return _component_page(_get(component_id), typed(), broken.errors), 422
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/<component_id>/archive")
@access.needs(AccountRole.ADMIN)
def archive(component_id: str) -> ResponseReturnValue:
    """Take a component off the page."""
    try:
        components.archive_component(component_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _page({}, {"": str(conflict)}), 409
    return redirect(url_for("admin_components.index"), 303)


def _get(component_id: str) -> Component:
    component = db.session.get(Component, component_id)
    if component is None or component.archived_at is not None:
        raise NotFound("component")
    return component


def _groups() -> list[ComponentGroup]:
    return list(db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position)))


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "admin/components.html", typed=values, errors=errors, listed=grouped_components(), groups=_groups()
    )


def _component_page(component: Component, values: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "admin/component.html",
        component=component,
        typed=values,
        errors=errors,
        groups=_groups(),
        states=list(ComponentState),
    )
