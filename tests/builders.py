"""Short ways to the situations that tests begin with; each goes through the real actions."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from statuspage.actions import action_items, channels, components, incidents, maintenances, people, subscriptions
from statuspage.actions.people import Browser
from statuspage.actions.subscriptions import SignUp
from statuspage.db import db
from statuspage.models import Document, Incident, Maintenance, Subscriber
from statuspage.rules import messages
from statuspage.rules.subscriptions import Choice, identity
from statuspage.rules.vocabulary import (
    AccountRole,
    ChannelKind,
    ComponentState,
    IncidentRole,
    MessageKind,
    Severity,
    SubscriptionMethod,
    Visibility,
)
from tests.typed import typed

EVERYTHING = Choice()
READER = Browser("192.0.2.1", "a test")
SECRET_KEYS = ("a key for the tests that is long enough to be taken",)
PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


def nonce() -> str:
    """Return a form's nonce that no other form has."""
    return f"nonce-{next(_numbers)}"


def page(now: datetime, name: str = "Larkspur") -> str:
    return components.create_page(name, "Etc/UTC", now)


def account(now: datetime, role: AccountRole = AccountRole.COMMS, email: str = "") -> str:
    return people.add_account(email or f"person{next(_numbers)}@example.com", "Ada", role, PASSWORD, now)


def asked(
    now: datetime,
    email: str = "ada@example.com",
    choice: Choice = EVERYTHING,
    *,
    method: SubscriptionMethod = SubscriptionMethod.EMAIL,
    endpoint: str = "",
    incident_id: str | None = None,
    browser: Browser = READER,
) -> str:
    """Return the id of a subscription that somebody asks for."""
    subscriptions.subscribe(SignUp(email, choice, method, endpoint, incident_id), browser, SECRET_KEYS, now)
    db.session.rollback()
    key = identity(email, method, endpoint)["unique_key"]
    return db.session.query(Subscriber).filter_by(unique_key=key).one().id


def confirm(subscriber_id: str, now: datetime, browser: Browser = READER, token: str = "a token") -> bool:
    return subscriptions.confirm(subscriber_id, token, browser, SECRET_KEYS, now)


def subscribed(now: datetime, email: str = "ada@example.com", choice: Choice = EVERYTHING, **about: Any) -> str:
    """Return the id of a confirmed subscriber; the confirmation mail stays in the outbox."""
    subscriber_id = asked(now, email, choice, **about)
    confirm(subscriber_id, now)
    return subscriber_id


def component(now: datetime, name: str = "Sign-in", group_id: str = "") -> str:
    return components.create_component(name, "", group_id, None, now)


def channel(
    by: str, now: datetime, url: str = "https://hooks.slack.com/services/T/B/x", name: str = "#incidents"
) -> str:
    kind = ChannelKind.PAGER if url.startswith("json:") else ChannelKind.SLACK
    return channels.add_channel(kind, name, url, None, by, now)


def draft(kind: MessageKind, now: datetime, **changes: str) -> messages.Draft:
    return messages.parse(kind, typed(kind, now, **changes), now)


def declared(
    by: str | None,
    states: dict[str, ComponentState],
    now: datetime,
    *,
    title: str = "Sign-in fails",
    severity: Severity = Severity.SEV1,
    visibility: Visibility = Visibility.PUBLIC,
    roles: dict[IncidentRole, str] | None = None,
    declared_at: datetime | None = None,
    language: str = "",
) -> str:
    """Return the id of an incident that nobody has told the public about yet."""
    declaration = incidents.Declaration(title, severity, states, roles or {}, visibility, declared_at, language)
    return incidents.declare(declaration, nonce(), by, now)


def acknowledged(by: str, states: dict[str, ComponentState], now: datetime, **about: Any) -> str:
    """Return the id of an incident whose first public message is posted."""
    incident_id = declared(by, states, now, **about)
    post(MessageKind.ACKNOWLEDGE, incident_id, states, by, now)
    return incident_id


def resolved(now: datetime) -> str:
    """Return the id of an incident on a fresh page, told 50 minutes before ``now`` and resolved 5 minutes before."""
    page(now)
    states, by = {component(now): ComponentState.OUTAGE}, account(now)
    incident_id = acknowledged(by, states, now - timedelta(minutes=50))
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    post(MessageKind.RESOLVE, incident_id, fine, by, now - timedelta(minutes=5))
    return incident_id


def version(incident_id: str) -> int:
    """Return the newest version, as somebody sees who has just opened the incident."""
    return db.session.get_one(Incident, incident_id, populate_existing=True).version


def post(
    kind: MessageKind,
    incident_id: str,
    states: dict[str, ComponentState],
    by: str | None,
    now: datetime,
    *,
    reason: str = "",
    **changes: str,
) -> str:
    """Post a message as a writer who sees the newest version; return the update's id."""
    action = {
        MessageKind.ACKNOWLEDGE: incidents.acknowledge,
        MessageKind.UPDATE: incidents.post_update,
        MessageKind.RESOLVE: incidents.resolve,
    }[kind]
    message = incidents.Post(draft(kind, now, **changes), states, version(incident_id), reason)
    return action(incident_id, message, nonce(), by, now)


def window(now: datetime, component_ids: tuple[str, ...], by: str | None = None, **about: Any) -> str:
    """Return the id of a maintenance window of two hours that begins in one day, unless said otherwise."""
    begins = about.pop("scheduled_for", now + timedelta(days=1))
    given: dict[str, Any] = {
        "title": "Database upgrade",
        "body": "Signing in may take longer for a few minutes.",
        "scheduled_until": begins + timedelta(hours=2),
    }
    plan = maintenances.Plan(component_ids=component_ids, scheduled_for=begins, **(given | about))
    return maintenances.schedule(plan, nonce(), by, now)


def seen(maintenance_id: str) -> int:
    """Return the newest version, as somebody sees who has just opened the window."""
    return db.session.get_one(Maintenance, maintenance_id, populate_existing=True).version


def task(owner: str, now: datetime, **changes: str) -> dict[str, str]:
    """Return an action item as somebody types it; due in a week."""
    due = (now + timedelta(days=7)).date().isoformat()
    return {"title": "Watch the memory", "owner_id": owner, "priority": "high", "due_on": due} | changes


def action_item(incident_id: str, by: str, now: datetime, *, owner: str = "", **changes: str) -> str:
    return action_items.add(incident_id, task(owner or by, now, **changes), nonce(), by, now)


def newest_document() -> Document:
    """Return the text that was begun last, as it stands now."""
    db.session.rollback()
    query = select(Document).order_by(Document.created_at.desc()).limit(1)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()
