"""Sign up for mail, confirm, unsubscribe: pages for strangers, without session or script."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import subscriptions
from statuspage.actions.people import Browser
from statuspage.db import db
from statuspage.links import Purpose, read_token
from statuspage.models import Subscriber
from statuspage.rendering import environment
from statuspage.rules.vocabulary import NotFound, RuleBroken
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.web import access, throttle

blueprint = Blueprint("subscribe", __name__)

SIGN_UPS_PER_NETWORK = "20 per hour"
SIGN_UPS_PER_ADDRESS = "5 per hour"


@blueprint.get("/subscribe")
@access.public
def form() -> ResponseReturnValue:
    """Show the sign-up form."""
    return _page("subscribe", email="", errors={})


@blueprint.post("/subscribe")
@access.public
def sign_up() -> ResponseReturnValue:
    """Take a sign-up; the answer is the same whether or not the address is known."""
    _refuse_other_sites()
    email = request.form.get("email", "")
    if request.form.get("website"):
        # A field no person sees: only programs fill it in.
        return _page("subscribed")
    wait = throttle.allow_all(
        ("sign-up-network", throttle.network(request.remote_addr), SIGN_UPS_PER_NETWORK),
        ("sign-up-address", email.strip().lower()[:254], SIGN_UPS_PER_ADDRESS),
    )
    if wait:
        sentence = "Too many requests came from here. Please try again in an hour."
        return _page("subscribe", email=email, errors={"email": sentence}), 429, {"Retry-After": str(wait)}
    try:
        subscriptions.subscribe(email.strip(), _browser(), clock.now())
    except RuleBroken as broken:
        return _page("subscribe", email=email, errors=broken.errors), 422
    return _page("subscribed")


@blueprint.get("/subscriptions/<token>")
@access.public
def show(token: str) -> ResponseReturnValue:
    """Show a button that confirms. Looking changes nothing: mail scanners follow links."""
    subscriber = _subscriber(Purpose.CONFIRM, token)
    if subscriber is None:
        return _stale_link()
    return _page("confirm", active=subscriber.state == Subscriber.ACTIVE)


@blueprint.post("/subscriptions/<token>")
@access.public
def confirm(token: str) -> ResponseReturnValue:
    """Confirm the subscription."""
    subscriber = _subscriber(Purpose.CONFIRM, token)
    if subscriber is None or not subscriptions.confirm(subscriber.id, _browser(), clock.now()):
        return _stale_link()
    return _page("confirmed")


@blueprint.get("/unsubscribe/<token>")
@access.public
def ask(token: str) -> ResponseReturnValue:
    """Show a button that unsubscribes. Looking changes nothing."""
    subscriber = _subscriber(Purpose.UNSUBSCRIBE, token)
    if subscriber is None:
        return _stale_link()
    return _page("unsubscribe", done=subscriber.state == Subscriber.UNSUBSCRIBED)


@blueprint.post("/unsubscribe/<token>")
@access.public
def unsubscribe(token: str) -> ResponseReturnValue:
    """Unsubscribe: by a mail program's one click (RFC 8058), or by the page's own button."""
    # RFC 8058, 3.1: the body of a one-click request.
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if not one_click and request.form.get("unsubscribe") != "yes":
        return _stale_link()
    subscriber = _subscriber(Purpose.UNSUBSCRIBE, token)
    if subscriber is None:
        return _stale_link()
    subscriptions.unsubscribe(subscriber.id, clock.now())
    return ("", 200) if one_click else _page("unsubscribe", done=True)


def _refuse_other_sites() -> None:
    """The form has no token, since its page is a file for everybody: the browser says where it stands."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        # Of a page that sends no referrer the only word: such a page calls its own origin null.
        if site not in ("same-origin", "none"):
            abort(403)
        return
    settings: Settings = current_app.config["STATUSPAGE"]
    origin = request.headers.get("Origin")
    if origin is not None and _host_of(origin) not in {settings.public_host, _host_of(f"//{request.host}")} - {None}:
        abort(403)


def _host_of(address: str) -> str | None:
    """Return the host of an address as a browser sent it; None if it names none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _browser() -> Browser:
    return Browser(request.remote_addr or "", request.user_agent.string)


def _subscriber(purpose: Purpose, token: str) -> Subscriber | None:
    subscriber_id = read_token(current_app.config["STATUSPAGE"], purpose, token)
    return db.session.get(Subscriber, subscriber_id) if subscriber_id else None


def _stale_link() -> ResponseReturnValue:
    return _page("stale_link"), 400


def _page(template: str, **values: object) -> str:
    frame = publisher.layout_values(current_app.config["STATUSPAGE"])
    if frame["frame"] is None:
        raise NotFound("page")
    return environment().get_template(f"public/{template}.html").render(frame | values)
