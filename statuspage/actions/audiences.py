"""Who is told: the subscribers whose choice something touches, and the customers an incident affects."""

from collections.abc import Collection, Mapping

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)

from statuspage.db import db
from statuspage.delivery.announcements import ENDPOINT_LANE, INCIDENT_LANE, Audience, Recipients
from statuspage.models import (
    Announcement,
    Component,
    Customer,
    CustomerComponent,
    Delivery,
    IncidentComponent,
    IncidentFollow,
    MaintenanceComponent,
    MaintenanceUpdate,
    Subscriber,
    SubscriberComponent,
)
from statuspage.rules.policy import AUDIENCES, CUSTOMERS, SUBSCRIBERS
from statuspage.rules.vocabulary import SubscriptionKind, SubscriptionMethod


def audience(announcement: Announcement) -> Audience:
    """Return whom an announcement goes to: those whose choice it touches, or its incident's customers too."""
    if announcement.kind == "component_change":
        candidates = select(Subscriber.id).where(_WANTS_CHANGES)
        return Audience(candidates, _told_of_change(announcement.subject_id, announcement.incident_id))
    if announcement.kind == "maintenance_update":
        shown = select(MaintenanceUpdate.maintenance_id).where(MaintenanceUpdate.id == announcement.subject_id)
        return Audience(_active_ids(), _subscribers(_wants_window(db.session.execute(shown).scalar_one())))
    chosen = (announcement.detail or {}).get("audience", AUDIENCES)
    return _audience(announcement.audience, announcement.incident_id, chosen, announcement.id)


def reach(incident_id: str, audience: str, chosen: Collection[str] = AUDIENCES) -> int:
    """Return how many addresses ``subscribers`` or ``customers`` of an incident are at present.

    ``chosen`` narrows the latter down to customers or subscribers alone (rules/policy.py).
    """
    recipients = _audience(audience, incident_id, chosen).recipients.subquery()
    return db.session.execute(select(func.count()).select_from(recipients)).scalar_one()


def reach_by_method(component_ids: Collection[str], incident_id: str) -> Mapping[SubscriptionMethod, int]:
    """Return how many subscribers an update of an incident reaches by which method, were these its components."""
    components = select(Component.id).where(Component.id.in_(component_ids))
    wanted = _wants(SubscriptionKind.INCIDENTS, components, incident_id)
    counted = select(Subscriber.method, func.count()).where(_IS_ACTIVE, wanted).group_by(Subscriber.method)
    return {row[0]: row[1] for row in db.session.execute(counted)}


def maintenance_reach(
    component_ids: Collection[str], maintenance_id: str | None = None
) -> Mapping[SubscriptionMethod, int]:
    """Return how many subscribers hear of a window by which method, were these its components."""
    components = select(Component.id).where(Component.id.in_(component_ids))
    wanted = _wants(SubscriptionKind.MAINTENANCE, components, None)
    if maintenance_id is not None:
        wanted = or_(wanted, _wants_window(maintenance_id))
    counted = select(Subscriber.method, func.count()).where(_IS_ACTIVE, wanted).group_by(Subscriber.method)
    return {row[0]: row[1] for row in db.session.execute(counted)}


def _wants_window(maintenance_id: str) -> ColumnElement[bool]:
    """Whether a window touches a subscriber's choice, or they were told of it before: then they hear of its end too."""
    components = select(MaintenanceComponent.component_id).where(MaintenanceComponent.maintenance_id == maintenance_id)
    updates = select(MaintenanceUpdate.id).where(MaintenanceUpdate.maintenance_id == maintenance_id)
    announced = select(Announcement.id).where(
        Announcement.kind == "maintenance_update", Announcement.subject_id.in_(updates)
    )
    was_told = exists().where(Delivery.subscriber_id == Subscriber.id, Delivery.announcement_id.in_(announced))
    wanted = _wants(SubscriptionKind.MAINTENANCE, components, None)
    return or_(wanted, and_(_WANTS[SubscriptionKind.MAINTENANCE], was_told))


def _audience(
    audience: str, incident_id: str | None, chosen: Collection[str], announcement_id: int | None = None
) -> Audience:
    """Return who hears of an incident: by every method from an update, by mail alone from a document.

    Who has a delivery of the announcement already gets none in another part:
    not even somebody who subscribes or unsubscribes between two chunks.
    """
    wanted = _wants(SubscriptionKind.INCIDENTS, _affected(incident_id), incident_id)
    if audience == "subscribers":
        return Audience(_active_ids(), _subscribers(wanted))
    if audience != "customers":
        raise ValueError(f"nobody is looked up for an announcement to {audience!r}")
    by_mail = and_(wanted, Subscriber.method == SubscriptionMethod.EMAIL)
    if CUSTOMERS not in chosen:
        return Audience(_active_ids(), _subscribers(by_mail))
    if SUBSCRIBERS not in chosen:
        return Audience(select(Customer.id), _customers(incident_id))
    candidates = union_all(_active_ids(), select(Customer.id)).subquery()
    subscribers = _subscribers(and_(by_mail, ~_has_delivery(Customer, Subscriber, announcement_id)))
    wanting = exists().where(Subscriber.email_key == Customer.email_key, _IS_ACTIVE, by_mail).correlate(Customer)
    customers = _customers(incident_id).where(~wanting, ~_has_delivery(Subscriber, Customer, announcement_id))
    found = union_all(subscribers, customers).subquery()
    return Audience(
        select(candidates.c.id),
        select(found.c.id, found.c.address, found.c.lane, found.c.subscriber_id, found.c.customer_id),
    )


# Written out, not bound: else SQLite can't tell that the index of the active ones will do.
_IS_ACTIVE: ColumnElement[bool] = Subscriber.state == literal_column(f"'{Subscriber.ACTIVE}'")


def _active_ids() -> Select[str]:
    return select(Subscriber.id).where(_IS_ACTIVE)


def _affected(incident_id: str | None) -> Select[str]:
    return select(IncidentComponent.component_id).where(IncidentComponent.incident_id == incident_id)


def _wants(kind: SubscriptionKind, component_ids: Select[str], incident_id: str | None) -> ColumnElement[bool]:
    """Whether a subscriber's choice is touched (rules/subscriptions.py), or the incident is followed."""
    chosen = exists().where(
        SubscriberComponent.subscriber_id == Subscriber.id, SubscriberComponent.component_id.in_(component_ids)
    )
    touched = and_(_WANTS[kind], or_(Subscriber.all_components, chosen))
    if incident_id is None:
        return touched
    follows = exists().where(IncidentFollow.subscriber_id == Subscriber.id, IncidentFollow.incident_id == incident_id)
    return or_(touched, follows)


_WANTS = {
    SubscriptionKind.INCIDENTS: Subscriber.wants_incidents,
    SubscriptionKind.MAINTENANCE: Subscriber.wants_maintenance,
    SubscriptionKind.COMPONENT_CHANGES: Subscriber.wants_component_changes,
}


# Written out, not bound: as the condition of ix_subscribers_of_changes, so that the databases know that it will do.
_WANTS_CHANGES = text("subscribers.state = 'active' AND subscribers.wants_component_changes")


def _told_of_change(component_id: str, incident_id: str | None) -> Recipients:
    """Return who hears that a component changed its state.

    What an incident's update changed is in that update: only programs, which
    read one fact at a time, are told of it twice.
    """
    wanted = _wants(SubscriptionKind.COMPONENT_CHANGES, select(literal(component_id)), None)
    if incident_id is not None:
        wanted = and_(
            wanted, or_(Subscriber.method == SubscriptionMethod.WEBHOOK, Subscriber.wants_incidents.is_(False))
        )
    return _subscribers(and_(_WANTS_CHANGES, wanted))


def _subscribers(wanted: ColumnElement[bool]) -> Recipients:
    by_mail = Subscriber.method == SubscriptionMethod.EMAIL
    return select(
        Subscriber.id,
        case((by_mail, Subscriber.email), else_=Subscriber.id).label("address"),
        case((by_mail, INCIDENT_LANE), else_=ENDPOINT_LANE).label("lane"),
        Subscriber.id.label("subscriber_id"),
        null().label("customer_id"),
    ).where(_IS_ACTIVE, wanted)


def _customers(incident_id: str | None) -> Recipients:
    """Return the customers that use an affected component."""
    uses_affected = exists().where(
        CustomerComponent.customer_id == Customer.id, CustomerComponent.component_id.in_(_affected(incident_id))
    )
    return select(
        Customer.id,
        Customer.email.label("address"),
        literal(INCIDENT_LANE).label("lane"),
        null().label("subscriber_id"),
        Customer.id.label("customer_id"),
    ).where(uses_affected)


def _has_delivery(
    there: type[Subscriber] | type[Customer], person: type[Subscriber] | type[Customer], announcement_id: int | None
) -> ColumnElement[bool]:
    """Whether this person's address is on the announcement's list already, in the other part of it."""
    recipient = Delivery.subscriber_id if there is Subscriber else Delivery.customer_id
    return (
        exists()
        .where(there.email_key == person.email_key, recipient == there.id, Delivery.announcement_id == announcement_id)
        .correlate(person)
    )
