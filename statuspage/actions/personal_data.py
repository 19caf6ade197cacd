"""What we hold about a subscriber: shown, erased, and not kept where nobody confirmed."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.actions.subscriptions import choice_of, followed_by
from statuspage.db import db, transaction
from statuspage.delivery import suppression
from statuspage.models import (
    Announcement,
    Component,
    Customer,
    Delivery,
    IncidentFollow,
    ProviderEvent,
    SoftBounce,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.rules.vocabulary import NotFound, SubscriptionMethod

# As long as the mailed link works (links.py).
UNCONFIRMED_KEPT = timedelta(days=7)
FORGOTTEN_AT_ONCE = 200

WAITING = (Delivery.QUEUED, Delivery.UNKNOWN)


def own_data(subscriber_id: str) -> dict[str, Any]:
    """Return everything we hold about a subscriber, ready for JSON. Raises NotFound."""
    subscriber = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    choice = choice_of(subscriber)
    names = select(Component.name).where(Component.id.in_(choice.component_ids or ())).order_by(Component.position)
    return {
        "subscription": _columns(subscriber),
        "components": "all" if choice.component_ids is None else list(db.session.scalars(names)),
        "kinds": sorted(kind.value for kind in choice.kinds),
        "incidents_followed": [{"id": each, "title": title} for each, title in followed_by(subscriber_id)],
        "suppressions": [
            {"reason": row.reason, "detail": row.detail, "created_at": _machine(row.created_at)}
            for row in db.session.scalars(select(Suppression).where(Suppression.address_key == subscriber.email_key))
        ],
        "soft_bounces": [
            {"count": row.count, "first_at": _machine(row.first_at), "last_at": _machine(row.last_at)}
            for row in db.session.scalars(select(SoftBounce).where(SoftBounce.address_key == subscriber.email_key))
        ],
        "deliveries": _deliveries(subscriber_id),
    }


def _columns(subscriber: Subscriber) -> dict[str, Any]:
    columns = {column.key: getattr(subscriber, column.key) for column in Subscriber.__table__.columns}
    return {name: _machine(value) for name, value in columns.items()}


def _machine(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _deliveries(subscriber_id: str) -> list[dict[str, Any]]:
    query = (
        select(Delivery, Announcement.kind, Announcement.incident_id, Announcement.created_at)
        .join(Delivery.announcement)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.id)
    )
    return [
        {
            "kind": row.kind,
            "incident_id": row.incident_id,
            "address": row.Delivery.address,
            "state": row.Delivery.state,
            "attempts": row.Delivery.attempts,
            "error": row.Delivery.error,
            "announced_at": _machine(row.created_at),
            "settled_at": _machine(row.Delivery.settled_at),
            "receipt_at": _machine(row.Delivery.receipt_at),
        }
        for row in db.session.execute(query)
    ]


def erase(subscriber_id: str, secret_keys: Sequence[str], now: datetime) -> None:
    """Take everything personal out of a subscription and out of what was sent to it; nothing more is sent.

    An address that must be left alone stays so: by a hash of it, keyed with
    the first of ``secret_keys``. Raises NotFound, also for who is erased already.
    """
    with transaction(now) as session:
        subscriber = session.get(Subscriber, subscriber_id, with_for_update=True, populate_existing=True)
        if subscriber is None or subscriber.state == Subscriber.ERASED:
            raise NotFound("subscriber")
        _hide_suppression(session, subscriber, secret_keys)
        # What is being handed over just now is settled by whoever does.
        _empty_deliveries(session, Delivery.subscriber_id == subscriber_id, WAITING, now)
        session.execute(
            update(Announcement)
            .where(Announcement.subject_id == subscriber_id, Announcement.audience == "address")
            .values(address="")
        )
        for table in (SubscriberComponent, IncidentFollow):
            session.execute(delete(table).where(table.subscriber_id == subscriber_id))
        _empty(subscriber, now)
        audit(session, None, "erase", "subscriber", subscriber_id, now)


def _hide_suppression(session: Session, subscriber: Subscriber, secret_keys: Sequence[str]) -> None:
    """Keep a suppression by a hash alone, unless the address is still needed for somebody."""
    key = subscriber.email_key
    another = select(Subscriber.id).where(Subscriber.email_key == key, Subscriber.id != subscriber.id)
    customer = select(Customer.id).where(Customer.email_key == key)
    if any(session.scalar(query.limit(1)) is not None for query in (another, customer)):
        return
    suppression.erase(session, key, secret_keys[0])


def _empty_deliveries(session: Session, whose: ColumnElement[bool], cancel: Collection[str], now: datetime) -> None:
    """Cancel what waits and take the address out of everything; what the provider answered may name it too."""
    session.execute(
        update(Delivery).where(whose, Delivery.state.in_(cancel)).values(state=Delivery.CANCELLED, settled_at=now)
    )
    ids = select(Delivery.id).where(whose)
    session.execute(update(ProviderEvent).where(ProviderEvent.delivery_id.in_(ids)).values(detail=""))
    # Not an empty one: an announcement has each address once.
    session.execute(update(Delivery).where(whose).values(address=Delivery.subscriber_id, error=""))


def _empty(subscriber: Subscriber, now: datetime) -> None:
    nobody = f"erased:{subscriber.id}"
    subscriber.state, subscriber.unsubscribed_at = Subscriber.ERASED, subscriber.unsubscribed_at or now
    subscriber.unique_key = subscriber.email_key = subscriber.mailbox_key = nobody
    subscriber.endpoint = "" if subscriber.method is SubscriptionMethod.EMAIL else "erased"
    subscriber.email = subscriber.secret = subscriber.previous_secret = subscriber.confirm_token_hash = ""
    subscriber.request_ip = subscriber.confirm_ip = ""
    subscriber.request_user_agent = subscriber.confirm_user_agent = ""
    subscriber.secret_changed_at = subscriber.failing_since = None


def forget_unconfirmed(now: datetime) -> bool:
    """Delete requests that nobody confirmed within a week; tell whether there may be more of them.

    Who was subscribed before and only asked again is unsubscribed as before.
    """
    old = (Subscriber.state == Subscriber.PENDING, Subscriber.requested_at < now - UNCONFIRMED_KEPT)
    with transaction(now) as session:
        query = select(Subscriber).where(*old).order_by(Subscriber.id).limit(FORGOTTEN_AT_ONCE)
        rows = session.scalars(query.with_for_update(skip_locked=True)).all()
        for row in rows:
            if row.confirmed_at is not None:
                row.state = Subscriber.UNSUBSCRIBED
        ids = [row.id for row in rows if row.confirmed_at is None]
        if not ids:
            return len(rows) == FORGOTTEN_AT_ONCE
        _empty_deliveries(session, Delivery.subscriber_id.in_(ids), (*WAITING, Delivery.LEASED), now)
        # That something was sent stays on record; to whom does not.
        session.execute(update(Delivery).where(Delivery.subscriber_id.in_(ids)).values(subscriber_id=None))
        session.execute(update(Announcement).where(Announcement.subject_id.in_(ids)).values(address=""))
        for table in (SubscriberComponent, IncidentFollow):
            session.execute(delete(table).where(table.subscriber_id.in_(ids)))
        session.flush()
        session.execute(delete(Subscriber).where(Subscriber.id.in_(ids)))
        return len(rows) == FORGOTTEN_AT_ONCE
