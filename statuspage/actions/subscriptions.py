"""The life of a subscription: asked for, confirmed, changed, ended."""

import base64
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.actions.people import Browser, check_email
from statuspage.db import db, insert_once, one_by_one, transaction
from statuspage.delivery import suppression
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import (
    Announcement,
    Component,
    Incident,
    IncidentFollow,
    Page,
    Subscriber,
    SubscriberComponent,
    Suppression,
    new_id,
)
from statuspage.rules.subscriptions import Choice, check_endpoint, identity, suppression_keys
from statuspage.rules.vocabulary import (
    Conflict,
    NotFound,
    RuleBroken,
    Stage,
    SubscriptionKind,
    SubscriptionMethod,
    Visibility,
)

FORM_VERSION = "2026-11-21"
"""Names the wording of ``templates/public/subscribe.html``, ``follow.html`` and ``confirm.html``: what was agreed to."""

# So that nobody can fill another's inbox through our forms.
MAIL_PAUSE = timedelta(hours=1)
MAILS_A_DAY = 3
SIGN_UP_MAILS = ("confirm_subscription", "confirm_follow", "subscription_settings")
MOST_FOR_ONE_ENDPOINT = 5
# How long the secret before still signs, so that a receiver can change over in its own time.
OLD_SECRET_SIGNS = timedelta(hours=24)


@dataclass(frozen=True)
class SignUp:
    """What somebody asks for; whether the address is theirs is not known yet."""

    email: str
    """Of the subscriber, or of an endpoint's owner."""
    choice: Choice = field(default_factory=Choice)
    method: SubscriptionMethod = SubscriptionMethod.EMAIL
    endpoint: str = ""
    incident_id: str | None = None
    """Only this incident is asked for, whatever the choice."""
    language: str = ""
    """In which the asker reads the page; empty for the page's own."""


def subscribe(sign_up: SignUp, browser: Browser, secret_keys: Sequence[str], now: datetime) -> None:
    """Ask the owner of an address by mail whether they want what was asked for.

    Nothing tells the asker whether the address was known. A subscription that
    is active is not touched: its owner is mailed the way to the settings.

    Raises RuleBroken on ``email``, ``endpoint`` or ``components``; NotFound
    for an incident that can't be followed.
    """
    who = check_addresses(sign_up.email, sign_up.method, sign_up.endpoint)
    with transaction(now) as session:
        _check_components(session, sign_up.choice)
        if sign_up.incident_id is not None:
            _check_open(session, sign_up.incident_id)
        one_by_one(session, f"sign-up {who['mailbox_key']}")
        check_endpoint_is_free(session, who)
        if complained(session, who["email_key"], secret_keys):
            return
        values = {"id": new_id(), **who, "state": Subscriber.PENDING, "requested_at": now}
        is_new = insert_once(session, Subscriber.__table__, values)  # type: ignore[arg-type]
        found = select(Subscriber).where(Subscriber.unique_key == who["unique_key"]).with_for_update()
        subscriber = session.execute(found).scalar_one()
        if subscriber.state == Subscriber.ACTIVE:
            kind, detail = _mail_for_active(session, subscriber, sign_up)
        else:
            _keep_request(session, subscriber, sign_up, browser, is_new, now)
            kind, detail = "confirm_subscription", {"method": subscriber.method.value}
        if may_be_mailed(session, subscriber.mailbox_key, now):
            # Else the provider would take this mail too, and drop it.
            suppression.lift(session, subscriber.email, now, secret_keys=secret_keys)
            subscriber.confirmation_sent_at = now
            announce_to_address(session, kind, subscriber.id, subscriber.email, subscriber.id, now, detail)


def check_addresses(email: str, method: SubscriptionMethod, endpoint: str) -> dict[str, str]:
    """Return the columns of ``identity`` for addresses as typed.

    Raises RuleBroken on ``email`` and ``endpoint``, for everything that is wrong with them at once.
    """
    errors: dict[str, str] = {}
    try:
        email = check_email(email)
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        endpoint = check_endpoint(method, endpoint)
    except RuleBroken as broken:
        errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    return identity(email, method, endpoint)


def _check_components(session: Session, choice: Choice) -> None:
    if choice.component_ids and not choice.component_ids <= _live_component_ids(session):
        raise RuleBroken({"components": "A component you chose is not on this page any more: please choose again."})


def _live_component_ids(session: Session) -> set[str]:
    return set(session.scalars(select(Component.id).where(Component.archived_at.is_(None))))


def _check_open(session: Session, incident_id: str) -> None:
    if session.scalar(_open_incidents().where(Incident.id == incident_id)) is None:
        raise NotFound("incident")


def _open_incidents() -> Any:
    return select(Incident.title).where(
        Incident.visibility == Visibility.PUBLIC,
        Incident.last_posted_at.is_not(None),
        Incident.stage != Stage.RESOLVED,
    )


def check_endpoint_is_free(session: Session, who: dict[str, str]) -> None:
    """Raise RuleBroken on ``endpoint`` if it is signed up as often as it may be; ``who`` is an ``identity``."""
    if not who["endpoint"]:
        return
    one_by_one(session, f"endpoint {who['endpoint']}")
    others = session.scalar(
        select(func.count())
        .select_from(Subscriber)
        .where(
            # In these very words the index knows it (models/subscribers.py).
            text("subscribers.endpoint <> ''"),
            Subscriber.endpoint == who["endpoint"],
            Subscriber.unique_key != who["unique_key"],
            Subscriber.state.in_((Subscriber.PENDING, Subscriber.ACTIVE)),
        )
    )
    if (others or 0) >= MOST_FOR_ONE_ENDPOINT:
        sentence = f"This address is signed up {MOST_FOR_ONE_ENDPOINT} times already: please use one of those."
        raise RuleBroken({"endpoint": sentence})


def complained(session: Session, email_key: str, secret_keys: Sequence[str]) -> bool:
    """Whether somebody there called our mail unwanted: then only an operator may write there again."""
    named = Suppression.address_key.in_(suppression_keys(email_key, secret_keys))
    found = select(Suppression.id).where(
        named, Suppression.reason == Suppression.COMPLAINT, Suppression.lifted_at.is_(None)
    )
    return session.scalar(found.limit(1)) is not None


def _mail_for_active(session: Session, subscriber: Subscriber, sign_up: SignUp) -> tuple[str, dict[str, str]]:
    incident_id = sign_up.incident_id
    if incident_id is None or session.get(IncidentFollow, (subscriber.id, incident_id)) is not None:
        return "subscription_settings", {"method": subscriber.method.value}
    return "confirm_follow", {"incident_id": incident_id}


def _keep_request(
    session: Session, subscriber: Subscriber, sign_up: SignUp, browser: Browser, is_new: bool, now: datetime
) -> None:
    """Write down what the latest request asks for, and where it came from."""
    starts_afresh = is_new or subscriber.state != Subscriber.PENDING
    if starts_afresh:
        session.execute(delete(IncidentFollow).where(IncidentFollow.subscriber_id == subscriber.id))
    if sign_up.incident_id is None:
        set_choice(session, subscriber, sign_up.choice)
    else:
        if starts_afresh:
            set_choice(session, subscriber, Choice(component_ids=frozenset()))
        _follow(session, subscriber.id, sign_up.incident_id, now)
    if subscriber.method is SubscriptionMethod.WEBHOOK and not subscriber.secret:
        subscriber.secret = fresh_secret()
    subscriber.state, subscriber.requested_at = Subscriber.PENDING, now
    subscriber.language = sign_up.language
    subscriber.source, subscriber.form_version = "form", FORM_VERSION
    subscriber.request_ip = browser.ip_address[:45]
    subscriber.request_user_agent = browser.user_agent[:200]


def may_be_mailed(session: Session, mailbox: str, now: datetime) -> bool:
    """Whether another mail may go to a mailbox, however its address was spelled.

    Who unsubscribed, which only its owner can, may come back at once.
    """
    ids = select(Subscriber.id).where(Subscriber.mailbox_key == mailbox)
    sent = session.scalars(
        select(Announcement.created_at).where(
            Announcement.subject_id.in_(ids),
            Announcement.kind.in_(SIGN_UP_MAILS),
            Announcement.created_at > now - timedelta(days=1),
        )
    ).all()
    left_at = session.scalar(
        select(func.max(Subscriber.unsubscribed_at)).where(
            Subscriber.mailbox_key == mailbox, Subscriber.unsubscribed_at <= now
        )
    )
    since = max(now - MAIL_PAUSE, left_at or now - MAIL_PAUSE)
    return len(sent) < MAILS_A_DAY and not any(each > since for each in sent)


def confirm(subscriber_id: str, token: str, browser: Browser, secret_keys: Sequence[str], now: datetime) -> bool:
    """Start to send updates; tell whether they are sent now.

    ``token`` is the mailed link's, whose hash is kept as evidence. An address
    that bounced may be written to again: its mail arrives, as this shows.

    Again is fine. False for somebody who unsubscribed after asking: a new
    request is needed. Raises NotFound.
    """
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state == Subscriber.PENDING:
            subscriber.state, subscriber.confirmed_at, subscriber.unsubscribed_at = Subscriber.ACTIVE, now, None
            subscriber.failing_since = None
            subscriber.confirm_ip = browser.ip_address[:45]
            subscriber.confirm_user_agent = browser.user_agent[:200]
            subscriber.confirm_token_hash = hashlib.sha256(token.encode()).hexdigest()
            suppression.lift(session, subscriber.email, now, secret_keys=secret_keys)
            audit(session, None, "confirm", "subscriber", subscriber_id, now)
        return subscriber.state == Subscriber.ACTIVE


def follow(subscriber_id: str, incident_id: str, now: datetime) -> bool:
    """Add an incident to what an active subscriber hears of; tell whether the subscriber is active.

    Again is fine. Raises NotFound.
    """
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if session.get(Incident, incident_id) is None:
            raise NotFound("incident")
        if subscriber.state != Subscriber.ACTIVE:
            return False
        if _follow(session, subscriber_id, incident_id, now):
            audit(session, None, "follow", "subscriber", subscriber_id, now, incident_id=incident_id)
        return True


def unfollow(subscriber_id: str, incident_id: str, now: datetime) -> None:
    """Take an incident from what a subscriber hears of. Again is fine. Raises NotFound."""
    with transaction(now) as session:
        _get(session, subscriber_id)
        followed = session.get(IncidentFollow, (subscriber_id, incident_id))
        if followed is not None:
            session.delete(followed)
            audit(session, None, "unfollow", "subscriber", subscriber_id, now, incident_id=incident_id)


def change(subscriber_id: str, choice: Choice, now: datetime) -> None:
    """Change what an active subscriber hears of.

    Raises NotFound; Conflict for somebody who is not subscribed; RuleBroken on
    ``components`` for one that is gone, or for none at all with no incident followed.
    """
    with transaction(now) as session:
        subscriber = _get_active(session, subscriber_id)
        _check_components(session, choice)
        if choice.component_ids is not None and not choice.component_ids and not _follows(session, subscriber_id):
            raise RuleBroken({"components": "Please tick at least one component, or unsubscribe below."})
        set_choice(session, subscriber, choice)
        audit(session, None, "change_choice", "subscriber", subscriber_id, now)


def choose_language(subscriber_id: str, language: str, now: datetime) -> None:
    """Change the language in which an active subscriber is told.

    Raises NotFound, Conflict, or RuleBroken on ``language`` for one that the page does not offer.
    """
    with transaction(now) as session:
        subscriber = _get_active(session, subscriber_id)
        page = session.execute(select(Page)).scalar_one()
        if language not in (page.language, *page.languages):
            raise RuleBroken({"language": "Please choose one of the languages."})
        subscriber.language = language
        audit(session, None, "choose_language", "subscriber", subscriber_id, now, language=language)


def make_secret(subscriber_id: str, now: datetime) -> None:
    """Give a webhook a new secret; the one before signs too for a day. Raises NotFound or Conflict."""
    with transaction(now) as session:
        subscriber = _get_active(session, subscriber_id)
        if subscriber.method is not SubscriptionMethod.WEBHOOK:
            raise Conflict("Only what is posted to a webhook is signed.")
        subscriber.previous_secret, subscriber.secret = subscriber.secret, fresh_secret()
        subscriber.secret_changed_at = now
        audit(session, None, "make_secret", "subscriber", subscriber_id, now)


def unsubscribe(subscriber_id: str, now: datetime) -> None:
    """Stop sending updates, mails already queued included. Again is fine. Raises NotFound."""
    with transaction(now) as session:
        subscriber = _get(session, subscriber_id)
        if subscriber.state != Subscriber.UNSUBSCRIBED:
            subscriber.state, subscriber.unsubscribed_at = Subscriber.UNSUBSCRIBED, now
            audit(session, None, "unsubscribe", "subscriber", subscriber_id, now)


def set_choice(session: Session, subscriber: Subscriber, choice: Choice) -> None:
    """Write a choice whose components were checked, inside the caller's transaction."""
    subscriber.all_components = choice.component_ids is None
    subscriber.wants_incidents = SubscriptionKind.INCIDENTS in choice.kinds
    subscriber.wants_maintenance = SubscriptionKind.MAINTENANCE in choice.kinds
    subscriber.wants_component_changes = SubscriptionKind.COMPONENT_CHANGES in choice.kinds
    session.execute(delete(SubscriberComponent).where(SubscriberComponent.subscriber_id == subscriber.id))
    rows = [{"subscriber_id": subscriber.id, "component_id": each} for each in sorted(choice.component_ids or ())]
    if rows:
        session.execute(insert(SubscriberComponent), rows)


def kinds_of(subscriber: Subscriber) -> frozenset[SubscriptionKind]:
    """Return what a subscriber wants to hear of."""
    wanted = {
        SubscriptionKind.INCIDENTS: subscriber.wants_incidents,
        SubscriptionKind.MAINTENANCE: subscriber.wants_maintenance,
        SubscriptionKind.COMPONENT_CHANGES: subscriber.wants_component_changes,
    }
    return frozenset(kind for kind, is_wanted in wanted.items() if is_wanted)


def choice_of(subscriber: Subscriber) -> Choice:
    """Return what a subscriber chose, components that were archived since included."""
    kinds = kinds_of(subscriber)
    if subscriber.all_components:
        return Choice(None, kinds)
    query = select(SubscriberComponent.component_id).where(SubscriberComponent.subscriber_id == subscriber.id)
    return Choice(frozenset(db.session.scalars(query)), kinds)


def followed_by(subscriber_id: str) -> list[tuple[str, str]]:
    """Return id and title of the incidents that a subscriber follows, the newest first."""
    query = (
        select(Incident.id, Incident.title)
        .join(IncidentFollow, IncidentFollow.incident_id == Incident.id)
        .where(IncidentFollow.subscriber_id == subscriber_id)
        .order_by(Incident.started_at.desc())
    )
    return [(row.id, row.title) for row in db.session.execute(query)]


def followable_title(incident_id: str) -> str | None:
    """Return the title of an incident that can be followed: public, told of, and open. None for any other."""
    title: str | None = db.session.scalar(_open_incidents().where(Incident.id == incident_id))
    return title


def _follow(session: Session, subscriber_id: str, incident_id: str, now: datetime) -> bool:
    values = {"subscriber_id": subscriber_id, "incident_id": incident_id, "followed_at": now}
    return insert_once(session, IncidentFollow.__table__, values)  # type: ignore[arg-type]


def _follows(session: Session, subscriber_id: str) -> Collection[str]:
    return session.scalars(
        select(IncidentFollow.incident_id).where(IncidentFollow.subscriber_id == subscriber_id)
    ).all()


def fresh_secret() -> str:
    """Standard Webhooks: 24 to 64 random bytes in base64 after ``whsec_``."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _get(session: Session, subscriber_id: str) -> Subscriber:
    subscriber = session.get(Subscriber, subscriber_id, with_for_update=True, populate_existing=True)
    if subscriber is None or subscriber.state == Subscriber.ERASED:
        raise NotFound("subscriber")
    return subscriber


def _get_active(session: Session, subscriber_id: str) -> Subscriber:
    subscriber = _get(session, subscriber_id)
    if subscriber.state != Subscriber.ACTIVE:
        raise Conflict("This subscription is not active. Please sign up again.")
    return subscriber
