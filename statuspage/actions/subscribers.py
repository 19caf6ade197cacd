"""What an administrator does about one subscriber."""

from datetime import datetime

from statuspage.actions.ledger import audit
from statuspage.db import transaction
from statuspage.models import Subscriber
from statuspage.rules.vocabulary import Conflict, NotFound


def unsubscribe_by_hand(subscriber_id: str, by: str | None, now: datetime) -> None:
    """Stop sending to somebody who asked for it in another way; what is queued is not sent either.

    Raises NotFound, Conflict if nothing is sent to them anyway.
    """
    with transaction(now) as session:
        subscriber = session.get(Subscriber, subscriber_id, with_for_update=True, populate_existing=True)
        if subscriber is None:
            raise NotFound("subscriber")
        if subscriber.state in (Subscriber.UNSUBSCRIBED, Subscriber.ERASED):
            raise Conflict("Nothing is sent to this subscriber any more.")
        subscriber.state, subscriber.unsubscribed_at = Subscriber.UNSUBSCRIBED, now
        audit(session, by, "unsubscribe", "subscriber", subscriber_id, now)
