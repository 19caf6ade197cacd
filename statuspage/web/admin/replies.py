"""Saved replies: list them, write one, change it, put it away and take it back."""

from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions.replies import (
    Reply,
    add_reply,
    archive_reply,
    edit_reply,
    get_reply,
    restore_reply,
    saved_replies,
)
from statuspage.actions.templates import usual_language
from statuspage.db import db
from statuspage.models import SavedReply
from statuspage.rules.languages import LANGUAGES
from statuspage.rules.messages import FIELDS, OPENING_FIELDS
from statuspage.rules.vocabulary import (
    SEVERITY_MEANINGS,
    AccountRole,
    Conflict,
    MessageKind,
    RuleBroken,
)
from statuspage.web import access
from statuspage.web.console.incidents import grouped_components, opening_values, posted_states
from statuspage.web.forms import posted_version, typed

blueprint = Blueprint("admin_replies", __name__, url_prefix="/admin/replies")


@blueprint.get("/")
@access.needs(AccountRole.COMMS)
def index() -> ResponseReturnValue:
    """List the saved replies, and those put away."""
    names = {each.id: each.name for _, components in grouped_components() for each in components}
    return render_template(
        "admin/replies.html",
        replies=saved_replies(),
        archived=saved_replies(archived=True),
        names=names,
        languages=LANGUAGES,
        done=request.args.get("done", ""),
        about=request.args.get("reply", ""),
    )


@blueprint.get("/new")
@access.needs(AccountRole.COMMS)
def new() -> ResponseReturnValue:
    """Show an empty form."""
    return _form(None, {"language": usual_language(db.session())}, {})


@blueprint.post("/new")
@access.needs(AccountRole.COMMS)
def add() -> ResponseReturnValue:
    """Save a reply."""
    try:
        add_reply(_posted(), current_user.id, clock.now())
    except RuleBroken as broken:
        return _form(None, typed(), broken.errors), 422
    return redirect(url_for("admin_replies.index", done="added"), 303)


@blueprint.get("/<reply_id>")
@access.needs(AccountRole.COMMS)
def show(reply_id: str) -> ResponseReturnValue:
    """Show a reply as a form."""
    reply = get_reply(reply_id)
    return _form(reply, opening_values(reply) | dict(reply.fields), {})


@blueprint.post("/<reply_id>")
@access.needs(AccountRole.COMMS)
def edit(reply_id: str) -> ResponseReturnValue:
    """Change a reply."""
    try:
        edit_reply(reply_id, _posted(), posted_version(), current_user.id, clock.now())
    except RuleBroken as broken:
        return _form(get_reply(reply_id), typed(), broken.errors), 422
    except Conflict as conflict:
        return _form(get_reply(reply_id), typed(), {"": str(conflict)}), 409
    return redirect(url_for("admin_replies.index", done="changed"), 303)


@blueprint.post("/<reply_id>/archive")
@access.needs(AccountRole.COMMS)
def archive(reply_id: str) -> ResponseReturnValue:
    """Put a reply away; the next page offers to undo it."""
    archive_reply(reply_id, current_user.id, clock.now())
    return redirect(url_for("admin_replies.index", done="archive", reply=reply_id), 303)


@blueprint.post("/<reply_id>/restore")
@access.needs(AccountRole.COMMS)
def restore(reply_id: str) -> ResponseReturnValue:
    """Take a reply back that was put away."""
    restore_reply(reply_id, current_user.id, clock.now())
    return redirect(url_for("admin_replies.index", done="restore"), 303)


def _posted() -> Reply:
    form = request.form
    return Reply(form.get("title", ""), form.get("severity", ""), form.get("language", ""), posted_states(), typed())


def _form(reply: SavedReply | None, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    return render_template(
        "admin/reply.html",
        reply=reply,
        typed=values,
        errors=errors,
        severities=SEVERITY_MEANINGS.items(),
        groups=grouped_components(),
        languages=LANGUAGES,
        fields=[field for field in FIELDS[MessageKind.ACKNOWLEDGE] if field.name in OPENING_FIELDS],
    )
