"""The example page of the first start: an invented shop with a short past."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter

from sqlalchemy import select, update

from statuspage import prose
from statuspage.actions import aftermath, components, corrections, incidents, maintenances, replies
from statuspage.actions.ledger import mark_changed
from statuspage.db import db, transaction
from statuspage.models import (
    Account,
    Announcement,
    Incident,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Page,
    new_id,
)
from statuspage.rules import messages
from statuspage.rules.languages import ENGLISH
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    DocumentKind,
    MaintenanceStage,
    MessageKind,
    Severity,
)

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
    team: tuple[tuple[int, str], ...] = ()
    """Minutes after the start, what the team was told."""
    direct: tuple[int, str] | None = None
    """Minutes after the start, what affected customers were written."""
    prevention: str = ""
    """What the post-incident e-mail says besides what happened; empty where none is owed."""
    post_mortem: dict[str, str] = field(default_factory=dict)


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
                63,
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
        team=(
            (7, "Card payments fail at our first partner; their status page says nothing yet."),
            (19, "Partner confirms an outage. We prepare the switch to the second partner."),
            (32, "Half of the traffic goes to the second partner; declines are falling."),
            (46, "All traffic goes to the second partner. Watching the decline rate."),
            (59, "Decline rate is normal for ten minutes."),
        ),
        direct=(
            27,
            (
                "Paying by card fails for most customers at the moment. Paying by bank transfer works. "
                "We are switching to another payment partner and will write again when it is solved."
            ),
        ),
        prevention="We now switch payment partners by ourselves within a minute, and test it every month.",
        post_mortem={
            "summary": "Card payments were declined for an hour because one payment partner had an outage.",
            "root_cause": "The checkout had one active payment partner and a manual switch to the other.",
            "contributing_factors": "The runbook for the switch named a tool that had been replaced.",
            "went_well": "Customers were told within ten minutes, and that bank transfer works.",
            "went_poorly": "The resolve message came two minutes after its promised time.",
            "impact": "About 1,900 declined payments in 63 minutes.",
            "lessons": "A switch that is never tried is not a switch.",
            "public_text": "For an hour most card payments were declined, because one of our payment partners had an "
            "outage and we changed to the other by hand. That change now happens by itself within a minute, and we "
            "test it every month.",
        },
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
                43,
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
        team=(
            (15, "Sign-in answers in 40 s for one customer in five. Looking at this morning's change."),
            (40, "The change is the cause; it is being undone."),
            (65, "Undone. Response times are back to normal; watching."),
        ),
        direct=(
            30,
            (
                "Signing in is slow for some customers at the moment: it may take up to a minute. "
                "Once signed in, everything works as usual. We are undoing the change that caused it."
            ),
        ),
        prevention="Changes to sign-in are now tested under the load of a spring weekend before they go live.",
        post_mortem={
            "summary": "A change slowed sign-in down for one customer in five.",
            "root_cause": "The change asked the database once for every role instead of once for all.",
            "impact": "One customer in five waited up to a minute, for 88 minutes.",
        },
    ),
)

REPLIES = (
    (
        "Card payments are declined",
        Severity.SEV1,
        {"Checkout": ComponentState.OUTAGE},
        "Paying by card",
        "Paying by card may fail with a message that your bank declined the payment. Paying by bank transfer works.",
    ),
    (
        "Signing in is slow",
        Severity.SEV2,
        {"Sign-in": ComponentState.DEGRADED, "Orders and returns": ComponentState.DEGRADED},
        "Signing in on the web and in the app",
        "Signing in may take up to a minute. Once signed in, everything works as usual.",
    ),
    (
        "E-mails arrive late",
        Severity.SEV3,
        {"E-mail notifications": ComponentState.DEGRADED},
        "Order confirmations and delivery notices",
        "E-mails from us may arrive late. Your orders go through as usual: you find them in your account.",
    ),
    (
        "Search finds nothing",
        Severity.SEV2,
        {"Search": ComponentState.OUTAGE},
        "Searching for products",
        "Search may show no products or an error. Browsing the departments works, and so does ordering.",
    ),
)
"""Title, severity, components, what is affected and what customers may notice."""


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
    for title, severity, states, affected, symptoms in REPLIES:
        reply_states = {ids[component]: state for component, state in states.items()}
        fields = {"affected": affected, "symptoms": symptoms}
        replies.add_reply(replies.Reply(title, severity, ENGLISH, reply_states, fields), by, opened)
    colleague = _add_colleague(opened)
    for story in STORIES:
        incident_id = _tell(story, ids, by, now)
        if story.prevention:
            _look_back(story, incident_id, by, colleague)
    _add_maintenances(ids, now)


def _add_colleague(now: datetime) -> str:
    """Add the second person that every review takes; the account can't be signed in to. Return its id."""
    account_id = new_id()
    with transaction(now) as session:
        session.add(
            Account(
                id=account_id,
                email="robin@larkspur.example",
                name="Robin (example)",
                role=AccountRole.RESPONDER,
                created_at=now,
                disabled_at=now,
            )
        )
    return account_id


def _tell(story: Story, ids: dict[str, str], by: str, now: datetime) -> str:
    """Let a past incident happen, through the same actions as a real one. Return its id."""
    started_at = (now - story.before).replace(second=0, microsecond=0)
    declared_at = started_at + timedelta(minutes=4)
    states = {ids[name]: state for name, state in story.states.items()}
    incident_id = incidents.declare(
        incidents.Declaration(story.title, story.severity, states, {}), new_id(), by, declared_at
    )
    spoken: list[tuple[int, MessageKind | None, dict[str, str]]] = [
        *((minutes, kind, words) for kind, minutes, words in story.messages),
        *((minutes, None, {"body": text}) for minutes, text in story.team),
        *([(story.direct[0], None, {"message": story.direct[1]})] if story.direct else []),
    ]
    for minutes, kind, words in sorted(spoken, key=itemgetter(0)):
        at = started_at + timedelta(minutes=minutes)
        if kind is not None:
            _say(incident_id, kind, words, states, started_at, by, at)
        elif "body" in words:
            corrections.post_internal_update(incident_id, words["body"], new_id(), by, at)
        else:
            aftermath.send_direct_email(incident_id, words, new_id(), by, at)
    return incident_id


def _say(
    incident_id: str,
    kind: MessageKind,
    words: dict[str, str],
    states: dict[str, ComponentState],
    started_at: datetime,
    by: str,
    now: datetime,
) -> None:
    typed = words | {
        "next_update_by": typed_instant(now + timedelta(minutes=30)),
        "started_at": typed_instant(started_at),
        "resolved_at": typed_instant(now),
    }
    if words.get("stage") == "monitoring" or kind is MessageKind.RESOLVE:
        states = dict.fromkeys(states, ComponentState.OPERATIONAL)
    post = incidents.Post(messages.parse(kind, typed, now), states, _version(incident_id))
    _ACTIONS[kind](incident_id, post, new_id(), by, now)


def _look_back(story: Story, incident_id: str, by: str, colleague: str) -> None:
    """Write, review and send what is owed after a resolution, in the time there is; then close the incident."""
    incident = db.session.get_one(Incident, incident_id, populate_existing=True)
    at = (incident.resolved_at or incident.declared_at) + timedelta(hours=3)
    resolve = story.messages[-1][2]
    email = {"what_happened": f"{resolve['experienced']} {resolve['what_happened']}", "prevention": story.prevention}
    for kind, fields in ((DocumentKind.POST_INCIDENT_EMAIL, email), (DocumentKind.POST_MORTEM, story.post_mortem)):
        document_id = aftermath.save_document(incident_id, kind, fields, 0, by, at)
        aftermath.submit(document_id, 1, by, at)
        aftermath.review(document_id, 2, True, "", colleague, at)
        if kind is DocumentKind.POST_INCIDENT_EMAIL:
            aftermath.send(document_id, 3, None, by, at)
        elif fields.get("public_text"):
            aftermath.publish_post_mortem(document_id, 3, by, at)
        at += timedelta(hours=15)
    aftermath.close(incident_id, _version(incident_id), by, at)


def _version(incident_id: str) -> int:
    return db.session.get_one(Incident, incident_id, populate_existing=True).version


def _add_maintenances(ids: dict[str, str], now: datetime) -> None:
    """Add one completed window, as it would stand had it been planned then, and one to come."""
    last_week = (now - timedelta(days=11)).replace(hour=4, minute=0, second=0, microsecond=0)
    next_week = (now + timedelta(days=5)).replace(hour=4, minute=0, second=0, microsecond=0)
    announced = "The partner API will be read-only for up to 45 minutes. Orders are kept and go through afterwards."
    coming = maintenances.Plan(
        title="Move to larger servers for the storefront",
        body="The storefront may be slow for a few minutes at a time while we move it. Orders are not affected.",
        component_ids=(ids["Storefront"],),
        scheduled_for=next_week,
        scheduled_until=next_week + timedelta(hours=2),
    )
    maintenances.schedule(coming, "example-maintenance", None, now)
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
        session.add(done)
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
