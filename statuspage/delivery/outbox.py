"""The outbox: claim what is due, settle what became of it.

A delivery goes ``queued -> leased -> submitted``; ``unknown`` after an answer
that went missing, ``cancelled`` when its recipient is gone, ``dead`` for good.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    UnaryExpression,
    and_,
    bindparam,
    exists,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session, aliased

from statuspage.db import db, transaction
from statuspage.delivery import suppression
from statuspage.delivery.announcements import (
    CHANNEL_LANE,
    ENDPOINT_LANE,
    EXPANSION_CHUNK,
    IMPORT_LANE,
    INCIDENT_LANE,
    SECURITY_LANE,
    may_go,
)
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import (
    Announcement,
    Channel,
    Customer,
    Delivery,
    Page,
    Subscriber,
    Suppression,
    new_id,
)
from statuspage.rules.vocabulary import SubscriptionMethod

MAIL_LANES = (SECURITY_LANE, INCIDENT_LANE, IMPORT_LANE)

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
    language: str = ""
    """Of all of them; empty for the page's own."""

    @property
    def is_to_customers(self) -> bool:
        """Whether its mail is the one for people who never signed up."""
        return bool(self.deliveries) and self.deliveries[0].customer_id is not None


def claim(owner: str, limit: int, now: datetime) -> Batch | None:
    """Take up to ``limit`` due mails of one announcement for this worker; None if none is due.

    Mail to one person comes first, then the newest announcement. The lease
    and who belongs to the batch are committed before anything is sent.
    Deliveries whose recipient has gone since are cancelled here, at the last
    moment; the batch may be empty then.
    """
    return _claim(MAIL_LANES, None, owner, limit, now)


def claim_for_channel(owner: str, busy: Collection[str], now: datetime) -> Batch | None:
    """Take one due note to a channel that is not ``busy``; None if none is due.

    Leased like mail, and apart from it: neither waits for the other. The
    batch is empty if the note was cancelled, for its channel was removed.
    """
    return _claim((CHANNEL_LANE,), Delivery.address.not_in(busy), owner, 1, now)


def claim_for_endpoint(
    owner: str, busy: Collection[str], limit: int, now: datetime, *, failing: bool = False
) -> Batch | None:
    """Take up to ``limit`` due posts of one announcement, to endpoints that are not ``busy``; None if none is due.

    An endpoint is named by its subscriber's id, which is the delivery's
    address. Those that are ``failing`` are asked for apart from all others.
    """
    return _claim((ENDPOINT_LANE,), _to_endpoint(busy, failing), owner, limit, now)


def _to_endpoint(busy: Collection[str], failing: bool) -> ColumnElement[bool]:
    leased = aliased(Delivery)
    # One at a time for each, whichever worker has it.
    in_hand = select(leased.address).where(
        leased.state == literal_column(f"'{Delivery.LEASED}'"), leased.lane == ENDPOINT_LANE
    )
    fails = exists().where(Subscriber.id == Delivery.address, Subscriber.failing_since.is_not(None))
    return and_(
        Delivery.address.not_in(busy),
        Delivery.address.not_in(in_hand),
        fails if failing else ~fails,
    )


def _claim(
    lanes: Sequence[int], only: ColumnElement[bool] | None, owner: str, limit: int, now: datetime
) -> Batch | None:
    found = _look(lanes, only, now)
    if found is None:
        return None
    announcement_id, lane, customer_id, subscriber_id = found
    with transaction(now) as session:
        announcement = session.get_one(Announcement, announcement_id)
        # Plus nothing: so the index of what is due is walked in its order up to the limit, instead of
        # sorting the whole announcement for every batch.
        due = and_(
            _is_due(lane, now),
            true() if only is None else only,
            Delivery.announcement_id + 0 == announcement_id,
            # Customers' mail reads differently.
            Delivery.customer_id.is_(None) if customer_id is None else Delivery.customer_id.is_not(None),
        )
        language = _language(session, subscriber_id)
        batch = Batch(new_id(), announcement, (), language or "")
        if not _end_as_outdated(session, announcement, due, now):
            _lease(session, due, lane, batch.id, owner, limit, language, now)
            batch = _take(session, batch, now)
        session.flush()
        session.expunge(announcement)
        return batch


# Written out, not bound: with parameters SQLite can't tell that the index of what is due will do,
# and would read every delivery ever made, each second.
_IS_WAITING: ColumnElement[bool] = Delivery.state.in_(
    [literal_column(f"'{state}'") for state in (Delivery.QUEUED, Delivery.UNKNOWN)]
)
_IS_LEASED: ColumnElement[bool] = Delivery.state == literal_column(f"'{Delivery.LEASED}'")


def _is_due(lane: int, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(_IS_WAITING, Delivery.lane.between(lane, lane), Delivery.not_before <= now)


def _order(lane: int) -> tuple[UnaryExpression[int], UnaryExpression[int]]:
    """Return the order of the index of what is due.

    With a lane that it knows for constant, PostgreSQL would go by the primary
    key instead as soon as it has statistics: past every mail already sent.
    """
    # What is newest is worth most; notes, posts and personal mail keep their order.
    if lane == INCIDENT_LANE:
        return Delivery.lane.desc(), Delivery.id.desc()
    return Delivery.lane.asc(), Delivery.id.asc()


def _first(
    session: Session, lanes: Sequence[int], only: ColumnElement[bool] | None, now: datetime
) -> Row[int, int, str | None, str | None] | None:
    """Return announcement, lane, customer and subscriber of what is due first."""
    for lane in lanes:
        query = _first_of(lane) if only is None else _first_of(lane).where(only)
        found = session.execute(query, {"now": now}).first()
        if found is not None:
            return found
    return None


@cache
def _first_of(lane: int) -> Select[int, int, str | None, str | None]:
    query = select(Delivery.announcement_id, Delivery.lane, Delivery.customer_id, Delivery.subscriber_id)
    return query.where(_is_due(lane, bindparam("now"))).order_by(*_order(lane)).limit(1)


_LAPSED = select(Delivery.id).where(_IS_LEASED, Delivery.lease_until < bindparam("now")).limit(1)


def _look(
    lanes: Sequence[int], only: ColumnElement[bool] | None, now: datetime
) -> Row[int, int, str | None, str | None] | None:
    """Return what is due first, without the write lock: a worker with nothing to do disturbs nobody.

    What another worker takes meanwhile is not due any more when it is leased.
    """
    session = db.session()
    session.rollback()
    if session.scalar(_LAPSED, {"now": now}) is not None:
        with transaction(now) as writing:
            _sweep(writing, now)
    return _first(session, lanes, only, now)


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
        may_go(now),
    )
    return session.scalar(newer.limit(1)) is not None


def _language(session: Session, subscriber_id: str | None) -> str | None:
    """Return the language of a subscriber's mails; None where nobody has a choice, or it is no subscriber."""
    if subscriber_id is None or not session.scalar(select(Page.languages)):
        return None
    return session.scalar(select(Subscriber.language).where(Subscriber.id == subscriber_id))


# A million rows change their state faster than statistics are made: PostgreSQL would sort all that is due
# for each thousand of them, for it takes them to be few. The lease of each is found by its number.
_IN_ORDER_OF_THE_INDEX = text("SET LOCAL enable_sort = off")


def _lease(
    session: Session,
    due: ColumnElement[bool],
    lane: int,
    batch: str,
    owner: str,
    limit: int,
    language: str | None,
    now: datetime,
) -> None:
    """Lease up to ``limit`` of what is due: of these, those who want the same language as the first of them."""
    same = exists().where(Subscriber.id == Delivery.subscriber_id, Subscriber.language == language)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_IN_ORDER_OF_THE_INDEX)
    chosen = select(Delivery.id).where(due).order_by(*_order(lane)).limit(limit).with_for_update(skip_locked=True)
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(select(chosen.cte("chosen").c.id)), true() if language is None else same)
        .values(
            state=Delivery.LEASED,
            batch=batch,
            lease_owner=owner,
            lease_until=now + LEASE,
            attempts=Delivery.attempts + 1,
        ),
        **_NO_SYNC,
    )


def _take(session: Session, batch: Batch, now: datetime) -> Batch:
    """Return the batch with what it holds; cancel what the recipient does not want any more, or must not get."""
    rows = session.execute(_in_batch(batch.announcement.audience, batch.announcement.kind), {"batch": batch.id}).all()
    if not all(row[5] for row in rows):
        session.execute(
            update(Delivery)
            .where(Delivery.batch == batch.id, Delivery.id.in_([row[0] for row in rows if not row[5]]))
            .values(state=Delivery.CANCELLED, settled_at=now, lease_until=None, attempts=Delivery.attempts - 1),
            **_NO_SYNC,
        )
    # This runs a million times for one update.
    return Batch(
        batch.id, batch.announcement, tuple([Claimed._make(row[:5]) for row in rows if row[5]]), batch.language
    )


# Kept, for building a query takes longer than asking it.
@cache
def _in_batch(audience: str, kind: str) -> Select[int, str, str | None, str | None, int, bool]:
    """Return the query of what a batch holds, and whether its recipient wants it."""
    return select(
        Delivery.id,
        Delivery.address,
        Delivery.subscriber_id,
        Delivery.customer_id,
        Delivery.attempts,
        _is_wanted(audience, kind),
    ).where(Delivery.batch == bindparam("batch"), _IS_LEASED)


# Nothing of these rows is held in the session.
_NO_SYNC: dict[str, Any] = {"execution_options": {"synchronize_session": False}}


def _is_wanted(audience: str, kind: str) -> ColumnElement[bool]:
    if audience == "channel":
        return exists().where(Channel.id == Delivery.address, Channel.removed_at.is_(None))
    if audience == "address":
        # Mail to one person of the team has no subscriber; of those who have one, it is about their subscription.
        needed = Subscriber.state == Subscriber.PENDING
        if kind != "confirm_subscription":
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


def settle(owner: str, receipts: Sequence[Receipt], now: datetime, batch: Batch | None = None) -> None:
    """Write down what became of this worker's deliveries; those another has taken are left alone.

    An answer that comes after the lease ran out still counts where it is
    certain: it spares the recipient a second copy. ``batch`` is what the
    receipts are about, where they are about a whole one.
    """
    submitted = [receipt.delivery_id for receipt in receipts if receipt.outcome is Outcome.SUBMITTED]
    others = {receipt.delivery_id: receipt for receipt in receipts if receipt.outcome is not Outcome.SUBMITTED}
    with transaction(now) as session:
        if batch is not None and len(submitted) == len(batch.deliveries):
            # A thousand numbers cost more than the rows. What was taken from us meanwhile is found by its number.
            whole = and_(Delivery.batch == batch.id, _IS_LEASED, Delivery.lease_owner == owner)
            submitted = [] if _mark_submitted(session, whole, now) == len(submitted) else submitted
        if submitted:
            _mark_submitted(session, _is_mine(submitted, owner), now)
        if others:
            _settle_others(session, others, owner, now)


def _mark_submitted(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    # In the order in which the provider's events take them: so that none waits for the other in a circle.
    mine = select(Delivery.id).where(which).order_by(Delivery.id).with_for_update()
    done = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(mine))
        .values(state=Delivery.SUBMITTED, settled_at=now, lease_until=None, error=""),
        **_NO_SYNC,
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def _settle_others(session: Session, receipts: Mapping[int, Receipt], owner: str, now: datetime) -> None:
    query = select(Delivery).where(_is_mine(list(receipts), owner)).order_by(Delivery.id).with_for_update()
    for row in session.scalars(query):
        receipt = receipts[row.id]
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
        pause = max(min(back_off(row.attempts), longest), timedelta(seconds=receipt.retry_after))
        row.state, row.not_before = Delivery.QUEUED, now + pause
    else:
        row.state, row.settled_at = Delivery.DEAD, now


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after this many tries: 2, 4, 8 … seconds, half an hour at most."""
    # 2 to the 11th is past half an hour already.
    return min(timedelta(seconds=2 ** min(attempts, 11)), LONGEST_BACK_OFF)
