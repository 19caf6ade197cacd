"""The page's own settings: name, time zone, support address, what counts as downtime."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import components
from statuspage.db import db
from statuspage.models import Page
from statuspage.rules.vocabulary import AccountRole, RuleBroken
from statuspage.web import access
from statuspage.web.forms import typed

blueprint = Blueprint("admin_page", __name__, url_prefix="/admin/page")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def show() -> ResponseReturnValue:
    """Show the page's settings."""
    return _page({}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def edit() -> ResponseReturnValue:
    """Change the page's settings."""
    form = request.form
    try:
        components.edit_page(
            form.get("name", ""),
            form.get("time_zone", ""),
            form.get("support_url", ""),
            current_user.id,
            clock.now(),
        )
    except RuleBroken as broken:
        return _page(typed(), broken.errors), 422
    return redirect(url_for("admin_page.show", saved=1), 303)


@blueprint.post("/uptime")
@access.needs(AccountRole.ADMIN)
def edit_uptime() -> ResponseReturnValue:
    """Change what counts as downtime."""
    form = request.form
    excludes_maintenance = form.get("maintenance") != "counts"
    try:
        components.edit_uptime_rule(
            form.get("degraded_percent", ""), excludes_maintenance, current_user.id, clock.now()
        )
    except RuleBroken as broken:
        return _page(typed(), broken.errors), 422
    return redirect(url_for("admin_page.show", saved=1), 303)


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    """The page's settings; what was typed into one of the forms stands in place of what is saved."""
    page = db.session.execute(select(Page)).scalar_one()
    saved = {
        "name": page.name,
        "time_zone": page.time_zone,
        "support_url": page.support_url,
        "degraded_percent": str(page.uptime_degraded_percent),
        "maintenance": "excluded" if page.uptime_excludes_maintenance else "counts",
    }
    return render_template("admin/page.html", typed=saved | values, errors=errors)
