"""What became of the mails of an incident: progress, the hold with Undo, correcting, sending again."""

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import deliveries
from statuspage.db import db
from statuspage.models import Announcement, Document, Incident, Update
from statuspage.rules.vocabulary import AccountRole, Conflict, NotFound, RuleBroken
from statuspage.web import access
from statuspage.web.console import preview
from statuspage.web.console.counting import counts
from statuspage.web.console.messages import get_incident
from statuspage.web.console.told import lines_of
from statuspage.web.console.wording import check_wording, marks_of
from statuspage.web.forms import typed
from statuspage.web.publishing import publish_at_once

blueprint = Blueprint("delivery", __name__, url_prefix="/console/incidents")

# As large as a number can be that every program reads the same.
_ANNOUNCEMENT = "<int(max=9007199254740991):announcement_id>"


@blueprint.get("/<incident_id>/delivery")
@access.needs(AccountRole.VIEWER)
def show(incident_id: str) -> ResponseReturnValue:
    """Show how far each message of the incident has come."""
    return _page(get_incident(incident_id), "")


@blueprint.get("/<incident_id>/delivery/lines")
@access.needs(AccountRole.VIEWER)
def lines(incident_id: str) -> ResponseReturnValue:
    """Return the lines alone, for pages that follow them."""
    incident, now = get_incident(incident_id), clock.now()
    found = lines_of(incident, now, is_patient=True)
    return render_template("console/delivery_lines.html", incident=incident, lines=found, now=now, **rights())


@blueprint.post(f"/<incident_id>/delivery/{_ANNOUNCEMENT}/undo")
@access.needs(AccountRole.COMMS)
def undo(incident_id: str, announcement_id: int) -> ResponseReturnValue:
    """Take an update's mails back."""
    incident = _announced(incident_id, announcement_id)
    try:
        deliveries.take_back(announcement_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _page(incident, str(conflict)), 409
    return redirect(url_for("messages.room", incident_id=incident_id, done="undo"), 303)


@blueprint.post(f"/<incident_id>/delivery/{_ANNOUNCEMENT}/again")
@access.needs(AccountRole.COMMS)
def again(incident_id: str, announcement_id: int) -> ResponseReturnValue:
    """Send to those once more who failed."""
    incident, now = _announced(incident_id, announcement_id), clock.now()
    even_if_arrived, total = request.form.get("even_if_arrived") == "yes", 0
    try:
        # One transaction after the other: a million failed mails must not keep others from writing.
        while count := deliveries.send_again(announcement_id, even_if_arrived, current_user.id, now):
            total += count
    except Conflict as conflict:
        return _page(incident, str(conflict)), 409
    counts().forget(("tally", announcement_id))
    return redirect(url_for("delivery.show", incident_id=incident_id, again=total), 303)


@blueprint.get("/<incident_id>/updates/<update_id>/correct")
@access.needs(AccountRole.COMMS)
def ask_correction(incident_id: str, update_id: str) -> ResponseReturnValue:
    """Show a message's words as a form."""
    message = _message(incident_id, update_id)
    return _correction_page(message, {"body": message.body}, {})


@blueprint.post("/<incident_id>/updates/<update_id>/correct")
@access.needs(AccountRole.COMMS)
def correct(incident_id: str, update_id: str) -> ResponseReturnValue:
    """Give a message other words, and send it if it was taken back."""
    message, now = _message(incident_id, update_id), clock.now()
    try:
        overridden = check_wording(typed(), ["body"])
        is_told = deliveries.correct_update(update_id, typed().get("body", ""), current_user.id, now, overridden)
    except RuleBroken as broken:
        return _correction_page(message, typed(), broken.errors), 422
    except Conflict as conflict:
        return _correction_page(message, typed(), {"": str(conflict)}), 409
    publish_at_once(now)
    done = "corrected-and-sent" if is_told else "corrected"
    return redirect(url_for("messages.room", incident_id=incident_id, done=done), 303)


@blueprint.post("/<incident_id>/updates/<update_id>/send")
@access.needs(AccountRole.COMMS)
def send(incident_id: str, update_id: str) -> ResponseReturnValue:
    """Send a message that was taken back, as it stands."""
    message = _message(incident_id, update_id)
    try:
        deliveries.send_unchanged(update_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _page(message.incident, str(conflict)), 409
    return redirect(url_for("messages.room", incident_id=incident_id, done="sent-unchanged"), 303)


def rights() -> dict[str, bool]:
    """Return what the lines ask about whoever looks."""
    return {"may_post": current_user.role.allows(AccountRole.COMMS)}


def _announced(incident_id: str, announcement_id: int) -> Incident:
    incident, announcement = get_incident(incident_id), db.session.get(Announcement, announcement_id)
    if announcement is None or announcement.incident_id != incident_id:
        raise NotFound("announcement")
    return incident


def _message(incident_id: str, update_id: str) -> Update:
    message = db.session.get(Update, update_id, populate_existing=True)
    if message is None or message.incident_id != incident_id:
        raise NotFound("update")
    return message


def _page(incident: Incident, sentence: str) -> str:
    now = clock.now()
    documents = db.session.scalars(
        select(Document).where(Document.incident_id == incident.id, Document.sent_at.is_not(None))
    )
    said: list[Update | Document] = [*incident.updates, *documents]
    return render_template(
        "console/delivery.html",
        incident=incident,
        said=said,
        sentence=sentence,
        lines=lines_of(incident, now, is_patient=True),
        now=now,
        **rights(),
    )


def _correction_page(message: Update, values: dict[str, str], errors: dict[str, str]) -> str:
    line = lines_of(message.incident, clock.now()).get(message.id)
    return render_template(
        "console/correction.html",
        incident=message.incident,
        update=message,
        is_held_back=line is not None and line.taken_back_at is not None and line.is_newest,
        typed=values,
        errors=errors,
        marks=marks_of(values, ["body"]),
        preview=preview.of_correction(message, values.get("body", ""), current_app.config["STATUSPAGE"], clock.now()),
    )
