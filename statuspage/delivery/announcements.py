"""What is to be told: announced with the fact it tells, and expanded to a delivery for each recipient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    insert,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from statuspage.db import UtcDateTime, transaction
from statuspage.models import (
    Announcement,
    Delivery,
    Incident,
)
from statuspage.rules.vocabulary import ComponentState, Visibility

SECURITY_LANE = 0
INCIDENT_LANE = 1
CHANNEL_LANE = 2
ENDPOINT_LANE = 3
IMPORT_LANE = 4

# Other writers wait no longer than one of these takes: 130 ms at most on SQLite.
EXPANSION_CHUNK = 10_000
# PostgreSQL's writers don't wait for each other.
UNHURRIED_CHUNKS = 5
# And come to their turn in between: SQLite's waiting writers look again only now and then.
EXPANSION_PAUSE_SECONDS = 0.003


# One whose recipients can't be looked up fails the same way each time.
PUT_OFF = timedelta(minutes=5)


class NotExpanded(Exception):
    """The recipients of an announcement can't be looked up."""

    def __init__(self, announcement_id: int) -> None:
        super().__init__(f"the recipients of announcement {announcement_id} can't be looked up")
        self.announcement_id = announcement_id


Recipients = Select[str, str, int, str | None, str | None]
"""``id``, ``address``, ``lane``, and the id once more as ``subscriber_id`` or as ``customer_id``."""


@dataclass(frozen=True)
class Audience:
    """Whom an announcement goes to."""

    candidates: Select[str]
    """``id`` of everybody who may be a recipient, to be walked through in chunks: simple enough for an index."""
    recipients: Recipients
    """Those who are."""


def announce_to_subscribers(
    session: Session,
    kind: str,
    subject_id: str,
    incident: Incident,
    now: datetime,
    not_before: datetime | None = None,
) -> None:
    """Put something to be told to every subscriber into the fact's own transaction.

    ``kind`` names the folder under ``templates/mail/``. The work is the same
    with no subscribers and with a million: the worker makes a row for each,
    but not before ``not_before``: until then it can be taken back.
    """
    _announce(session, "subscribers", kind, subject_id, incident, now, not_before=not_before)


def announce_to_customers(
    session: Session,
    kind: str,
    subject_id: str,
    incident: Incident,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """Put a mail to the customers an incident affects, and to every subscriber, into the fact's own transaction.

    ``kind`` names the folder under ``templates/mail/``: ``document``. Who is
    affected is seen when the worker makes the rows: by the components the
    incident has then. ``detail["audience"]`` may narrow it down to customers
    or subscribers alone. The database refuses what is not public.
    """
    _announce(session, "customers", kind, subject_id, incident, now, detail)


def _announce(
    session: Session,
    audience: str,
    kind: str,
    subject_id: str,
    incident: Incident,
    now: datetime,
    detail: dict[str, Any] | None = None,
    not_before: datetime | None = None,
) -> None:
    session.add(
        Announcement(
            kind=kind,
            audience=audience,
            visibility=incident.visibility,
            incident_id=incident.id,
            subject_id=subject_id,
            detail=detail,
            created_at=now,
            not_before=not_before,
        )
    )


def announce_component_change(
    session: Session,
    component_id: str,
    before: ComponentState,
    after: ComponentState,
    incident: Incident | None,
    now: datetime,
    not_before: datetime | None = None,
) -> None:
    """Put a component's change of state into the fact's own transaction, for those who want to hear of each one.

    ``incident`` is the public one whose message changed it; None for a change
    by hand. ``not_before`` is that of the message's own announcement.
    """
    session.add(
        Announcement(
            kind="component_change",
            audience="subscribers",
            visibility=Visibility.PUBLIC,
            incident_id=incident.id if incident else None,
            subject_id=component_id,
            detail={"before": before.value, "after": after.value},
            created_at=now,
            not_before=not_before,
        )
    )


def announce_maintenance(session: Session, update_id: str, now: datetime) -> None:
    """Put a message about a maintenance window into the fact's own transaction, for those who chose to hear of it."""
    session.add(
        Announcement(
            kind="maintenance_update",
            audience="subscribers",
            visibility=Visibility.PUBLIC,
            subject_id=update_id,
            created_at=now,
        )
    )


def announce_to_address(
    session: Session,
    kind: str,
    subject_id: str,
    address: str,
    subscriber_id: str | None,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> int:
    """Put a mail to one address (confirmation, invitation, nudge) into the fact's own transaction. Return its id."""
    announcement = Announcement(
        kind=kind,
        audience="address",
        visibility=Visibility.PUBLIC,
        subject_id=subject_id,
        detail=detail,
        address=address,
        created_at=now,
        expanded_at=now,
    )
    return _tell_one(session, announcement, SECURITY_LANE, subscriber_id)


def announce_to_endpoint(session: Session, kind: str, subscriber_id: str, now: datetime) -> int:
    """Put a post to one subscriber's endpoint into the fact's own transaction. Return its id."""
    announcement = Announcement(
        kind=kind,
        audience="address",
        visibility=Visibility.PUBLIC,
        subject_id=subscriber_id,
        address=subscriber_id,
        created_at=now,
        expanded_at=now,
    )
    return _tell_one(session, announcement, ENDPOINT_LANE, subscriber_id)


def _tell_one(session: Session, announcement: Announcement, lane: int, subscriber_id: str | None = None) -> int:
    """Add an announcement with its only delivery. Return its id."""
    session.add(announcement)
    session.flush()
    delivery = Delivery(
        announcement_id=announcement.id,
        subscriber_id=subscriber_id,
        address=announcement.address,
        lane=lane,
        state=Delivery.QUEUED,
        not_before=announcement.created_at,
    )
    session.add(delivery)
    return announcement.id


def announce_to_new_subscribers(session: Session, kind: str, addresses: Mapping[str, str], now: datetime) -> None:
    """Put a mail to each of many subscribers, id to address, into the fact's own transaction.

    Ten times as fast as one by one. In a lane behind all other mail: there may be 100,000 of them.
    """
    if not addresses:
        return
    about = {
        "kind": kind,
        "audience": "address",
        "visibility": Visibility.PUBLIC,
        "created_at": now,
        "expanded_at": now,
    }
    made = session.execute(
        insert(Announcement).returning(Announcement.id, Announcement.subject_id),
        [about | {"subject_id": who, "address": address} for who, address in addresses.items()],
    ).all()
    rows = [
        {
            "announcement_id": announcement_id,
            "subscriber_id": who,
            "address": addresses[who],
            "lane": IMPORT_LANE,
            "state": Delivery.QUEUED,
            "not_before": now,
        }
        for announcement_id, who in made
    ]
    session.execute(insert(Delivery), rows)


def announce_to_channel(
    session: Session,
    kind: str,
    subject_id: str,
    channel_id: str,
    detail: dict[str, Any],
    incident: Incident | None,
    now: datetime,
) -> int:
    """Put a note to one channel of the team into the fact's own transaction. Return its id.

    ``kind`` is one that ``notes.note`` knows; ``detail`` is JSON.
    """
    announcement = Announcement(
        kind=kind,
        audience="channel",
        visibility=incident.visibility if incident else Visibility.PUBLIC,
        incident_id=incident.id if incident else None,
        subject_id=subject_id,
        detail=detail,
        address=channel_id,
        created_at=now,
        expanded_at=now,
    )
    return _tell_one(session, announcement, CHANNEL_LANE)


def expand(audience_of: Callable[[Announcement], Audience], now: datetime) -> bool:
    """Make delivery rows for the next chunk of the newest announcement; tell whether there was one.

    Raises NotExpanded if that can't be done for this one.
    """
    with transaction(now) as session:
        announcement = session.scalar(
            select(Announcement)
            .where(Announcement.expanded_at.is_(None), may_go(now))
            # What is newest is worth most: an update does not wait behind the one before it.
            .order_by(Announcement.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if announcement is None:
            return False
        try:
            _expand_chunk(session, announcement, audience_of(announcement), now)
        except OperationalError:
            raise
        except Exception as error:
            raise NotExpanded(announcement.id) from error
        return True


def _expand_chunk(session: Session, announcement: Announcement, audience: Audience, now: datetime) -> None:
    candidate, recipient = audience.candidates.selected_columns.id, audience.recipients.selected_columns.id
    begin = announcement.expanded_to
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    end = _end_of_chunk(session, audience.candidates.where(candidate > begin), candidate, is_postgresql)
    if end is None:
        announcement.expanded_at = now
        return
    found = audience.recipients.where(recipient > begin, recipient <= end).subquery()
    if is_postgresql:
        # A plan made for any range at all takes it for a small one: 44 s for a chunk that takes a quarter of one.
        session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    session.execute(_insert_deliveries(announcement, found, now))
    announcement.expanded_to = end


def put_off(announcement_id: int, now: datetime) -> None:
    """Leave an announcement alone for a while, so that it holds up no other."""
    with transaction(now) as session:
        session.get_one(Announcement, announcement_id).not_before = now + PUT_OFF


def _end_of_chunk(
    session: Session, left: Select[str], candidate: ColumnElement[str], is_postgresql: bool
) -> str | None:
    """Return the id of the last candidate of the next chunk; None if none is left."""
    size = EXPANSION_CHUNK * (UNHURRIED_CHUNKS if is_postgresql else 1)
    end = session.scalar(left.order_by(candidate).limit(1).offset(size - 1))
    return end or session.scalar(left.order_by(candidate.desc()).limit(1))


def may_go(now: datetime) -> ColumnElement[bool]:
    """Whether an announcement can't be taken back any more."""
    return or_(Announcement.not_before.is_(None), Announcement.not_before <= now)


def _insert_deliveries(announcement: Announcement, found: Subquery, now: datetime) -> Any:
    rows = select(
        literal(announcement.id),
        found.c.subscriber_id,
        found.c.customer_id,
        found.c.address,
        found.c.lane,
        literal(Delivery.QUEUED),
        literal(now, UtcDateTime()),
    ).order_by(found.c.id)
    columns = ["announcement_id", "subscriber_id", "customer_id", "address", "lane", "state", "not_before"]
    # Once each: the chunk before this one ended where this begins, and the unique keys would refuse a second time.
    return insert(Delivery).from_select(columns, rows)
