"""The wording of messages: see it, edit it, put the shipped one back."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions.templates import edit_template, restore_template, shipped_template, template_for
from statuspage.rules.messages import COMPUTED, FIELDS, placeholders
from statuspage.rules.vocabulary import AccountRole, MessageKind, RuleBroken
from statuspage.web import access

blueprint = Blueprint("admin_templates", __name__, url_prefix="/admin/templates")

_KIND = "<any(acknowledge, update, resolve):kind>"


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the kinds of message with their wording."""
    listed = [(kind, template_for(kind), template_for(kind) != shipped_template(kind)) for kind in MessageKind]
    return render_template("admin/templates.html", listed=listed)


@blueprint.get(f"/{_KIND}")
@access.needs(AccountRole.ADMIN)
def show(kind: str) -> ResponseReturnValue:
    """Show the wording of one kind with its placeholders."""
    return _page(MessageKind(kind), template_for(MessageKind(kind)), {})


@blueprint.post(f"/{_KIND}")
@access.needs(AccountRole.ADMIN)
def edit(kind: str) -> ResponseReturnValue:
    """Put another wording in force."""
    text = request.form.get("text", "")
    try:
        edit_template(MessageKind(kind), text, current_user.id, clock.now())
    except RuleBroken as broken:
        return _page(MessageKind(kind), text, broken.errors), 422
    return redirect(url_for("admin_templates.index"), 303)


@blueprint.post(f"/{_KIND}/restore")
@access.needs(AccountRole.ADMIN)
def restore(kind: str) -> ResponseReturnValue:
    """Put the shipped wording back in force."""
    restore_template(MessageKind(kind), current_user.id, clock.now())
    return redirect(url_for("admin_templates.index"), 303)


def _page(kind: MessageKind, text: str, errors: dict[str, str]) -> str:
    meanings = {field.name: field.label for field in FIELDS[kind]} | dict(COMPUTED[kind])
    known = [(name, meanings[name], required) for name, required in placeholders(kind).items()]
    return render_template(
        "admin/template.html", kind=kind, text=text, errors=errors, known=known, edited=text != shipped_template(kind)
    )
