"""The outbox: announce with the fact, expand to recipients, claim, settle."""

from datetime import datetime

from sqlalchemy.orm import Session

from statuspage.models import Announcement, Delivery
from statuspage.rules.vocabulary import Visibility

SECURITY_LANE = 0
INCIDENT_LANE = 1


def announce_to_subscribers(
    session: Session, kind: str, subject_id: str, visibility: Visibility, now: datetime
) -> None:
    """Put something to be told to every subscriber into the fact's own transaction.

    ``kind`` names the folder under ``templates/mail/``. The work is the same
    with no subscribers and with a million: the worker makes a row for each.
    """
    session.add(
        Announcement(kind=kind, audience="subscribers", visibility=visibility, subject_id=subject_id, created_at=now)
    )


def announce_to_address(
    session: Session, kind: str, subject_id: str, address: str, subscriber_id: str | None, now: datetime
) -> None:
    """Put a mail to one address (confirmation, invitation) into the fact's own transaction."""
    announcement = Announcement(
        kind=kind,
        audience="address",
        visibility=Visibility.PUBLIC,
        subject_id=subject_id,
        address=address,
        created_at=now,
        expanded_at=now,
    )
    session.add(announcement)
    session.flush()
    session.add(
        Delivery(
            announcement_id=announcement.id,
            subscriber_id=subscriber_id,
            address=address,
            lane=SECURITY_LANE,
            state=Delivery.QUEUED,
            not_before=now,
        )
    )
