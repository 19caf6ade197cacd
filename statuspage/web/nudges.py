"""The link in a nudge: "I'm on it" without a sign-in at 3 a.m., and no harm from scanners that follow links."""

from datetime import timedelta

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import escalation
from statuspage.db import db
from statuspage.links import Purpose, read_token
from statuspage.models import Account, Promise
from statuspage.rules.escalation import SNOOZES
from statuspage.rules.vocabulary import Conflict, RuleBroken
from statuspage.web import access
from statuspage.web.console.clocks import form_of

blueprint = Blueprint("nudges", __name__, url_prefix="/nudges")


@blueprint.get("/<token>")
@access.public
def ask(token: str) -> ResponseReturnValue:
    """Show what is owed and the buttons that hold the next nudge back. Looking changes nothing."""
    found = _find(token)
    return _page(*found, "") if found else _stale()


@blueprint.post("/<token>")
@access.public
def snooze(token: str) -> ResponseReturnValue:
    """Take note that somebody is on it."""
    found = _find(token)
    if found is None:
        return _stale()
    promise, account = found
    try:
        escalation.snooze(promise.id, posted_span(), account.id, clock.now())
    except Conflict as conflict:
        return _page(promise, account, str(conflict)), 409
    except RuleBroken as broken:
        return _page(promise, account, " ".join(broken.errors.values())), 422
    db.session.expire_all()
    return _page(promise, account, "")


def posted_span() -> timedelta:
    """Return for how long, as posted; what was not offered the action refuses."""
    text = request.form.get("minutes", "")
    return timedelta(minutes=int(text)) if text.isascii() and text.isdigit() and len(text) < 4 else timedelta(0)


def _find(token: str) -> tuple[Promise, Account] | None:
    subject = read_token(current_app.config["STATUSPAGE"], Purpose.NUDGE, token)
    promise_id, _, account_id = (subject or "").partition(":")
    promise, account = db.session.get(Promise, promise_id), db.session.get(Account, account_id)
    if promise is None or account is None or account.disabled_at is not None:
        return None
    return promise, account


def _page(promise: Promise, account: Account, sentence: str) -> str:
    return render_template(
        "console/nudge.html",
        promise=promise,
        account=account,
        sentence=sentence,
        form_url=form_of(promise.incident_id, promise.kind),
        snoozes=[int(span.total_seconds() // 60) for span in SNOOZES],
        now=clock.now(),
    )


def _stale() -> ResponseReturnValue:
    sentence = "This link is broken or older than a week. Please sign in to the incident room instead."
    return render_template("error.html", title="This link does not work any more", sentence=sentence), 400
