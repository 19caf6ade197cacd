"""What is to be done after incidents: the list, one item, its issue."""

from collections.abc import Callable, Mapping
from datetime import datetime

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from statuspage import clock
from statuspage.actions import action_items, issue_exports
from statuspage.db import db
from statuspage.models import ActionItem
from statuspage.rules.action_items import is_overdue
from statuspage.rules.vocabulary import AccountRole, ActionItemState, Conflict, NotFound, RuleBroken
from statuspage.web import access
from statuspage.web.console import documents
from statuspage.web.console.messages import get_incident
from statuspage.web.console.post_mortems import item_form
from statuspage.web.forms import STALE, StaleForm, posted_nonce, posted_version, typed

blueprint = Blueprint("action_items", __name__, url_prefix="/console")

SHOWN = 300
NO_TRACKER = "GitHub is not connected: an administrator sets GITHUB_REPOSITORY and GITHUB_TOKEN."


@blueprint.get("/action-items/")
@access.needs(AccountRole.VIEWER)
def listed() -> ResponseReturnValue:
    """List what is to be done: open, overdue, one's own, or everything."""
    now, chosen = clock.now(), request.args.get("show", "open")
    filters = _filters(now)
    if chosen not in filters:
        chosen = "open"
    counted = {name: _count(conditions) for name, conditions in filters.items()}
    query = (
        select(ActionItem)
        .where(*filters[chosen])
        .options(joinedload(ActionItem.incident))
        .order_by(ActionItem.state != ActionItemState.OPEN, ActionItem.due_on, ActionItem.created_at)
        .limit(SHOWN)
        .execution_options(populate_existing=True)
    )
    items = db.session.scalars(query).all()
    return render_template(
        "console/action_items.html",
        items=items,
        chosen=chosen,
        counted=counted,
        now=now,
    )


@blueprint.post("/incidents/<incident_id>/action-items")
@access.needs(AccountRole.RESPONDER)
def add(incident_id: str) -> ResponseReturnValue:
    """Write down what is to be done after an incident, on the page of its post-mortem."""
    incident = get_incident(incident_id)
    try:
        action_items.add(incident_id, typed(), posted_nonce(), current_user.id, clock.now())
    except StaleForm:
        return documents.post_mortem_page(incident, typed(), {"": STALE}), 403
    except RuleBroken as broken:
        return documents.post_mortem_page(incident, typed(), broken.errors), 422
    except Conflict as conflict:
        return documents.post_mortem_page(incident, typed(), {"": str(conflict)}), 409
    to = url_for("documents.show", incident_id=incident_id, document="post-mortem", done="add", _anchor="action-items")
    return redirect(to, 303)


@blueprint.get("/action-items/<item_id>")
@access.needs(AccountRole.VIEWER)
def show(item_id: str) -> ResponseReturnValue:
    """Show one item, and what may be done with it."""
    return _page(_find(item_id), None, {})


@blueprint.post("/action-items/<item_id>")
@access.needs(AccountRole.RESPONDER)
def post(item_id: str) -> ResponseReturnValue:
    """Do what the pressed button says: save, done, drop, open again, file the issue, look at it."""
    act, now = request.form.get("act", "save"), clock.now()
    _find(item_id)
    try:
        _ACTS.get(act, _save)(item_id, now)
    except RuleBroken as broken:
        return _page(_find(item_id), typed(), broken.errors), 422
    except Conflict as conflict:
        return _page(_find(item_id), typed(), {"": str(conflict)}), 409
    return redirect(url_for("action_items.show", item_id=item_id, done=act), 303)


def _filters(now: datetime) -> Mapping[str, tuple[ColumnElement[bool], ...]]:
    is_open = ActionItem.state == ActionItemState.OPEN
    return {
        "open": (is_open,),
        "overdue": (is_open, ActionItem.due_on < now.date()),
        "mine": (is_open, ActionItem.owner_id == current_user.id),
        "all": (),
    }


def _count(conditions: tuple[ColumnElement[bool], ...]) -> int:
    return db.session.scalar(select(func.count()).select_from(ActionItem).where(*conditions)) or 0


def _save(item_id: str, now: datetime) -> None:
    action_items.change(item_id, typed(), posted_version(), current_user.id, now)


def _finish(item_id: str, now: datetime) -> None:
    action_items.finish(item_id, posted_version(), current_user.id, now)


def _drop(item_id: str, now: datetime) -> None:
    action_items.drop(item_id, request.form.get("reason", ""), posted_version(), current_user.id, now)


def _reopen(item_id: str, now: datetime) -> None:
    action_items.reopen(item_id, posted_version(), current_user.id, now)


def _file(item_id: str, now: datetime) -> None:
    if current_app.config["STATUSPAGE"].github is None:
        raise RuleBroken({"": NO_TRACKER})
    issue_exports.ask(item_id, current_user.id, now)


def _look(item_id: str, now: datetime) -> None:
    issue_exports.look_now(item_id, current_user.id, now)


_ACTS: Mapping[str, Callable[[str, datetime], None]] = {
    "save": _save,
    "done": _finish,
    "drop": _drop,
    "reopen": _reopen,
    "file": _file,
    "look": _look,
}


def _find(item_id: str) -> ActionItem:
    db.session.rollback()
    item = db.session.get(ActionItem, item_id, populate_existing=True)
    if item is None:
        raise NotFound("action item")
    return item


def _page(item: ActionItem, kept: Mapping[str, str] | None, errors: Mapping[str, str]) -> str:
    saved = {
        "title": item.title,
        "owner_id": item.owner_id,
        "priority": item.priority.value,
        "due_on": item.due_on.isoformat(),
    }
    form = item_form()
    if item.owner_id not in dict(form["owners"]):
        form["owners"].insert(0, (item.owner_id, f"{item.owner.name} (account disabled)"))
    return render_template(
        "console/action_item.html",
        item=item,
        typed=saved | dict(kept or {}),
        errors=errors,
        may_change=current_user.role.allows(AccountRole.RESPONDER),
        is_overdue=is_overdue(item.state, item.due_on, clock.now()),
        no_tracker=NO_TRACKER,
        **form,
    )
