"""Sign up for updates, confirm, unsubscribe."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.actions.people import Browser, check_email
from statuspage.db import insert_once, transaction
from statuspage.delivery.outbox import announce_to_address
from statuspage.models import (
    Subscriber,
    new_id,
)
from statuspage.rules.subscriptions import identity
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
    who = identity(address)
    values = {"id": new_id(), **who, "state": Subscriber.PENDING, "requested_at": now}
    insert_once(session, Subscriber.__table__, values)  # type: ignore[arg-type]
    found = select(Subscriber).where(Subscriber.unique_key == who["unique_key"]).with_for_update()
    return session.execute(found).scalar_one()


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
