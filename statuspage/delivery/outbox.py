"""The outbox: announce with the fact, expand to recipients, claim, settle.

A delivery goes ``queued -> leased -> submitted``; ``unknown`` after an answer
that went missing, ``cancelled`` when its recipient is gone, ``dead`` for good.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from statuspage.db import UtcDateTime, db, transaction
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import Announcement, Channel, Customer, Delivery, Incident, Subscriber
from statuspage.rules.vocabulary import ComponentState, Visibility

SECURITY_LANE = 0
INCIDENT_LANE = 1
CHANNEL_LANE = 2
ENDPOINT_LANE = 3

# Other writers wait no longer than one of these takes: 130 ms at most on SQLite.
EXPANSION_CHUNK = 10_000
# Longer than any hand-over of one batch may take.
LEASE = timedelta(seconds=120)
# How long events of the provider may take to tell whether an unknown one was taken.
UNKNOWN_WAIT = timedelta(seconds=120)
# With the back-off about five hours: greylisting passes in minutes, and who wants yesterday's update?
MOST_ATTEMPTS = 20
LONGEST_BACK_OFF = timedelta(minutes=30)
# A chat room wants no nudge from hours ago: with this back-off about five minutes.
CHANNEL_MOST_ATTEMPTS = 10
CHANNEL_LONGEST_BACK_OFF = timedelta(minutes=1)
CHANNEL_UNKNOWN_WAIT = timedelta(seconds=30)
# And none that waited for a worker all night.
CHANNEL_STALE_AFTER = timedelta(hours=1)
STALE = "No worker was there for an hour: it was too late to tell a channel."
TWICE_UNKNOWN = "Twice the answer went missing: it may or may not have arrived."
CRASHED = "The worker ended while it was handing this over."


Recipients = Select[str, str, int, str | None, str | None]
"""``id``, ``address``, ``lane``, and the id once more as ``subscriber_id`` or as ``customer_id``."""


@dataclass(frozen=True)
class Audience:
    """Whom an announcement goes to."""

    candidates: Select[str]
    """``id`` of everybody who may be a recipient, to be walked through in chunks: simple enough for an index."""
    recipients: Recipients
    """Those who are."""


@dataclass(frozen=True)
class Claimed:
    """One delivery that this worker may hand over now."""

    id: int
    address: str
    subscriber_id: str | None
    attempts: int
    customer_id: str | None = None


@dataclass(frozen=True)
class Batch:
    """Claimed deliveries of one announcement: all to customers, or none of them."""

    announcement: Announcement
    deliveries: tuple[Claimed, ...]

    @property
    def is_to_customers(self) -> bool:
        """Whether its mail is the one for people who never signed up."""
        return any(each.customer_id is not None for each in self.deliveries)


def announce_to_subscribers(session: Session, kind: str, subject_id: str, incident: Incident, now: datetime) -> None:
    """Put something to be told to every subscriber into the fact's own transaction.

    ``kind`` names the folder under ``templates/mail/``. The work is the same
    with no subscribers and with a million: the worker makes a row for each.
    """
    _announce(session, "subscribers", kind, subject_id, incident, now)


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
        )
    )


def announce_component_change(
    session: Session,
    component_id: str,
    before: ComponentState,
    after: ComponentState,
    incident: Incident | None,
    now: datetime,
) -> None:
    """Put a component's change of state into the fact's own transaction, for those who want to hear of each one.

    ``incident`` is the public one whose message changed it; None for a change by hand.
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
    return announcement.id


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

    ``kind`` is one that ``composition.note`` knows; ``detail`` is JSON.
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
    session.add(announcement)
    session.flush()
    session.add(
        Delivery(
            announcement_id=announcement.id,
            address=channel_id,
            lane=CHANNEL_LANE,
            state=Delivery.QUEUED,
            not_before=now,
        )
    )
    return announcement.id


def expand(audience_of: Callable[[Announcement], Audience], now: datetime) -> bool:
    """Make delivery rows for the next chunk of the newest announcement; tell whether there was one."""
    with transaction(now) as session:
        announcement = session.scalar(
            select(Announcement)
            .where(
                Announcement.expanded_at.is_(None),
                or_(Announcement.not_before.is_(None), Announcement.not_before <= now),
            )
            # What is newest is worth most: an update does not wait behind the one before it.
            .order_by(Announcement.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if announcement is None:
            return False
        audience = audience_of(announcement)
        candidate, recipient = audience.candidates.selected_columns.id, audience.recipients.selected_columns.id
        begin = announcement.expanded_to
        chunk = audience.candidates.where(candidate > begin).order_by(candidate).limit(EXPANSION_CHUNK).subquery()
        end: str | None = session.scalar(select(func.max(chunk.c.id)))
        if end is None:
            announcement.expanded_at = now
            return True
        found = audience.recipients.where(recipient > begin, recipient <= end).subquery()
        if session.get_bind().dialect.name == "postgresql":
            # A plan made for any range at all takes it for a small one: 44 s for a chunk that takes a quarter of one.
            session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
        session.execute(_insert_deliveries(session, announcement, found, now))
        announcement.expanded_to = end
        return True


def _insert_deliveries(session: Session, announcement: Announcement, found: Subquery, now: datetime) -> Any:
    rows = select(
        literal(announcement.id),
        found.c.subscriber_id,
        found.c.customer_id,
        found.c.address,
        found.c.lane,
        literal(Delivery.QUEUED),
        literal(now, UtcDateTime()),
    ).order_by(found.c.id)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    columns = ["announcement_id", "subscriber_id", "customer_id", "address", "lane", "state", "not_before"]
    return insert(Delivery).from_select(columns, rows).on_conflict_do_nothing()


def claim(owner: str, limit: int, now: datetime) -> Batch | None:
    """Take up to ``limit`` due mails of one announcement for this worker; None if none is due.

    The lease is committed before anything is sent. Deliveries whose recipient
    has gone since are cancelled here, at the last moment.
    """
    return _claim(and_(_due(now), Delivery.lane <= INCIDENT_LANE), owner, limit, now)


def claim_for_channel(owner: str, busy: Collection[str], now: datetime) -> Batch | None:
    """Take one due note to a channel that is not ``busy``; None if none is due.

    Leased like mail, and apart from it: neither waits for the other. The
    batch is empty if the note was cancelled, for its channel was removed.
    """
    due = and_(_due(now), Delivery.lane == CHANNEL_LANE, Delivery.address.not_in(busy))
    return _claim(due, owner, 1, now)


def claim_for_endpoint(
    owner: str, busy: Collection[str], limit: int, now: datetime, *, failing: bool = False
) -> Batch | None:
    """Take up to ``limit`` due posts of one announcement, to endpoints that are not ``busy``; None if none is due.

    An endpoint is named by its subscriber's id, which is the delivery's
    address. Those that are ``failing`` are asked for apart from all others.
    """
    return _claim(and_(_due(now), _to_endpoint(busy, failing)), owner, limit, now)


def _to_endpoint(busy: Collection[str], failing: bool) -> ColumnElement[bool]:
    leased = aliased(Delivery)
    # One at a time for each, whichever worker has it.
    in_hand = select(leased.address).where(leased.state == Delivery.LEASED, leased.lane == ENDPOINT_LANE)
    fails = exists().where(Subscriber.id == Delivery.address, Subscriber.failing_since.is_not(None))
    return and_(
        Delivery.lane == ENDPOINT_LANE,
        Delivery.address.not_in(busy),
        Delivery.address.not_in(in_hand),
        fails if failing else ~fails,
    )


def _claim(due: ColumnElement[bool], owner: str, limit: int, now: datetime) -> Batch | None:
    if not _anything_to_do(due, now):
        return None
    with transaction(now) as session:
        _sweep(session, now)
        first = session.scalar(
            select(Delivery.announcement_id).where(due).order_by(Delivery.lane, Delivery.id).limit(1)
        )
        if first is None:
            return None
        rows = session.scalars(
            select(Delivery)
            # Plus nothing: so the index of what is due is walked in its order up to the limit, instead of
            # sorting the whole announcement for every batch.
            .where(due, Delivery.announcement_id + 0 == first)
            .order_by(Delivery.lane, Delivery.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        # Customers' mail reads differently: what comes after the first change of kind waits for the next batch.
        rows = [row for row in rows if (row.customer_id is None) == (rows[0].customer_id is None)]
        announcement = session.get_one(Announcement, first)
        gone = _gone(session, announcement, rows)
        for row in rows:
            if row.lane == CHANNEL_LANE and announcement.created_at + CHANNEL_STALE_AFTER < now:
                row.state, row.settled_at, row.error = Delivery.DEAD, now, STALE
            elif row.id in gone:
                row.state, row.settled_at = Delivery.CANCELLED, now
            else:
                row.state, row.lease_owner, row.lease_until = Delivery.LEASED, owner, now + LEASE
                row.attempts += 1
        session.flush()
        taken = tuple(
            Claimed(row.id, row.address, row.subscriber_id, row.attempts, row.customer_id)
            for row in rows
            if row.state == Delivery.LEASED
        )
        session.expunge(announcement)
        return Batch(announcement, taken)


def _due(now: datetime) -> ColumnElement[bool]:
    # Written out, not bound: with parameters SQLite can't tell that the index of what is due will do,
    # and would read every delivery ever made, each second.
    waiting: BindParameter[Any] = bindparam(
        "waiting", (Delivery.QUEUED, Delivery.UNKNOWN), expanding=True, literal_execute=True
    )
    return and_(Delivery.state.in_(waiting), Delivery.not_before <= now)


def _anything_to_do(due: ColumnElement[bool], now: datetime) -> bool:
    """Look without taking the write lock: a worker with nothing to do disturbs nobody."""
    session = db.session()
    session.rollback()
    lapsed = and_(Delivery.state == Delivery.LEASED, Delivery.lease_until < now)
    return any(session.scalar(select(Delivery.id).where(found).limit(1)) is not None for found in (due, lapsed))


def _gone(session: Session, announcement: Announcement, rows: Sequence[Delivery]) -> set[int]:
    """Ids of the deliveries whose channel or customer was removed, or whose subscriber does not want this any more."""
    if announcement.audience == "channel":
        channels = select(Channel.id).where(Channel.id.in_([row.address for row in rows]), Channel.removed_at.is_(None))
        there = set(session.scalars(channels))
        return {row.id for row in rows if row.address not in there}
    # Active ones want it, and pending ones their confirmation.
    state = Subscriber.PENDING if announcement.kind == "confirm_subscription" else Subscriber.ACTIVE
    ids = [row.subscriber_id for row in rows if row.subscriber_id is not None]
    there = set(session.scalars(select(Subscriber.id).where(Subscriber.id.in_(ids), Subscriber.state == state)))
    ids = [row.customer_id for row in rows if row.customer_id is not None]
    if ids:
        there |= set(session.scalars(select(Customer.id).where(Customer.id.in_(ids))))
    to_one_address = announcement.audience not in ("subscribers", "customers")
    return {row.id for row in rows if not _is_wanted(row, there, to_one_address)}


def _is_wanted(row: Delivery, there: set[str], to_one_address: bool) -> bool:
    recipient = row.subscriber_id or row.customer_id
    return recipient in there if recipient else to_one_address


def settle(owner: str, receipts: Sequence[Receipt], now: datetime) -> None:
    """Write down what became of this worker's deliveries; those another has taken are left alone.

    An answer that comes after the lease ran out still counts where it is
    certain: it spares the recipient a second copy.
    """
    with transaction(now) as session:
        by_id = {receipt.delivery_id: receipt for receipt in receipts}
        rows = session.scalars(
            select(Delivery)
            .where(
                Delivery.id.in_(by_id),
                Delivery.state.in_((Delivery.LEASED, Delivery.UNKNOWN)),
                Delivery.lease_owner == owner,
            )
            .with_for_update()
        )
        for row in rows:
            receipt = by_id[row.id]
            if row.state == Delivery.LEASED or receipt.outcome in (Outcome.SUBMITTED, Outcome.REFUSED):
                _settle(row, receipt, now)


def release(owner: str, batch: Batch, until: datetime, now: datetime) -> None:
    """Give a batch back that nobody was handed; no attempt is counted."""
    with transaction(now) as session:
        session.execute(
            update(Delivery)
            .where(
                Delivery.id.in_([each.id for each in batch.deliveries]),
                Delivery.state == Delivery.LEASED,
                Delivery.lease_owner == owner,
            )
            .values(state=Delivery.QUEUED, attempts=Delivery.attempts - 1, not_before=until, lease_until=None)
        )


def _sweep(session: Session, now: datetime) -> None:
    """Take back what a worker that ended had leased: it may have been handed over, or not."""
    lapsed = session.scalars(
        select(Delivery)
        .where(Delivery.state == Delivery.LEASED, Delivery.lease_until < now)
        .with_for_update(skip_locked=True)
    )
    for row in lapsed:
        _settle(row, Receipt(row.id, Outcome.UNKNOWN, CRASHED), now)


def _settle(row: Delivery, receipt: Receipt, now: datetime) -> None:
    to_channel = row.lane == CHANNEL_LANE
    row.error, row.lease_until = receipt.error[:500], None
    if receipt.outcome is Outcome.SUBMITTED:
        row.state, row.settled_at = Delivery.SUBMITTED, now
    elif receipt.outcome is Outcome.UNKNOWN and not row.was_unknown:
        row.state, row.was_unknown = Delivery.UNKNOWN, True
        row.not_before = now + (CHANNEL_UNKNOWN_WAIT if to_channel else UNKNOWN_WAIT)
    elif receipt.outcome is Outcome.UNKNOWN:
        row.state, row.settled_at, row.error = Delivery.DEAD, now, TWICE_UNKNOWN
    elif receipt.outcome is Outcome.UNTRIED:
        row.state, row.attempts, row.not_before = Delivery.QUEUED, row.attempts - 1, now
    elif receipt.outcome is Outcome.LATER and row.attempts < (CHANNEL_MOST_ATTEMPTS if to_channel else MOST_ATTEMPTS):
        longest = CHANNEL_LONGEST_BACK_OFF if to_channel else LONGEST_BACK_OFF
        pause = max(min(back_off(row.attempts), longest), timedelta(seconds=receipt.retry_after))
        row.state, row.not_before = Delivery.QUEUED, now + pause
    else:
        row.state, row.settled_at = Delivery.DEAD, now


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after this many tries: 2, 4, 8 … seconds, half an hour at most."""
    # 2 to the 11th is past half an hour already.
    return min(timedelta(seconds=2 ** min(attempts, 11)), LONGEST_BACK_OFF)
