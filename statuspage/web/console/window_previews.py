"""How an update about a maintenance window will look; nothing is kept."""

from collections.abc import Mapping

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.db import db
from statuspage.models import Maintenance
from statuspage.rules.vocabulary import AccountRole, MaintenanceStage, NotFound
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.console import preview
from statuspage.web.console.maintenance import counted_reach
from statuspage.web.console.previews import MAIL_POLICY, PAGE_POLICY, framed
from statuspage.web.forms import typed

blueprint = Blueprint("window_previews", __name__, url_prefix="/console/maintenance")


@blueprint.post("/<maintenance_id>/update/preview")
@access.needs(AccountRole.VIEWER)
def show(maintenance_id: str) -> ResponseReturnValue:
    """Show how page, feed, mail and Slack would show what is typed so far."""
    window, values = _get(maintenance_id), typed()
    reach = counted_reach([each.component_id for each in window.components], window.id)
    body = values.get("body", "")
    made = preview.of_window(window, _stage(window, values), body, reach, _settings(), clock.now())
    return render_template("console/preview_page.html", preview=made)


@blueprint.get("/<maintenance_id>/preview/<any(page, mail):part>")
@access.needs(AccountRole.VIEWER)
def frame(maintenance_id: str, part: str) -> ResponseReturnValue:
    """Show the whole page, or the mail's HTML, with the message that is being written."""
    window, now = _get(maintenance_id), clock.now()
    body = request.args.get("body", "")
    made = preview.sketch_window(window, _stage(window, request.args), body, _settings(), now)
    if part == "page":
        return framed(preview.page_html(made.entry, _settings(), now), PAGE_POLICY)
    return framed(made.drawn()[2], MAIL_POLICY)


def _stage(window: Maintenance, values: Mapping[str, str]) -> MaintenanceStage:
    """Return the stage that is chosen; where it is none, that of the window."""
    text = values.get("stage", "")
    return MaintenanceStage(text) if text in set(MaintenanceStage) else window.stage


def _get(maintenance_id: str) -> Maintenance:
    found = db.session.get(Maintenance, maintenance_id, populate_existing=True)
    if found is None:
        raise NotFound("maintenance")
    return found


def _settings() -> Settings:
    settings: Settings = current_app.config["STATUSPAGE"]
    return settings
