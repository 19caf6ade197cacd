"""A subscriber's own settings, behind the link in every mail: no account, no password."""

import json

from flask import Blueprint, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import personal_data, subscriptions
from statuspage.links import Purpose, make_token, read_token
from statuspage.models import Subscriber
from statuspage.rules.vocabulary import RuleBroken
from statuspage.site import page
from statuspage.web import access
from statuspage.web.subscription_pages import (
    alternates,
    chosen,
    find,
    manage_url,
    render,
    stale_link,
    summary,
    typed_choice,
)

blueprint = Blueprint("manage", __name__, url_prefix="/subscriptions/manage/<token>")


@blueprint.get("")
@access.public
def show(token: str) -> ResponseReturnValue:
    """Show what somebody gets, and the forms that change it. Looking changes nothing."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    return _settings_page(subscriber, typed_choice(subscriptions.choice_of(subscriber)), {})


@blueprint.post("")
@access.public
def change(token: str) -> ResponseReturnValue:
    """Change what somebody gets."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    try:
        subscriptions.change(subscriber.id, chosen(), clock.now())
    except RuleBroken as broken:
        given = request.form
        typed: dict[str, object] = {
            "scope": given.get("scope", ""),
            "components": frozenset(given.getlist("component")),
            "kinds": frozenset(given.getlist("kind")),
        }
        return _settings_page(subscriber, typed, broken.errors), 422
    return _back(subscriber, "choice")


@blueprint.post("/follows/<incident_id>")
@access.public
def unfollow(token: str, incident_id: str) -> ResponseReturnValue:
    """Stop following an incident."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    subscriptions.unfollow(subscriber.id, incident_id, clock.now())
    return _back(subscriber, "follows")


@blueprint.post("/language")
@access.public
def choose_language(token: str) -> ResponseReturnValue:
    """Change the language in which somebody is told, and that of these pages."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    try:
        subscriptions.choose_language(subscriber.id, request.form.get("language", ""), clock.now())
    except RuleBroken as broken:
        choice = typed_choice(subscriptions.choice_of(subscriber))
        return _settings_page(subscriber, choice, broken.errors), 422
    return _back(subscriber, "language")


@blueprint.post("/secret")
@access.public
def make_secret(token: str) -> ResponseReturnValue:
    """Give a webhook a new secret."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    subscriptions.make_secret(subscriber.id, clock.now())
    return _back(subscriber, "secret")


@blueprint.get("/data.json")
@access.public
def download(token: str) -> ResponseReturnValue:
    """Hand over everything we hold about a subscriber."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    body = json.dumps(personal_data.own_data(subscriber.id), indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": 'attachment; filename="my-subscription.json"'}
    return Response(body + "\n", mimetype="application/json", headers=headers)


@blueprint.get("/erase")
@access.public
def ask_erase(token: str) -> ResponseReturnValue:
    """Ask once more before everything is erased."""
    subscriber = _owner(token)
    if subscriber is None:
        return stale_link()
    return render("erase", manage_url=manage_url(subscriber), **summary(subscriber))


@blueprint.post("/erase")
@access.public
def erase(token: str) -> ResponseReturnValue:
    """Erase everything we hold about a subscriber."""
    subscriber = _owner(token)
    if subscriber is None or request.form.get("erase") != "yes":
        return stale_link()
    personal_data.erase(subscriber.id, current_app.config["STATUSPAGE"].secret_keys, clock.now())
    return render("erased")


def _owner(token: str) -> Subscriber | None:
    return find(read_token(current_app.config["STATUSPAGE"], Purpose.MANAGE, token))


def _back(subscriber: Subscriber, saved: str) -> ResponseReturnValue:
    return redirect(f"{manage_url(subscriber)}?saved={saved}", 303)


def _settings_page(subscriber: Subscriber, typed: dict[str, object], errors: dict[str, str]) -> str:
    changed_at = subscriber.secret_changed_at
    old_until = changed_at + subscriptions.OLD_SECRET_SIGNS if changed_at and subscriber.previous_secret else None
    token = make_token(current_app.config["STATUSPAGE"], Purpose.UNSUBSCRIBE, subscriber.id)
    return render(
        "manage",
        # Not called state: the frame has a macro of that name.
        life=subscriber.state,
        typed=typed,
        errors=errors,
        groups=page.load_groups(),
        saved="" if errors else request.args.get("saved", ""),
        secret=subscriber.secret,
        old_secret_until=old_until if old_until and clock.now() < old_until else None,
        manage_url=manage_url(subscriber),
        unsubscribe_url=f"/unsubscribe/{token}",
        wanted_language=subscriber.language,
        languages=alternates(""),
        **summary(subscriber),
    )
