"""Sign up by program: Statuspage's ``POST /api/v2/subscribers.json``, with the form's own rules behind it."""

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import subscriptions
from statuspage.actions.subscriptions import SignUp
from statuspage.delivery import guard
from statuspage.models import new_id
from statuspage.rules.subscriptions import Choice
from statuspage.rules.vocabulary import RuleBroken, SubscriptionMethod
from statuspage.settings import Settings
from statuspage.shapes import utc
from statuspage.web import access
from statuspage.web.api import bodies
from statuspage.web.api.routes import answer, make_blueprint, refuse
from statuspage.web.subscribe import TOO_MANY, browser, refuse_other_sites, seconds_to_wait

blueprint: Blueprint = make_blueprint("subscribe_json", "/api/v2")

NO_PHONES = "This page sends no text messages: please give an e-mail address."
# What clients of Statuspage call what the form calls otherwise.
OUTWARD = {"components": "component_ids"}


@blueprint.post("/subscribers.json")
@access.public
def sign_up() -> ResponseReturnValue:
    """Take a sign-up; the answer is the same whether or not the address is known."""
    # A page of the same site, such as the company's own, may hold a form of its own; a stranger's may not.
    refuse_other_sites("same-site")
    fields, settings, now = bodies.read("subscriber"), _settings(), clock.now()
    email = fields.text("email").strip()
    wait = seconds_to_wait(email)
    if wait:
        refused = refuse(429, TOO_MANY)
        refused.headers["Retry-After"] = str(wait)
        return refused
    try:
        wanted = _sign_up(fields, email)
        if wanted.endpoint:
            guard.refuse_private(wanted.endpoint, settings.guard_allow)
        subscriptions.subscribe(wanted, browser(), settings.secret_keys, now)
    except RuleBroken as broken:
        raise RuleBroken({OUTWARD.get(name, name): text for name, text in broken.errors.items()}) from None
    told = {
        "created_at": utc(now),
        "skip_confirmation_notification": False,
        "quarantined_at": None,
        # Of nobody: that of a subscriber would tell whether the address is known.
        "id": new_id(),
        "mode": wanted.method.value,
        "purge_at": None,
        "email": wanted.email,
    }
    return answer({"subscriber": told}, 201)


@blueprint.after_request
def allow_other_origins(response: Response) -> Response:
    """Let pages of other origins read the answer: no cookie counts here, and it tells nothing they did not send."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    return response


def _sign_up(fields: bodies.Fields, email: str) -> SignUp:
    """Return what is asked for. Raises RuleBroken for everything that is wrong with it at once."""
    if fields.has("phone_number"):
        fields.refuse("phone_number", NO_PHONES)
    endpoint = fields.text("endpoint").strip(" ")
    method = SubscriptionMethod.WEBHOOK if endpoint else SubscriptionMethod.EMAIL
    one = fields.text("component_id")
    component_ids = frozenset([*fields.texts("component_ids"), *([one] if one else [])])
    incident_id = fields.text("incident_id") or fields.text("incident")
    with fields.noting():
        subscriptions.check_addresses(email, method, endpoint)
    fields.done()
    return SignUp(email, Choice(component_ids or None), method, endpoint, incident_id or None)


def _settings() -> Settings:
    settings: Settings = current_app.config["STATUSPAGE"]
    return settings
