"""Subscribers and customers for programs: Statuspage's shape of the first, a list of our own for the second."""

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, Select, false, func, or_, select, true

from statuspage import clock
from statuspage.actions import customers, subscriber_admin, subscriptions
from statuspage.db import db
from statuspage.delivery import guard
from statuspage.models import Customer, CustomerComponent, Subscriber, SubscriberComponent
from statuspage.rules.subscriptions import Choice, parse_kinds
from statuspage.rules.vocabulary import NotFound, RuleBroken, SubscriptionMethod, TokenScope
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.api import bodies, shapes
from statuspage.web.api.pages import find_frame
from statuspage.web.api.routes import PAGE, answer, at, make_blueprint, refuse

blueprint = make_blueprint("api_subscribers")

SUBSCRIBERS, CUSTOMERS = f"{PAGE}/subscribers", f"{PAGE}/customers"
SUBSCRIBER = f"{SUBSCRIBERS}/<string(length=12):subscriber_id>"
CUSTOMER = f"{CUSTOMERS}/<string(length=12):customer_id>"

# Statuspage's words for states; those who left are no subscribers to it.
STATES = {
    "active": (Subscriber.ACTIVE,),
    "unconfirmed": (Subscriber.PENDING,),
    "quarantined": (Subscriber.DISABLED,),
    "unsubscribed": (Subscriber.UNSUBSCRIBED,),
    "all": (Subscriber.ACTIVE, Subscriber.PENDING, Subscriber.DISABLED),
}
# Of these there are none here, but programs ask for them.
FOREIGN_TYPES = ("sms", "integration_partner")
TYPES = (*(method.value for method in SubscriptionMethod), *FOREIGN_TYPES)


@at(blueprint, SUBSCRIBERS, "GET")
@access.needs_scope(TokenScope.READ)
def list_subscribers(page_id: str) -> ResponseReturnValue:
    """List the subscribers by address: ``state``, ``type`` and ``q`` choose, ``page`` counts from 0."""
    find_frame(page_id)
    size, _ = bodies.paging()
    number = bodies.Fields(request.args.to_dict()).number("page") or 0
    words = bodies.query_text("q")
    query = select(Subscriber).where(_wanted())
    if words:
        query = query.where(Subscriber.email.icontains(words, autoescape=True))
    return answer(_shapes(query.order_by(Subscriber.email_key, Subscriber.id).limit(size).offset(number * size)))


@at(blueprint, f"{SUBSCRIBERS}/count", "GET")
@access.needs_scope(TokenScope.READ)
def count_subscribers(page_id: str) -> ResponseReturnValue:
    """Count the subscribers by their type."""
    find_frame(page_id)
    found = db.session.execute(select(Subscriber.method, func.count()).where(_wanted()).group_by(Subscriber.method))
    counts = {method.value: number for method, number in found}
    asked = request.args.get("type", "")
    return answer({name: counts.get(name, 0) for name in TYPES if asked in ("", name)})


def _wanted() -> ColumnElement[bool]:
    """Return what ``state`` and ``type`` in the query choose. Raises RuleBroken for words that are none."""
    state, kind = request.args.get("state", "active"), request.args.get("type", "")
    errors = {}
    if state not in STATES:
        errors["state"] = f"Please give one of {', '.join(STATES)}."
    if kind and kind not in TYPES:
        errors["type"] = f"Please give one of {', '.join(TYPES)}."
    if errors:
        raise RuleBroken(errors)
    if kind in FOREIGN_TYPES:
        return false()
    of_kind = Subscriber.method == SubscriptionMethod(kind) if kind else true()
    return Subscriber.state.in_(STATES[state]) & of_kind


@at(blueprint, SUBSCRIBERS, "POST")
@access.needs_scope(TokenScope.WRITE)
def create_subscriber(page_id: str) -> ResponseReturnValue:
    """Add a subscriber by mail or webhook; who did not agree before, as an admin's key may say, is asked by mail."""
    find_frame(page_id)
    fields, now = bodies.read("subscriber"), clock.now()
    email, endpoint = fields.text("email"), fields.text("endpoint")
    choice = _choice(fields, Choice())
    is_vouched_for = bool(fields.flag("skip_confirmation_notification"))
    for name in ("phone_number", "page_access_user"):
        if fields.has(name):
            fields.refuse(name, "There are no such subscribers here.")
    fields.done()
    if is_vouched_for and not TokenScope(g.api_scope).allows(TokenScope.ADMIN):
        return refuse(403, "Only a key with the scope admin may say that somebody agreed to get mail.")
    settings: Settings = current_app.config["STATUSPAGE"]
    if endpoint:
        guard.refuse_private(endpoint, settings.guard_allow)
    made = subscriber_admin.add(email, endpoint, choice, is_vouched_for, settings.secret_keys, now)
    return answer(_subscriber(made), 201)


@at(blueprint, SUBSCRIBER, "GET")
@access.needs_scope(TokenScope.READ)
def show_subscriber(page_id: str, subscriber_id: str) -> ResponseReturnValue:
    """Return a subscriber."""
    find_frame(page_id)
    return answer(_subscriber(subscriber_id))


@at(blueprint, SUBSCRIBER, "PATCH", "PUT")
@access.needs_scope(TokenScope.WRITE)
def edit_subscriber(page_id: str, subscriber_id: str) -> ResponseReturnValue:
    """Change what a subscriber hears of: ``component_ids``, ``kinds``."""
    find_frame(page_id)
    present = subscriber_admin.choice_of(subscriber_id)
    fields = bodies.read("subscriber")
    choice = _choice(fields, present)
    fields.done()
    subscriber_admin.change_choice(subscriber_id, choice, clock.now())
    return answer(_subscriber(subscriber_id))


@at(blueprint, SUBSCRIBER, "DELETE")
@access.needs_scope(TokenScope.WRITE)
def delete_subscriber(page_id: str, subscriber_id: str) -> ResponseReturnValue:
    """Unsubscribe somebody; return the subscriber."""
    find_frame(page_id)
    before = _subscriber(subscriber_id)
    subscriptions.unsubscribe(subscriber_id, clock.now())
    return answer(before)


@at(blueprint, f"{SUBSCRIBER}/resend_confirmation", "POST")
@access.needs_scope(TokenScope.WRITE)
def resend_confirmation(page_id: str, subscriber_id: str) -> ResponseReturnValue:
    """Ask a waiting subscriber once more."""
    find_frame(page_id)
    subscriber_admin.resend_confirmation(subscriber_id, clock.now())
    return answer(_subscriber(subscriber_id), 201)


def _choice(fields: bodies.Fields, present: Choice) -> Choice:
    """Return what the body chooses; what it does not name stays. ``null`` as ``component_ids`` says: all."""
    component_ids, kinds = present.component_ids, present.kinds
    if fields.names("component_ids"):
        given = fields.texts("component_ids")
        component_ids = frozenset(given) if fields.has("component_ids") else None
        if component_ids is not None and not component_ids:
            fields.refuse("component_ids", "Please name at least one component; null stands for all.")
    if fields.has("kinds"):
        with fields.noting():
            kinds = parse_kinds(fields.texts("kinds"))
    return Choice(component_ids, kinds)


def _subscriber(subscriber_id: str) -> dict[str, Any]:
    found = _shapes(select(Subscriber).where(Subscriber.id == subscriber_id, Subscriber.state != Subscriber.ERASED))
    if not found:
        raise NotFound("subscriber")
    return found[0]


def _shapes(query: Select[Subscriber]) -> list[dict[str, Any]]:
    db.session.rollback()
    found = db.session.scalars(query.execution_options(populate_existing=True)).all()
    chosen = _chosen(
        select(SubscriberComponent.subscriber_id, SubscriberComponent.component_id).where(
            SubscriberComponent.subscriber_id.in_([each.id for each in found])
        )
    )
    return [_shape(each, chosen.get(each.id, [])) for each in found]


def _chosen(query: Select[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for owner_id, component_id in db.session.execute(query):
        found.setdefault(owner_id, []).append(component_id)
    return found


def _shape(subscriber: Subscriber, chosen: Collection[str]) -> dict[str, Any]:
    is_mail = subscriber.method is SubscriptionMethod.EMAIL
    return {
        "id": subscriber.id,
        "skip_confirmation_notification": False,
        "mode": subscriber.method.value,
        "email": subscriber.email,
        # A chat room's address is a secret; of a webhook it is what the program gave.
        "endpoint": subscriber.endpoint if subscriber.method is SubscriptionMethod.WEBHOOK else None,
        "phone_number": None,
        "phone_country": None,
        "display_phone_number": None,
        "obfuscated_channel_name": None if is_mail else urlsplit(subscriber.endpoint).hostname,
        "workspace_name": None,
        "quarantined_at": shapes.utc(subscriber.failing_since) if subscriber.state == Subscriber.DISABLED else None,
        "purge_at": None,
        "components": None if subscriber.all_components else sorted(chosen),
        "page_access_user_id": None,
        "created_at": shapes.utc(subscriber.requested_at),
        "kinds": sorted(subscriptions.kinds_of(subscriber)),
        "state": next(name for name, states in STATES.items() if subscriber.state in states),
        "confirmed_at": shapes.utc(subscriber.confirmed_at),
        "unsubscribed_at": shapes.utc(subscriber.unsubscribed_at),
        "source": subscriber.source,
    }


# --- customers -------------------------------------------------------------


@at(blueprint, CUSTOMERS, "GET")
@access.needs_scope(TokenScope.READ)
def list_customers(page_id: str) -> ResponseReturnValue:
    """List the customers by address; ``q`` looks into addresses and names."""
    find_frame(page_id)
    size, offset = bodies.paging()
    words, query = bodies.query_text("q"), select(Customer)
    if words:
        named = Customer.name.icontains(words, autoescape=True)
        query = query.where(or_(named, Customer.email.icontains(words, autoescape=True)))
    return answer(_customers(query.order_by(Customer.email_key).limit(size).offset(offset)))


@at(blueprint, CUSTOMERS, "POST", "PUT")
@access.needs_scope(TokenScope.WRITE)
def put_customer(page_id: str) -> ResponseReturnValue:
    """Add a customer, or replace the one with this address."""
    find_frame(page_id)
    fields = bodies.read("customer")
    email, name = fields.text("email"), fields.text("name")
    component_ids = fields.texts("component_ids") or fields.texts("components")
    if not component_ids:
        fields.refuse("component_ids", "Please name at least one component.")
    fields.done()
    made, is_new = customers.put_customer(email, name, component_ids, clock.now())
    return answer(_customer(made), 201 if is_new else 200)


@at(blueprint, CUSTOMER, "GET")
@access.needs_scope(TokenScope.READ)
def show_customer(page_id: str, customer_id: str) -> ResponseReturnValue:
    """Return a customer."""
    find_frame(page_id)
    return answer(_customer(customer_id))


@at(blueprint, CUSTOMER, "DELETE")
@access.needs_scope(TokenScope.WRITE)
def delete_customer(page_id: str, customer_id: str) -> ResponseReturnValue:
    """Forget a customer; return who it was."""
    find_frame(page_id)
    before = _customer(customer_id)
    customers.delete_customer(customer_id, clock.now())
    return answer(before)


def _customer(customer_id: str) -> dict[str, Any]:
    found = _customers(select(Customer).where(Customer.id == customer_id))
    if not found:
        raise NotFound("customer")
    return found[0]


def _customers(query: Select[Customer]) -> list[dict[str, Any]]:
    db.session.rollback()
    found: Sequence[Customer] = db.session.scalars(query.execution_options(populate_existing=True)).all()
    used = _chosen(
        select(CustomerComponent.customer_id, CustomerComponent.component_id).where(
            CustomerComponent.customer_id.in_([each.id for each in found])
        )
    )
    return [
        {
            "id": each.id,
            "email": each.email,
            "name": each.name,
            "component_ids": sorted(used.get(each.id, [])),
            "created_at": shapes.utc(each.created_at),
            "updated_at": shapes.utc(each.updated_at),
        }
        for each in found
    ]
