"""Subscribers in the hands of the page's owner: added by a program, changed, asked once more.

Nobody is brought back here who left: that is for them alone.
"""

import base64
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, take_page
from statuspage.actions.people import check_email
from statuspage.actions.subscriptions import CONFIRMATION_PAUSE
from statuspage.db import db, insert_once, transaction
from statuspage.delivery.outbox import announce_to_address
from statuspage.models import Component, Subscriber, SubscriberComponent, Suppression, new_id
from statuspage.rules.subscriptions import Choice, identity, suppression_keys
from statuspage.rules.vocabulary import Conflict, NotFound, RuleBroken, SubscriptionKind, SubscriptionMethod

SOURCE = "api"
LONGEST_ENDPOINT = 2_000


def kinds_of(subscriber: Subscriber) -> frozenset[SubscriptionKind]:
    """Return what a subscriber wants to hear of."""
    wanted = {
        SubscriptionKind.INCIDENTS: subscriber.wants_incidents,
        SubscriptionKind.MAINTENANCE: subscriber.wants_maintenance,
        SubscriptionKind.COMPONENT_CHANGES: subscriber.wants_component_changes,
    }
    return frozenset(kind for kind, is_wanted in wanted.items() if is_wanted)


def choice_of(subscriber_id: str) -> Choice:
    """Return what a subscriber chose. Raises NotFound."""
    session = db.session()
    session.rollback()
    subscriber = session.get(Subscriber, subscriber_id, populate_existing=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    if subscriber.all_components:
        return Choice(None, kinds_of(subscriber))
    query = select(SubscriberComponent.component_id).where(SubscriberComponent.subscriber_id == subscriber_id)
    return Choice(frozenset(session.scalars(query)), kinds_of(subscriber))


def add(
    email: str, endpoint: str, choice: Choice, is_vouched_for: bool, secret_keys: Sequence[str], now: datetime
) -> str:
    """Add a subscriber for a program: by mail, or by webhook if there is an ``endpoint``. Return the id.

    Where the caller vouches for the consent updates begin at once; else a mail
    asks for it. Raises RuleBroken on ``email``, ``endpoint`` or
    ``component_ids``; Conflict for somebody who is subscribed or has left.
    """
    method = SubscriptionMethod.WEBHOOK if endpoint else SubscriptionMethod.EMAIL
    who = identity(check_email(email), method, _check_endpoint(endpoint))
    with transaction(now) as session:
        # So that no component leaves the page meanwhile.
        take_page(session)
        check_components(session, choice.component_ids or ())
        insert_once(
            session,
            Subscriber.__table__,  # type: ignore[arg-type]
            {"id": new_id(), **who, "state": Subscriber.PENDING, "requested_at": now},
        )
        found = select(Subscriber).where(Subscriber.unique_key == who["unique_key"]).with_for_update()
        subscriber = session.execute(found).scalar_one()
        _refuse_what_is_not_ours(session, subscriber, is_vouched_for, secret_keys)
        if method is SubscriptionMethod.WEBHOOK and not subscriber.secret:
            subscriber.secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        for column, value in who.items():
            setattr(subscriber, column, value)
        subscriber.source = SOURCE
        _set_choice(session, subscriber, choice)
        if is_vouched_for:
            subscriber.state, subscriber.confirmed_at, subscriber.unsubscribed_at = Subscriber.ACTIVE, now, None
        elif not _was_just_asked(subscriber, now):
            _ask(session, subscriber, now)
        audit(session, None, "add", "subscriber", subscriber.id, now, source=SOURCE, vouched=is_vouched_for)
        return subscriber.id


def _refuse_what_is_not_ours(
    session: Session, subscriber: Subscriber, is_vouched_for: bool, secret_keys: Sequence[str]
) -> None:
    if subscriber.state == Subscriber.ACTIVE:
        raise Conflict("This one is subscribed already: please change it with a PATCH.")
    names = suppression_keys(subscriber.email, secret_keys)
    complaint = select(Suppression.id).where(
        Suppression.address_key.in_(names), Suppression.reason == Suppression.COMPLAINT
    )
    if session.scalar(complaint.limit(1)) is not None:
        raise Conflict("They reported mail from here as spam: only they can come back.")
    if is_vouched_for and subscriber.state in (Subscriber.UNSUBSCRIBED, Subscriber.ERASED):
        raise Conflict("They unsubscribed: without skip_confirmation_notification they are asked whether to come back.")


def _check_endpoint(text: str) -> str:
    """Return an address that may be posted to; what it leads to is checked whenever something is posted there."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        is_fine = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not text.isascii() or not text.isprintable() or " " in text or len(text) > LONGEST_ENDPOINT:
        raise RuleBroken({"endpoint": "Please give an address that begins with https://."})
    return text


def check_components(session: Session, component_ids: Collection[str]) -> None:
    """Raise RuleBroken on ``component_ids`` unless all are components of the page."""
    there = select(Component.id).where(Component.id.in_(component_ids), Component.archived_at.is_(None))
    unknown = sorted(set(component_ids) - set(session.scalars(there)))
    if unknown:
        raise RuleBroken({"component_ids": f"There is no component with the id {unknown[0][:50]}."})


def change_choice(subscriber_id: str, choice: Choice, now: datetime) -> None:
    """Change what a subscriber hears of. Raises NotFound, Conflict, or RuleBroken on ``component_ids``."""
    with transaction(now) as session:
        take_page(session)
        subscriber = _get(session, subscriber_id)
        if subscriber.state == Subscriber.UNSUBSCRIBED:
            raise Conflict("They unsubscribed: there is nothing to change.")
        # What was chosen before and is off the page by now may stay.
        chosen = select(SubscriberComponent.component_id).where(SubscriberComponent.subscriber_id == subscriber_id)
        check_components(session, (choice.component_ids or frozenset()) - set(session.scalars(chosen)))
        _set_choice(session, subscriber, choice)
        audit(session, None, "edit", "subscriber", subscriber_id, now, source=SOURCE)


def resend_confirmation(subscriber_id: str, now: datetime) -> None:
    """Ask once more for a consent that is waited for. Raises NotFound; Conflict if nobody waits, or asked just now."""
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state != Subscriber.PENDING:
            raise Conflict("This one does not wait for a confirmation.")
        if _was_just_asked(subscriber, now):
            raise Conflict("They were asked less than an hour ago: please wait.")
        _ask(session, subscriber, now)


def _was_just_asked(subscriber: Subscriber, now: datetime) -> bool:
    asked_at = subscriber.confirmation_sent_at
    return subscriber.state == Subscriber.PENDING and asked_at is not None and now - asked_at < CONFIRMATION_PAUSE


def _ask(session: Session, subscriber: Subscriber, now: datetime) -> None:
    subscriber.state = Subscriber.PENDING
    subscriber.requested_at = subscriber.confirmation_sent_at = now
    announce_to_address(session, "confirm_subscription", subscriber.id, subscriber.email, subscriber.id, now)


def _set_choice(session: Session, subscriber: Subscriber, choice: Choice) -> None:
    subscriber.all_components = choice.component_ids is None
    subscriber.wants_incidents = SubscriptionKind.INCIDENTS in choice.kinds
    subscriber.wants_maintenance = SubscriptionKind.MAINTENANCE in choice.kinds
    subscriber.wants_component_changes = SubscriptionKind.COMPONENT_CHANGES in choice.kinds
    session.execute(delete(SubscriberComponent).where(SubscriberComponent.subscriber_id == subscriber.id))
    rows = [{"subscriber_id": subscriber.id, "component_id": each} for each in sorted(choice.component_ids or ())]
    if rows:
        session.execute(insert(SubscriberComponent), rows)


def _get(session: Session, subscriber_id: str) -> Subscriber:
    subscriber = session.get(Subscriber, subscriber_id, with_for_update=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    return subscriber
