"""Sign up for updates, confirm, unsubscribe: pages for strangers, without session or script."""

import logging
from datetime import datetime
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import subscriptions
from statuspage.actions.people import Browser
from statuspage.actions.subscriptions import SignUp
from statuspage.delivery import guard
from statuspage.links import Purpose, make_token, read_token
from statuspage.models import Subscriber
from statuspage.rules.subscriptions import Choice, mailbox_key
from statuspage.rules.vocabulary import NotFound, RuleBroken, SubscriptionMethod, choose
from statuspage.settings import Settings
from statuspage.site import page
from statuspage.web import access, throttle
from statuspage.web.subscription_pages import (
    alternates,
    chosen,
    find,
    manage_url,
    reading_language,
    render,
    stale_link,
    summary,
    typed_choice,
)

blueprint = Blueprint("subscribe", __name__)

log = logging.getLogger(__name__)

SIGN_UPS_PER_NETWORK = "20 per hour"
SIGN_UPS_PER_MAILBOX = "5 per hour"
SIGN_UPS_PER_DOMAIN = "100 per hour"
# Where half the world has its mailbox a busy incident brings many.
SIGN_UPS_PER_BIG_DOMAIN = "5000 per hour"
BIG_DOMAINS = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com"),
        *("icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net", "web.de", "t-online.de", "proton.me"),
        *("protonmail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "orange.fr", "free.fr"),
    }
)
SIGN_UPS_ALTOGETHER = "10000 per hour"
# Nobody reads a form and fills it in faster than this.
FASTEST_PERSON_SECONDS = 1.0


@blueprint.get("/subscribe")
@access.public
def form() -> ResponseReturnValue:
    """Show the sign-up form, for the way that a link asks for."""
    asked = request.args.get("method", "")
    method = asked if asked in set(SubscriptionMethod) else SubscriptionMethod.EMAIL.value
    return _form("", {**typed_choice(Choice()), "method": method}, {})


@blueprint.post("/subscribe")
@access.public
def sign_up() -> ResponseReturnValue:
    """Take a sign-up; the answer is the same whether or not the address is known."""
    refuse_other_sites()
    if _is_a_program():
        return render("subscribed")
    email, typed = request.form.get("email", ""), _typed()
    wait = seconds_to_wait(email)
    if wait:
        return _form(email, typed, {"email": TOO_MANY}), 429, {"Retry-After": str(wait)}
    try:
        wanted = _posted_sign_up(email.strip())
        subscriptions.subscribe(wanted, browser(), _settings().secret_keys, clock.now())
    except RuleBroken as broken:
        return _form(email, typed, broken.errors), 422
    return render("subscribed")


TOO_MANY = "Too many requests came from here. Please try again in an hour."


@blueprint.get("/subscribe/incidents/<incident_id>")
@access.public
def follow_form(incident_id: str) -> ResponseReturnValue:
    """Show the form that asks for the updates of one incident."""
    return _follow_form(incident_id, "", {})


@blueprint.post("/subscribe/incidents/<incident_id>")
@access.public
def follow(incident_id: str) -> ResponseReturnValue:
    """Take a request to follow one incident; the answer is the same whether or not the address is known."""
    refuse_other_sites()
    if _is_a_program():
        return render("subscribed")
    email = request.form.get("email", "")
    wait = seconds_to_wait(email)
    if wait:
        return _follow_form(incident_id, email, {"email": TOO_MANY}), 429, {"Retry-After": str(wait)}
    try:
        wanted = SignUp(email.strip(), incident_id=incident_id, language=reading_language())
        subscriptions.subscribe(wanted, browser(), _settings().secret_keys, clock.now())
    except RuleBroken as broken:
        return _follow_form(incident_id, email, broken.errors), 422
    return render("subscribed")


@blueprint.get("/subscriptions/<token>")
@access.public
def show(token: str) -> ResponseReturnValue:
    """Show a button that confirms. Looking changes nothing: mail scanners follow links."""
    subscriber, incident_id = _confirmable(token)
    if subscriber is None:
        return stale_link()
    followed = dict(subscriptions.followed_by(subscriber.id))
    if incident_id and incident_id not in followed:
        title = subscriptions.followable_title(incident_id)
        return render("confirm_follow", title=title) if title is not None else stale_link()
    if subscriber.state == Subscriber.ACTIVE:
        return _confirmed(subscriber, followed.get(incident_id))
    return render("confirm", **summary(subscriber))


@blueprint.post("/subscriptions/<token>")
@access.public
def confirm(token: str) -> ResponseReturnValue:
    """Confirm the subscription, or that an incident is followed."""
    subscriber, incident_id = _confirmable(token)
    if subscriber is None:
        return stale_link()
    if incident_id:
        done = subscriptions.follow(subscriber.id, incident_id, clock.now())
    else:
        done = subscriptions.confirm(subscriber.id, token, browser(), _settings().secret_keys, clock.now())
    if not done:
        return stale_link()
    followed = dict(subscriptions.followed_by(subscriber.id))
    return _confirmed(subscriber, followed.get(incident_id))


def _confirmed(subscriber: Subscriber, followed: str | None) -> str:
    method = subscriber.method.value
    return render("confirmed", manage_url=manage_url(subscriber), followed=followed, method=method)


def _confirmable(token: str) -> tuple[Subscriber | None, str]:
    """Return whom a link confirms, and the incident that it adds; nobody for one that is of no use any more."""
    subject = read_token(_settings(), Purpose.CONFIRM, token) or ""
    subscriber_id, _, incident_id = subject.partition(":")
    subscriber = find(subscriber_id)
    useful = (Subscriber.ACTIVE,) if incident_id else (Subscriber.PENDING, Subscriber.ACTIVE)
    if subscriber is None or subscriber.state not in useful:
        return None, ""
    return subscriber, incident_id


@blueprint.get("/unsubscribe/<token>")
@access.public
def ask(token: str) -> ResponseReturnValue:
    """Show a button that unsubscribes. Looking changes nothing."""
    subscriber = find(read_token(_settings(), Purpose.UNSUBSCRIBE, token))
    if subscriber is None:
        return stale_link()
    done = subscriber.state == Subscriber.UNSUBSCRIBED
    return render("unsubscribe", done=done, manage_url=manage_url(subscriber))


@blueprint.post("/unsubscribe/<token>")
@access.public
def unsubscribe(token: str) -> ResponseReturnValue:
    """Unsubscribe: by a mail program's one click (RFC 8058), or by the page's own button."""
    # RFC 8058, 3.1: the body of a one-click request.
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if not one_click and request.form.get("unsubscribe") != "yes":
        return stale_link()
    subscriber = find(read_token(_settings(), Purpose.UNSUBSCRIBE, token))
    if subscriber is None:
        return stale_link()
    subscriptions.unsubscribe(subscriber.id, clock.now())
    return ("", 200) if one_click else render("unsubscribe", done=True, manage_url=manage_url(subscriber))


def refuse_other_sites(*trusted: str) -> None:
    """Refuse what a browser posts from another site; ``trusted`` are more words of Sec-Fetch-Site to take.

    The page's form has no token, since its page is a file for everybody: the browser says where it stands.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        # Of a page that sends no referrer the only word: such a page calls its own origin null.
        if site not in ("same-origin", "none", *trusted):
            abort(403)
        return
    origin = request.headers.get("Origin")
    ours = {_settings().public_host, _host_of(f"//{request.host}")} - {None}
    if origin is not None and _host_of(origin) not in ours:
        abort(403)


def _host_of(address: str) -> str | None:
    """Return the host of an address as a browser sent it; None if it names none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_a_program() -> bool:
    """Whether a field is filled in that no person sees, or the form came back faster than a person reads."""
    if request.form.get("website"):
        return True
    loaded = read_token(_settings(), Purpose.SIGN_UP, request.form.get("form_token", ""))
    if loaded is None:
        # The forms on published pages are files and have none: the throttles count them.
        return False
    seconds = (clock.now() - datetime.fromisoformat(loaded)).total_seconds()
    # A clock that was set back makes nobody a program.
    return 0 <= seconds < FASTEST_PERSON_SECONDS


def seconds_to_wait(email: str) -> int:
    """Count a sign-up; return the seconds to wait if there were too many: from there, to there, or altogether."""
    mailbox = mailbox_key(email.strip())[:254]
    domain = mailbox.rpartition("@")[2]
    per_domain = SIGN_UPS_PER_BIG_DOMAIN if domain in BIG_DOMAINS else SIGN_UPS_PER_DOMAIN
    wait = throttle.allow_all(
        ("sign-up-network", throttle.network(request.remote_addr), SIGN_UPS_PER_NETWORK),
        ("sign-up-mailbox", mailbox, SIGN_UPS_PER_MAILBOX),
        ("sign-up-domain", domain, per_domain),
    )
    if wait:
        return wait
    wait = throttle.allow("sign-up-altogether", "", SIGN_UPS_ALTOGETHER)
    if wait and not throttle.allow("sign-up-alarm", "", "1 per 10 minutes"):
        log.error("more than %s sign-ups came: the next ones are refused; is somebody filling it?", SIGN_UPS_ALTOGETHER)
    return wait


def _posted_sign_up(email: str) -> SignUp:
    """Return what the posted form asks for. Raises RuleBroken on every field that is wrong."""
    errors: dict[str, str] = {}
    method, choice = SubscriptionMethod.EMAIL, Choice()
    endpoint = request.form.get("endpoint", "").strip(" ")
    try:
        method = _posted_method(endpoint)
        subscriptions.check_addresses(email, method, endpoint)
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        choice = _posted_choice()
    except RuleBroken as broken:
        errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    if endpoint and method is not SubscriptionMethod.EMAIL:
        guard.refuse_private(endpoint, _settings().guard_allow)
    return SignUp(email, choice, method, endpoint, language=reading_language())


def _posted_method(endpoint: str) -> SubscriptionMethod:
    sentence = "Please choose where updates should go."
    method = choose(SubscriptionMethod, request.form.get("method", "email"), "method", sentence)
    if method is SubscriptionMethod.EMAIL and endpoint:
        raise RuleBroken({"method": "You gave an address to post to: please say what it is."})
    return method


def _posted_choice() -> Choice:
    """Return the choice of the posted form; the short form on the front page has none to make."""
    if "scope" not in request.form:
        return Choice()
    if request.form["scope"] == "none":
        raise RuleBroken({"components": "Please choose all components or only some."})
    return chosen()


def _typed() -> dict[str, object]:
    given = request.form
    if "scope" not in given:
        return typed_choice(Choice()) | {"method": given.get("method", "email"), "endpoint": given.get("endpoint", "")}
    return {
        "scope": given["scope"],
        "components": frozenset(given.getlist("component")),
        "kinds": frozenset(given.getlist("kind")),
        "method": given.get("method", "email"),
        "endpoint": given.get("endpoint", ""),
    }


def _form(email: str, typed: dict[str, object], errors: dict[str, str]) -> str:
    typed = {"method": "email", "endpoint": ""} | typed
    return render(
        "subscribe",
        email=email,
        typed=typed,
        errors=errors,
        groups=page.load_groups(),
        methods=tuple(SubscriptionMethod)[1:],
        form_token=_form_token(),
        alternates=alternates("/subscribe"),
    )


def _follow_form(incident_id: str, email: str, errors: dict[str, str]) -> str:
    title = subscriptions.followable_title(incident_id)
    if title is None:
        raise NotFound("incident")
    values = {"incident_id": incident_id, "title": title, "form_token": _form_token()}
    ways = alternates(f"/subscribe/incidents/{incident_id}")
    return render("follow", email=email, errors=errors, alternates=ways, **values)


def _form_token() -> str:
    """Return a token that tells when the form was loaded."""
    return make_token(_settings(), Purpose.SIGN_UP, clock.now().isoformat())


def browser() -> Browser:
    """Return who asks, as evidence of a sign-up."""
    return Browser(request.remote_addr or "", request.user_agent.string)


def _settings() -> Settings:
    settings: Settings = current_app.config["STATUSPAGE"]
    return settings
