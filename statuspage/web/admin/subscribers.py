"""Subscribers: find one, see what was agreed to and what was sent, take one off by hand."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement, exists, select, tuple_

from statuspage import clock
from statuspage.actions import integrations
from statuspage.actions.subscribers import unsubscribe_by_hand
from statuspage.db import db
from statuspage.models import (
    Announcement,
    Component,
    Delivery,
    Incident,
    IncidentFollow,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.rules.progress import ALONE
from statuspage.rules.vocabulary import AccountRole, Conflict, NotFound, SubscriptionKind, SubscriptionMethod
from statuspage.web import access, done
from statuspage.web.confirm import Question, ask

blueprint = Blueprint("admin_subscribers", __name__, url_prefix="/admin/subscribers")

ON_PAGE = 100
STATES: Mapping[str, str] = {
    Subscriber.PENDING: "Not confirmed yet",
    Subscriber.ACTIVE: "Active",
    Subscriber.UNSUBSCRIBED: "Unsubscribed",
    Subscriber.DISABLED: "Switched off: its endpoint failed for days",
    Subscriber.ERASED: "Erased",
}
KINDS = {
    SubscriptionKind.INCIDENTS: Subscriber.wants_incidents,
    SubscriptionKind.MAINTENANCE: Subscriber.wants_maintenance,
    SubscriptionKind.COMPONENT_CHANGES: Subscriber.wants_component_changes,
}
ALL = "all"
MAILS: Mapping[str, str] = {
    "incident_update": "Update",
    "component_change": "Change of a component’s state",
    "document": "Direct or post-incident e-mail",
    "confirm_subscription": "Link to confirm with",
    "maintenance_update": "Maintenance",
    "endpoint_test": "Test",
}


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List subscribers by address, those only that are asked for."""
    asked = {name: request.args.get(name, "").strip() for name in ("q", "method", "state", "component", "kind")}
    query = select(Subscriber).where(*_conditions(asked)).order_by(Subscriber.email_key, Subscriber.id)
    after = db.session.get(Subscriber, request.args.get("after", ""))
    if after is not None:
        query = query.where(tuple_(Subscriber.email_key, Subscriber.id) > (after.email_key, after.id))
    found = db.session.scalars(query.limit(ON_PAGE + 1)).all()
    last = found[ON_PAGE - 1] if len(found) > ON_PAGE else None
    kept = {name: value for name, value in asked.items() if value}
    return render_template(
        "admin/subscribers.html",
        subscribers=found[:ON_PAGE],
        asked=asked,
        is_first=after is None,
        first=f"/admin/subscribers/?{urlencode(kept)}",
        further=f"/admin/subscribers/?{urlencode(kept | {'after': last.id})}" if last else "",
        methods=[(method.value, method) for method in SubscriptionMethod],
        states=STATES,
        components=db.session.execute(select(Component.id, Component.name).order_by(Component.position)).all(),
        kinds=list(KINDS),
    )


def _conditions(asked: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Return what the search asks for; what it can't mean finds nothing."""
    conditions: list[ColumnElement[bool]] = []
    if asked["q"]:
        conditions.append(Subscriber.email_key.contains(asked["q"].lower(), autoescape=True))
    if asked["method"]:
        # Compared as text: a word that is no method is none of them.
        conditions.append(Subscriber.method.in_([each for each in SubscriptionMethod if each.value == asked["method"]]))
    if asked["state"]:
        conditions.append(Subscriber.state == asked["state"])
    if asked["component"] == ALL:
        conditions.append(Subscriber.all_components.is_(True))
    elif asked["component"]:
        chose = exists().where(
            SubscriberComponent.subscriber_id == Subscriber.id, SubscriberComponent.component_id == asked["component"]
        )
        conditions.append(chose)
    conditions.extend(column.is_(True) for kind, column in KINDS.items() if kind.value == asked["kind"])
    return conditions


@blueprint.get("/<subscriber_id>")
@access.needs(AccountRole.ADMIN)
def show(subscriber_id: str) -> ResponseReturnValue:
    """Show what one subscriber agreed to, chose and was sent."""
    return _page(subscriber_id, "")


@blueprint.post("/<subscriber_id>/test")
@access.needs(AccountRole.ADMIN)
def test(subscriber_id: str) -> ResponseReturnValue:
    """Have a test posted to a subscriber's endpoint."""
    try:
        integrations.test_endpoint(subscriber_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _page(subscriber_id, str(conflict)), 409
    done.say("A test is on its way. Reload this page to see below how it ends.")
    return redirect(url_for("admin_subscribers.show", subscriber_id=subscriber_id), 303)


@blueprint.get("/<subscriber_id>/unsubscribe")
@access.needs(AccountRole.ADMIN)
def ask_to_unsubscribe(subscriber_id: str) -> ResponseReturnValue:
    """Ask whether somebody is to be taken off."""
    subscriber = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if subscriber is None or subscriber.state in (Subscriber.UNSUBSCRIBED, Subscriber.ERASED):
        raise NotFound("subscriber")
    question = Question(
        question=f"Unsubscribe {subscriber.email}?",
        consequences=(
            "Nothing more is sent to them, what is queued included.",
            "Only they can take that back, by signing up and confirming again: their consent ends with this.",
        ),
        button="Unsubscribe them",
        back=url_for("admin_subscribers.show", subscriber_id=subscriber_id),
        back_label="The subscriber",
        no="Let them stay",
    )
    return ask(question)


@blueprint.post("/<subscriber_id>/unsubscribe")
@access.needs(AccountRole.ADMIN)
def unsubscribe(subscriber_id: str) -> ResponseReturnValue:
    """Take a subscriber off by hand."""
    try:
        unsubscribe_by_hand(subscriber_id, current_user.id, clock.now())
    except Conflict as conflict:
        return _page(subscriber_id, str(conflict)), 409
    done.say("Unsubscribed: nothing more is sent, what was queued included.")
    return redirect(url_for("admin_subscribers.show", subscriber_id=subscriber_id), 303)


def _page(subscriber_id: str, sentence: str) -> str:
    subscriber = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if subscriber is None:
        raise NotFound("subscriber")
    chosen = select(SubscriberComponent.component_id).where(SubscriberComponent.subscriber_id == subscriber_id)
    followed = select(IncidentFollow.incident_id).where(IncidentFollow.subscriber_id == subscriber_id)
    log = _log(subscriber_id)
    by_mail = subscriber.method is SubscriptionMethod.EMAIL
    return render_template(
        "admin/subscriber.html",
        subscriber=subscriber,
        sentence=sentence,
        states=STATES,
        endpoint=endpoint_in_words(subscriber),
        components=db.session.scalars(select(Component).where(Component.id.in_(chosen)).order_by(Component.name)).all(),
        kinds=[kind for kind, column in KINDS.items() if getattr(subscriber, column.key)],
        followed=db.session.scalars(select(Incident).where(Incident.id.in_(followed))).all(),
        suppression=db.session.scalar(select(Suppression).where(Suppression.address_key == subscriber.email_key))
        if by_mail
        else None,
        log=log[:ON_PAGE],
        further=log[ON_PAGE - 1].Delivery.id if len(log) > ON_PAGE else 0,
        mails=MAILS,
        words=ALONE,
        may_stop=subscriber.state not in (Subscriber.UNSUBSCRIBED, Subscriber.ERASED),
    )


def _log(subscriber_id: str) -> Sequence[Any]:
    """Return what was sent to a subscriber, newest first: a page, and one more if there is more."""
    query = (
        select(Delivery, Announcement, Incident.title)
        .join(Announcement, Delivery.announcement_id == Announcement.id)
        .outerjoin(Incident, Announcement.incident_id == Incident.id)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.id.desc())
        .limit(ON_PAGE + 1)
    )
    before = request.args.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 16:
        query = query.where(Delivery.id < int(before))
    return db.session.execute(query).all()


def endpoint_in_words(subscriber: Subscriber) -> str:
    """Return where is posted to: of a chat room the host alone, for the rest of its address is a secret."""
    if not subscriber.endpoint or subscriber.method is SubscriptionMethod.WEBHOOK:
        return subscriber.endpoint
    return f"https://{urlsplit(subscriber.endpoint).hostname}/…"
