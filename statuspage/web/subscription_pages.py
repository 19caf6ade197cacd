"""What the pages of subscribers share: the frame, the form of a choice, what a subscription is in words."""

from urllib.parse import urlsplit

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy import select

from statuspage.actions import subscriptions
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Component, Page, Subscriber
from statuspage.rendering import environment
from statuspage.rules.languages import prefix, spoken
from statuspage.rules.subscriptions import Choice, parse_choice
from statuspage.rules.vocabulary import NotFound
from statuspage.site import branding, page, publisher
from statuspage.web.speech import speak


def render(template: str, **values: object) -> str:
    """Return a page in the public page's frame, in the language of the subscriber, or the one that was chosen.

    Raises NotFound while there is no page.
    """
    settings = current_app.config["STATUSPAGE"]
    layout, frame = publisher.layout_values(settings), page.load_frame(settings.public_url)
    if frame is None:
        raise NotFound("page")
    wanted = g.get("wanted_language") or request.values.get("language", "")
    language = spoken(wanted, frame.brand.language, frame.brand.languages)
    speak(language)
    made = environment(str(get_locale()), prefix(language, frame.brand.language))
    return made.get_template(f"public/{template}.html").render(layout | values)


def alternates(path: str) -> tuple[tuple[str, str, str], ...]:
    """Return language, its own name and address of each form of a page that takes the language in its query."""
    brand = branding.load_brand(db.session.execute(select(Page)).scalar_one())
    return tuple((code, name, f"{path}?language={code}") for code, name, _ in branding.alternates(brand, path))


def reading_language() -> str:
    """Return the language in which somebody read the form that was posted; empty for the page's own."""
    brand = branding.load_brand(db.session.execute(select(Page)).scalar_one())
    return spoken(request.form.get("language", ""), "", brand.languages)


def stale_link() -> ResponseReturnValue:
    """Answer a link that is forged, too old, or of no use any more: always in the same words."""
    return render("stale_link"), 400


def find(subscriber_id: str | None) -> Subscriber | None:
    """Return a subscriber by the id that a link names, and speak their language; None for one that is gone."""
    subscriber = db.session.get(Subscriber, subscriber_id) if subscriber_id else None
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        return None
    g.wanted_language = subscriber.language
    return subscriber


def manage_url(subscriber: Subscriber) -> str:
    """Return the path of a subscriber's own settings."""
    return f"/subscriptions/manage/{make_token(current_app.config['STATUSPAGE'], Purpose.MANAGE, subscriber.id)}"


def chosen() -> Choice:
    """Return the choice that the posted form makes. Raises RuleBroken on ``components`` and ``kinds``."""
    given = request.form
    return parse_choice(given.get("scope", ""), given.getlist("component"), given.getlist("kind"))


def typed_choice(choice: Choice) -> dict[str, object]:
    """Return a choice as the form shows it."""
    scope = "all" if choice.component_ids is None else "some" if choice.component_ids else "none"
    return {"scope": scope, "components": choice.component_ids or frozenset(), "kinds": choice.kinds}


def summary(subscriber: Subscriber) -> dict[str, object]:
    """Return what a subscription is about, for reading."""
    choice = subscriptions.choice_of(subscriber)
    names = select(Component.name).where(Component.id.in_(choice.component_ids or ())).order_by(Component.position)
    return {
        "method": subscriber.method.value,
        "email": subscriber.email,
        # The rest of the address is a chat room's secret, and this page's link is in mails.
        "host": urlsplit(subscriber.endpoint).hostname or "",
        "all_components": choice.component_ids is None,
        "components": list(db.session.scalars(names)),
        "kinds": sorted(kind.value for kind in choice.kinds),
        "follows": subscriptions.followed_by(subscriber.id),
    }
