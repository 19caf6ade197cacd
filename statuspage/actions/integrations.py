"""Try what the service is connected to: a mail to oneself, a post to a subscriber's endpoint, everything published anew."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, mark_changed
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_to_address, announce_to_endpoint
from statuspage.models import Account, Announcement, Page, Subscriber
from statuspage.rules.vocabulary import Conflict, NotFound

AGAIN_AFTER = timedelta(seconds=20)


def test_mail(by: str, now: datetime) -> str:
    """Have the worker mail a test to whoever asks. Return the address. Raises Conflict if one was asked for just now."""
    with transaction(now) as session:
        account = session.get_one(Account, by)
        _not_again(session, "mail_test", by, now)
        announce_to_address(session, "mail_test", by, account.email, None, now)
        audit(session, by, "test", "integration", "mail", now)
        return account.email


def test_endpoint(subscriber_id: str, by: str, now: datetime) -> None:
    """Have the worker post a test to a subscriber's endpoint.

    Raises NotFound; Conflict unless something is posted to it, or if a test was asked for just now.
    """
    with transaction(now) as session:
        subscriber = session.get(Subscriber, subscriber_id, populate_existing=True)
        if subscriber is None or not subscriber.endpoint:
            raise NotFound("endpoint")
        if subscriber.state != Subscriber.ACTIVE:
            raise Conflict("Nothing is posted to this endpoint: it is not an active subscription.")
        _not_again(session, "endpoint_test", subscriber_id, now)
        announce_to_endpoint(session, "endpoint_test", subscriber_id, now)
        audit(session, by, "test", "subscriber", subscriber_id, now)


def publish_again(by: str, now: datetime) -> None:
    """Have every published folder, and the copy elsewhere, written anew."""
    with transaction(now) as session:
        page_id = session.execute(select(Page.id)).scalar_one()
        mark_changed(session, "page", page_id, now)
        audit(session, by, "publish_again", "page", page_id, now)


def _not_again(session: Session, kind: str, subject_id: str, now: datetime) -> None:
    """Raise Conflict if the same test is a few seconds old: a double click is one test."""
    mine = (Announcement.kind == kind, Announcement.subject_id == subject_id)
    last = session.scalar(select(func.max(Announcement.created_at)).where(*mine))
    if last is not None and now - last < AGAIN_AFTER:
        raise Conflict("A test was asked for just now: please wait for its end.")
