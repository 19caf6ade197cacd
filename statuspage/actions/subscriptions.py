"""Sign up for mail, confirm, unsubscribe; and who is told."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, exists, func, null, select, union_all
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.actions.people import Browser, check_email
from statuspage.db import db, insert_once, transaction
from statuspage.delivery.outbox import Audience, announce_to_address
from statuspage.models import Announcement, Customer, CustomerComponent, IncidentComponent, Subscriber, new_id
from statuspage.rules.policy import AUDIENCES, CUSTOMERS, SUBSCRIBERS
from statuspage.rules.vocabulary import NotFound

# So that nobody can fill another's inbox through this form.
CONFIRMATION_PAUSE = timedelta(hours=1)


def subscribe(email: str, browser: Browser, now: datetime) -> None:
    """Ask an address to confirm that it wants updates.

    Nothing tells the asker whether the address was known. At most one mail an
    hour goes to an address; none to one that is subscribed already.

    Raises RuleBroken on ``email`` for anything that is not one plain address.
    """
    address = check_email(email)
    with transaction(now) as session:
        subscriber = _find_or_add(session, address, now)
        sent_at = subscriber.confirmation_sent_at
        if subscriber.state == Subscriber.ACTIVE or (sent_at is not None and now - sent_at < CONFIRMATION_PAUSE):
            return
        subscriber.state = Subscriber.PENDING
        subscriber.requested_at = subscriber.confirmation_sent_at = now
        subscriber.request_ip = browser.ip_address[:45]
        subscriber.request_user_agent = browser.user_agent[:200]
        announce_to_address(session, "confirm_subscription", subscriber.id, subscriber.email, subscriber.id, now)


def _find_or_add(session: Session, address: str, now: datetime) -> Subscriber:
    key = address.lower()
    values = {"id": new_id(), "email": address, "email_key": key, "state": Subscriber.PENDING, "requested_at": now}
    insert_once(session, Subscriber.__table__, values)  # type: ignore[arg-type]
    return session.execute(select(Subscriber).where(Subscriber.email_key == key).with_for_update()).scalar_one()


def confirm(subscriber_id: str, browser: Browser, now: datetime) -> bool:
    """Start to send updates; tell whether they are sent now.

    Again is fine. False for somebody who unsubscribed after asking: a new
    request is needed. Raises NotFound.
    """
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state == Subscriber.PENDING:
            subscriber.state, subscriber.confirmed_at, subscriber.unsubscribed_at = Subscriber.ACTIVE, now, None
            subscriber.confirm_ip = browser.ip_address[:45]
            subscriber.confirm_user_agent = browser.user_agent[:200]
            audit(session, None, "confirm", "subscriber", subscriber_id, now)
        return subscriber.state == Subscriber.ACTIVE


def unsubscribe(subscriber_id: str, now: datetime) -> None:
    """Stop sending updates, mails already queued included. Again is fine. Raises NotFound."""
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state != Subscriber.UNSUBSCRIBED:
            subscriber.state, subscriber.unsubscribed_at = Subscriber.UNSUBSCRIBED, now
            # Whoever comes back may do so at once.
            subscriber.confirmation_sent_at = None
            audit(session, None, "unsubscribe", "subscriber", subscriber_id, now)


def _get(session: Session, subscriber_id: str) -> Subscriber:
    subscriber = session.get(Subscriber, subscriber_id, with_for_update=True)
    if subscriber is None:
        raise NotFound("subscriber")
    return subscriber


def audience(announcement: Announcement) -> Audience:
    """Return whom an announcement goes to: subscribers, or the customers of its incident as its policy has it."""
    chosen = (announcement.detail or {}).get("audience", AUDIENCES)
    return _audience(announcement.audience, announcement.incident_id, chosen)


def reach(incident_id: str, audience: str, chosen: Collection[str] = AUDIENCES) -> int:
    """Return how many addresses ``subscribers`` or ``customers`` of an incident are at present.

    ``chosen`` narrows the latter down to customers or subscribers alone (rules/policy.py).
    """
    recipients = _audience(audience, incident_id, chosen).recipients.subquery()
    return db.session.execute(select(func.count()).select_from(recipients)).scalar_one()


def _audience(audience: str, incident_id: str | None, chosen: Collection[str]) -> Audience:
    if audience not in ("subscribers", "customers"):
        raise ValueError(f"nobody is looked up for an announcement to {audience!r}")
    if audience == "subscribers" or CUSTOMERS not in chosen:
        return Audience(_active_ids(), _subscribers())
    if SUBSCRIBERS not in chosen:
        return Audience(select(Customer.id), _customers(incident_id))
    candidates = union_all(_active_ids(), select(Customer.id)).subquery()
    only_customers = _customers(incident_id).where(func.coalesce(Subscriber.state, "") != Subscriber.ACTIVE)
    found = union_all(_subscribers(), only_customers).subquery()
    return Audience(
        select(candidates.c.id),
        select(found.c.id, found.c.email, found.c.subscriber_id, found.c.customer_id),
    )


def _active_ids() -> Select[str]:
    return select(Subscriber.id).where(Subscriber.state == Subscriber.ACTIVE)


def _subscribers() -> Select[str, str, str | None, str | None]:
    return select(
        Subscriber.id, Subscriber.email, Subscriber.id.label("subscriber_id"), null().label("customer_id")
    ).where(Subscriber.state == Subscriber.ACTIVE)


def _customers(incident_id: str | None) -> Select[str, str, str | None, str | None]:
    """Customers that use an affected component.

    Who was a subscriber once is written to in that spelling of the address:
    so the deliveries' unique key keeps it to one mail even for somebody who
    unsubscribes between two chunks. The spelling of a sign-up that nobody
    confirmed counts for nothing.
    """
    affected = select(IncidentComponent.component_id).where(IncidentComponent.incident_id == incident_id)
    uses_affected = exists().where(
        CustomerComponent.customer_id == Customer.id, CustomerComponent.component_id.in_(affected)
    )
    confirmed_once = and_(Subscriber.email_key == Customer.email_key, Subscriber.state != Subscriber.PENDING)
    return (
        select(
            Customer.id,
            func.coalesce(Subscriber.email, Customer.email).label("email"),
            null().label("subscriber_id"),
            Customer.id.label("customer_id"),
        )
        .outerjoin(Subscriber, confirmed_once)
        .where(uses_affected)
    )
