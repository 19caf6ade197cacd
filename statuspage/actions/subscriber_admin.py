"""Subscribers in the hands of the page's owner: added by a program, changed, asked once more.

Nobody is brought back here who left: that is for them alone.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions import subscriptions
from statuspage.actions.ledger import audit, take_page
from statuspage.db import db, insert_once, transaction
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import Component, Subscriber, SubscriberComponent, new_id
from statuspage.rules.subscriptions import Choice
from statuspage.rules.vocabulary import Conflict, NotFound, RuleBroken, SubscriptionMethod

SOURCE = "api"


def choice_of(subscriber_id: str) -> Choice:
    """Return what a subscriber chose. Raises NotFound."""
    db.session.rollback()
    subscriber = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    return subscriptions.choice_of(subscriber)


def add(
    email: str, endpoint: str, choice: Choice, is_vouched_for: bool, secret_keys: Sequence[str], now: datetime
) -> str:
    """Add a subscriber for a program: by mail, or by webhook if there is an ``endpoint``. Return the id.

    Where the caller vouches for the consent updates begin at once; else a mail
    asks for it. Raises RuleBroken on ``email``, ``endpoint`` or
    ``component_ids``; Conflict for somebody who is subscribed or has left.
    """
    method = SubscriptionMethod.WEBHOOK if endpoint else SubscriptionMethod.EMAIL
    who = subscriptions.check_addresses(email, method, endpoint)
    with transaction(now) as session:
        # So that no component leaves the page meanwhile.
        take_page(session)
        check_components(session, choice.component_ids or ())
        subscriptions.check_endpoint_is_free(session, who)
        insert_once(
            session,
            Subscriber.__table__,  # type: ignore[arg-type]
            {"id": new_id(), **who, "state": Subscriber.PENDING, "requested_at": now},
        )
        found = select(Subscriber).where(Subscriber.unique_key == who["unique_key"]).with_for_update()
        subscriber = session.execute(found).scalar_one()
        _refuse_what_is_not_ours(session, subscriber, is_vouched_for, secret_keys)
        if method is SubscriptionMethod.WEBHOOK and not subscriber.secret:
            subscriber.secret = subscriptions.fresh_secret()
        for column, value in who.items():
            setattr(subscriber, column, value)
        subscriber.source = SOURCE
        subscriptions.set_choice(session, subscriber, choice)
        if is_vouched_for:
            subscriber.state, subscriber.confirmed_at, subscriber.unsubscribed_at = Subscriber.ACTIVE, now, None
        else:
            subscriber.state = Subscriber.PENDING
            _ask(session, subscriber, now)
        audit(session, None, "add", "subscriber", subscriber.id, now, source=SOURCE, vouched=is_vouched_for)
        return subscriber.id


def _refuse_what_is_not_ours(
    session: Session, subscriber: Subscriber, is_vouched_for: bool, secret_keys: Sequence[str]
) -> None:
    if subscriber.state == Subscriber.ACTIVE:
        raise Conflict("This one is subscribed already: please change it with a PATCH.")
    if subscriptions.complained(session, subscriber.email_key, secret_keys):
        raise Conflict("They reported mail from here as spam: only they can come back.")
    if is_vouched_for and subscriber.state in (Subscriber.UNSUBSCRIBED, Subscriber.ERASED):
        raise Conflict("They unsubscribed: without skip_confirmation_notification they are asked whether to come back.")


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
        subscriptions.set_choice(session, subscriber, choice)
        audit(session, None, "edit", "subscriber", subscriber_id, now, source=SOURCE)


def resend_confirmation(subscriber_id: str, now: datetime) -> None:
    """Ask once more for a consent that is waited for. Raises NotFound; Conflict if nobody waits, or asked just now."""
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state != Subscriber.PENDING:
            raise Conflict("This one does not wait for a confirmation.")
        if not _ask(session, subscriber, now):
            raise Conflict("They were asked less than an hour ago, or three times today: please wait.")
        audit(session, None, "resend_confirmation", "subscriber", subscriber_id, now, source=SOURCE)


def _ask(session: Session, subscriber: Subscriber, now: datetime) -> bool:
    """Mail the question, unless this mailbox got enough of them; tell whether it was mailed."""
    if not subscriptions.may_be_mailed(session, subscriber.mailbox_key, now):
        return False
    subscriber.requested_at = subscriber.confirmation_sent_at = now
    detail = {"method": subscriber.method.value}
    announce_to_address(session, "confirm_subscription", subscriber.id, subscriber.email, subscriber.id, now, detail)
    return True


def _get(session: Session, subscriber_id: str) -> Subscriber:
    subscriber = session.get(Subscriber, subscriber_id, with_for_update=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    return subscriber
