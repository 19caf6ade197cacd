"""Addresses that must be left alone: who is on the list, who comes onto it, who is taken off.

Everything here works inside its caller's transaction, except what the worker
does to have the mail provider forget an address too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from statuspage.db import db, insert_missing, transaction
from statuspage.models import Customer, Delivery, SoftBounce, Subscriber, Suppression
from statuspage.rules.deliveries import blames_address
from statuspage.rules.subscriptions import suppression_keys
from statuspage.rules.vocabulary import SubscriptionMethod

HELD_BACK = "This address is not written to any more."
DETAIL_LIMIT = 300
ERASED = "hmac:"

# Each asks the provider for several lists, and mail waits meanwhile.
CLEARED_AT_ONCE = 2
SHORTEST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
# What the provider dropped while it was forgetting an address tells nothing new.
ECHO = timedelta(minutes=5)


@dataclass(frozen=True)
class Why:
    """Why an address is to be left alone."""

    reason: str
    """``Suppression.BOUNCE`` or ``Suppression.COMPLAINT``."""
    detail: str
    occurred_at: datetime
    is_mirrored: bool = False
    """Only the provider's own list says so: it dropped a mail without trying."""

    def outweighs(self, other: "Why") -> bool:
        """Tell whether this is the one of two to be remembered: a complaint, then what was tried, then the newest."""
        return self.weight > other.weight

    @property
    def weight(self) -> tuple[bool, bool, datetime]:
        """What decides between two."""
        return self.reason == Suppression.COMPLAINT, not self.is_mirrored, self.occurred_at


def suppressed(session: Session, addresses: Iterable[str], secret_keys: Sequence[str] = ()) -> set[str]:
    """Return those of the addresses, as given, that must not be written to: subscribers', customers' or anybody's.

    With ``secret_keys`` (the present one and its fallbacks) those are found
    too whose owner had all data erased.
    """
    by_key = _by_key(addresses, secret_keys)
    rows = session.scalars(
        select(Suppression.address_key).where(Suppression.address_key.in_(by_key), Suppression.lifted_at.is_(None))
    )
    return {address for key in rows for address in by_key[key]}


def is_erased(row: Suppression) -> bool:
    """Tell whether nobody knows any more which address this is."""
    return row.address_key.startswith(ERASED)


def erase(session: Session, address: str, secret_key: str) -> None:
    """Forget an address and leave it alone all the same."""
    key, erased = suppression_keys(address, [secret_key])
    session.execute(delete(SoftBounce).where(SoftBounce.address_key == key))
    row = session.scalar(select(Suppression).where(Suppression.address_key == key).with_for_update())
    if row is None:
        return
    there = session.scalar(select(Suppression.id).where(Suppression.address_key == erased))
    if row.lifted_at is not None or there is not None:
        session.delete(row)
    else:
        row.address_key, row.detail = erased, ""


def suppress(session: Session, found: Mapping[str, Why], now: datetime) -> set[str]:
    """Leave these addresses (in lower case) alone from now on; what was queued for them is cancelled.

    Return those that were not left alone before. What is older than a lift
    does not undo it.
    """
    if not found:
        return set()
    values = [
        {"address_key": key, "reason": why.reason, "detail": why.detail[:DETAIL_LIMIT], "created_at": now}
        for key, why in found.items()
    ]
    fresh = insert_missing(session, Suppression.__table__, values, "address_key")  # type: ignore[arg-type]
    known = found.keys() - fresh
    rows = session.scalars(
        select(Suppression)
        .where(Suppression.address_key.in_(known))
        .order_by(Suppression.address_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for row in rows:
        why = found[row.address_key]
        if not _is_news(row, why):
            continue
        if row.lifted_at is not None:
            fresh.add(row.address_key)
        row.reason, row.detail, row.created_at = why.reason, why.detail[:DETAIL_LIMIT], now
        row.lifted_at = row.clear_at = row.cleared_at = None
    session.flush()
    cancel_waiting(session, fresh, now)
    return fresh


def _is_news(row: Suppression, why: Why) -> bool:
    is_graver = why.reason == Suppression.COMPLAINT and row.reason == Suppression.BOUNCE
    if row.lifted_at is None:
        return is_graver
    if why.is_mirrored:
        # The provider has not been asked yet to forget the address, or was asked just now.
        return row.cleared_at is not None and why.occurred_at > row.cleared_at + ECHO
    return is_graver or why.occurred_at > row.lifted_at


def cancel_waiting(session: Session, address_keys: Collection[str], now: datetime, *, customers: bool = True) -> None:
    """Cancel the mails that wait for these addresses (in lower case); those to customers only if it says so."""
    if not address_keys:
        return
    subscribers = select(Subscriber.id).where(
        Subscriber.email_key.in_(address_keys), Subscriber.method == SubscriptionMethod.EMAIL
    )
    _cancel(session, Delivery.subscriber_id.in_(session.scalars(subscribers).all()), now)
    if customers:
        found = session.scalars(select(Customer.id).where(Customer.email_key.in_(address_keys))).all()
        _cancel(session, Delivery.customer_id.in_(found), now)


def _cancel(session: Session, whose: ColumnElement[bool], now: datetime) -> None:
    # Those that a worker is claiming just now it checks itself: waiting for it could go round in a circle.
    waiting = (
        select(Delivery.id)
        .where(whose, Delivery.state.in_((Delivery.QUEUED, Delivery.UNKNOWN)))
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(waiting).all()
    if ids:
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids))
            .values(state=Delivery.CANCELLED, settled_at=now, error=HELD_BACK)
        )


def note_refusal(session: Session, address: str, answer: str, now: datetime) -> bool:
    """Leave an address alone if a mail server's answer to its RCPT (``550 5.1.1 …``) says that it will never do.

    Refusals by a policy, a full mailbox or the sender's fault don't count.
    Return whether it did.
    """
    if not blames_address(answer):
        return False
    suppress(session, {address.lower(): Why(Suppression.BOUNCE, answer, now)}, now)
    return True


def lift(session: Session, address: str, now: datetime, *, secret_keys: Sequence[str] = ()) -> bool:
    """Write again to an address that bounced: its owner asks for it. Return whether it may be written to.

    The worker has the provider forget it too. A complaint stays: only an
    operator lifts it.
    """
    key = address.lower()
    rows = session.scalars(
        select(Suppression)
        .where(Suppression.address_key.in_(_by_key([address], secret_keys)))
        .order_by(Suppression.address_key)
        .with_for_update()
    ).all()
    if any(row.reason == Suppression.COMPLAINT and row.lifted_at is None for row in rows):
        return False
    kept = next((row for row in rows if row.address_key == key), rows[0] if rows else None)
    for row in rows:
        if row is not kept:
            session.delete(row)
    if kept is not None:
        session.flush()
        kept.address_key = key
        lift_row(session, kept, now)
    return True


def lift_row(session: Session, row: Suppression, now: datetime) -> None:
    """Take an address off the list; the worker has the provider do the same."""
    if row.lifted_at is None:
        row.lifted_at = row.clear_at = now
    session.execute(delete(SoftBounce).where(SoftBounce.address_key == row.address_key))


def _by_key(addresses: Iterable[str], secret_keys: Sequence[str]) -> dict[str, list[str]]:
    """Each key that may stand for an address in the table, with the addresses as given."""
    keys: dict[str, list[str]] = {}
    for address in addresses:
        for key in suppression_keys(address, secret_keys):
            keys.setdefault(key, []).append(address)
    return keys


# --- the provider's own lists -----------------------------------------------


@dataclass(frozen=True)
class Lifted:
    """An address that the provider has to forget."""

    id: str
    address: str
    lifted_at: datetime
    complaint: bool


def claim_lifted(now: datetime) -> list[Lifted]:
    """Take a few addresses that the provider has to forget; each comes back later unless ``mark_cleared`` is called."""
    due = Suppression.clear_at <= now
    # Without the write lock: mostly there is none.
    if db.session.scalar(select(Suppression.id).where(due).limit(1)) is None:
        return []
    with transaction(now) as session:
        rows = session.scalars(
            select(Suppression)
            .where(due)
            .order_by(Suppression.clear_at, Suppression.id)
            .limit(CLEARED_AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        claimed = []
        for row in rows:
            lifted_at = row.lifted_at or now
            claimed.append(Lifted(row.id, row.address_key, lifted_at, row.reason == Suppression.COMPLAINT))
            # After as long again as it has waited: twice as late each time.
            row.clear_at = now + min(max(now - lifted_at, SHORTEST_PAUSE), LONGEST_PAUSE)
    return claimed


def mark_cleared(lifted: Lifted, now: datetime) -> None:
    """Write down that the provider has forgotten an address, unless it came back onto the list meanwhile."""
    with transaction(now) as session:
        session.execute(
            update(Suppression)
            .where(Suppression.id == lifted.id, Suppression.lifted_at == lifted.lifted_at)
            .values(clear_at=None, cleared_at=now)
        )


def put_off_clearing(until: datetime, now: datetime) -> None:
    """Ask nothing before ``until``: the provider does not answer, or refuses the key."""
    with transaction(now) as session:
        session.execute(update(Suppression).where(Suppression.clear_at < until).values(clear_at=until))
