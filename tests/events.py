"""Mails that were handed over, and what the provider reports of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from statuspage.db import db, transaction
from statuspage.models import Announcement, Customer, Delivery, Subscriber, Suppression
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import SubscriptionMethod, Visibility

BATCH = "batch0000001"


def subscriber(email: str, now: datetime, state: str = Subscriber.ACTIVE, **about: Any) -> str:
    """Return the id of somebody who subscribed; ``method`` and ``endpoint`` for one who did so not by mail."""
    who = identity(email, about.pop("method", SubscriptionMethod.EMAIL), about.pop("endpoint", ""))
    with transaction(now) as session:
        row = Subscriber(**who, state=state, requested_at=now, **about)
        session.add(row)
        session.flush()
        return row.id


def customer(email: str, now: datetime) -> str:
    with transaction(now) as session:
        row = Customer(email=email, email_key=email.lower(), created_at=now, updated_at=now)
        session.add(row)
        session.flush()
        return row.id


def delivery(address: str, now: datetime, state: str = Delivery.SUBMITTED, **about: Any) -> int:
    """Return the id of a mail to an address, handed over once unless ``about`` says otherwise."""
    with transaction(now) as session:
        announcement = Announcement(
            kind="alarm", audience="address", visibility=Visibility.PUBLIC, subject_id="x", created_at=now
        )
        session.add(announcement)
        session.flush()
        values = {"attempts": 1, "batch": BATCH, "lane": 1, "not_before": now} | about
        row = Delivery(announcement_id=announcement.id, address=address, state=state, **values)
        session.add(row)
        session.flush()
        return row.id


def event(name: str, delivery_id: int | None, email: str, at: datetime, **about: Any) -> dict[str, Any]:
    """Return an event as SendGrid posts it, our own arguments flattened into it."""
    made = {
        "event": name,
        "email": email,
        "timestamp": int(at.timestamp()),
        "sg_event_id": "first",
        "sg_message_id": f"m{delivery_id}.recvd",
        "smtp-id": "<x@ismtpd>",
        "sp_d": str(delivery_id),
        "sp_chunk": BATCH,
    }
    if delivery_id is None:
        del made["sp_d"], made["sp_chunk"]
    return made | about


def state_of(delivery_id: int) -> str:
    return row_of(delivery_id).state


def row_of(delivery_id: int) -> Delivery:
    db.session.rollback()
    return db.session.get_one(Delivery, delivery_id, populate_existing=True)


def suppressions() -> dict[str, str]:
    """Return the addresses in force, each with its reason."""
    db.session.rollback()
    rows = db.session.scalars(select(Suppression).where(Suppression.lifted_at.is_(None)))
    return {row.address_key: row.reason for row in rows}
