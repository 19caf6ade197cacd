"""What the mail provider reports: what became of each mail, and which addresses to leave alone."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import insert_missing, transaction
from statuspage.delivery import suppression
from statuspage.delivery.suppression import Why
from statuspage.models import Delivery, ProviderEvent, SoftBounce, Subscriber, Suppression
from statuspage.rules.deliveries import (
    DeliveryState,
    Event,
    Verdict,
    after_event,
    is_given_up,
    read_event,
    verdict,
)
from statuspage.rules.vocabulary import SubscriptionMethod

# Reports to a transaction: other writers wait no longer than one of these takes.
CHUNK = 250
DETAIL_LIMIT = 300
# Timestamps outside of these years are somebody's mistake.
EARLIEST, LATEST = datetime(2010, 1, 1, tzinfo=UTC).timestamp(), datetime(2200, 1, 1, tzinfo=UTC).timestamp()
UNREADABLE = "unreadable"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """One event, read as far as it can be."""

    key: str
    """The same for the same report, whatever id the provider gives it the next time."""
    delivery_id: int | None
    batch: str
    address_key: str
    name: str
    event: Event
    reason: str
    occurred_at: datetime


def take_events(events: Sequence[object], now: datetime) -> int:
    """Take what the provider posted, each report once however often it comes; return how many were new.

    A report counts for a delivery only if the address and, where it says one,
    the batch are the delivery's own; what counts for none is kept and changes
    nothing. What can't be read is kept too: nothing here is refused.
    """
    reports = [_read(event, now) for event in events]
    count = 0
    for start in range(0, len(reports), CHUNK):
        with transaction(now) as session:
            if session.get_bind().dialect.name == "postgresql":
                # Shorter than the second after which a circle of waiting is broken up: the worker that settles
                # the same mails must not be the one to lose. The provider comes again.
                session.execute(text("SET LOCAL lock_timeout = '500ms'"))
            count += _take(session, reports[start : start + CHUNK], now)
    return count


# --- reading ----------------------------------------------------------------


def _read(event: object, now: datetime) -> Report:
    if not isinstance(event, Mapping):
        words = _words(event)
        return Report(_key([UNREADABLE, words]), None, "", "", UNREADABLE, Event.OTHER, _clean(words), now)
    name, address = _text(event, "event"), _text(event, "email").strip().lower()
    delivery, batch = _text(event, "sp_d"), _text(event, "sp_chunk")
    read = read_event(name, _text(event, "type"))
    parts = [delivery, batch, "" if delivery else _text(event, "sg_message_id"), address, name, _text(event, "type")]
    return Report(
        key=_key([*parts, _text(event, "timestamp")]),
        delivery_id=int(delivery) if delivery.isascii() and delivery.isdigit() and len(delivery) <= 18 else None,
        batch=batch,
        address_key=address,
        name=Event.BLOCKED.value if read is Event.BLOCKED else name[:30],
        event=read,
        reason=_text(event, "reason") or _text(event, "response"),
        occurred_at=_instant(event.get("timestamp"), now),
    )


def _words(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, default=str)
    except (ValueError, RecursionError):
        return type(value).__name__


def _key(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return _clean(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _clean(text: str) -> str:
    """Return so much of a text as any column can hold: no NUL, no half of a surrogate pair."""
    return text[:DETAIL_LIMIT].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _instant(value: object, now: datetime) -> datetime:
    """Return when something happened, by the provider's clock; never later than now."""
    if isinstance(value, int | float) and not isinstance(value, bool) and EARLIEST <= value <= LATEST:
        return min(datetime.fromtimestamp(value, UTC), now)
    return now


# --- taking -----------------------------------------------------------------


def _take(session: Session, reports: Sequence[Report], now: datetime) -> int:
    by_key = {report.key: report for report in reports}
    rows = _deliveries(session, reports)
    about = {key: _delivery_of(report, rows) for key, report in by_key.items()}
    fresh = _keep(session, by_key, about, now)
    matched: list[Report] = []
    for key, report in by_key.items():
        row = about[key]
        if key in fresh and row is not None:
            _apply(row, report, now)
            matched.append(report)
    if len(matched) < len(fresh):
        log.info("%d of %d reports of the mail provider count for no mail", len(fresh) - len(matched), len(fresh))
    _unsubscribe(session, matched, now)
    _suppress(session, matched, _count_soft_bounces(session, matched), now)
    return len(fresh)


def _deliveries(session: Session, reports: Iterable[Report]) -> dict[int, Delivery]:
    ids = {report.delivery_id for report in reports if report.delivery_id is not None}
    if not ids:
        return {}
    # In one order everywhere, so that nobody waits in a circle.
    rows = session.scalars(select(Delivery).where(Delivery.id.in_(ids)).order_by(Delivery.id).with_for_update())
    return {row.id: row for row in rows}


def _delivery_of(report: Report, rows: Mapping[int, Delivery]) -> Delivery | None:
    row = rows.get(report.delivery_id) if report.delivery_id is not None else None
    if row is None or row.address.lower() != report.address_key:
        return None
    if not row.attempts and not (row.batch and report.batch == row.batch):
        # Never handed over: the number is from another installation, or from before a backup was put back.
        return None
    # Numbers of deliveries are the same everywhere, batches are not: two installations may share a provider's account.
    # A mail whose answer went missing may have left in an earlier batch.
    is_ours = report.batch in ("", row.batch) or row.was_unknown
    return row if is_ours else None


def _keep(
    session: Session, by_key: Mapping[str, Report], about: Mapping[str, Delivery | None], now: datetime
) -> set[str]:
    """Write the reports down; return the keys of those that had not come before."""
    values = [
        {
            "event_key": key,
            "delivery_id": row.id if (row := about[key]) else None,
            "event": report.name,
            "detail": report.reason,
            "occurred_at": report.occurred_at,
            "received_at": now,
        }
        for key, report in by_key.items()
    ]
    return insert_missing(session, ProviderEvent.__table__, values, "event_key")  # type: ignore[arg-type]


def _apply(row: Delivery, report: Report, now: datetime) -> None:
    before = DeliveryState(row.state)
    after = after_event(before, report.event)
    if after is not before:
        row.state = after.value
        row.settled_at, row.lease_until = row.settled_at or now, None
        row.error = report.reason if after in (DeliveryState.BOUNCED, DeliveryState.DROPPED) else ""
    if report.event is Event.DEFERRED and after is DeliveryState.SUBMITTED:
        row.error = report.reason
    if report.event not in (Event.OTHER, Event.UNSUBSCRIBE):
        row.receipt_at = max(row.receipt_at or report.occurred_at, report.occurred_at)


# --- addresses --------------------------------------------------------------


def _unsubscribe(session: Session, reports: Iterable[Report], now: datetime) -> None:
    """End the subscriptions by mail of those who complained, or unsubscribed at the provider."""
    ended: dict[str, Report] = {}
    for report in reports:
        if verdict(report.event, report.reason) in (Verdict.COMPLAINT, Verdict.UNSUBSCRIBE):
            ended[report.address_key] = report
    if not ended:
        return
    found = (
        select(Subscriber)
        .where(
            Subscriber.email_key.in_(ended),
            Subscriber.method == SubscriptionMethod.EMAIL,
            Subscriber.state.in_((Subscriber.ACTIVE, Subscriber.PENDING)),
        )
        .order_by(Subscriber.id)
        .with_for_update()
    )
    gone = []
    for subscriber in session.scalars(found):
        report = ended[subscriber.email_key]
        if subscriber.confirmed_at is not None and subscriber.confirmed_at > report.occurred_at:
            # Old news: they came back since.
            continue
        subscriber.state, subscriber.unsubscribed_at = Subscriber.UNSUBSCRIBED, now
        subscriber.confirmation_sent_at = None
        audit(session, None, "unsubscribe", "subscriber", subscriber.id, now, because=report.name)
        gone.append(subscriber.email_key)
    suppression.cancel_waiting(session, gone, now, customers=False)


def _count_soft_bounces(session: Session, reports: Iterable[Report]) -> dict[str, Why]:
    """Count refusals that may pass, until a mail arrives; return the addresses that refused for too long."""
    told = [
        (report.occurred_at, report.address_key, judged is Verdict.SOFT_BOUNCE, report.reason)
        for report in reports
        if (judged := verdict(report.event, report.reason)) in (Verdict.SOFT_BOUNCE, Verdict.REACHED)
    ]
    first = {key: occurred_at for occurred_at, key, is_refusal, _ in sorted(told, reverse=True) if is_refusal}
    values = [
        {"address_key": key, "count": 0, "first_at": occurred_at, "last_at": occurred_at}
        for key, occurred_at in first.items()
    ]
    insert_missing(session, SoftBounce.__table__, values, "address_key")  # type: ignore[arg-type]
    found = (
        select(SoftBounce)
        .where(SoftBounce.address_key.in_({key for _, key, _, _ in told}))
        .order_by(SoftBounce.address_key)
        .with_for_update()
    )
    counts = {row.address_key: row for row in session.scalars(found)} if told else {}
    given_up = {}
    for occurred_at, key, is_refusal, reason in sorted(told):
        row = counts.get(key)
        if row is None:
            continue
        if is_refusal:
            _count(row, occurred_at)
            if is_given_up(row.count, row.first_at, row.last_at):
                given_up[key] = Why(Suppression.BOUNCE, f"Refused {row.count} times in a row: {reason}", occurred_at)
        elif occurred_at >= row.last_at:
            row.count = 0
            given_up.pop(key, None)
    for row in counts.values():
        if row.count == 0 or row.address_key in given_up:
            session.delete(row)
    return given_up


def _count(row: SoftBounce, occurred_at: datetime) -> None:
    if row.count == 0:
        row.first_at = row.last_at = occurred_at
    row.count += 1
    row.first_at, row.last_at = min(row.first_at, occurred_at), max(row.last_at, occurred_at)


def _suppress(session: Session, reports: Iterable[Report], found: dict[str, Why], now: datetime) -> None:
    for report in reports:
        judged = verdict(report.event, report.reason)
        if judged is Verdict.COMPLAINT:
            reason = Suppression.COMPLAINT
        elif judged is Verdict.HARD_BOUNCE:
            reason = Suppression.BOUNCE
        else:
            continue
        why = Why(reason, report.reason, report.occurred_at, is_mirrored=report.event is Event.DROPPED)
        known = found.get(report.address_key)
        if known is None or why.outweighs(known):
            found[report.address_key] = why
    suppression.suppress(session, found, now)
