"""Components and their groups."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import component_order, components
from statuspage.db import db
from statuspage.models import Component, ComponentGroup
from statuspage.rules.vocabulary import AccountRole, ComponentState, Conflict, NotFound, RuleBroken, choose
from statuspage.web import access, done
from statuspage.web.confirm import Question, ask
from statuspage.web.forms import show_again, typed

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
    component_id = components.create_component(
        form.get("name", ""),
        form.get("description", ""),
        form.get("group_id", ""),
        current_user.id,
        clock.now(),
    )
    done.say(f"“{_get(component_id).name}” was added: it is on the public page.")
    return redirect(url_for("admin_components.index", _anchor=f"component-{component_id}"), 303)


@blueprint.post("/groups")
@access.needs(AccountRole.ADMIN)
def create_group() -> ResponseReturnValue:
    """Add a group."""
    try:
        group_id = components.create_group(request.form.get("name", ""), current_user.id, clock.now())
    except RuleBroken as broken:
        errors = {f"group_{field}": sentence for field, sentence in broken.errors.items()}
        return _page({"group_name": request.form.get("name", "")}, errors), 422
    done.say(f"The group “{_get_group(group_id).name}” was added: it is shown once a component is in it.")
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
    done.say(f"The group is now called “{_get_group(group_id).name}”.")
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
    done.say(f"“{_get(component_id).name}” was saved.")
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/<component_id>/archive")
@access.needs(AccountRole.ADMIN)
def archive(component_id: str) -> ResponseReturnValue:
    """Take a component off the page; the next page offers to take that back."""
    name = components.archive_component(component_id, current_user.id, clock.now())
    undo = url_for("admin_components.restore", component_id=component_id)
    done.say(f"“{name}” was archived: it is off the public page. Its past incidents stay.", undo)
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/<component_id>/restore")
@access.needs(AccountRole.ADMIN)
def restore(component_id: str) -> ResponseReturnValue:
    """Bring an archived component back."""
    name = component_order.restore_component(component_id, current_user.id, clock.now())
    done.say(f"“{name}” is back on the public page.")
    return redirect(url_for("admin_components.index"), 303)


@blueprint.post("/<component_id>/place")
@access.needs(AccountRole.ADMIN)
def place(component_id: str) -> ResponseReturnValue:
    """Put a component at another place among those of its group."""
    to = component_order.check_place(request.form.get("place", ""))
    number, of = component_order.place_component(component_id, to, current_user.id, clock.now())
    done.say(f"“{_get(component_id).name}” is now number {number} of {of}.")
    return redirect(url_for("admin_components.index", _anchor=f"component-{component_id}"), 303)


@blueprint.post("/groups/<group_id>/place")
@access.needs(AccountRole.ADMIN)
def place_group(group_id: str) -> ResponseReturnValue:
    """Put a group at another place among the groups."""
    to = component_order.check_place(request.form.get("place", ""))
    number, of = component_order.place_group(group_id, to, current_user.id, clock.now())
    done.say(f"The group “{_get_group(group_id).name}” is now number {number} of {of}.")
    return redirect(url_for("admin_components.index", _anchor=f"group-{group_id}"), 303)


@blueprint.get("/groups/<group_id>/delete")
@access.needs(AccountRole.ADMIN)
def ask_to_delete_group(group_id: str) -> ResponseReturnValue:
    """Ask whether a group is to go."""
    return _ask_to_delete(_get_group(group_id), "")


@blueprint.post("/groups/<group_id>/delete")
@access.needs(AccountRole.ADMIN)
def delete_group(group_id: str) -> ResponseReturnValue:
    """Delete a group that nothing is in."""
    try:
        name = component_order.delete_group(group_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _ask_to_delete(_get_group(group_id), str(conflict)), 409
    done.say(f"The group “{name}” was deleted.")
    return redirect(url_for("admin_components.index"), 303)


def _ask_to_delete(group: ComponentGroup, sentence: str) -> str:
    question = Question(
        question=f"Delete the group “{group.name}”?",
        consequences=(
            "The heading goes from every list, once nothing is under it.",
            "Components that were archived in it come back without a group, should you bring them back.",
            "This can’t be undone; you can add a group of the same name.",
        ),
        button="Delete the group",
        back=url_for("admin_components.index"),
        back_label="All components",
    )
    return ask(question, sentence)


def _get(component_id: str) -> Component:
    component = db.session.get(Component, component_id)
    if component is None or component.archived_at is not None:
        raise NotFound("component")
    return component


def _get_group(group_id: str) -> ComponentGroup:
    group = db.session.get(ComponentGroup, group_id)
    if group is None:
        raise NotFound("group")
    return group


def _groups() -> list[ComponentGroup]:
    return list(db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position, ComponentGroup.id)))


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    groups = _groups()
    components = db.session.scalars(select(Component).order_by(Component.position, Component.id)).all()
    shown = [each for each in components if each.archived_at is None]
    under = [(group, [each for each in shown if each.group_id == group.id]) for group in groups]
    return render_template(
        "admin/components.html",
        typed=values,
        errors=errors,
        under=under,
        ungrouped=[each for each in shown if each.group_id is None],
        archived=[each for each in components if each.archived_at is not None],
        groups=groups,
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


show_again(blueprint, _page)
