"""The example page of the first start: an invented shop with a short past."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from statuspage import prose
from statuspage.actions import components, incidents
from statuspage.actions.ledger import mark_changed
from statuspage.db import db, transaction
from statuspage.models import Announcement, Incident, Maintenance, MaintenanceComponent, MaintenanceUpdate, Page, new_id
from statuspage.rules import messages
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, MessageKind, Severity

GROUPS = {
    "Shop": {
        "Storefront": "Browsing plants, seeds and tools",
        "Search": "Finding products by name and by season",
        "Checkout": "Basket, payment and order confirmation",
    },
    "Your account": {
        "Sign-in": "Signing in on the web and in the app",
        "Orders and returns": "Order history, parcel tracking and returns",
        "E-mail notifications": "Order confirmations and delivery notices",
    },
    "For partners": {
        "Partner API": "Orders and stock for garden centres",
        "Product feed": "The daily catalogue file",
    },
}

_ACTIONS = {
    MessageKind.ACKNOWLEDGE: incidents.acknowledge,
    MessageKind.UPDATE: incidents.post_update,
    MessageKind.RESOLVE: incidents.resolve,
}


@dataclass(frozen=True)
class Story:
    """A past incident: when it began and what was said, minute by minute."""

    title: str
    severity: Severity
    states: dict[str, ComponentState]
    before: timedelta
    messages: tuple[tuple[MessageKind, int, dict[str, str]], ...]
    """Kind, minutes after the start, what was typed."""


STORIES = (
    Story(
        "Payments by card were declined",
        Severity.SEV1,
        {"Checkout": ComponentState.OUTAGE},
        timedelta(days=24, hours=5),
        (
            (
                MessageKind.ACKNOWLEDGE,
                9,
                {
                    "affected": "Paying by card",
                    "symptoms": "Paying by card may fail with a message that your bank declined the payment. "
                    "Paying by bank transfer works.",
                    "impact": "high",
                    "stage": "investigating",
                },
            ),
            (
                MessageKind.UPDATE,
                31,
                {
                    "affected": "Paying by card still fails for most customers.",
                    "being_done": "The cause lies with one of our payment partners. We are switching card payments "
                    "to our second partner.",
                    "stage": "identified",
                },
            ),
            (
                MessageKind.RESOLVE,
                74,
                {
                    "affected": "Paying by card",
                    "experienced": "Most card payments were declined. Nobody was charged for a declined payment.",
                    "what_happened": "One of our payment partners had an outage. We now switch to our second partner "
                    "as soon as that happens.",
                    "apology": "We are sorry for the trouble this caused.",
                    "help": "If you were charged twice, please contact support: we will put it right the same day.",
                },
            ),
        ),
    ),
    Story(
        "Search showed outdated stock",
        Severity.SEV3,
        {"Search": ComponentState.DEGRADED},
        timedelta(days=15, hours=9),
        (
            (
                MessageKind.ACKNOWLEDGE,
                14,
                {
                    "affected": "Stock levels in search results",
                    "symptoms": "Search results may show plants as available that are sold out. The product page and "
                    "the checkout show the right numbers.",
                    "impact": "low",
                    "stage": "identified",
                },
            ),
            (
                MessageKind.RESOLVE,
                52,
                {
                    "affected": "Stock levels in search results",
                    "experienced": "Some search results were up to three hours old.",
                    "what_happened": "The hourly refresh of search had stopped. It runs again, and we are told "
                    "at once when it stops.",
                    "apology": "We are sorry if you ordered in vain.",
                },
            ),
        ),
    ),
    Story(
        "Slow sign-in for some customers",
        Severity.SEV2,
        {"Sign-in": ComponentState.DEGRADED, "Orders and returns": ComponentState.DEGRADED},
        timedelta(days=6, hours=3),
        (
            (
                MessageKind.ACKNOWLEDGE,
                11,
                {
                    "affected": "Signing in on the web and in the app",
                    "symptoms": "Signing in may take up to a minute. Once signed in, everything works as usual.",
                    "impact": "medium",
                    "stage": "investigating",
                },
            ),
            (
                MessageKind.UPDATE,
                38,
                {
                    "affected": "Signing in is still slow for about one customer in five.",
                    "being_done": "We have found the cause, a change made this morning, and are undoing it.",
                    "stage": "identified",
                    "expected_resolution": "within half an hour",
                },
            ),
            (
                MessageKind.UPDATE,
                61,
                {
                    "affected": "Signing in is back to its usual speed.",
                    "being_done": "We are watching it closely before we call this resolved.",
                    "stage": "monitoring",
                },
            ),
            (
                MessageKind.RESOLVE,
                88,
                {
                    "affected": "Signing in on the web and in the app",
                    "experienced": "Signing in took up to a minute for about one customer in five.",
                    "what_happened": "A change made that morning slowed sign-in down when many people came at once. "
                    "We have undone it.",
                    "follow_up": "We will test such changes under the load of a spring weekend before they go live.",
                    "apology": "We are sorry for the wait.",
                    "help": "If signing in is still slow for you, please contact support.",
                },
            ),
        ),
    ),
)


def page_name() -> str | None:
    """Return the name of the page; None if there is no page yet."""
    return db.session.scalar(select(Page.name))


def create_example(name: str, time_zone: str, by: str, now: datetime) -> None:
    """Make the page with example components and a short past; nobody is mailed about it.

    ``by`` is the account that the messages are written by. Raises Conflict
    if there is a page.
    """
    opened = (now - timedelta(days=60)).replace(hour=9, minute=0, second=0, microsecond=0)
    components.create_page(name, time_zone, opened)
    ids: dict[str, str] = {}
    for group, members in GROUPS.items():
        group_id = components.create_group(group, by, opened)
        for member, description in members.items():
            ids[member] = components.create_component(member, description, group_id, by, opened)
    for story in STORIES:
        _tell(story, ids, by, now)
    _add_maintenances(ids, now)


def _tell(story: Story, ids: dict[str, str], by: str, now: datetime) -> None:
    """Let a past incident happen, through the same actions as a real one."""
    started_at = (now - story.before).replace(second=0, microsecond=0)
    declared_at = started_at + timedelta(minutes=4)
    states = {ids[name]: state for name, state in story.states.items()}
    incident_id = incidents.declare(
        incidents.Declaration(story.title, story.severity, states, {}), new_id(), by, declared_at
    )
    for kind, minutes, words in story.messages:
        at = started_at + timedelta(minutes=minutes)
        typed = words | {
            "next_update_by": typed_instant(at + timedelta(minutes=30)),
            "started_at": typed_instant(started_at),
            "resolved_at": typed_instant(at),
        }
        if words.get("stage") == "monitoring" or kind is MessageKind.RESOLVE:
            states = dict.fromkeys(states, ComponentState.OPERATIONAL)
        version = db.session.get_one(Incident, incident_id, populate_existing=True).version
        post = incidents.Post(messages.parse(kind, typed, at), states, version)
        _ACTIONS[kind](incident_id, post, new_id(), by, at)


def _add_maintenances(ids: dict[str, str], now: datetime) -> None:
    """Add one completed window and one to come; nobody schedules through actions yet."""
    last_week = (now - timedelta(days=11)).replace(hour=4, minute=0, second=0, microsecond=0)
    next_week = (now + timedelta(days=5)).replace(hour=4, minute=0, second=0, microsecond=0)
    announced = "The partner API will be read-only for up to 45 minutes. Orders are kept and go through afterwards."
    with transaction(now) as session:
        done = Maintenance(
            title="Database upgrade for the partner API",
            stage=MaintenanceStage.COMPLETED,
            scheduled_for=last_week,
            scheduled_until=last_week + timedelta(hours=1),
            completed_at=last_week + timedelta(minutes=40),
            last_posted_at=last_week + timedelta(minutes=40),
            created_at=last_week - timedelta(days=4),
            updated_at=last_week + timedelta(minutes=40),
            updates=[
                _update(1, MaintenanceStage.SCHEDULED, announced, last_week - timedelta(days=4)),
                _update(2, MaintenanceStage.IN_PROGRESS, "The upgrade has begun.", last_week),
                _update(
                    3,
                    MaintenanceStage.COMPLETED,
                    "The upgrade is complete. Every order that came in meanwhile has gone through.",
                    last_week + timedelta(minutes=40),
                ),
            ],
            components=[MaintenanceComponent(component_id=ids["Partner API"])],
        )
        coming = Maintenance(
            title="Move to larger servers for the storefront",
            stage=MaintenanceStage.SCHEDULED,
            scheduled_for=next_week,
            scheduled_until=next_week + timedelta(hours=2),
            last_posted_at=now,
            created_at=now,
            updated_at=now,
            updates=[
                _update(
                    1,
                    MaintenanceStage.SCHEDULED,
                    "The storefront may be slow for a few minutes at a time while we move it. Orders are not affected.",
                    now,
                )
            ],
            components=[MaintenanceComponent(component_id=ids["Storefront"])],
        )
        session.add_all([done, coming])
        # The example's past was announced by its actions; no reader shall ever get it by mail.
        session.execute(update(Announcement).where(Announcement.expanded_at.is_(None)).values(expanded_at=now))
        page_id = session.execute(select(Page.id)).scalar_one()
        mark_changed(session, "page", page_id, now)


def _update(sequence: int, stage: MaintenanceStage, body: str, posted_at: datetime) -> MaintenanceUpdate:
    return MaintenanceUpdate(
        sequence=sequence,
        stage=stage,
        body=body,
        body_html=prose.to_html(body),
        posted_at=posted_at,
        created_at=posted_at,
    )
