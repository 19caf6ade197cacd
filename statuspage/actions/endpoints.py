"""What becomes of subscribers' endpoints that take nothing."""

from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import Subscriber

DISABLED_AFTER = timedelta(days=5)


def note_answers(well: Collection[str], failed: Collection[str], gone: Collection[str], now: datetime) -> None:
    """Remember which endpoints took what was posted to them and which did not, by their subscribers' ids.

    Disable those that said to be ``gone``, and those that took nothing for
    five days; their owners are told by mail. What waits for them is cancelled
    when it is claimed.
    """
    with transaction(now) as session:
        session.execute(
            update(Subscriber)
            .where(Subscriber.id.in_(well), Subscriber.failing_since.is_not(None))
            .values(failing_since=None)
        )
        found = select(Subscriber).where(
            Subscriber.id.in_([*failed, *gone]), Subscriber.state == Subscriber.ACTIVE, Subscriber.endpoint != ""
        )
        for subscriber in session.scalars(found.order_by(Subscriber.id).with_for_update()):
            if subscriber.failing_since is None:
                subscriber.failing_since = now
            if subscriber.id in gone or now - subscriber.failing_since >= DISABLED_AFTER:
                _disable(session, subscriber, subscriber.id in gone, now)


def _disable(session: Session, subscriber: Subscriber, is_gone: bool, now: datetime) -> None:
    subscriber.state, subscriber.unsubscribed_at, subscriber.failing_since = Subscriber.DISABLED, now, None
    host = urlsplit(subscriber.endpoint).hostname or ""
    detail = {"method": subscriber.method.value, "host": host, "is_gone": is_gone}
    # To the address and not to the subscription, which takes nothing any more.
    announce_to_address(session, "endpoint_disabled", subscriber.id, subscriber.email, None, now, detail)
    audit(session, None, "disable", "subscriber", subscriber.id, now, host=host, is_gone=is_gone)
