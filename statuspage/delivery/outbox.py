"""The outbox: announce with the fact, expand to recipients, claim, settle.

A delivery goes ``queued -> leased -> submitted``; ``unknown`` after an answer
that went missing, ``cancelled`` when its recipient is gone, ``dead`` for good.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    Subquery,
    UnaryExpression,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from statuspage.db import UtcDateTime, db, transaction
from statuspage.delivery import suppression
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import (
    Announcement,
    Channel,
    Customer,
    Delivery,
    Incident,
    Subscriber,
    Suppression,
    new_id,
)
from statuspage.rules.vocabulary import ComponentState, SubscriptionMethod, Visibility

SECURITY_LANE = 0
INCIDENT_LANE = 1
CHANNEL_LANE = 2
ENDPOINT_LANE = 3
IMPORT_LANE = 4
MAIL_LANES = (SECURITY_LANE, INCIDENT_LANE, IMPORT_LANE)

# Other writers wait no longer than one of these takes: 130 ms at most on SQLite.
EXPANSION_CHUNK = 10_000
# And come to their turn in between: SQLite's waiting writers look again only now and then.
EXPANSION_PAUSE_SECONDS = 0.005
# Longer than any hand-over of one batch may take.
LEASE = timedelta(seconds=120)
# An update that waited this long is not worth sending once a newer one is there.
SUPERSEDED_AFTER = timedelta(minutes=30)
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


class Claimed(NamedTuple):
    """One delivery that this worker may hand over now."""

    id: int
    address: str
    subscriber_id: str | None
    customer_id: str | None
    attempts: int


@dataclass(frozen=True)
class Batch:
    """Claimed deliveries of one announcement: all to customers, or none of them."""

    id: str
    announcement: Announcement
    deliveries: tuple[Claimed, ...]

    @property
    def is_to_customers(self) -> bool:
        """Whether its mail is the one for people who never signed up."""
        return bool(self.deliveries) and self.deliveries[0].customer_id is not None


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
            .where(Announcement.expanded_at.is_(None), _may_go(now))
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


def _may_go(now: datetime) -> ColumnElement[bool]:
    """Whether an announcement can't be taken back any more."""
    return or_(Announcement.not_before.is_(None), Announcement.not_before <= now)


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
    insert_once = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    columns = ["announcement_id", "subscriber_id", "customer_id", "address", "lane", "state", "not_before"]
    return insert_once(Delivery).from_select(columns, rows).on_conflict_do_nothing()


def claim(owner: str, limit: int, now: datetime) -> Batch | None:
    """Take up to ``limit`` due mails of one announcement for this worker; None if none is due.

    Mail to one person comes first, then the newest announcement. The lease
    and who belongs to the batch are committed before anything is sent.
    Deliveries whose recipient has gone since are cancelled here, at the last
    moment; the batch may be empty then.
    """
    return _claim(MAIL_LANES, (), owner, limit, now)


def claim_for_channel(owner: str, busy: Collection[str], now: datetime) -> Batch | None:
    """Take one due note to a channel that is not ``busy``; None if none is due.

    Leased like mail, and apart from it: neither waits for the other. The
    batch is empty if the note was cancelled, for its channel was removed.
    """
    return _claim((CHANNEL_LANE,), busy, owner, 1, now)


def claim_for_endpoint(owner: str, busy: Collection[str], limit: int, now: datetime) -> Batch | None:
    """Take up to ``limit`` due posts of one announcement, to endpoints that are not ``busy``; None if none is due.

    An endpoint is named by its subscriber's id, which is the delivery's address.
    """
    return _claim((ENDPOINT_LANE,), busy, owner, limit, now)


def _claim(lanes: Sequence[int], busy: Collection[str], owner: str, limit: int, now: datetime) -> Batch | None:
    if not _anything_to_do(lanes, busy, now):
        return None
    with transaction(now) as session:
        _sweep(session, now)
        found = _first(session, lanes, busy, now)
        if found is None:
            return None
        announcement_id, lane, customer_id = found
        announcement = session.get_one(Announcement, announcement_id)
        # Plus nothing: so the index of what is due is walked in its order up to the limit, instead of
        # sorting the whole announcement for every batch.
        due = and_(
            _due(lane, busy, now),
            Delivery.announcement_id + 0 == announcement_id,
            # Customers' mail reads differently.
            Delivery.customer_id.is_(None) if customer_id is None else Delivery.customer_id.is_not(None),
        )
        batch = Batch(new_id(), announcement, ())
        if not _end_as_outdated(session, announcement, due, now):
            taken = _lease(session, due, lane, batch.id, owner, limit, now)
            gone = _cancel_gone(session, batch, now)
            batch = Batch(batch.id, announcement, tuple(each for each in taken if each.id not in gone))
        session.flush()
        session.expunge(announcement)
        return batch


def _due(lane: int, busy: Collection[str], now: datetime) -> ColumnElement[bool]:
    # Written out, not bound: with parameters SQLite can't tell that the index of what is due will do,
    # and would read every delivery ever made, each second.
    waiting: BindParameter[Any] = bindparam(
        "waiting", (Delivery.QUEUED, Delivery.UNKNOWN), expanding=True, literal_execute=True
    )
    due = and_(Delivery.state.in_(waiting), Delivery.lane == lane, Delivery.not_before <= now)
    return and_(due, Delivery.address.not_in(busy)) if busy else due


def _order(lane: int) -> UnaryExpression[int]:
    # What is newest is worth most; notes, posts and personal mail keep their order.
    return Delivery.id.desc() if lane == INCIDENT_LANE else Delivery.id.asc()


def _first(
    session: Session, lanes: Sequence[int], busy: Collection[str], now: datetime
) -> Row[int, int, str | None] | None:
    """Return announcement, lane and customer of what is due first."""
    for lane in lanes:
        query = select(Delivery.announcement_id, Delivery.lane, Delivery.customer_id)
        found = session.execute(query.where(_due(lane, busy, now)).order_by(_order(lane)).limit(1)).first()
        if found is not None:
            return found
    return None


def _anything_to_do(lanes: Sequence[int], busy: Collection[str], now: datetime) -> bool:
    """Look without taking the write lock: a worker with nothing to do disturbs nobody."""
    session = db.session()
    session.rollback()
    if _first(session, lanes, busy, now) is not None:
        return True
    lapsed = and_(_IS_LEASED, Delivery.lease_until < now, Delivery.lane.in_(lanes))
    return session.scalar(select(Delivery.id).where(lapsed).limit(1)) is not None


_IS_LEASED: ColumnElement[bool] = Delivery.state == literal_column(f"'{Delivery.LEASED}'")


def _end_as_outdated(session: Session, announcement: Announcement, due: ColumnElement[bool], now: datetime) -> bool:
    """End deliveries that came too late to be of use, and tell whether they did."""
    values: dict[str, Any] = {"settled_at": now}
    if announcement.audience == "channel" and announcement.created_at + CHANNEL_STALE_AFTER < now:
        values |= {"state": Delivery.DEAD, "error": STALE}
    elif _is_overtaken(session, announcement, now):
        values |= {"state": Delivery.SUPERSEDED}
    else:
        return False
    some = select(Delivery.id).where(due).limit(EXPANSION_CHUNK).with_for_update(skip_locked=True).cte("some")
    session.execute(update(Delivery).where(Delivery.id.in_(select(some.c.id))).values(values), **_NO_SYNC)
    return True


def _is_overtaken(session: Session, announcement: Announcement, now: datetime) -> bool:
    """Whether it is an update that waited long, while a newer one of the same incident is on its way."""
    if announcement.kind != "incident_update" or announcement.created_at + SUPERSEDED_AFTER > now:
        return False
    newer = select(Announcement.id).where(
        Announcement.incident_id == announcement.incident_id,
        Announcement.kind == announcement.kind,
        Announcement.id > announcement.id,
        Announcement.cancelled_at.is_(None),
        _may_go(now),
    )
    return session.scalar(newer.limit(1)) is not None


def _lease(
    session: Session, due: ColumnElement[bool], lane: int, batch: str, owner: str, limit: int, now: datetime
) -> list[Claimed]:
    chosen = select(Delivery.id).where(due).order_by(_order(lane)).limit(limit).with_for_update(skip_locked=True)
    made = chosen.cte("chosen")
    leased = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(select(made.c.id)))
        .values(
            state=Delivery.LEASED,
            batch=batch,
            lease_owner=owner,
            lease_until=now + LEASE,
            attempts=Delivery.attempts + 1,
        )
        .returning(
            Delivery.id, Delivery.address, Delivery.subscriber_id, Delivery.customer_id, Delivery.attempts
        ),
        **_NO_SYNC,
    )  # fmt: skip
    return [Claimed._make(row) for row in leased]


# Nothing of these rows is held in the session.
_NO_SYNC: dict[str, Any] = {"execution_options": {"synchronize_session": False}}


def _cancel_gone(session: Session, batch: Batch, now: datetime) -> set[int]:
    """Cancel what the recipient does not want any more, or must not get; return the ids."""
    unwanted = (
        update(Delivery)
        .where(Delivery.batch == batch.id, _IS_LEASED, not_(_is_wanted(batch.announcement)))
        .values(state=Delivery.CANCELLED, settled_at=now, lease_until=None, attempts=Delivery.attempts - 1)
        .returning(Delivery.id)
    )
    return set(session.scalars(unwanted, **_NO_SYNC))


def _is_wanted(announcement: Announcement) -> ColumnElement[bool]:
    if announcement.audience == "channel":
        return exists().where(Channel.id == Delivery.address, Channel.removed_at.is_(None))
    if announcement.audience == "address":
        # Mail to one person of the team has no subscriber; of those who have one, it is about their subscription.
        needed = Subscriber.state == Subscriber.PENDING
        if announcement.kind != "confirm_subscription":
            needed = Subscriber.state != Subscriber.ERASED
        complained = _is_suppressed(Subscriber, Suppression.reason == Suppression.COMPLAINT)
        to_subscriber = exists().where(Subscriber.id == Delivery.subscriber_id, needed, not_(complained))
        return or_(Delivery.subscriber_id.is_(None), to_subscriber)
    suppressed = and_(Subscriber.method == SubscriptionMethod.EMAIL, _is_suppressed(Subscriber))
    subscriber = exists().where(
        Subscriber.id == Delivery.subscriber_id, Subscriber.state == Subscriber.ACTIVE, not_(suppressed)
    )
    customer = exists().where(Customer.id == Delivery.customer_id, not_(_is_suppressed(Customer)))
    return or_(subscriber, customer)


def _is_suppressed(person: type[Subscriber] | type[Customer], *reasons: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Suppression.address_key == person.email_key, Suppression.lifted_at.is_(None), *reasons)


def settle(owner: str, receipts: Sequence[Receipt], now: datetime) -> None:
    """Write down what became of this worker's deliveries; those another has taken are left alone.

    An answer that comes after the lease ran out still counts where it is
    certain: it spares the recipient a second copy.
    """
    submitted = [receipt.delivery_id for receipt in receipts if receipt.outcome is Outcome.SUBMITTED]
    others = {receipt.delivery_id: receipt for receipt in receipts if receipt.outcome is not Outcome.SUBMITTED}
    with transaction(now) as session:
        if submitted:
            # In the order in which the provider's events take them: so that none waits for the other in a circle.
            mine = (
                select(Delivery.id)
                .where(_is_mine(submitted, owner))
                .order_by(Delivery.id)
                .with_for_update()
                .cte("mine")
            )
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(select(mine.c.id)))
                .values(state=Delivery.SUBMITTED, settled_at=now, lease_until=None, error=""),
                **_NO_SYNC,
            )
        if others:
            query = select(Delivery).where(_is_mine(list(others), owner)).order_by(Delivery.id).with_for_update()
            for row in session.scalars(query):
                receipt = others[row.id]
                if row.state == Delivery.LEASED or receipt.outcome is Outcome.REFUSED:
                    _settle(row, receipt, now)
                if receipt.outcome is Outcome.REFUSED and row.lane in MAIL_LANES:
                    suppression.note_refusal(session, row.address, receipt.error, now)


def _is_mine(ids: Sequence[int], owner: str) -> ColumnElement[bool]:
    return and_(
        Delivery.id.in_(ids), Delivery.state.in_((Delivery.LEASED, Delivery.UNKNOWN)), Delivery.lease_owner == owner
    )


def release(owner: str, batch: Batch, until: datetime, now: datetime) -> None:
    """Give a batch back that nobody was handed; no attempt is counted."""
    with transaction(now) as session:
        session.execute(
            update(Delivery)
            .where(Delivery.batch == batch.id, _IS_LEASED, Delivery.lease_owner == owner)
            .values(state=Delivery.QUEUED, attempts=Delivery.attempts - 1, not_before=until, lease_until=None),
            **_NO_SYNC,
        )


def _sweep(session: Session, now: datetime) -> None:
    """Take back what a worker that ended had leased: it may have been handed over, or not."""
    lapsed = session.scalars(
        select(Delivery).where(_IS_LEASED, Delivery.lease_until < now).with_for_update(skip_locked=True)
    )
    for row in lapsed:
        _settle(row, Receipt(row.id, Outcome.UNKNOWN, CRASHED), now)


def _settle(row: Delivery, receipt: Receipt, now: datetime) -> None:
    to_channel = row.lane == CHANNEL_LANE
    row.error, row.lease_until = receipt.error[:500], None
    if receipt.outcome is Outcome.UNKNOWN and not row.was_unknown:
        row.state, row.was_unknown = Delivery.UNKNOWN, True
        row.not_before = now + (CHANNEL_UNKNOWN_WAIT if to_channel else UNKNOWN_WAIT)
    elif receipt.outcome is Outcome.UNKNOWN:
        row.state, row.settled_at, row.error = Delivery.DEAD, now, TWICE_UNKNOWN
    elif receipt.outcome is Outcome.UNTRIED:
        row.state, row.attempts, row.not_before = Delivery.QUEUED, row.attempts - 1, now
    elif receipt.outcome is Outcome.LATER and row.attempts < (CHANNEL_MOST_ATTEMPTS if to_channel else MOST_ATTEMPTS):
        longest = CHANNEL_LONGEST_BACK_OFF if to_channel else LONGEST_BACK_OFF
        row.state, row.not_before = Delivery.QUEUED, now + min(back_off(row.attempts), longest)
    else:
        row.state, row.settled_at = Delivery.DEAD, now


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after this many tries: 2, 4, 8 … seconds, half an hour at most."""
    # 2 to the 11th is past half an hour already.
    return min(timedelta(seconds=2 ** min(attempts, 11)), LONGEST_BACK_OFF)
